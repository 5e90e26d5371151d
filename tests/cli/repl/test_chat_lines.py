"""The small texts of a chat: amounts, the toolbar, mentions, commands and their help."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from arawn.answers.extract import code_blocks
from arawn.cli.repl.attachments import Attachments, mentioned_files
from arawn.cli.repl.clipboard import copy
from arawn.cli.repl.commands import COMMANDS, find
from arawn.cli.repl.conversations import age
from arawn.cli.repl.editor import fit_toolbar
from arawn.cli.report import figures
from arawn.errors import UsageError
from arawn.messages import Image, Text, Usage
from arawn.models.money import money

DOCS = Path(__file__).parents[3] / "docs" / "chat.md"
PNG = b"\x89PNG\r\n\x1a\n0000"


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0"), (950, "950"), (1000, "1k"), (1234, "1.2k"), (45_678, "45k"), (1_340_000, "1.3M")]
)
def test_tokens_are_shown_in_few_characters(count, shown):
    assert figures.tokens(count) == shown


@pytest.mark.parametrize(
    ("cost", "shown"),
    [("0", "$0.00"), ("0.00001", "<$0.0001"), ("0.0003", "$0.0003"), ("0.12346", "$0.1235"), ("12.5", "$12.50")],
)
def test_small_costs_are_not_rounded_to_nothing(cost, shown):
    assert money(Decimal(cost)) == shown


def test_a_guess_is_marked():
    assert figures.spent(Usage(10, 20, estimated=True), None) == ["~10 in", "~20 out"]
    assert figures.spent(Usage(10, 20), Decimal("0.5")) == ["10 in", "20 out", "$0.5000"]
    assert figures.spent(Usage(10, 20, estimated=True), Decimal("0.5"))[-1] == "~$0.5000"


def test_pace_is_told_only_where_there_was_one():
    assert figures.pace(Usage(0, 100), 0.5, 2.5) == ["0.5 s to first", "50 tok/s"]
    assert figures.pace(Usage(0, 100), 0.5, 0.51) == ["0.5 s to first"]


def test_hints_give_way_and_then_the_line_is_cut():
    parts, hints = ["groq/llama", "", "12 in"], ["Enter sends"]
    assert fit_toolbar(parts, hints, 40) == " groq/llama · 12 in        Enter sends "
    assert fit_toolbar(parts, hints, 25) == " groq/llama · 12 in"
    assert fit_toolbar(parts, hints, 12) == " groq/llam…"


def test_only_files_that_exist_are_mentioned(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.py", "b c.txt"):
        (tmp_path / name).write_text("x")
    text = 'see @a.py, @"b c.txt" and @a.py! but not @nothing, me@a.py or @property (@a.py)'
    assert list(mentioned_files(text)) == ["a.py", "b c.txt", "a.py"]


def test_images_come_before_the_text_of_files_and_the_message_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("alpha")
    (tmp_path / "p.png").write_bytes(PNG)
    attachments = Attachments()
    attachments.add("a.txt")
    parts = attachments.message("what is on @p.png?")
    assert parts == (Image(PNG, "image/png"), Text('<file path="a.txt">\nalpha\n</file>\n\nwhat is on @p.png?'))
    assert attachments.descriptions[1] == f"p.png ({len(PNG)} bytes, image/png)"


def test_code_blocks_are_found_in_order():
    text = "a\n```py\none\n```\nb\n~~~\n```\ntwo\n~~~\n```\nnever\nclosed"
    assert list(code_blocks(text)) == ["one", "```\ntwo", "never\nclosed"]


def test_a_dumb_terminal_has_no_clipboard():
    with pytest.raises(UsageError, match="no clipboard"):
        copy("text", {"TERM": "dumb"}, lambda _: None)


def test_ages_are_told_in_one_unit():
    assert [age(seconds) for seconds in (5, 65, 7_300, 200_000)] == ["now", "1 min", "2 h", "2 d"]


def test_every_command_is_in_the_table_once_and_in_the_docs():
    names = [command.name for command in COMMANDS]
    assert len(set(names)) == len(names)
    documented = re.findall(r"^\| `/(\w+)", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert documented == names


def test_the_nearest_command_is_named():
    with pytest.raises(UsageError, match="no command /sessionz") as raised:
        find("sessionz")
    assert raised.value.hints[0] == "did you mean /sessions?"
