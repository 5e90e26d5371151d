"""The line editor of a chat, with keys from a pipe instead of a terminal."""

from __future__ import annotations

import asyncio

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import DummyCompleter
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from arawn.cli.repl.editor import Editor
from arawn.cli.repl.keys import QUIT_WINDOW, QuitGuard


class PipedEditor:
    """An editor at the end of a pipe."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.cancelled = 0
        self.editing = False
        self.editor = Editor(
            history=InMemoryHistory(["earlier"]),
            completer=DummyCompleter(),
            suspend=lambda: None,
            cancel_edit=self.cancel_edit,
        )

    def cancel_edit(self):
        self.cancelled += self.editing
        was, self.editing = self.editing, False
        return was

    def read(self, keys, text=""):
        self.pipe.send_text(keys)
        return asyncio.run(self.editor.read(text))


@pytest.fixture
def prompt(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield PipedEditor(pipe)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("hello\r", "hello"),
        ("one\x1b\rtwo\r", "one\ntwo"),
        ("one\ntwo\r", "one\ntwo"),
        ("one\\\rtwo\r", "one\ntwo"),
        ("one\\ two\r", "one\\ two"),
        ("one\x1b[13;2utwo\r", "one\ntwo"),
        ("one\x1b[13;5utwo\r", "one\ntwo"),
        ("one\x1b[27;2;13~two\r", "one\ntwo"),
        ("one\x1b[27;5;13~two\r", "one\ntwo"),
        ("\x1b[200~one\r\ntwo\rthree\x1b[201~\r", "one\ntwo\nthree"),
        ("gone\x03kept\r", "kept"),
        ("back\x03\x1f\r", "back"),
        ("\x1b[A\r", "earlier"),
    ],
)
def test_keys_make_the_text(prompt, keys, text):
    assert prompt.read(keys) == text


def test_swapped_enter_makes_lines_and_alt_enter_sends(prompt):
    prompt.editor.enter_swapped = True
    assert prompt.read("one\rtwo\x1b\r") == "one\ntwo"


def test_a_prompt_may_begin_with_a_text(prompt):
    assert prompt.read(" more\r", "some") == "some more"


@pytest.mark.parametrize("keys", ["\x04", "\x03\x03", "x\x03\x03\x03", "x\x7f\x04"])
def test_keys_that_leave(prompt, keys):
    assert prompt.read(keys) is None


def test_ctrl_d_in_a_text_does_not_leave(prompt):
    assert prompt.read("ab\x01\x04\r") == "b"


def test_the_first_ctrl_c_on_an_empty_line_gives_up_what_is_edited(prompt):
    prompt.editing = True
    assert prompt.read("\x03\x03still here\r") == "still here"
    assert prompt.cancelled == 1


def test_a_second_ctrl_c_leaves_only_soon_after_the_first():
    now = [0.0]
    quit_guard = QuitGuard(lambda: now[0])
    assert not quit_guard.armed
    quit_guard.arm()
    now[0] = QUIT_WINDOW - 0.1
    assert quit_guard.armed
    now[0] = QUIT_WINDOW + 0.1
    assert not quit_guard.armed


def test_the_toolbar_says_what_the_next_ctrl_c_does(prompt):
    prompt.editor.status = ["groq/llama"]
    assert prompt.editor._toolbar().startswith(" groq/llama ")
    prompt.editor._quit_guard.arm()
    assert "Ctrl-C again leaves" in prompt.editor._toolbar()
