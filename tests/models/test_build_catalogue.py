from __future__ import annotations

import importlib.util
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.optional_data import folder_of

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_catalogue", ROOT / "scripts" / "build_catalogue.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_files_are_what_the_script_makes_of_the_snapshots(script):
    made = script.build(folder_of("ARAWN_CATALOGUE"))
    folder = ROOT / "arawn" / "data" / "models"
    assert made == {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}


def test_a_price_of_nothing_in_a_snapshot_is_a_price_not_known(script):
    entry = {"cost": {"input": Decimal("0.5"), "output": Decimal(0), "cache_read": 0}, "limit": {"context": 8000}}
    row = script.models_dev_row("some-model", entry)
    assert row["input_price"] == Decimal("0.5")
    assert not {"output_price", "cache_read_price"} & row.keys()


def test_an_entry_inherits_from_its_base_but_not_its_price_or_its_end(script):
    base = {"cost": {"input": 1}, "status": "deprecated", "tool_call": True, "limit": {"context": 9, "output": 5}}
    entry = {"limit": {"output": 3}}
    assert script.inherited(entry, base) == {"tool_call": True, "limit": {"context": 9, "output": 3}}


def test_the_second_source_fills_only_the_gaps(script):
    row = {"input_price": Decimal(3), "source": "models.dev", "as_of": "2026-07"}
    script.add_prices(
        row, {"prices": {"input_mtok": Decimal(3), "cache_read_mtok": Decimal("0.3")}, "context_window": 9}
    )
    assert row["cache_read_price"] == Decimal("0.3")
    assert row["context_window"] == 9
    assert row["source"] == "models.dev, genai-prices"


def test_prices_of_two_sources_that_disagree_are_not_mixed(script):
    row = {"input_price": Decimal(3), "source": "models.dev", "as_of": "2026-07"}
    script.add_prices(row, {"prices": {"input_mtok": Decimal(4), "cache_read_mtok": Decimal("0.4")}})
    assert row == {"input_price": Decimal(3), "source": "models.dev", "as_of": "2026-07"}


def test_our_own_price_drops_every_older_one(script):
    row = {
        "input_price": Decimal(5),
        "cache_read_price": Decimal(1),
        "long_context": 9,
        "source": "x",
        "as_of": "2026-07",
    }
    script.add_ours(row, {"input_price": Decimal(2)}, "price list", "2026-09")
    assert row == {"input_price": Decimal(2), "source": "x; price list 2026-09", "as_of": "2026-09"}


def test_the_prices_are_those_of_the_day_of_the_snapshot(script):
    history = [
        {"prices": {"input_mtok": 2}},
        {"constraint": {"start_date": "2026-03-13"}, "prices": {"input_mtok": 3}},
        {"constraint": {"start_date": "2026-09-01"}, "prices": {"input_mtok": 4}},
    ]
    assert script.genai_prices(history)["input_price"] == 3


def test_a_tier_becomes_a_long_price(script):
    row = script.genai_prices({"input_mtok": {"base": 2, "tiers": [{"start": 200_000, "price": 4}]}})
    assert (row["input_price"], row["long_context"], row["long_input_price"]) == (2, 200_000, 4)


@pytest.mark.parametrize(
    ("clause", "matched"),
    [
        ({"equals": "gpt-5"}, False),
        ({"starts_with": "gpt-5"}, True),
        ({"ends_with": "mini"}, True),
        ({"contains": "5-m"}, True),
        ({"regex": r"^gpt-\d-m"}, True),
        ({"or": [{"equals": "x"}, {"ends_with": "mini"}]}, True),
        ({"and": [{"equals": "x"}, {"ends_with": "mini"}]}, False),
    ],
)
def test_it_matches_names_as_the_second_source_writes_its_rules(script, clause, matched):
    assert script.matches(clause, "gpt-5-mini") is matched


@pytest.mark.parametrize(
    ("value", "written"),
    [(Decimal("0.0028"), "0.0028"), (Decimal("2.50"), "2.5"), (15, "15.0"), (Decimal("1E+2"), "100.0")],
)
def test_a_price_is_written_plainly_and_always_as_a_decimal(script, value, written):
    assert script.price(value) == written
