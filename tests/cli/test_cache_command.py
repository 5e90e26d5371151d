"""``arawn cache``, and an ``ask`` that is answered from it: as processes, with a server that counts."""

from __future__ import annotations

import json

import pytest
from support.http_backend import STREAM, delta, streamed
from support.loopback import Loopback
from support.processes import Home

ON = "[cache]\nenabled = true\n"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def server():
    with Loopback(streamed(*STREAM)) as serving:
        yield serving


def stats(home, *words):
    run = home.run("cache", "stats", "--json", *words)
    assert run.code == 0, run
    return json.loads(run.out)


def asked(home, *words):
    run = home.run("ask", "--json", *words)
    assert run.code == 0, run
    return json.loads(run.out), run.err


def test_the_second_time_nobody_is_asked_and_nothing_is_paid(home, server):
    home.serve(server.url, ON)

    first, told_first = asked(home, "Hello")
    second, told_second = asked(home, "Hello")

    assert len(server.requests) == 1
    assert first["text"] == second["text"] == "Good day"
    assert first["usage"] == second["usage"]
    assert (second["cost"], second["model"], second["backend"], second["id"]) == (0.0, "m-1", "here", "a1")
    assert "from the cache" not in told_first
    assert "from the cache, answered " in told_second


@pytest.mark.parametrize("words", [["Hello!"], ["Hello", "--max-tokens", "5"], ["Hello", "--system", "Be brief."]])
def test_another_question_is_asked(home, server, words):
    home.serve(server.url, ON)
    asked(home, "Hello")
    asked(home, *words)
    assert len(server.requests) == 2


def test_what_is_streamed_or_not_is_one_answer(home, server):
    home.serve(server.url, ON)
    home.run("ask", "Hello")
    run = home.run("ask", "--no-stream", "Hello")
    assert (run.out, len(server.requests)) == ("Good day\n", 1)


def test_nothing_is_kept_unless_it_is_switched_on(home, server):
    home.serve(server.url)
    asked(home, "Hello")
    asked(home, "Hello")
    assert len(server.requests) == 2
    assert stats(home)["answers"] == 0


def test_an_answer_that_was_cut_is_asked_for_again(home):
    with Loopback(streamed(delta("Good "))) as server:
        home.serve(server.url, ON)
        codes = [home.run("ask", "Hello").code for _ in range(2)]
        assert (codes, len(server.requests)) == ([10, 10], 2)
    assert stats(home)["answers"] == 0


def test_an_answer_is_given_also_where_the_backend_cannot_be_reached(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, ON)
        asked(home, "Hello")
    assert home.run("ask", "Hello").out == "Good day\n"
    assert home.run("ask", "Hello again").code == 5


def test_where_nothing_can_be_kept_the_answer_comes_all_the_same_and_that_is_told(home, server):
    home.serve(server.url, ON)
    (home.path / "arawn.db").mkdir()
    run = home.run("ask", "--no-save", "Hello")
    assert (run.code, run.out) == (0, "Good day\n")
    assert "the cache cannot be used: " in run.err


# ---- stats ----


def test_what_is_kept_is_shown_in_a_table_and_as_json(home, server):
    home.serve(server.url, ON + "max_mb = 2\nttl = 600\n")
    for words in ("Hello", "Hello", "Hello again"):
        asked(home, words)

    found = stats(home)
    run = home.run("cache", "stats")

    [of_one] = found.pop("backends")
    assert of_one.pop("backend") == "here"
    assert of_one == {name: found[name] for name in of_one}
    assert (found["answers"], found["hits"], found["expired"]) == (2, 1, 0)
    assert (found["enabled"], found["ttl"], found["max_bytes"]) == (True, 600, 2_000_000)
    assert 600 < found["bytes"] < 2_000
    head, one, total = (line.split() for line in run.out.splitlines())
    assert head == ["backend", "answers", "expired", "size", "hits", "oldest"]
    assert one[:3] == ["here", "2", "0"]
    assert total[:3] == ["all", "2", "0"]
    assert total[4:8] == ["kB", "of", "2", "MB"]
    assert (run.code, run.err) == (0, "")


def test_what_was_never_kept_is_told_and_no_file_is_made_for_it(home):
    shown, cleared = home.run("cache", "stats"), home.run("cache", "clear")

    assert (shown.code, shown.out) == (0, "")
    assert "no answer is kept" in shown.err
    assert "arawn config set cache.enabled true" in shown.err
    assert (cleared.code, cleared.out, cleared.err) == (0, "", "removed: 0 answers\n")
    assert stats(home) == {
        "enabled": False,
        "ttl": 86_400.0,
        "max_bytes": 100_000_000,
        "answers": 0,
        "expired": 0,
        "bytes": 0,
        "hits": 0,
        "oldest": None,
        "backends": [],
        "learned": [],
    }
    assert not (home.path / "arawn.db").exists()


# ---- clear ----


def test_what_is_cleared_is_asked_for_again(home, server):
    home.serve(server.url, ON)
    asked(home, "Hello")

    elsewhere = home.run("cache", "clear", "-b", "groq")
    here = home.run("cache", "clear", "--backend", "here")

    assert (elsewhere.err, here.err) == ("removed: 0 answers of groq\n", "removed: 1 answer of here\n")
    assert (elsewhere.code, here.code) == (0, 0)
    asked(home, "Hello")
    assert len(server.requests) == 2
    assert json.loads(home.run("cache", "clear", "--json").out) == {"removed": 1}
    assert stats(home)["answers"] == 0


def test_what_is_no_database_is_named_with_what_to_do(home):
    (home.path / "arawn.db").write_bytes(b"no database at all" * 100)
    (home.path / "arawn.db").chmod(0o600)
    for action in ("stats", "clear"):
        run = home.run("cache", action)
        assert (run.code, run.out) == (3, "")
        assert "arawn.db" in run.err.splitlines()[0]
        assert "mv " in run.err


@pytest.mark.parametrize("words", [["shrink"], ["stats", "all"]])
def test_what_the_command_does_not_know_is_wrong_usage(home, words):
    assert home.run("cache", *words).code == 2
