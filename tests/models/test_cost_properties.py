"""What holds of the cost of every call, whatever its tokens and prices are."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from arawn.messages import Usage
from arawn.models.catalog import ModelFacts
from arawn.models.catalog import cost as cost_at
from arawn.models.prices import Price
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = ("input", "output", "cache_read", "cache_write")
LONG = 200_000

prices = st.decimals(0, 1000, places=6)
tokens = st.integers(0, 10**7)
parts = st.tuples(tokens, tokens, tokens, tokens)


def some_prices(prefix: str, *, whole: bool = False) -> st.SearchStrategy[dict[str, Decimal]]:
    """Prices of all four kinds, or of any of them."""
    named = {f"{prefix}{kind}": prices for kind in KINDS}
    return st.fixed_dictionaries(named) if whole else st.fixed_dictionaries({}, optional=named)


def facts(**known: Any) -> ModelFacts:
    return ModelFacts(backend="anthropic", id="some-model", prices=(Price(**known),))


def cost(counted: Usage, model: ModelFacts | None) -> Decimal | None:
    return cost_at(counted, model, 0.0)


def usage(plain: int, output: int, read: int, written: int) -> Usage:
    return Usage(plain + read + written, output, cache_read_tokens=read, cache_write_tokens=written)


def exact(counted: Usage, known: Mapping[str, Decimal], prefix: str) -> Fraction | None:
    """Add up in fractions: a cache without a price costs as input, any other missing price is unknown."""
    plain = counted.input_tokens - counted.cache_read_tokens - counted.cache_write_tokens
    counts = (plain, counted.output_tokens, counted.cache_read_tokens, counted.cache_write_tokens)
    total = Fraction(0)
    for count, kind in zip(counts, KINDS, strict=True):
        price = known.get(f"{prefix}{kind}")
        if price is None and kind.startswith("cache"):
            price = known.get(f"{prefix}input")
        if count and price is None:
            return None
        total += count * Fraction(price or 0)
    return total / 1_000_000


def as_fraction(amount: Decimal | None) -> Fraction | None:
    return None if amount is None else Fraction(amount)


@given(counts=parts, short=some_prices(""), base=prices, long=some_prices("long_"))
def test_it_is_the_exact_sum_or_unknown_and_a_long_request_pays_the_long_prices_as_a_whole(counts, short, base, long):
    known = {**short, "input": base, **long}
    counted = usage(*counts)
    prefix = "long_" if counted.input_tokens > LONG else ""
    assert as_fraction(cost(counted, facts(long_above=LONG, **known))) == exact(counted, known, prefix)


@given(output=tokens, short=some_prices("", whole=True), long=some_prices("long_", whole=True))
def test_the_long_prices_begin_with_the_first_token_above_the_border(output, short, long):
    model = facts(long_above=LONG, **short, **long)
    at, above = Usage(LONG, output), Usage(LONG + 1, output)
    assert as_fraction(cost(at, model)) == exact(at, short, "")
    assert as_fraction(cost(above, model)) == exact(above, long, "long_")


@given(counts=parts, short=some_prices("", whole=True))
def test_without_a_border_no_request_is_long(counts, short):
    counted = usage(*counts)
    assert as_fraction(cost(counted, facts(long_input=Decimal(9), **short))) == exact(counted, short, "")


@given(counts=parts, short=some_prices("", whole=True), long=some_prices("long_"))
def test_it_is_never_negative_even_where_the_counts_contradict_each_other(counts, short, long):
    counted = Usage(counts[0], counts[1], cache_read_tokens=counts[2], cache_write_tokens=counts[3])
    amount = cost(counted, facts(long_above=LONG, **short, **long))
    assert amount is None or amount >= 0


@given(first=parts, second=parts, short=some_prices("", whole=True))
def test_two_calls_cost_together_what_they_cost_one_by_one(first, second, short):
    model = facts(**short)
    both = usage(*(one + other for one, other in zip(first, second, strict=True)))
    one, other, together = cost(usage(*first), model), cost(usage(*second), model), cost(both, model)
    assert one is not None
    assert other is not None
    assert together == one + other


@given(counts=parts, short=some_prices("", whole=True), moved=tokens, kind=st.sampled_from(["read", "written"]))
def test_input_that_comes_from_the_cache_changes_the_cost_by_the_difference_of_the_prices(counts, short, moved, kind):
    plain, output, read, written = counts
    assume(moved <= plain)
    model = facts(**short)
    before = cost(usage(*counts), model)
    if kind == "read":
        after = cost(usage(plain - moved, output, read + moved, written), model)
    else:
        after = cost(usage(plain - moved, output, read, written + moved), model)
    price = short["cache_read" if kind == "read" else "cache_write"]
    assert before is not None
    assert after is not None
    assert Fraction(after) - Fraction(before) == moved * (Fraction(price) - Fraction(short["input"])) / 1_000_000


@given(counts=parts, price=prices, output=prices)
def test_how_input_is_split_does_not_matter_where_the_cache_has_no_price_of_its_own(counts, price, output):
    model = facts(input=price, output=output)
    assert cost(usage(*counts), model) == cost(Usage(sum(counts) - counts[1], counts[1]), model)


@given(counts=parts, reasoning=tokens, short=some_prices("", whole=True))
def test_reasoning_is_output_and_is_not_paid_twice(counts, reasoning, short):
    counted = usage(*counts)
    thought = replace(counted, reasoning_tokens=min(reasoning, counted.output_tokens))
    assert cost(thought, facts(**short)) == cost(counted, facts(**short))


@given(counts=parts, short=some_prices(""), missing=st.sampled_from(["input", "output"]))
def test_a_missing_price_matters_only_where_there_are_tokens_of_its_kind(counts, short, missing):
    known = {"input": Decimal(1), "output": Decimal(1), **short}
    del known[missing]
    amount = cost(usage(*counts), facts(**known))
    if missing == "input":
        assert amount is None
    else:
        assert (amount is None) == bool(counts[1])


@given(counts=parts, said=st.decimals(0, 10**6, places=12), short=some_prices(""))
def test_what_the_service_charged_stands_whatever_the_prices_say(counts, said, short):
    counted = replace(usage(*counts), cost=said)
    assert cost(counted, facts(**short)) == said
    assert cost(counted, None) == said


@pytest.mark.parametrize("known", [{}, {"output": Decimal(1)}, {"cache_read": Decimal(0)}])
@given(counts=parts)
def test_without_a_price_of_input_nothing_is_known_and_nothing_is_free(known, counts):
    assert cost(usage(*counts), facts(**known)) is None
    assert cost(usage(*counts), None) is None
