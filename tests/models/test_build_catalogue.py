"""The script that makes the catalogue, and that the committed files are what it makes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support.optional_data import folder_of
from support.scripts import ROOT
from support.scripts import script as load

FACTS = {"context_window": 9, "source": "x", "sure": True}
SCRIPT = load("build_catalogue")


def test_the_committed_files_are_what_the_script_makes_of_the_tables():
    made = SCRIPT.build(folder_of("ARAWN_CATALOGUE"))
    folder = ROOT / "arawn" / "data" / "models"
    assert made == {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}


def test_prices_keep_their_order_and_those_of_a_day_their_days():
    rows = {"b/m": {}}
    prices = [
        {"id": "b/m", "from": "2026-09-10", "hours_utc": ["01:00-04:00"], "weekdays": [1], "input": 2, "sure": True},
        {
            "id": "b/m",
            "from": "2026-09-10",
            "until": "2026-12-31",
            "input": 1,
            "batch": [5],
            "sure": False,
        },
    ]
    SCRIPT.add_prices(rows, prices, {"date": "2026-11-30", "model": {}})
    assert rows["b/m"]["prices"] == [
        {"hours_utc": ["01:00-04:00"], "weekdays": [1], "input": 2, "since": "2026-09-10"},
        {"input": 1, "since": "2026-09-10", "until": "2026-12-31", "batch_input": 5},
    ]
    assert rows["b/m"]["sure"] is False


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"efforts": ["low", "high", "xhigh"], "effort_off": "none"}, {"efforts": ["none", "low", "high"]}),
        ({"efforts": ["low", "high"], "effort_off": False}, {"efforts": ["low", "high"], "always_thinks": True}),
        ({"efforts": ["low", "high"]}, {}),
        ({"cache_min_tokens": 512}, {"cache_min_tokens": 512}),
        ({}, {}),
    ],
)
def test_a_model_takes_the_effort_words_that_it_and_its_family_name(said, kept):
    assert SCRIPT.rules_of(said, {"efforts": ["none", "low", "medium", "high"]}) == kept


def test_a_rule_that_the_family_has_too_is_not_written_again():
    said = {"efforts": ["low"], "effort_off": False, "cache_min_tokens": 512}
    assert SCRIPT.rules_of(said, {"efforts": ["low"], "always_thinks": True, "cache_min_tokens": 512}) == {}


def test_a_family_has_the_rules_of_the_one_it_is_like_but_not_its_source():
    first = {"backends": ["a"], "match": ["*base"], "efforts": ["low"], "cache": "marker", "source": "x", "sure": False}
    other = {"backends": ["a", "b"], "match": ["other"], "like": "base", "efforts": [], "source": "y"}
    assert SCRIPT.whole(other, [first, other]) == {
        "match": ["other"],
        "efforts": [],
        "cache": "marker",
        "source": "y",
    }


def test_a_model_has_input_of_its_own_only_where_it_is_less_than_the_window():
    assert "max_input" not in SCRIPT.model_row("b/m", FACTS | {"max_input": 9}, [], "2026-11-30")
    assert SCRIPT.model_row("b/m", FACTS | {"max_input": 8}, [], "2026-11-30")["max_input"] == 8


def test_an_embedding_model_takes_its_input_as_its_window():
    row = SCRIPT.model_row("b/embed", {"max_input": 8191, "source": "x", "sure": True}, [], "2026-11-30")
    assert (row["context_window"], row["capabilities"]) == (8191, ["embeddings"])


def test_claude_on_bedrock_costs_a_tenth_more_than_at_the_global_address_where_nothing_else_is_known():
    known = {"prices": [{"input": Decimal(10), "long_above": 5, "since": "2026-01-01"}]}
    rows = {
        "bedrock/global.anthropic.claude-a": known,
        "bedrock/anthropic.claude-b": known,
        "bedrock/global.anthropic.claude-b": known,
        "bedrock/openai.gpt": known,
    }
    SCRIPT.split_bedrock(rows)
    claude = {f"bedrock-anthropic/anthropic.claude-{name}" for name in "ab"}
    assert set(rows) == {"bedrock/openai.gpt", *claude}
    guessed = rows["bedrock-anthropic/anthropic.claude-a"]
    assert guessed["prices"] == [{"input": Decimal(11), "long_above": 5, "since": "2026-01-01"}]
    assert guessed["sure"] is False
    assert rows["bedrock-anthropic/anthropic.claude-b"] == known


def test_azure_has_the_models_of_openai_with_days_of_its_own():
    rows = {
        "openai/a": {"context_window": 9, "prices": [1], "retires": "2026-12-11", "successor": "c", "source": "x"},
        "openai/b": {"context_window": 9, "prices": [2], "retires": "2026-10-23", "successor": "c", "source": "x"},
        "azure/a": {"retires": "2027-02-09", "source": "y"},
        "openai/c": {"retires": "2026-07-23", "source": "x"},
    }
    SCRIPT.add_azure(rows)
    same = {"context_window": 9, "prices": [1], "source": "y"}
    assert rows["azure/a"] == same | {"retires": "2027-02-09", "successor": "c"}
    assert rows["azure/b"] == {"context_window": 9, "prices": [2], "source": "x"}
    assert "azure/c" not in rows


@pytest.mark.parametrize(
    ("word", "model", "matched"),
    [("gpt-5", "gpt-5.4", True), ("gpt-5", "openai.gpt-5", False), ("*gpt-5", "openai.gpt-5", True), ("", "any", True)],
)
def test_a_word_of_a_family_begins_a_name_or_stands_anywhere_in_it(word, model, matched):
    assert SCRIPT.matches(word, model) is matched


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("0.0028"), "0.0028"),
        (Decimal("2.50"), "2.5"),
        (Decimal(15), "15.0"),
        (Decimal("1E+2"), "100.0"),
        (200_000, 200_000),
        ("2026-11-30", "2026-11-30"),
    ],
)
def test_a_price_is_written_plainly_and_always_as_a_decimal_text(value, written):
    assert SCRIPT.price_text(value) == written
