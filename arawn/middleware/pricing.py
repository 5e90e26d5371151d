"""What calls to one model cost, and the most that one can cost: the arithmetic that budgets and the ledger need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.errors import BudgetError
from arawn.messages import Usage
from arawn.models import catalog
from arawn.store.leases import LONGEST_CALL
from arawn.store.ledger import MaxCost
from arawn.values import Value

if TYPE_CHECKING:
    from decimal import Decimal

    from arawn.messages import ChatRequest
    from arawn.models.catalog import ModelFacts

ASSUMED_MAX_OUTPUT = 16_384
"""Tokens of the longest answer of a model of which nothing says how long its answers can be."""


class Pricing(Value, kw_only=True):
    """The prices of one model of one backend: by its tokens where they are known, else by the hour.

    ``hourly_rate`` is in USD, ``longest_call`` the seconds a call may last, ``default_output`` the limit in tokens that
    is sent where the request has none and the protocol needs one. ``hour_cache`` says whether prefixes are cached for
    an hour, which costs more.
    """

    backend: str
    model: str
    facts: ModelFacts | None = None
    hourly_rate: Decimal | None = None
    longest_call: float = LONGEST_CALL
    default_output: int | None = None
    hour_cache: bool = False

    def cost(self, usage: Usage, at: float) -> Decimal | None:
        """Return what the tokens of a call made at a moment (seconds since the epoch) cost in USD.

        None where their price is not known, or the price is by the hour.
        """
        cost = catalog.cost(usage, self.facts, at)
        return self.hourly_rate if cost is None and self.free else cost

    @property
    def free(self) -> bool:
        """Whether the price is by the hour and is 0."""
        return self.hourly_rate is not None and not self.hourly_rate and not self._by_tokens

    @property
    def per_second(self) -> Decimal | None:
        """The USD of a second of work; None where the price is not by the hour."""
        return None if self._by_tokens or not self.hourly_rate else self.hourly_rate / 3600

    def max_cost(self, request: ChatRequest, max_input: int, at: float) -> MaxCost | None:
        """Return the most a request of up to ``max_input`` tokens, made at ``at``, can cost; None for no price."""
        default = self.default_output or (self.facts and self.facts.max_output)
        output = request.max_tokens or default or ASSUMED_MAX_OUTPUT
        return self.max_cost_of(max_input, output, at, fixed=request.max_tokens is not None)

    def max_cost_of(self, max_input: int, output: int, at: float, *, fixed: bool = True) -> MaxCost | None:
        """Return the most that so many tokens can cost, by the higher prices of when the call begins and must end."""
        if not self._by_tokens:
            return self._max_cost_by_the_hour()
        costs = [self._input_and_output(max_input, output, moment) for moment in (at, at + self.longest_call)]
        known = [cost for cost in costs if cost is not None]
        if not known or costs[0] is None:
            return None
        most_input, most_output = (max(each) for each in zip(*known, strict=True))
        if not output:
            return MaxCost(most_input, most_output)
        return MaxCost(most_input, most_output / output, output, fixed)

    def _input_and_output(self, max_input: int, output: int, at: float) -> tuple[Decimal, Decimal] | None:
        """Return the most that input and output can cost at a moment; None where a price is not known."""
        plain, whole = self.cost(Usage(max_input), at), self.cost(Usage(max_input, output), at)
        if plain is None or whole is None:
            return None
        kept_for_an_hour = max_input if self.hour_cache else 0
        written = self.cost(Usage(max_input, cache_write_tokens=max_input, cache_write_1h_tokens=kept_for_an_hour), at)
        return plain if written is None else max(plain, written), whole - plain

    def price_unknown(self) -> BudgetError:
        """Return the error for a call whose price is not known, while there is a budget."""
        return BudgetError(
            f"the price of {self.backend}/{self.model} is not known, and there is a budget: nothing was sent",
            hints=[
                f"say it, in USD per million tokens: arawn config set 'models.\"{self.model}\".input_price' 0.5",
                f"  and: arawn config set 'models.\"{self.model}\".output_price' 1.5",
                f"or what its server costs an hour, perhaps 0: arawn config set backends.{self.backend}.hourly_rate 0",
                "or let such calls pass uncounted: arawn config set budget.unpriced allow",
            ],
        )

    @property
    def _by_tokens(self) -> bool:
        return self.facts is not None and any(price.input is not None for price in self.facts.prices)

    def _max_cost_by_the_hour(self) -> MaxCost | None:
        from decimal import Decimal

        if self.hourly_rate is None:
            return None
        return MaxCost(self.hourly_rate * Decimal(self.longest_call) / 3600, Decimal(0))
