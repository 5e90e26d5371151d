"""Budgets: what may be spent in a day, a month or in all, and how much of it is, from the ledger's own sums.

Days and months are those of UTC. Money spent on a day that is still to come, by a clock that was wrong then, counts as
spent today: a clock set back gives nothing back.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Literal, TypeAlias

from arawn.models.money import money, stored, usd
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal
    from sqlite3 import Connection

    from arawn.store.database import Database

Period: TypeAlias = Literal["day", "month", "total"]
ALERTS = (75, 90)
"""The percentages of a budget at which the user gets a notice, once each."""
_SPENT_AND_RESERVED = """
    (SELECT coalesce(sum(cost), 0) FROM spending WHERE day >= ? AND ? IN ('', backend)),
    (SELECT coalesce(sum(reserved), 0) FROM calls WHERE outcome = 'pending' AND ? IN ('', backend))
"""
_NAMES = {"day": "today", "month": "this month", "total": "all time"}


class BudgetLimit(Value):
    """``amount`` USD in a period, at the backend ``scope``; an empty scope is all backends together."""

    scope: str
    amount: Decimal
    period: Period = "month"

    @property
    def label(self) -> str:
        """Its name in a sentence: ``the budget of this month``, ``anthropic's budget of today``."""
        whose = f"{self.scope}'s budget" if self.scope else "the budget"
        return f"{whose} of {_NAMES[self.period]}"

    def window(self, now: float) -> str:
        """Return the name of the period that a time (seconds since the epoch) lies in: ``2026-11-21``, ``2026-11``."""
        return "total" if self.period == "total" else day_of(now)[: 10 if self.period == "day" else 7]


class BudgetStatus(Value):
    """How much of a limit is spent in its ``window``, in USD; ``reserved`` is what running calls may cost at most."""

    limit: BudgetLimit
    window: str
    spent: Decimal
    reserved: Decimal

    @property
    def left(self) -> Decimal:
        """What may still be spent, were nothing reserved; not below 0."""
        return max(self.limit.amount - self.spent, self.spent * 0)

    @property
    def percent(self) -> int:
        """How much of it is spent, rounded down; of a limit of 0 all of it."""
        return int(self.spent * 100 / self.limit.amount) if self.limit.amount else 100


class Alert(Value):
    """A budget has come to a percentage of ALERTS."""

    status: BudgetStatus
    percent: int

    def __str__(self) -> str:
        spent, amount = money(self.status.spent), money(self.status.limit.amount)
        return f"{self.percent} % of {self.status.limit.label} is spent: {spent} of {amount}"


class Budgets:
    """Reads how much of the budgets is spent. ``now`` gives seconds since the epoch."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    def status(self, limits: Sequence[BudgetLimit]) -> tuple[BudgetStatus, ...]:
        """Return the status of each limit; where nothing was ever called, no file is created to find that out.

        Raises ConfigError when the store cannot be used.
        """
        now = self._now()
        if os.path.exists(self._database.path):
            return budget_statuses(self._database.rows, limits, now)
        return tuple(BudgetStatus(limit, limit.window(now), usd(0), usd(0)) for limit in limits)


def budget_statuses(
    rows: Callable[..., list[tuple[int, ...]]], limits: Sequence[BudgetLimit], now: float
) -> tuple[BudgetStatus, ...]:
    """Return the status of each limit, read with one query through ``rows(sql, *values)``."""
    if not limits:
        return ()
    windows = [limit.window(now) for limit in limits]
    values: list[str] = []
    for limit, window in zip(limits, windows, strict=True):
        first = "" if limit.period == "total" else f"{window}-01"[:10]
        values += (first, limit.scope, limit.scope)
    [sums] = rows(f"SELECT {', '.join([_SPENT_AND_RESERVED] * len(limits))}", *values)
    amounts = [usd(amount) for amount in sums]
    return tuple(map(BudgetStatus, limits, windows, amounts[::2], amounts[1::2]))


def due_alerts(connection: Connection, statuses: Sequence[BudgetStatus]) -> tuple[Alert, ...]:
    """Return the alerts that were not given yet, and record that they are; of several percentages only the highest."""
    found = []
    for each in statuses:
        reached = [percent for percent in ALERTS if each.percent >= percent]
        window = f"{each.window}/{stored(each.limit.amount)}"  # another limit has alerts of its own
        new = [
            percent
            for percent in reached
            if connection.execute(
                "INSERT OR IGNORE INTO alerts VALUES (?, ?, ?)", [each.limit.scope, window, percent]
            ).rowcount
        ]
        if new and new[-1] == reached[-1]:
            found.append(Alert(each, new[-1]))
    return tuple(found)


def day_of(moment: float) -> str:
    """Return the day of UTC a time (seconds since the epoch) lies in."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))
