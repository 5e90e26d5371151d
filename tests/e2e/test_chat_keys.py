"""The keys of the prompt, on a real terminal: what they send is what the server gets."""

from __future__ import annotations

import json

import pytest
from support.chat_terminal import CTRL_C, CTRL_D, ESC, PROMPT, ChatTerminal
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
    with ChatTerminal(home) as person:
        person.wait_for(PROMPT)
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
    person.send_line(f"one{line_end}two")
    person.wait_for("Good day")
    assert said(server.requests[0]) == "one\ntwo"


def test_a_paste_of_lines_is_one_message(person, server):
    person.type(PASTED)
    person.wait_for("return 1")
    assert server.requests == []
    person.type("\r")
    person.wait_for("Good day")
    assert said(server.requests[0]) == "def f():\n    return 1\n"


def test_multiline_swaps_enter_and_alt_enter(person, server):
    person.send_line("/multiline")
    person.wait_for("Alt-Enter sends")
    person.type("one\rtwo\x1b\r")
    person.wait_for("Good day")
    assert said(server.requests[0]) == "one\ntwo"


@pytest.mark.parametrize("keys", ["\x18\x05", "\x07"], ids=["Ctrl-X Ctrl-E", "Ctrl-G"])
def test_the_text_goes_through_the_users_editor_and_back(home, server, keys):
    home.serve(server.url)
    editor = home.work / "my editor"
    editor.write_text('#!/bin/sh\ncase "$2" in *.md) printf " and more" >>"$2";; esac\n')
    editor.chmod(0o755)
    with ChatTerminal(home, env={"VISUAL": "'./my editor' -x", "EDITOR": "false"}) as person:
        person.wait_for(PROMPT)
        person.type(f"begun{keys}")
        person.wait_for("begun and more")
        assert server.requests == []
        person.type("\r")
        person.wait_for("Good day")
    assert said(server.requests[0]) == "begun and more"


def test_ctrl_c_clears_the_line_and_twice_on_an_empty_one_leaves(person, server):
    person.type("some words")
    person.wait_for("some words")
    person.type(CTRL_C)
    person.wait_until_gone("some words")
    person.type("\x1f")
    person.wait_for("some words")
    person.type(CTRL_C)
    person.wait_until_gone("some words")
    person.type(CTRL_C)
    person.wait_for("Ctrl-C again leaves")
    person.type(CTRL_C * 2)  # one is enough within two seconds of the one before
    assert person.wait_for_exit() == 0
    assert server.requests == []


def test_ctrl_d_leaves_only_from_an_empty_line(person):
    person.type(f"x{CTRL_D}")
    person.wait_for(f"{PROMPT} x")
    person.type(f"\x7f{CTRL_D}")
    assert person.wait_for_exit() == 0


def test_what_is_typed_while_an_answer_comes_waits_for_the_next_prompt(home):
    with Loopback([*HALF, Stall()], GOOD_DAY) as server:
        home.serve(server.url)
        with ChatTerminal(home) as person:
            person.wait_for(PROMPT)
            person.send_line("first")
            person.wait_for("Half an answer")
            person.type(f"the next{ESC}\rwith a line, {PASTED}")
            person.type(CTRL_C)
            person.wait_for("[stopped")
            person.wait_for("with a line")
            assert len(server.requests) == 1
            person.send_line("end")
            person.wait_for("Good day")
    assert said(server.requests[1]) == "the next\nwith a line, def f():\n    return 1\nend"


def test_ctrl_c_that_comes_together_with_enter_stops_the_answer(home):
    with Loopback([Stall()]) as server:
        home.serve(server.url)
        with ChatTerminal(home) as person:
            person.wait_for(PROMPT)
            person.type(f"hello\r{CTRL_C}")
            person.wait_for("[stopped: nothing had come")


def test_a_question_that_was_not_sent_is_given_back(home):
    home.configure(ECHO)
    with ChatTerminal(home) as person:
        person.wait_for(PROMPT)
        person.send_line("/new last")
        person.wait_for("a new conversation")
        person.send_line("a long question")
        person.wait_for("cannot be the name of a session")
        person.wait_for(f"{PROMPT} a long question", times=2)


def test_vi_keys(home, server):
    home.serve(server.url, '[chat]\nediting_mode = "vi"\n')
    with ChatTerminal(home) as person:
        person.wait_for(PROMPT)
        person.type(f"wrong words{ESC}")
        person.type("bcwright")
        person.wait_for("wrong right")
        person.type(ESC)
        person.type("0dw\r")
        person.wait_for("Good day")
    assert said(server.requests[0]) == "right"


def test_history_comes_back_in_the_next_chat_without_what_is_to_be_kept_out(home):
    home.configure(ECHO)
    with ChatTerminal(home) as person:
        person.wait_for(PROMPT)
        for line in ("a plain line", " with a space before it", "my key is sk-abcdefghijklmnopqrstuvwx"):
            person.send_line(line)
            person.wait_for(f"{PROMPT} {line}")
        person.wait_for("in ·", times=3)
    written = (home.path / "chat-history").read_text()
    assert "a plain line" in written
    assert "with a space" not in written
    assert "sk-abc" not in written
    with ChatTerminal(home) as person:
        person.wait_for(PROMPT)
        person.type("\x1b[A")
        person.wait_for(f"{PROMPT} a plain line")
        person.type(CTRL_C)
        person.wait_until_gone("a plain line")
        person.type("a pl")
        person.wait_for("a plain line")
        person.type("\x1b[C\r")
        person.wait_for("in ·")
        assert f"{PROMPT} a plain line" in person.lines
        person.type("\x12plain")
        person.wait_for("I-search backward: plain")
        person.type("\r")
        person.wait_until_gone("I-search")
        assert person.lines[-2] == f"{PROMPT} a plain line"


def test_tab_completes_commands_their_names_and_files(home):
    home.configure(ECHO)
    (home.work / "a report.txt").write_text("x")
    with ChatTerminal(home) as person:
        person.wait_for(PROMPT)
        person.type("/the")
        person.wait_for("Show or change the colours of answers")
        person.type("\t")
        person.wait_for(f"{PROMPT} /theme")
        person.type(" da\t")
        person.wait_for(f"{PROMPT} /theme dark")
        person.type("\r")
        person.wait_for("theme: dark")
        person.type("look at @a\t")
        person.wait_for(f'{PROMPT} look at @"a report.txt"')
        person.type("\r")
        person.wait_for("attached a report.txt (")


def test_edit_undo_and_branch_change_what_is_sent(home):
    with Loopback(GOOD_DAY) as server:
        home.serve(server.url)
        with ChatTerminal(home, size=(60, 100)) as person:
            person.wait_for(PROMPT)
            for count, line in enumerate(["one", "two", "three"], 1):
                person.send_line(line)
                person.wait_for("7 in", times=count)
            person.send_line("/undo")
            person.wait_for('removed "three" and its answer')
            person.send_line("/edit 1")
            person.wait_for(f"edit 1 {PROMPT} one")
            person.send_line(" more")
            person.wait_for("7 in", times=4)
            person.send_line("/branch 1")
            person.wait_for("going on from turn 1 in a branch")
            person.send_line("other")
            person.wait_for("7 in", times=5)
            person.send_line("/edit")
            person.wait_for(f"edit 2 {PROMPT} other")
            person.type(CTRL_C)
            person.type(CTRL_C)
            person.wait_until_gone(f"edit 2 {PROMPT}\n")
            person.send_line("/undo 7")
            person.send_line("/edit 7")
            person.wait_for("expected a turn from 1 to")
    texts = [[each["content"] for each in json.loads(request.body)["messages"]] for request in server.requests]
    assert texts[3] == ["one more"]
    assert texts[4] == ["one more", "Good day", "other"]
