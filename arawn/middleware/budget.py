"""What a backend charges, and what a call to it may cost at most: the arithmetic that budgets and the ledger need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.errors import BudgetError
from arawn.messages import Usage
from arawn.models import catalog
from arawn.store.ledger import Worst
from arawn.values import Value

if TYPE_CHECKING:
    from decimal import Decimal

    from arawn.messages import ChatRequest
    from arawn.models.catalog import ModelFacts

USUAL_OUTPUT = 16_384
"""The longest answer, in tokens, of a model of which nobody says how long its answers can be."""
LONGEST_CALL = 600.0
"""Seconds a call to a server that is paid by the hour is expected to last at most, where nothing limits it."""


class Tariff(Value, kw_only=True):
    """The prices of one model of one backend: by its tokens where they are known, else by the hour.

    ``hourly_rate`` is in USD, ``longest`` the seconds a call may last, ``default_output`` the tokens an answer may have
    where the request does not say, but its protocol must.
    """

    backend: str
    model: str
    facts: ModelFacts | None = None
    hourly_rate: Decimal | None = None
    longest: float = LONGEST_CALL
    default_output: int | None = None

    def cost(self, usage: Usage) -> Decimal | None:
        """Return what tokens cost in USD; None where no price of theirs is known, or time is what counts."""
        cost = catalog.cost(usage, self.facts)
        return self.hourly_rate if cost is None and self.free else cost

    @property
    def free(self) -> bool:
        """Whether time is what counts, and costs nothing."""
        return self.hourly_rate is not None and not self.hourly_rate and not self._priced

    @property
    def per_second(self) -> Decimal | None:
        """The USD a second of work costs; None where that is not what counts."""
        return None if self._priced or not self.hourly_rate else self.hourly_rate / 3600

    def worst(self, request: ChatRequest, most_input: int) -> Worst | None:
        """Return what a request may cost at most; None where no price is known."""
        most = self.default_output or (self.facts and self.facts.max_output)
        longest = request.max_tokens or most or USUAL_OUTPUT
        return self.worst_of(most_input, longest, fixed=request.max_tokens is not None)

    def worst_of(self, most_input: int, output: int, *, fixed: bool = True) -> Worst | None:
        """Return what so many tokens may cost at most."""
        if not self._priced:
            return self._by_the_hour()
        asked = Usage(most_input)
        floors = [self.cost(asked), self.cost(Usage(most_input, cache_write_tokens=most_input))]
        known = [cost for cost in floors if cost is not None]
        if not known:
            return None
        if not output:
            return Worst(max(known), known[0] * 0)
        whole = self.cost(Usage(most_input, output))
        if whole is None:
            return None
        return Worst(max(known), (whole - known[0]) / output, output, fixed)

    def unpriced(self) -> BudgetError:
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
    def _priced(self) -> bool:
        return self.facts is not None and self.facts.input_price is not None

    def _by_the_hour(self) -> Worst | None:
        from decimal import Decimal

        if self.hourly_rate is None:
            return None
        return Worst(self.hourly_rate * Decimal(self.longest) / 3600, Decimal(0))
