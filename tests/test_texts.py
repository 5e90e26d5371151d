from __future__ import annotations

import os

import pytest

from arawn import texts
from arawn.errors import UsageError


@pytest.mark.parametrize("text", ["", "caf\xe9", "🙂", "\ud7ff\ue000\0"])
def test_text_that_utf8_can_hold_is_valid(text):
    assert texts.is_valid(text)
    texts.require_valid(text, "it")


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d\ude42", os.fsdecode(b"caf\xe9")])
def test_halves_of_surrogate_pairs_are_refused_by_name(text):
    assert not texts.is_valid(text)
    with pytest.raises(UsageError, match=r"^--system is not valid UTF-8 text$"):
        texts.require_valid(text, "--system")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("\n", ""),
        ("\r\n", ""),
        ("a\r\n", "a"),
        ("a\n\n", "a\n"),
        ("a\r\n\r\n", "a\r\n"),
        ("a\r", "a\r"),
        ("a\r\r\n", "a\r"),
    ],
)
def test_the_last_line_end_goes_whole(text, expected):
    assert texts.without_line_end(text) == expected


def test_a_path_is_shown_as_text():
    assert texts.shown_path("café.txt") == "café.txt"
    assert texts.shown_path(os.fsdecode(b"caf\xe9.txt")) == "caf\\xe9.txt"
