"""Words that are no valid Unicode are refused wherever they come in; the name of a file may be any bytes."""

from __future__ import annotations

import json
import os

import pytest
from support.chat_server import ChatServer
from support.chat_terminal import PROMPT, ChatTerminal

LATIN1 = os.fsdecode(b"caf\xe9")


@pytest.fixture
def server(home):
    with ChatServer() as server:
        home.serve(server.url)
        yield server


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["ask", LATIN1], "PROMPT"),
        (["ask", "a", f"b {LATIN1}"], "PROMPT"),
        ([f"what is {LATIN1}"], "PROMPT"),
        (["ask", "hi", "--system", LATIN1], "--system"),
        (["ask", "hi", f"--system={LATIN1}"], "--system"),
        (["ask", "hi", "-s", LATIN1], "--session"),
        (["ask", "hi", "-m", LATIN1], "--model"),
        (["-b", LATIN1, "ask", "hi"], "--backend"),
        (["ask", "hi", "--schema", f'{{"title": "{LATIN1}"}}'], "--schema"),
        (["chat", LATIN1], "PROMPT"),
        (["compare", LATIN1], "PROMPT"),
        (["embed", "hi", LATIN1], "TEXT"),
        (["batch", "q.jsonl", "-o", "a.jsonl", "--system", LATIN1], "--system"),
        (["config", "set", "llm.system", LATIN1], "VALUE"),
        (["sessions", "search", LATIN1], "WORD"),
    ],
)
def test_an_argument_is_refused_by_name(home, server, words, place):
    run = home.run(*words)
    assert (run.code, run.out, server.prompts) == (2, "", [])
    assert run.err.startswith(f"Error: {place} is not valid UTF-8 text\n")


@pytest.mark.parametrize("words", [["ask"], ["ask", "-"], ["ask", "what?"], ["ask", "-f", "-", "what?"]])
def test_standard_input_is_refused(home, server, words):
    run = home.run(*words, stdin=b"caf\xe9")
    assert (run.code, run.out, server.prompts) == (2, "", [])
    assert run.err.startswith("Error: standard input is neither UTF-8 text nor a ")


def test_a_file_is_refused_by_name(home, server):
    (home.work / "notes.txt").write_bytes(b"caf\xe9")
    (home.work / "schema.json").write_bytes(b'{"title": "caf\xe9"}')
    run = home.run("ask", "-f", "notes.txt", "what?")
    assert (run.code, server.prompts) == (2, [])
    assert run.err.startswith("Error: notes.txt is neither UTF-8 text nor a ")
    run = home.run("ask", "--schema", "schema.json", "what?")
    assert (run.code, server.prompts) == (2, [])
    assert run.err == "Error: schema.json is not valid UTF-8 text\n"


def test_half_a_character_in_a_schema_is_refused(home, server):
    run = home.run("ask", "--schema", r'{"title": "a\ud83d"}', "what?")
    assert (run.code, server.prompts) == (2, [])
    assert run.err.startswith("Error: --schema is not valid UTF-8 text\n")


def test_a_configuration_file_is_refused_with_its_line(home, server):
    (home.path / "config.toml").write_bytes(b'[llm]\nsystem = "caf\xe9"\n')
    run = home.run("ask", "hi")
    assert (run.code, server.prompts) == (3, [])
    assert "config.toml:2:14: expected UTF-8" in run.err


@pytest.mark.parametrize("name", ["LLM_MODEL", "ARAWN_LLM__SYSTEM"])
def test_a_variable_of_the_environment_is_refused_by_name(home, server, name):
    run = home.run("ask", "hi", env={name: LATIN1})
    assert (run.code, server.prompts) == (3, [])
    assert f"{name} is not valid UTF-8 text" in run.err


@pytest.mark.skipif(os.name != "posix", reason="needs file names of any bytes")
def test_a_file_may_have_any_name(home, server):
    (home.work / f"{LATIN1}.txt").write_text("un café")
    run = home.run("ask", "-f", f"{LATIN1}.txt", "what?", "-o", f"{LATIN1}.out")
    assert run.code == 0, run
    assert server.prompts == ['<file path="caf\\xe9.txt">\nun café\n</file>\n\nwhat?']
    assert (home.work / f"{LATIN1}.out").read_text().startswith("re: ")
    (home.work / LATIN1).write_text(json.dumps("one"))
    assert home.run("batch", LATIN1, "-o", f"{LATIN1}.jsonl").code == 0
    assert server.prompts[1:] == ["one"]


def test_what_is_pasted_into_a_chat_is_refused_and_stays_in_the_prompt(home, server):
    with ChatTerminal(home) as person:
        person.wait_for(PROMPT)
        person.process.send(b"un caf\xe9\r")
        person.wait_for("the message is not valid UTF-8 text")
        person.wait_for("un caf", times=2)
        person.type("\x15")
        person.process.send(b"/system caf\xe9\r")
        person.wait_for("/system is not valid UTF-8 text")
        person.send_line("hello")
        person.wait_for("re: hello")
    assert server.prompts == ["hello"]


@pytest.mark.parametrize("words", [["ask", "what?"], ["ask"], ["ask", "-"], ["ask", "--each"]])
def test_a_line_end_of_windows_at_the_very_end_goes_whole(home, server, words):
    assert home.run(*words, stdin=b"one\r\ntwo\r\n").code == 0
    assert not any(prompt.endswith("\r") for prompt in server.prompts)
    assert any(prompt.endswith("two") for prompt in server.prompts)


def test_what_an_editor_wrote_is_refused_and_the_text_before_it_stays(home, server):
    editor = home.work / "editor"
    editor.write_text("#!/bin/sh\nprintf 'caf\\351' > \"$1\"\n")
    editor.chmod(0o700)
    with ChatTerminal(home, env={"VISUAL": str(editor)}) as person:
        person.wait_for(PROMPT)
        person.type("a draft")
        person.wait_for("a draft")
        person.type("\x07")
        person.wait_for("what the editor wrote is not valid UTF-8 text")
        person.wait_for("Enter sends")
        person.type(" goes on\r")
        person.wait_for("re: a draft goes on")
    assert server.prompts == ["a draft goes on"]


def test_a_message_that_was_refused_can_be_mended_in_an_editor(home, server):
    editor = home.work / "editor"
    editor.write_text('#!/bin/sh\ntr -d \'\\n\' < "$1" > copy; echo mended >> copy; cp copy "$1"\n')
    editor.chmod(0o700)
    with ChatTerminal(home, env={"VISUAL": str(editor)}) as person:
        person.wait_for(PROMPT)
        person.process.send(b"caf\xe9 \r")
        person.wait_for("the message is not valid UTF-8 text")
        person.wait_for("Enter sends")
        person.type("\x07")
        person.wait_for("mended")
        person.type("\r")
        person.wait_for("re: caf\ufffd mended")


def test_a_key_on_standard_input_is_refused_and_not_stored_with_other_characters(home):
    run = home.run("secrets", "set", "openai", stdin=b"sk-caf\xe9\n")
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("Error: the key on standard input is not valid UTF-8 text\n")
