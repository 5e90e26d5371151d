"""What a call to a model costs, and the most that one can cost."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from arawn.messages import ChatRequest, LLMMessage, Usage
from arawn.middleware.pricing import ASSUMED_MAX_OUTPUT, Pricing
from arawn.models.catalog import ModelFacts
from arawn.models.prices import Price

REQUEST = ChatRequest("m-1", (LLMMessage("user", "Hi"),))
PRICED = ModelFacts(backend="b", id="m-1", prices=(Price(input=Decimal(1), output=Decimal(10)),))
CHEAP, EXPENSIVE = Price(input=Decimal(1), output=Decimal(10)), Price(input=Decimal(3), output=Decimal(30))
MIDNIGHT = datetime(2026, 12, 1, tzinfo=UTC).timestamp()


def pricing(**fields):
    return Pricing(**{"backend": "b", "model": "m-1", **fields})


def changing(before, after):
    prices = (Price(input=before.input, output=before.output, until="2026-11-30"), after)
    return ModelFacts(backend="b", id="m-1", prices=prices)


@pytest.mark.parametrize(("fields", "usd"), [({}, "2"), ({"longest_call": 600.0}, "0.3333333333333333333333333333")])
def test_a_server_paid_by_the_hour_may_cost_as_much_as_its_longest_call_an_hour_where_nothing_limits_it(fields, usd):
    assert pricing(hourly_rate=Decimal(2), **fields).max_cost(REQUEST, 100, 0.0).total == Decimal(usd)


def test_a_model_with_prices_of_tokens_may_cost_its_input_and_its_longest_answer():
    most = pricing(facts=PRICED).max_cost(REQUEST, 1_000, 0.0)

    assert (most.input_cost, most.output, most.fixed) == (Decimal("0.001"), ASSUMED_MAX_OUTPUT, False)
    assert most.per_output_token == Decimal("0.00001")


def test_prices_of_tokens_count_before_the_hour():
    priced = pricing(facts=PRICED, hourly_rate=Decimal(2))

    assert priced.per_second is None
    assert priced.cost(Usage(1_000_000), 0.0) == 1


def test_what_has_no_price_has_no_highest_cost():
    assert pricing().max_cost(REQUEST, 100, 0.0) is None
    assert pricing().cost(Usage(100), 0.0) is None


def test_a_call_is_priced_by_the_moment_it_was_made():
    priced = pricing(facts=changing(CHEAP, EXPENSIVE))

    assert [priced.cost(Usage(1_000_000), MIDNIGHT + second) for second in (-1, 0)] == [1, 3]


@pytest.mark.parametrize(("before", "after"), [(CHEAP, EXPENSIVE), (EXPENSIVE, CHEAP)])
@pytest.mark.parametrize(("begins", "counted"), [(-3601, "before"), (-3600, "both"), (-1, "both"), (0, "after")])
def test_a_call_over_a_change_of_price_may_cost_what_the_higher_one_says(before, after, begins, counted):
    priced = pricing(facts=changing(before, after), longest_call=3600.0)
    expected = {"before": before, "after": after, "both": EXPENSIVE}[counted]

    most = priced.max_cost_of(1_000_000, 1_000_000, MIDNIGHT + begins)

    assert (most.input_cost, most.per_output_token * 1_000_000) == (expected.input, expected.output)


def test_a_price_that_is_not_known_when_the_call_begins_is_not_known():
    priced = pricing(facts=ModelFacts(backend="b", id="m-1", prices=(Price(input=Decimal(1), since="2026-12-01"),)))

    assert priced.max_cost_of(100, 0, MIDNIGHT - 1) is None
    assert priced.max_cost_of(100, 0, MIDNIGHT).total > 0


@pytest.mark.parametrize(("hour_cache", "usd"), [(False, 5), (True, 8)])
def test_all_input_may_be_written_to_the_cache_at_the_price_of_its_lifetime(hour_cache, usd):
    price = Price(input=Decimal(4), output=Decimal(20), cache_write=Decimal(5), cache_write_1h=Decimal(8))
    facts = ModelFacts(backend="b", id="m-1", prices=(price,))

    assert pricing(facts=facts, hour_cache=hour_cache).max_cost_of(1_000_000, 0, 0.0).total == usd
