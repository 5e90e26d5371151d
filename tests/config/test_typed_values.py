"""What a value typed on the command line is taken for."""

from __future__ import annotations

import pytest

from arawn.config.edit import parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("12", 12),
        ("-0.5", -0.5),
        ("1_000", 1000),
        ('"12"', "12"),
        ("[1, 'a']", [1, "a"]),
        ("{a = 1}", {"a": 1}),
        ("True", "True"),
        ("4k", "4k"),
        ("gpt-4.1", "gpt-4.1"),
        ("llama3:8b", "llama3:8b"),
        ("$keyring:groq", "$keyring:groq"),
        ("https://api.groq.com", "https://api.groq.com"),
        ("", ""),
        ("inf", "inf"),
        ("nan", "nan"),
        ("2025-01-01", "2025-01-01"),
        ("1\nother = 2", "1\nother = 2"),
        ("9" * 5000, "9" * 5000),
        ("[" * 50_000, "[" * 50_000),
    ],
)
def test_a_typed_value_is_a_literal_or_text(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)
