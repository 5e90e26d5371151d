"""The slash commands of a chat, typed at a terminal."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest
from support.chat_terminal import CTRL_D, PROMPT, ChatTerminal
from support.http_backend import DONE, USAGE, delta, streamed
from support.loopback import Loopback

ANSWER = "Two ways:\n\n```python\nfirst()\n```\n\nor\n\n```\nsecond()\n```\n"
REPLIES = streamed(delta(ANSWER), delta(finish_reason="stop"), USAGE, DONE)
SCRIPT = """\
[llm]
backend = "m"
[backends.m]
adapter = "mock"
[[backends.m.replies]]
text = "the first"
[[backends.m.replies]]
text = "the second"
[[backends.m.replies]]
text = "the third"
"""


@pytest.fixture
def server():
    with Loopback(REPLIES) as server:
        yield server


@pytest.fixture
def person(home, server):
    """Somebody who has had one answer."""
    home.serve(server.url, "[models.m-1]\ninput_price = 1000\noutput_price = 2000\ncontext_window = 50000\n")
    with ChatTerminal(home, size=(50, 100), env={"SSH_TTY": "/dev/pts/9"}) as person:
        person.wait_for(PROMPT)
        person.send_line("how?")
        person.wait_for("7 in · 2 out · $0.0110")
        yield person


def body(request):
    return json.loads(request.body)


def test_the_toolbar_counts_cost_and_room(person):
    person.wait_for(" here/m-1 · 7 in · 2 out · $0.0110 · 24k left")
    person.send_line("again")
    person.wait_for(" here/m-1 · 14 in · 4 out · $0.0220 · 24k left")
    person.send_line("/usage")
    person.wait_for("turns         2")
    person.wait_for("input         14 tokens, 0 of them from the cache")
    person.wait_for("cost          $0.0220")


def test_copy_goes_through_the_terminal_of_one_who_is_far_away(person):
    for words, text, told in (
        ("/copy", ANSWER, "copied the last answer"),
        ("/copy code", "first()", "copied code block 1 of 2"),
        ("/copy code 2", "second()", "copied code block 2 of 2"),
    ):
        person.send_line(words)
        person.wait_for(told)
        assert b"\x1b]52;c;" + b64encode(text.encode()) + b"\x07" in person.received
    person.send_line("/copy code 3")
    person.wait_for("expected a number from 1 to 2")
    person.send_line("/copy 2")
    person.wait_for("expected a number from 1 to 1: there is 1 answer")


def test_copy_uses_the_program_of_this_machine(home):
    home.configure(SCRIPT)
    tools = home.work / "tools"
    tools.mkdir()
    (tools / "xclip").write_text('#!/bin/sh\ncat >copied\necho "$@" >>copied\n')
    (tools / "xclip").chmod(0o755)
    env = {"DISPLAY": ":9", "PATH": f"{tools}:{home.environ['PATH']}"}
    with ChatTerminal(home, env=env) as person:
        person.wait_for(PROMPT)
        person.send_line("hello")
        person.wait_for("in ·")
        person.send_line("/copy")
        person.wait_for("by xclip")
    assert (home.work / "copied").read_text() == "the first-selection clipboard\n"
    assert b"\x1b]52" not in person.received


def test_save_and_export_write_files_and_overwrite_none(person, home):
    for words, told in (
        ("/save answer.md", "wrote answer.md"),
        ("/save answer.md", "answer.md is there already"),
        ("/save no/where.md", "there is no folder"),
        ("/export talk.html", "wrote talk.html"),
        ("/export talk.json", "wrote talk.json"),
        ("/export talk.doc", "name a file that ends in .md, .json, .html"),
    ):
        person.send_line(words)
        person.wait_for(told)
    assert (home.work / "answer.md").read_text() == ANSWER
    assert "<h1>how?</h1>" in (home.work / "talk.html").read_text()
    assert json.loads((home.work / "talk.json").read_text())["session"]["title"] == "how?"


def test_system_and_temperature_change_the_next_question(person, server):
    person.send_line("/system Answer in verse.")
    person.wait_for("system prompt: Answer in verse.")
    person.send_line("/temperature 1.5")
    person.wait_for("temperature: 1.5")
    person.send_line("/temperature 3")
    person.wait_for("expected a number from 0 to 2")
    person.send_line("again")
    person.wait_for("7 in", times=2)
    person.send_line("/system off")
    person.wait_for("no system prompt")
    person.send_line("/temperature off")
    person.wait_for("temperature: as the provider has it")
    person.send_line("and again")
    person.wait_for("7 in", times=3)
    changed, back = body(server.requests[1]), body(server.requests[2])
    assert changed["messages"][0] == {"role": "system", "content": "Answer in verse."}
    assert changed["temperature"] == 1.5
    assert back["messages"][0]["role"] == "user"
    assert "temperature" not in back


def test_retry_may_ask_another_model(person, server):
    person.send_line("/retry m-2")
    person.wait_for("here/m-2 · 7 in")
    assert body(server.requests[1])["model"] == "m-2"
    assert [each["content"] for each in body(server.requests[1])["messages"]] == ["how?"]


def test_conversations_are_listed_found_and_gone_on_with(home):
    home.configure(SCRIPT)
    with ChatTerminal(home, size=(60, 100)) as person:
        person.wait_for(PROMPT)
        person.send_line("about tea")
        person.wait_for("the first")
        person.send_line("/new")
        person.wait_for('saved "about tea"')
        person.wait_for("a new conversation")
        person.send_line("about coffee")
        person.wait_for("the second")
        person.send_line("/title Beans")
        person.wait_for("title: Beans")
        person.send_line("/sessions")
        person.wait_for("go on with one: /resume ID")
        ids = {title: line.split()[0] for line in person.lines for title in ("tea", "Beans") if f"{title} " in line}
        person.send_line("/sessions tea")
        person.wait_for("about tea", times=3)
        person.send_line(f"/resume {ids['tea']}")
        person.wait_for('"about tea" · 1 turn')
        person.send_line("more")
        person.wait_for("the third")
        person.type(CTRL_D)
        person.wait_for(f'saved "about tea" · arawn chat -s {ids["tea"]}')
        assert person.wait_for_exit() == 0


def test_clear_begins_anew_on_an_empty_screen(person, server):
    person.send_line("/clear")
    person.wait_for("a new conversation")
    person.wait_until_gone("first()")
    person.send_line("next")
    person.wait_for("first()")
    assert [each["content"] for each in body(server.requests[1])["messages"]] == ["next"]


def test_theme_and_config_show_what_holds(person, home):
    person.send_line("/theme light")
    person.wait_for("theme: light")
    person.send_line("/theme blue")
    person.wait_for("no theme 'blue'")
    person.send_line("/config")
    person.wait_for("editing mode  emacs")
    person.send_line("/config llm.backend")
    person.wait_for("llm.backend = 'here'")
    assert "config.toml:2" in "".join(person.lines), "a long path goes on in the next line"


def test_help_fits_a_screen_of_80_columns(home):
    home.configure(SCRIPT)
    with ChatTerminal(home, size=(60, 80)) as person:
        person.wait_for(PROMPT)
        person.send_line("/help")
        person.wait_for("suspend")
        person.send_line("/help title")
        person.wait_for("/title [TEXT]", times=2)
        assert [line for line in person.lines if len(line) >= 80] == []


def test_a_private_chat_has_no_other_conversations(home):
    home.configure(SCRIPT)
    with ChatTerminal(home, "--private") as person:
        person.wait_for(PROMPT)
        for words in ("/sessions", "/resume last"):
            person.send_line(words)
            person.wait_for("this chat is private", times=1)


def test_files_are_attached_listed_and_left_out_again(person, home, server):
    (home.work / "a.txt").write_text("alpha")
    (home.work / "b.txt").write_text("beta")
    person.send_line("/file *.txt")
    person.wait_for("with your next message goes a.txt (")
    person.wait_for("2 attached")
    person.send_line("/file off")
    person.wait_for("no file is attached")
    person.send_line("/file a.txt")
    person.wait_for("1 attached")
    person.send_line("/file nowhere.txt")
    person.wait_for("cannot read nowhere.txt")
    person.send_line("look")
    person.wait_for("14 in")
    assert "alpha" in body(server.requests[1])["messages"][-1]["content"]
    assert "beta" not in body(server.requests[1])["messages"][-1]["content"]
