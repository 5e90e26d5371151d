"""``arawn sessions``: what was said is found, shown, exported, named, branched and deleted."""

from __future__ import annotations

import json
import re
import time

import pytest
from support.processes import ECHO

HOSTILE = "\x1b]0;owned\x07\x1b[2Jrm -rf \u202etxt.exe <script>alert(1)</script> | `x`"


@pytest.fixture
def kept(home):
    """A home in which these were asked, each in a session of its own."""
    home.configure(ECHO)

    def ask(*questions):
        for question in questions:
            assert home.run("ask", question).code == 0
        return home

    return ask


def listed(home, *words):
    run = home.run("sessions", "list", "--json", *words)
    assert run.code == 0, run
    return json.loads(run.out)


def ids(home):
    return {info["title"]: info["id"] for info in listed(home)}


def found(home, *words):
    run = home.run("sessions", "search", "--json", *words)
    assert run.code == 0, run
    return {(hit["title"], hit["role"]) for hit in json.loads(run.out)}


# ---- list and show ----


def test_the_newest_are_listed_first_and_the_rest_is_told(kept):
    home = kept("one", "two", "three")
    run = home.run("sessions", "list", "-n", "2")
    assert run.code == 0
    head, *rows = run.out.splitlines()
    assert head.split() == ["id", "name", "last", "used", "turns", "model", "cost", "title"]
    assert [row.split()[-1] for row in rows] == ["three", "two"]
    assert "--all" in run.err
    assert len(home.run("sessions", "list", "--all").out.splitlines()) == 4
    assert [info["title"] for info in listed(home, "--limit", "1")] == ["three"]


def test_where_nothing_was_asked_there_is_nothing_to_list(home):
    run = home.run("sessions", "list")
    assert (run.code, run.out) == (0, "")
    assert "arawn ask" in run.err
    assert listed(home) == []


def test_a_session_is_shown_as_it_was_said(kept):
    home = kept("What is *tea*?\nand coffee")
    out = home.run("sessions", "show").out
    assert out.startswith("# What is *tea*?\n")
    assert out.count("What is *tea*?\nand coffee") == 2
    assert home.run("sessions", "show", ids(home)["What is *tea*?"][:4]).out == out


@pytest.mark.parametrize("words", [["show"], ["show", "nobody"], ["delete", "nobody"], ["branch", "nobody"]])
def test_a_session_that_is_not_there_is_a_usage_error(home, words):
    run = home.run("sessions", *words)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("Error: ")


def test_without_a_command_the_newest_are_listed(home):
    assert home.run("ask", "-b", "mock", "first words").code == 0
    assert home.run("sessions").out == home.run("sessions", "list").out != ""


# ---- search ----


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("un café crème", ["café"]),
        ("un café crème", ["cafe"]),
        ("Ein Stück Käsekuchen", ["KÄSE"]),
        ("日本語を勉強しています", ["日本"]),
        ("日本語を勉強しています", ["勉強"]),
        ("我喜欢喝茶", ["喝茶"]),
        ("어떻게 지내세요", ["지내"]),
        ("Как дела", ["дела"]),
        ("it's 100% done", ["100%"]),
        ('say "hello" AND (world', ["AND", "(world"]),
    ],
)
def test_search_finds_words_of_any_script(kept, said, words):
    home = kept("something else", said)
    assert found(home, *words) == {(said, "user"), (said, "assistant")}
    assert found(home, *words, "missing") == set()


def test_what_is_found_stands_in_a_snippet(kept):
    home = kept(f"{'before ' * 30}needle{' after' * 30}")
    run = home.run("sessions", "search", "needle")
    session, hit, _ = run.out.splitlines()
    assert session.startswith(listed(home)[0]["id"])
    assert re.fullmatch(r"  1 (user|assistant): …[a-z ]+ needle after[a-z ]+…", hit)


def test_when_nothing_is_found_that_is_told(kept):
    run = kept("one").run("sessions", "search", "two")
    assert (run.code, run.out, run.err) == (0, "", "nothing was found\n")


# ---- export ----


def test_json_has_all_that_is_kept(kept):
    home = kept("one")
    home.run("ask", "-c", "two")
    run = home.run("sessions", "export", "--format", "json")
    found = json.loads(run.out)
    assert (found["v"], found["session"]["turns"], len(found["messages"])) == (1, 2, 4)
    assert run.out == home.run("sessions", "show", "--json").out


def test_the_format_follows_the_file_and_a_file_that_cannot_be_is_refused(kept):
    home = kept("one & two")
    for name, beginning in (("a.md", "# one & two"), ("a.html", "<!DOCTYPE html>"), ("a.json", "{"), ("a", "# one")):
        run = home.run("sessions", "export", "last", "-o", name)
        assert (run.code, run.out, run.err) == (0, "", "")
        assert (home.work / name).read_text(encoding="utf-8").startswith(beginning)
    assert home.run("sessions", "export", "-o", "no/where.md").code == 2


def test_the_page_is_whole_in_itself_and_nothing_in_it_is_markup(kept):
    page = kept(HOSTILE + ' "><img src="https://example.com/x">').run("sessions", "export", "--format", "html").out
    assert "<script" not in page
    assert "\x1b" not in page
    assert "<img" not in page
    assert "default-src 'none'" in page
    outside = re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)
    assert "http:" not in outside
    assert re.findall(r"(?:src|href|url)\s*[=(]", outside) == []


# ---- rename, branch, delete, purge ----


def test_a_session_gets_a_name_and_loses_it(kept):
    home = kept("one", "two")
    assert home.run("sessions", "rename", ids(home)["one"], "tea time").out == f"{ids(home)['one']}\n"
    assert json.loads(home.run("sessions", "rename", "last", "x", "--json").out)["name"] == "x"
    taken = home.run("sessions", "rename", "last", "tea time")
    assert (taken.code, "already has the name" in taken.err) == (2, True)
    assert home.run("sessions", "rename", "tea time", "").code == 0
    assert {info["title"]: info["name"] for info in listed(home)} == {"one": "", "two": "x"}
    near = home.run("sessions", "show", "xx")
    assert 'did you mean "x"?' in near.err


def test_a_branch_begins_with_the_turns_of_another(kept):
    home = kept("one")
    home.run("ask", "-c", "two")
    home.run("ask", "-c", "three")
    parent = listed(home)[0]["id"]
    made = home.run("sessions", "branch", parent, "--turn", "2").out.strip()
    home.run("ask", "-s", made, "four")
    texts = {info["id"]: (info["turns"], info["last_text"], info["parent"]) for info in listed(home)}
    assert texts == {parent: (3, "three", None), made: (3, "four", parent)}
    assert json.loads(home.run("sessions", "branch", parent, "--json").out)["turns"] == 3
    too_far = home.run("sessions", "branch", parent, "--turn", "4")
    assert (too_far.code, "has no turn 4: it has 3" in too_far.err) == (2, True)


def test_what_is_deleted_is_gone_from_the_disk_too(kept):
    home = kept("unforgettable-one", "two", "three")
    home.run("sessions", "search", "unforgettable")
    run = home.run("sessions", "delete", ids(home)["unforgettable-one"], "last", ids(home)["three"])
    assert (run.code, run.out, run.err) == (0, "", "")
    assert [info["title"] for info in listed(home)] == ["two"]
    left = b"".join(path.read_bytes() for path in home.path.glob("arawn.db*"))
    assert b"unforgettable" not in left


def test_if_one_session_is_not_there_none_is_deleted(kept):
    home = kept("one")
    assert home.run("sessions", "delete", "last", "nobody").code == 2
    assert len(listed(home)) == 1


def test_purge_needs_an_age_and_spares_what_has_a_name(kept):
    home = kept("one", "two")
    assert home.run("sessions", "purge").code == 2
    home.run("sessions", "rename", "last", "keep me")
    assert home.run("sessions", "purge", "--days", "1").err == "deleted: 0 sessions not used for 1 days\n"
    time.sleep(0.01)
    purged = home.run("sessions", "purge", "--days", "0.0000001", "--json")
    assert json.loads(purged.out) == {"deleted": 1}
    assert [info["name"] for info in listed(home)] == ["keep me"]


def test_the_age_comes_from_the_configuration(kept):
    home = kept("one")
    home.configure(ECHO + "[sessions]\nkeep_days = 3\n")
    assert home.run("sessions", "purge").err == "deleted: 0 sessions not used for 3 days\n"


# ---- guarded ----


def test_r5_hostile_titles_and_names_are_shown_not_obeyed(kept):
    home = kept(HOSTILE, f"[/foo] [link=x]{HOSTILE}")
    for words in (["list"], ["search", "rm"], ["search", "owned"]):
        run = home.run("sessions", *words)
        assert run.code == 0, run
        assert "owned" in run.out
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", run.out + run.err)
    refused = home.run("sessions", "rename", "last", "a\x1b[2J")
    assert refused.code == 2
    assert "\x1b" not in refused.err
    assert [info["title"].startswith("[/foo]") for info in listed(home)] == [True, False]
