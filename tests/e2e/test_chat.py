"""A conversation at a terminal: asked, answered, gone on with, and never lost."""

from __future__ import annotations

import json
import os
import re
import signal
import stat

import pytest
from support.chat_terminal import CTRL_C, CTRL_D, PROMPT, ChatTerminal, stored_texts
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
        with ChatTerminal(home) as person:
            person.wait_for(PROMPT)
            person.send_line("hello")
            person.wait_for("here/m-1 · 7 in · 2 out")
            assert person.lines[1:3] == [f"{PROMPT} hello", "Good day"]
            person.send_line("what did I say?")
            person.wait_for("You said hello")
            person.wait_for("14 in · 4 out")
    assert sent(server.requests[1]) == [("user", "hello"), ("assistant", "Good day"), ("user", "what did I say?")]


def test_the_first_question_may_stand_on_the_command_line(home):
    with Loopback(GOOD_DAY, streamed(delta("You said hello"), *END)) as server:
        home.serve(server.url)
        with ChatTerminal(home, "hello", "there") as person:
            person.wait_for("here/m-1 · 7 in · 2 out")
            assert person.lines[1:3] == [f"{PROMPT} hello there", "Good day"]
            person.send_line("what did I say?")
            person.wait_for("14 in · 4 out")
    assert sent(server.requests[1])[:2] == [("user", "hello there"), ("assistant", "Good day")]


def test_a_first_question_that_fails_can_be_asked_again(home):
    home.serve("http://127.0.0.1:9")
    with ChatTerminal(home, "are you there?") as person:
        person.wait_for("Cannot connect")
        person.wait_for("/retry asks again")
        person.wait_for(PROMPT, times=2)


@pytest.mark.parametrize("size", [(24, 80), (60, 200), (10, 30)])
def test_the_toolbar_stands_under_the_prompt_at_any_size(home, size):
    home.configure(ECHO)
    with ChatTerminal(home, size=size) as person:
        person.wait_for(PROMPT)
        person.wait_for(" m/mock")
        person.send_line("hello")
        person.wait_for(" m/mock · 2 in · 2 out"[: size[1] - 1])
        person.wait_for(PROMPT, times=2)
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
    with ChatTerminal(home) as person:
        person.wait_for(PROMPT)
        person.send_line("list")
        person.wait_for("in ·")
        assert person.lines[2:7] == ["∴ thought 1 s", "• one", "```", "code", "```"]


def test_r51_ctrl_c_stops_an_answer_at_once_and_keeps_what_came(home):
    with Loopback([*BEGUN, Stall()], GOOD_DAY) as server:
        home.serve(server.url)
        with ChatTerminal(home) as person:
            person.wait_for(PROMPT)
            person.send_line("tell me")
            person.wait_for("Half an")
            person.type(CTRL_C)
            person.wait_for("[stopped: what came is kept")
            assert "Half an answer" in person.shown
            person.send_line("go on")
            person.wait_for("Good day")
    assert sent(server.requests[1]) == [("user", "tell me"), ("assistant", "Half an answer"), ("user", "go on")]
    assert stored_texts(home) == ["tell me", "Half an answer", "go on", "Good day"]


@pytest.mark.parametrize("key", [CTRL_C, "\x1b"], ids=["Ctrl-C", "Esc"])
def test_r51_waiting_for_a_silent_server_can_be_stopped(home, key):
    with Loopback([Stall()]) as server:
        home.serve(server.url)
        with ChatTerminal(home) as person:
            person.wait_for(PROMPT)
            person.send_line("anybody there?")
            person.wait_for("s · Esc stops")
            person.type(key)
            person.wait_for("[stopped: nothing had come")
            person.wait_until_gone("Esc stops")
            person.type(CTRL_D)
            assert person.wait_for_exit() == 0


def test_a_stream_that_breaks_is_told_and_asked_again(home):
    with Loopback([*BEGUN, Fin()], GOOD_DAY) as server:
        home.serve(server.url)
        with ChatTerminal(home) as person:
            person.wait_for(PROMPT)
            person.send_line("tell me")
            person.wait_for("/retry asks again")
            assert "Half an answer" in person.shown
            assert "Error:" in person.shown
            person.send_line("/retry")
            person.wait_for("Good day")
    assert sent(server.requests[1]) == [("user", "tell me")]
    assert stored_texts(home) == ["tell me", "Good day"]


HOSTILE = "\x1b]52;c;cm0=\x07\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b2J\rover\b\x7f\u202eevil\x1bP+q\x1b[/x]"


@pytest.mark.parametrize("environ", [{}, {"TERM": "dumb"}, {"ACCESSIBLE": "1"}], ids=["live", "dumb", "accessible"])
def test_r1_nothing_a_model_writes_commands_the_terminal(home, environ):
    deltas = [delta(character) for character in f"before {HOSTILE} after\n"]
    with Loopback(streamed(*deltas, *END)) as server:
        home.serve(server.url)
        with ChatTerminal(home, env=environ) as person:
            person.wait_for(PROMPT)
            person.send_line("hi")
            person.wait_for("after")
            person.wait_for("7 in")
            assert "␛]52;c;cm0=␇␛]0;owned␇␛[2J␛[31mred<U+009B>2J␍over␈␡<U+202E>evil␛P+q␛[/x]" in person.shown
            assert person.screen.title == ""
    received = person.received.decode()
    assert "\x1b]52" not in received
    assert "\x1b]0;" not in received
    assert not UNSAFE.search(received.translate({27: None, 13: None, 8: None, 7: None}))


def test_r47_after_kill_9_the_prompt_and_the_partial_answer_are_there(home):
    with Loopback([*BEGUN, Stall()]) as server:
        home.serve(server.url)
        with ChatTerminal(home) as person:
            person.wait_for(PROMPT)
            person.send_line("tell me")
            person.wait_until(lambda: stored_texts(home) == ["tell me", "Half an answer"])
            person.process.kill(signal.SIGKILL)
            assert person.wait_for_exit() == -signal.SIGKILL
        with ChatTerminal(home, "-c") as person:
            person.wait_for("[this answer is not whole: /retry asks again]")
            assert person.lines[1:4] == ['"tell me" · 1 turn · here/m-1', f"{PROMPT} tell me", "Half an answer"]


def test_the_conversation_goes_on_with_another_model(home):
    with Loopback(GOOD_DAY) as server:
        home.serve(server.url, '[backends.other]\nadapter = "mock"\nmode = "echo"\n')
        with ChatTerminal(home) as person:
            person.wait_for(PROMPT)
            person.send_line("hello")
            person.wait_for("7 in")
            person.send_line("/model m-2")
            person.wait_for("model: here/m-2")
            person.send_line("again")
            person.wait_for("here/m-2 · 7 in")
            person.send_line("/backend other")
            person.wait_for("backend: other/mock")
            person.send_line("and here")
            person.wait_for("other/mock · ")
            person.send_line("/backend nowhere")
            person.wait_for('no backend "nowhere"')
    assert [json.loads(request.body)["model"] for request in server.requests] == ["m-1", "m-2"]
    assert len(sent(server.requests[1])) == 3
    assert stored_texts(home)[-2:] == ["and here", "and here"]


def test_a_command_that_does_not_exist_is_not_sent(home):
    with Loopback(GOOD_DAY) as server:
        home.serve(server.url)
        with ChatTerminal(home) as person:
            person.wait_for(PROMPT)
            person.send_line("/modle x")
            person.wait_for("did you mean /model?")
            assert server.requests == []
            person.send_line("//modle x")
            person.wait_for("Good day")
    assert sent(server.requests[0]) == [("user", "/modle x")]


def test_leaving_says_how_to_come_back(home):
    home.configure(ECHO)
    with ChatTerminal(home) as person:
        person.wait_for(PROMPT)
        person.send_line("the title")
        person.wait_for("in ·")
        person.type(CTRL_D)
        assert person.wait_for_exit() == 0
        told = re.search(r'saved "the title" · arawn (chat -s \w+)', person.shown)
    with ChatTerminal(home, *told[1].split()[1:]) as person:
        person.wait_for('"the title" · 1 turn')
        person.send_line("more")
        person.wait_for("in ·")
        person.send_line("/quit")
        assert person.wait_for_exit() == 0
    assert stored_texts(home) == ["the title", "the title", "more", "more"]


def test_a_session_gets_a_name_when_it_begins(home):
    home.configure(ECHO)
    for word, greeting in (("first", 'a new conversation "work"'), ("second", '"first" · 1 turn')):
        with ChatTerminal(home, "-s", "work") as person:
            person.wait_for(greeting)
            person.send_line(word)
            person.wait_for("in ·")
            person.type(CTRL_D)
            assert person.wait_for_exit() == 0
    assert stored_texts(home) == ["first", "first", "second", "second"]


def test_a_private_chat_leaves_no_trace_of_what_was_said(home):
    home.configure(ECHO)
    with ChatTerminal(home, "--private") as person:
        person.wait_for("private: nothing is kept")
        person.send_line("secret words")
        person.wait_for("in ·")
        person.send_line("/export")
        person.wait_for("wrote arawn-private.md")
        person.type(CTRL_D)
        person.wait_for("private: nothing was kept")
        assert person.wait_for_exit() == 0
    assert not home.holds("secret words")
    assert "secret words" in (home.work / "arawn-private.md").read_text()


def test_there_is_nothing_to_go_on_with_in_the_beginning(home):
    home.configure(ECHO)
    with ChatTerminal(home, "-c") as person:
        assert person.wait_for_exit() == 2
    assert "there is no session yet" in person.shown


def test_r15_what_chat_writes_is_private_under_any_umask(home):
    home.configure(ECHO)
    with ChatTerminal(home, preexec_fn=lambda: os.umask(0)) as person:
        person.wait_for(PROMPT)
        person.send_line("hello")
        person.wait_for("in ·")
        person.type(CTRL_D)
        assert person.wait_for_exit() == 0
    files = [home.path / name for name in os.listdir(home.path)]
    assert {"arawn.db", "chat-history"} <= {file.name for file in files}
    assert {file.name: stat.S_IMODE(file.stat().st_mode) & 0o077 for file in files if file.stat().st_mode & 0o077} == {}


def test_files_go_along_with_a_message(home):
    (home.work / "notes.txt").write_text("remember the milk")
    (home.work / "more.txt").write_text("and the eggs")
    with Loopback(GOOD_DAY) as server:
        home.serve(server.url)
        with ChatTerminal(home, "-f", "notes.txt") as person:
            person.wait_for("with your first message goes notes.txt")
            person.send_line("what is in @more.txt, and who is @nobody?")
            person.wait_for("attached more.txt")
            person.wait_for("Good day")
            person.send_line("and now?")
            person.wait_for("Good day", times=2)
    [(_, first)] = sent(server.requests[0])
    assert first.index("remember the milk") < first.index("and the eggs") < first.index("what is in @more.txt")
    assert sent(server.requests[1])[-1] == ("user", "and now?")


def test_a_dumb_terminal_gets_text_and_nothing_else(home):
    with Loopback(GOOD_DAY) as server:
        home.serve(server.url)
        with ChatTerminal(home, env={"TERM": "dumb"}) as person:
            person.wait_for(PROMPT)
            person.send_line("hello")
            person.wait_for("7 in")
            person.type(CTRL_D)
            assert person.wait_for_exit() == 0
    assert b"\x1b" not in person.received
    assert "Good day" in person.shown


def test_accessible_answers_are_only_appended(home):
    with Loopback([Stall()]) as server:
        home.serve(server.url)
        with ChatTerminal(home, env={"ACCESSIBLE": "1"}) as person:
            person.wait_for(PROMPT)
            person.send_line("hello")
            person.wait_for("waiting for here/m-1")
            start = len(person.received)
            person.type(CTRL_C)
            person.wait_for("[stopped")
    answer = person.received[start:].partition(b"[stopped")[0]
    assert re.findall(rb"\x1b\[[0-9;]*[A-K]", answer) == []


def test_no_color_means_no_colour(home):
    text = "# A heading\n\n```python\nprint('x')\n```\n"
    with Loopback(streamed(delta(text), *END)) as server:
        home.serve(server.url)
        with ChatTerminal(home, env={"NO_COLOR": "1"}) as person:
            person.wait_for(PROMPT)
            person.send_line("hello")
            person.wait_for("7 in")
    colours = re.findall(rb"\x1b\[[0-9;]*m", person.received)
    assert [each for each in colours if re.search(rb"[34]\d|9\d|[34]8;", each)] == []
