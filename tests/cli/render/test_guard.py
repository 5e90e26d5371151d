"""What may reach a terminal, character by character."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arawn.cli.guard import one_line, printable

FORMAT = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Cf"]
EMOJI = ["👩\u200d👩\u200d👧", "🏳\ufe0f\u200d🌈", "❤\ufe0f", "1\ufe0f\u20e3", "👍🏽"]
OVERRIDES = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


def test_r3_every_format_character_is_shown_in_names_paths_and_messages():
    shown = one_line("".join(FORMAT))

    assert shown == "".join(f"<U+{ord(character):04X}>" for character in FORMAT)


def test_r3_in_prose_only_what_turns_or_hides_text_is_shown():
    assert printable(OVERRIDES) == "".join(f"<U+{ord(character):04X}>" for character in OVERRIDES)
    assert printable("\U000e0041") == "<U+E0041>"


@pytest.mark.parametrize("text", EMOJI)
def test_r3_emoji_stay_whole_in_prose(text):
    assert printable(text) == text


@given(st.text())
def test_r1_nothing_but_printable_text_and_line_ends_passes(text):
    shown = printable(text)

    assert all(character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs") for character in shown)


@given(st.text(), st.integers(0, 1 << 10))
def test_r1_a_cut_changes_nothing(text, place):
    place %= len(text) + 1

    assert printable(text[:place]) + printable(text[place:]) == printable(text)
