"""What a new table of models changes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arawn.adapters.rules import ModelRules
from arawn.models.catalog import ModelFacts
from arawn.models.changes import compare, describe
from arawn.models.prices import Price
from arawn.values import replace

TODAY = "2026-11-30"
NOW = 1_796_040_000.0  # noon of that day
PLAIN = ModelFacts(backend="b", id="m", prices=(Price(input=Decimal(4), output=Decimal(20)),), source="x", as_of=TODAY)


def price(**fields):
    return Price(**{key: value if key in ("since", "until") else Decimal(value) for key, value in fields.items()})


def test_models_are_new_changed_or_gone():
    other, dearer = replace(PLAIN, id="n"), replace(PLAIN, prices=(price(input=5),))
    changes = compare([PLAIN, other], [dearer, replace(PLAIN, id="o")])

    assert [each.id for each in changes.added] == ["o"]
    assert changes.changed == ((PLAIN, dearer),)
    assert changes.removed == (other,)


def test_another_source_and_day_are_no_change():
    assert not compare([PLAIN], [replace(PLAIN, source="y", as_of="2026-12-15")])
    assert not compare([], [])


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ((price(input=5, output=20),), "price 4/20 → 5/20"),
        ((), "price 4/20 → ?/?"),
        ((price(input=4),), "price 4/20 → 4/?"),
        ((price(input=4, output=20, cache_read=1),), "price at other times"),
    ],
)
def test_a_price_is_described_before_and_after(prices, words):
    assert describe(PLAIN, replace(PLAIN, prices=prices), NOW) == words


def test_what_else_changes_is_named_too():
    after = replace(PLAIN, context_window=1_000_000, capabilities=frozenset({"tools"}), rules=ModelRules(api="chat"))
    assert describe(PLAIN, after, NOW) == "rules, context window - → 1,000,000, capabilities - → tools"


@pytest.mark.parametrize(
    ("before", "after", "falls"),
    [
        ([price(input=4)], [price(input=4)], False),
        ([price(input=4)], [price(input="3.99")], True),
        ([price(input=4)], [price(input="4.01")], False),
        ([price(input=4)], [price(input=4, output=1)], False),  # it was not known
        ([price(input=4)], [], False),
        ([price(input=4, cache_read=1)], [price(input=5, cache_read="0.5")], True),
        ([price(input=4)], [price(input=1, until="2026-11-29"), price(input=4)], False),  # in the past
        ([price(input=4)], [price(input=1, until="2026-11-30"), price(input=4)], True),
        ([price(input=4)], [price(input=4, until="2026-12-31"), price(input=1, since="2027-01-01")], True),
        ([price(input=4), price(input=2, since="2027-01-01")], [price(input=2)], False),
    ],
)
def test_a_price_falls_where_the_lowest_from_today_on_is_lower(before, after, falls):
    one, other = (replace(PLAIN, prices=tuple(prices)) for prices in (before, after))
    assert bool(compare([one], [other]).cheaper(TODAY)) is falls
