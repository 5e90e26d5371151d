"""What Tab offers in a chat."""

from __future__ import annotations

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from arawn.cli.repl.commands import COMMANDS
from arawn.cli.repl.completion import ChatCompleter, is_command, wants_menu


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    for name in ("data.csv", "a file.txt", ".hidden", "docs/guide.md", "bad\x1bname"):
        (tmp_path / name).touch()
    return tmp_path


def offered(text):
    sources = {
        "models": lambda: [("llama-3", ""), ("gpt-4", "fast"), ("big-llama", ""), ("evil\x1b[2J", "")],
        "themes": lambda: [("light", ""), ("dark", "")],
    }
    found = ChatCompleter(COMMANDS, sources).get_completions(Document(text), CompleteEvent())
    return [text[: len(text) + each.start_position] + each.text for each in found]


def test_commands_by_their_beginning_and_then_by_what_is_in_them():
    assert offered("/e")[:2] == ["/edit", "/export"]
    assert set(offered("/")) == {f"/{command.name}" for command in COMMANDS}
    assert offered("/opy") == ["/copy"]


def test_names_for_a_command():
    assert offered("/model l") == ["/model llama-3", "/model big-llama"]
    assert offered("/retry GPT") == ["/retry gpt-4"]
    assert offered("/theme ") == ["/theme light", "/theme dark"]
    assert offered("/undo x") == []
    assert offered("/nothing x") == []


def test_a_name_that_would_command_the_terminal_is_not_offered():
    assert offered("/model evil") == []


def test_files_after_an_at_sign_anywhere(folder):
    assert offered("look at @da") == ["look at @data.csv"]
    assert offered("@do") == ["@docs/"]
    assert offered("@docs/") == ["@docs/guide.md"]
    assert offered("one\ntwo @docs/g") == ["one\ntwo @docs/guide.md"]
    assert offered("/system see @da") == ["/system see @data.csv"]
    assert offered("mail me@do") == []


def test_a_file_with_a_space_is_quoted(folder):
    assert offered("@a") == ['@"a file.txt"']
    assert offered('@"a f') == ['@"a file.txt"']


def test_hidden_files_only_where_a_dot_was_typed(folder):
    assert "@.hidden" not in offered("@")
    assert offered("@.h") == ["@.hidden"]


def test_files_for_a_command(folder):
    assert offered("/save docs/g") == ["/save docs/guide.md"]


def test_a_file_whose_name_would_command_the_terminal_is_not_offered(folder):
    assert offered("@bad") == []


def test_plain_text_and_a_doubled_slash_are_for_the_model():
    assert offered("hello") == []
    assert offered("//he") == []
    assert not is_command("//help")
    assert not wants_menu("what / where")
    assert wants_menu("/he")
    assert wants_menu("see @x")
