"""A conversation at a terminal: asked, answered, gone on with, and never lost."""

from __future__ import annotations

import json
import os
import re
import signal
import stat

import pytest
from support.chat_terminal import CTRL_C, CTRL_D, PROMPT, Person, kept
from support.http_backend import DONE, USAGE, delta, streamed
from support.loopback import CHUNKED, Fin, Loopback, Stall, chunked, head
from support.processes import ECHO

END = [delta(finish_reason="stop"), USAGE, DONE]
GOOD_DAY = streamed(delta("Good "), delta("day"), *END)
BEGUN = [head(headers=CHUNKED), chunked(delta("Half an "), delta("answer"), end=False)]
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def sent(request):
    """What a request asks: the role and the text of each message."""
    return [(each["role"], each["content"]) for each in json.loads(request.body)["messages"]]


def test_a_conversation_goes_back_and_forth(home):
    with Loopback(GOOD_DAY, streamed(delta("You said hello"), *END)) as server:
        home.serve(server.url)
        with Person(home) as person:
            person.sees(PROMPT)
            person.says("hello")
            person.sees("here/m-1 · 7 in · 2 out")
            assert person.lines[1:3] == [f"{PROMPT} hello", "Good day"]
            person.says("what did I say?")
            person.sees("You said hello")
            person.sees("14 in · 4 out")
    assert sent(server.requests[1]) == [("user", "hello"), ("assistant", "Good day"), ("user", "what did I say?")]


@pytest.mark.parametrize("size", [(24, 80), (60, 200), (10, 30)])
def test_the_toolbar_stands_under_the_prompt_at_any_size(home, size):
    home.configure(ECHO)
    with Person(home, size=size) as person:
        person.sees(PROMPT)
        person.sees(" m/mock")
        person.says("hello")
        person.sees(" m/mock · 2 in · 2 out"[: size[1] - 1])
        person.sees(PROMPT, times=2)
        assert person.lines[-2] == PROMPT
        assert person.lines[-1].startswith(" m/mock")


def test_without_a_terminal_it_names_ask(home):
    home.configure(ECHO)
    run = home.run("chat")
    assert (run.code, run.out) == (2, "")
    assert "arawn ask" in run.err


def test_markdown_is_laid_out_and_reasoning_folded(home):
    home.configure(
        '[llm]\nbackend = "m"\n[backends.m]\nadapter = "mock"\n[[backends.m.replies]]\n'
        'text = "* **one**\\n\\n```\\ncode\\n```\\n"\nreasoning = "Let me see."\n'
    )
    with Person(home) as person:
        person.sees(PROMPT)
        person.says("list")
        person.sees("in ·")
        assert person.lines[2:7] == ["∴ thought 1 s", "• one", "```", "code", "```"]


def test_r51_ctrl_c_stops_an_answer_at_once_and_keeps_what_came(home):
    with Loopback([*BEGUN, Stall()], GOOD_DAY) as server:
        home.serve(server.url)
        with Person(home) as person:
            person.sees(PROMPT)
            person.says("tell me")
            person.sees("Half an")
            person.types(CTRL_C)
            person.sees("[stopped: what came is kept")
            assert "Half an answer" in person.shown
            person.says("go on")
            person.sees("Good day")
    assert sent(server.requests[1]) == [("user", "tell me"), ("assistant", "Half an answer"), ("user", "go on")]
    assert kept(home) == ["tell me", "Half an answer", "go on", "Good day"]


@pytest.mark.parametrize("key", [CTRL_C, "\x1b"], ids=["Ctrl-C", "Esc"])
def test_r51_waiting_for_a_silent_server_can_be_stopped(home, key):
    with Loopback([Stall()]) as server:
        home.serve(server.url)
        with Person(home) as person:
            person.sees(PROMPT)
            person.says("anybody there?")
            person.sees("s · Esc stops")
            person.types(key)
            person.sees("[stopped: nothing had come")
            person.misses("Esc stops")
            person.types(CTRL_D)
            assert person.leaves() == 0


def test_a_stream_that_breaks_is_told_and_asked_again(home):
    with Loopback([*BEGUN, Fin()], GOOD_DAY) as server:
        home.serve(server.url)
        with Person(home) as person:
            person.sees(PROMPT)
            person.says("tell me")
            person.sees("/retry asks again")
            assert "Half an answer" in person.shown
            assert "Error:" in person.shown
            person.says("/retry")
            person.sees("Good day")
    assert sent(server.requests[1]) == [("user", "tell me")]
    assert kept(home) == ["tell me", "Good day"]


HOSTILE = "\x1b]52;c;cm0=\x07\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b2J\rover\b\x7f\u202eevil\x1bP+q\x1b[/x]"


@pytest.mark.parametrize("environ", [{}, {"TERM": "dumb"}, {"ACCESSIBLE": "1"}], ids=["live", "dumb", "accessible"])
def test_r1_nothing_a_model_writes_commands_the_terminal(home, environ):
    deltas = [delta(character) for character in f"before {HOSTILE} after\n"]
    with Loopback(streamed(*deltas, *END)) as server:
        home.serve(server.url)
        with Person(home, env=environ) as person:
            person.sees(PROMPT)
            person.says("hi")
            person.sees("after")
            person.sees("7 in")
            assert "␛]52;c;cm0=␇␛]0;owned␇␛[2J␛[31mred<U+009B>2J␍over␈␡<U+202E>evil␛P+q␛[/x]" in person.shown
            assert person.screen.title == ""
    received = person.received.decode()
    assert "\x1b]52" not in received
    assert "\x1b]0;" not in received
    assert not UNSAFE.search(received.translate({27: None, 13: None, 8: None, 7: None}))


def test_r47_after_kill_9_the_prompt_and_the_partial_answer_are_there(home):
    with Loopback([*BEGUN, Stall()]) as server:
        home.serve(server.url)
        with Person(home) as person:
            person.sees(PROMPT)
            person.says("tell me")
            person.waits(lambda: kept(home) == ["tell me", "Half an answer"])
            person.process.kill(signal.SIGKILL)
            assert person.leaves() == -signal.SIGKILL
        with Person(home, "-c") as person:
            person.sees("[this answer is not whole: /retry asks again]")
            assert person.lines[1:4] == ['"tell me" · 1 turn · here/m-1', f"{PROMPT} tell me", "Half an answer"]


def test_the_conversation_goes_on_with_another_model(home):
    with Loopback(GOOD_DAY) as server:
        home.serve(server.url, '[backends.other]\nadapter = "mock"\nmode = "echo"\n')
        with Person(home) as person:
            person.sees(PROMPT)
            person.says("hello")
            person.sees("7 in")
            person.says("/model m-2")
            person.sees("model: here/m-2")
            person.says("again")
            person.sees("here/m-2 · 7 in")
            person.says("/backend other")
            person.sees("backend: other/mock")
            person.says("and here")
            person.sees("other/mock · ")
            person.says("/backend nowhere")
            person.sees('no backend "nowhere"')
    assert [json.loads(request.body)["model"] for request in server.requests] == ["m-1", "m-2"]
    assert len(sent(server.requests[1])) == 3
    assert kept(home)[-2:] == ["and here", "and here"]


def test_a_command_that_does_not_exist_is_not_sent(home):
    with Loopback(GOOD_DAY) as server:
        home.serve(server.url)
        with Person(home) as person:
            person.sees(PROMPT)
            person.says("/modle x")
            person.sees("did you mean /model?")
            assert server.requests == []
            person.says("//modle x")
            person.sees("Good day")
    assert sent(server.requests[0]) == [("user", "/modle x")]


def test_leaving_says_how_to_come_back(home):
    home.configure(ECHO)
    with Person(home) as person:
        person.sees(PROMPT)
        person.says("the title")
        person.sees("in ·")
        person.types(CTRL_D)
        assert person.leaves() == 0
        told = re.search(r'saved "the title" · arawn (chat -s \w+)', person.shown)
    with Person(home, *told[1].split()[1:]) as person:
        person.sees('"the title" · 1 turn')
        person.says("more")
        person.sees("in ·")
        person.says("/quit")
        assert person.leaves() == 0
    assert kept(home) == ["the title", "the title", "more", "more"]


def test_a_session_gets_a_name_when_it_begins(home):
    home.configure(ECHO)
    for word, greeting in (("first", 'a new conversation "work"'), ("second", '"first" · 1 turn')):
        with Person(home, "-s", "work") as person:
            person.sees(greeting)
            person.says(word)
            person.sees("in ·")
            person.types(CTRL_D)
            assert person.leaves() == 0
    assert kept(home) == ["first", "first", "second", "second"]


def test_a_private_chat_leaves_no_trace_of_what_was_said(home):
    home.configure(ECHO)
    with Person(home, "--private") as person:
        person.sees("private: nothing is kept")
        person.says("secret words")
        person.sees("in ·")
        person.says("/export")
        person.sees("wrote arawn-private.md")
        person.types(CTRL_D)
        person.sees("private: nothing was kept")
        assert person.leaves() == 0
    assert not home.holds("secret words")
    assert "secret words" in (home.work / "arawn-private.md").read_text()


def test_there_is_nothing_to_go_on_with_in_the_beginning(home):
    home.configure(ECHO)
    with Person(home, "-c") as person:
        assert person.leaves() == 2
    assert "there is no session yet" in person.shown


def test_r15_what_chat_writes_is_private_under_any_umask(home):
    home.configure(ECHO)
    with Person(home, preexec_fn=lambda: os.umask(0)) as person:
        person.sees(PROMPT)
        person.says("hello")
        person.sees("in ·")
        person.types(CTRL_D)
        assert person.leaves() == 0
    files = [home.path / name for name in os.listdir(home.path)]
    assert {"arawn.db", "chat-history"} <= {file.name for file in files}
    assert {file.name: stat.S_IMODE(file.stat().st_mode) & 0o077 for file in files if file.stat().st_mode & 0o077} == {}


def test_files_go_along_with_a_message(home):
    (home.work / "notes.txt").write_text("remember the milk")
    (home.work / "more.txt").write_text("and the eggs")
    with Loopback(GOOD_DAY) as server:
        home.serve(server.url)
        with Person(home, "-f", "notes.txt") as person:
            person.sees("with your first message goes notes.txt")
            person.says("what is in @more.txt, and who is @nobody?")
            person.sees("attached more.txt")
            person.sees("Good day")
            person.says("and now?")
            person.sees("Good day", times=2)
    [(_, first)] = sent(server.requests[0])
    assert first.index("remember the milk") < first.index("and the eggs") < first.index("what is in @more.txt")
    assert sent(server.requests[1])[-1] == ("user", "and now?")


def test_a_dumb_terminal_gets_text_and_nothing_else(home):
    with Loopback(GOOD_DAY) as server:
        home.serve(server.url)
        with Person(home, env={"TERM": "dumb"}) as person:
            person.sees(PROMPT)
            person.says("hello")
            person.sees("7 in")
            person.types(CTRL_D)
            assert person.leaves() == 0
    assert b"\x1b" not in person.received
    assert "Good day" in person.shown


def test_accessible_answers_are_only_appended(home):
    with Loopback([Stall()]) as server:
        home.serve(server.url)
        with Person(home, env={"ACCESSIBLE": "1"}) as person:
            person.sees(PROMPT)
            person.says("hello")
            person.sees("waiting for here/m-1")
            start = len(person.received)
            person.types(CTRL_C)
            person.sees("[stopped")
    answer = person.received[start:].partition(b"[stopped")[0]
    assert re.findall(rb"\x1b\[[0-9;]*[A-K]", answer) == []


def test_no_color_means_no_colour(home):
    text = "# A heading\n\n```python\nprint('x')\n```\n"
    with Loopback(streamed(delta(text), *END)) as server:
        home.serve(server.url)
        with Person(home, env={"NO_COLOR": "1"}) as person:
            person.sees(PROMPT)
            person.says("hello")
            person.sees("7 in")
    colours = re.findall(rb"\x1b\[[0-9;]*m", person.received)
    assert [each for each in colours if re.search(rb"[34]\d|9\d|[34]8;", each)] == []
