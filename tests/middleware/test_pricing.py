"""What a call to a model costs, and the most that one can cost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arawn.messages import ChatRequest, LLMMessage, Usage
from arawn.middleware.pricing import ASSUMED_MAX_OUTPUT, Pricing
from arawn.models.catalog import ModelFacts

REQUEST = ChatRequest("m-1", (LLMMessage("user", "Hi"),))
PRICED = ModelFacts(backend="b", id="m-1", input_price=Decimal(1), output_price=Decimal(10))


def pricing(**fields):
    return Pricing(**{"backend": "b", "model": "m-1", **fields})


@pytest.mark.parametrize(("fields", "usd"), [({}, "2"), ({"longest_call": 600.0}, "0.3333333333333333333333333333")])
def test_a_server_paid_by_the_hour_may_cost_as_much_as_its_longest_call_an_hour_where_nothing_limits_it(fields, usd):
    assert pricing(hourly_rate=Decimal(2), **fields).max_cost(REQUEST, 100).total == Decimal(usd)


def test_a_model_with_prices_of_tokens_may_cost_its_input_and_its_longest_answer():
    most = pricing(facts=PRICED).max_cost(REQUEST, 1_000)

    assert (most.input_cost, most.output, most.fixed) == (Decimal("0.001"), ASSUMED_MAX_OUTPUT, False)
    assert most.per_output_token == Decimal("0.00001")


def test_prices_of_tokens_count_before_the_hour():
    priced = pricing(facts=PRICED, hourly_rate=Decimal(2))

    assert priced.per_second is None
    assert priced.cost(Usage(1_000_000)) == 1


def test_what_has_no_price_has_no_highest_cost():
    assert pricing().max_cost(REQUEST, 100) is None
    assert pricing().cost(Usage(100)) is None
