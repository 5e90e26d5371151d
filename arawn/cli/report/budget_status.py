"""How budgets stand, for lines and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.engine.stack import budget_limits
from arawn.errors import ConfigError
from arawn.models.money import money

if TYPE_CHECKING:
    from arawn.config.settings import Settings
    from arawn.store.budgets import BudgetStatus
    from arawn.store.database import Database

WARNING = 75
"""The percentage of a budget from which on it is told aloud, with a MARK."""
MARK = "!"
_WHEN = {"day": "today", "month": "this month", "total": "in all"}


def standings(settings: Settings, database: Database, backend: str | None = None) -> tuple[BudgetStatus, ...]:
    """Return how every budget of the settings stands, or those that count for a backend.

    Raises ConfigError when the store cannot be used.
    """
    limits = [each for each in budget_limits(settings) if backend is None or each.scope in ("", backend)]
    if not limits:
        return ()
    from arawn.store.budgets import Budgets

    return Budgets(database).status(limits)


def part(settings: Settings, database: Database, backend: str) -> str:
    """Return how much of its budget a backend has used, for a line: ``budget 12%``, from 75 % on ``budget 80%!``.

    Of several budgets it is the one that is reached first. It is empty where there is none, and where the store cannot
    be read: another line tells that.
    """
    try:
        percent = max(each.percent for each in standings(settings, database, backend))
    except (ConfigError, ValueError):
        return ""
    return f"budget {percent}%{MARK if percent >= WARNING else ''}"


def told(standing: BudgetStatus) -> str:
    """Return how a budget stands, in a sentence: ``$3.20 of $20.00 this month (16%), $16.80 left``."""
    limit = standing.limit
    spent = f"{money(standing.spent)} of {money(limit.amount)} {_WHEN[limit.period]} ({standing.percent}%)"
    return f"{spent}, {money(standing.left)} left" + (f", at {limit.scope}" if limit.scope else "")
