"""The keys of the prompt, on a real terminal: what they send is what the server gets."""

from __future__ import annotations

import json

import pytest
from support.chat_terminal import CTRL_C, CTRL_D, ESC, PROMPT, Person
from support.http_backend import GOOD_DAY, HALF
from support.loopback import Loopback, Stall
from support.processes import ECHO

PASTED = "\x1b[200~def f():\r    return 1\r\x1b[201~"


@pytest.fixture
def server():
    with Loopback(GOOD_DAY) as server:
        yield server


@pytest.fixture
def person(home, server):
    home.serve(server.url)
    with Person(home) as person:
        person.sees(PROMPT)
        yield person


def said(request):
    """The text of the last message of a request."""
    return json.loads(request.body)["messages"][-1]["content"]


@pytest.mark.parametrize(
    "line_end",
    ["\x1b\r", "\n", "\\\r", "\x1b[13;2u", "\x1b[13;5u", "\x1b[27;2;13~", "\x1b[27;5;13~"],
    ids=["Alt-Enter", "Ctrl-J", "backslash", "Shift-Enter", "Ctrl-Enter", "xterm Shift-Enter", "xterm Ctrl-Enter"],
)
def test_a_line_end_is_typed_without_sending(person, server, line_end):
    person.says(f"one{line_end}two")
    person.sees("Good day")
    assert said(server.requests[0]) == "one\ntwo"


def test_a_paste_of_lines_is_one_message(person, server):
    person.types(PASTED)
    person.sees("return 1")
    assert server.requests == []
    person.types("\r")
    person.sees("Good day")
    assert said(server.requests[0]) == "def f():\n    return 1\n"


def test_multiline_swaps_enter_and_alt_enter(person, server):
    person.says("/multiline")
    person.sees("Alt-Enter sends")
    person.types("one\rtwo\x1b\r")
    person.sees("Good day")
    assert said(server.requests[0]) == "one\ntwo"


@pytest.mark.parametrize("keys", ["\x18\x05", "\x07"], ids=["Ctrl-X Ctrl-E", "Ctrl-G"])
def test_the_text_goes_through_the_users_editor_and_back(home, server, keys):
    home.serve(server.url)
    editor = home.work / "my editor"
    editor.write_text('#!/bin/sh\ncase "$2" in *.md) printf " and more" >>"$2";; esac\n')
    editor.chmod(0o755)
    with Person(home, env={"VISUAL": "'./my editor' -x", "EDITOR": "false"}) as person:
        person.sees(PROMPT)
        person.types(f"begun{keys}")
        person.sees("begun and more")
        assert server.requests == []
        person.types("\r")
        person.sees("Good day")
    assert said(server.requests[0]) == "begun and more"


def test_ctrl_c_clears_the_line_and_twice_on_an_empty_one_leaves(person, server):
    person.types("some words")
    person.sees("some words")
    person.types(CTRL_C)
    person.misses("some words")
    person.types("\x1f")
    person.sees("some words")
    person.types(CTRL_C)
    person.misses("some words")
    person.types(CTRL_C)
    person.sees("Ctrl-C again leaves")
    person.types(CTRL_C)
    assert person.leaves() == 0
    assert server.requests == []


def test_ctrl_d_leaves_only_from_an_empty_line(person):
    person.types(f"x{CTRL_D}")
    person.sees(f"{PROMPT} x")
    person.types(f"\x7f{CTRL_D}")
    assert person.leaves() == 0


def test_what_is_typed_while_an_answer_comes_waits_for_the_next_prompt(home):
    with Loopback([*HALF, Stall()], GOOD_DAY) as server:
        home.serve(server.url)
        with Person(home) as person:
            person.sees(PROMPT)
            person.says("first")
            person.sees("Half an answer")
            person.types(f"the next{ESC}\rwith a line, {PASTED}")
            person.types(CTRL_C)
            person.sees("[stopped")
            person.sees("with a line")
            assert len(server.requests) == 1
            person.says("end")
            person.sees("Good day")
    assert said(server.requests[1]) == "the next\nwith a line, def f():\n    return 1\nend"


def test_ctrl_c_that_comes_together_with_enter_stops_the_answer(home):
    with Loopback([Stall()]) as server:
        home.serve(server.url)
        with Person(home) as person:
            person.sees(PROMPT)
            person.types(f"hello\r{CTRL_C}")
            person.sees("[stopped: nothing had come")


def test_a_question_that_was_not_sent_is_given_back(home):
    home.configure(ECHO)
    with Person(home) as person:
        person.sees(PROMPT)
        person.says("/new last")
        person.sees("a new conversation")
        person.says("a long question")
        person.sees("cannot be the name of a session")
        person.sees(f"{PROMPT} a long question", times=2)


def test_vi_keys(home, server):
    home.serve(server.url, '[chat]\nediting_mode = "vi"\n')
    with Person(home) as person:
        person.sees(PROMPT)
        person.types(f"wrong words{ESC}")
        person.types("bcwright")
        person.sees("wrong right")
        person.types(ESC)
        person.types("0dw\r")
        person.sees("Good day")
    assert said(server.requests[0]) == "right"


def test_history_comes_back_in_the_next_chat_without_what_is_to_be_kept_out(home):
    home.configure(ECHO)
    with Person(home) as person:
        person.sees(PROMPT)
        for line in ("a plain line", " with a space before it", "my key is sk-abcdefghijklmnopqrstuvwx"):
            person.says(line)
            person.sees(f"{PROMPT} {line}")
        person.sees("in ·", times=3)
    written = (home.path / "chat-history").read_text()
    assert "a plain line" in written
    assert "with a space" not in written
    assert "sk-abc" not in written
    with Person(home) as person:
        person.sees(PROMPT)
        person.types("\x1b[A")
        person.sees(f"{PROMPT} a plain line")
        person.types(CTRL_C)
        person.misses("a plain line")
        person.types("a pl")
        person.sees("a plain line")
        person.types("\x1b[C\r")
        person.sees("in ·")
        assert f"{PROMPT} a plain line" in person.lines
        person.types("\x12plain")
        person.sees("I-search backward: plain")
        person.types("\r")
        person.misses("I-search")
        assert person.lines[-2] == f"{PROMPT} a plain line"


def test_tab_completes_commands_their_names_and_files(home):
    home.configure(ECHO)
    (home.work / "a report.txt").write_text("x")
    with Person(home) as person:
        person.sees(PROMPT)
        person.types("/the")
        person.sees("Show or change the colours of answers")
        person.types("\t")
        person.sees(f"{PROMPT} /theme")
        person.types(" da\t")
        person.sees(f"{PROMPT} /theme dark")
        person.types("\r")
        person.sees("theme: dark")
        person.types("look at @a\t")
        person.sees(f'{PROMPT} look at @"a report.txt"')
        person.types("\r")
        person.sees("attached a report.txt (")


def test_edit_undo_and_branch_change_what_is_sent(home):
    with Loopback(GOOD_DAY) as server:
        home.serve(server.url)
        with Person(home, size=(60, 100)) as person:
            person.sees(PROMPT)
            for count, line in enumerate(["one", "two", "three"], 1):
                person.says(line)
                person.sees("7 in", times=count)
            person.says("/undo")
            person.sees('removed "three" and its answer')
            person.says("/edit 1")
            person.sees(f"edit 1 {PROMPT} one")
            person.says(" more")
            person.sees("7 in", times=4)
            person.says("/branch 1")
            person.sees("going on from turn 1 in a branch")
            person.says("other")
            person.sees("7 in", times=5)
            person.says("/edit")
            person.sees(f"edit 2 {PROMPT} other")
            person.types(CTRL_C)
            person.types(CTRL_C)
            person.misses(f"edit 2 {PROMPT}\n")
            person.says("/undo 7")
            person.says("/edit 7")
            person.sees("expected a turn from 1 to")
    texts = [[each["content"] for each in json.loads(request.body)["messages"]] for request in server.requests]
    assert texts[3] == ["one more"]
    assert texts[4] == ["one more", "Good day", "other"]
