"""The status of budgets, for lines and tables; and the line of ``ask --usage``, which ends with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli.report import figures
from arawn.engine.stack import budget_limits
from arawn.errors import ConfigError
from arawn.models.money import money

if TYPE_CHECKING:
    from arawn.answers.record import Record
    from arawn.cli.output import Output
    from arawn.config.settings import Settings
    from arawn.store.budgets import BudgetStatus
    from arawn.store.database import Database

WARNING_PERCENT = 75
"""Percent of a budget; from here on its status has a WARNING_MARK."""
WARNING_MARK = "!"
"""At the end of the status of a budget that is nearly spent."""
_WHEN = {"day": "today", "month": "this month", "total": "in all"}


def budget_statuses(settings: Settings, database: Database, backend: str | None = None) -> tuple[BudgetStatus, ...]:
    """Return the status of all budgets in the settings, or of those that count for a backend.

    Raises ConfigError when the store cannot be used.
    """
    limits = [each for each in budget_limits(settings) if backend is None or each.scope in ("", backend)]
    if not limits:
        return ()
    from arawn.store.budgets import Budgets

    return Budgets(database).status(limits)


def summarize(settings: Settings, database: Database, backend: str) -> str:
    """Return the share of its budget that a backend has used: ``budget 12%``, from 75 % on ``budget 80%!``.

    Of several budgets it is the one with the highest share. It is empty if there is none, and if the store cannot be
    read: that error is shown elsewhere.
    """
    try:
        percent = max(each.percent for each in budget_statuses(settings, database, backend))
    except (ConfigError, ValueError):
        return ""
    return f"budget {percent}%{WARNING_MARK if percent >= WARNING_PERCENT else ''}"


def describe(status: BudgetStatus) -> str:
    """Return the status of a budget in words: ``$3.20 of $20.00 this month (16%), $16.80 left``."""
    limit = status.limit
    spent = f"{money(status.spent)} of {money(limit.amount)} {_WHEN[limit.period]} ({status.percent}%)"
    return f"{spent}, {money(status.left)} left" + (f", at {limit.scope}" if limit.scope else "")


def print_usage(output: Output, settings: Settings, database: Database, record: Record) -> None:
    """Write the line of ``ask --usage`` on stderr: who answered, tokens, cost, times, and the budget."""
    response = record.response
    usage = response.usage
    if not usage.total_tokens:
        return  # nothing came that could be counted
    with database:
        budget = summarize(settings, database, response.backend)
    latency = record.summary()["latency_ms"] / 1000
    times = [f"{latency:.1f} s"]
    if record.first_token_ms is not None:
        times += figures.pace(usage, record.first_token_ms / 1000, latency)
    parts = [f"{response.backend}/{response.model}", *figures.spent(usage, record.cost), *times, budget]
    output.note(figures.SEPARATOR.join(filter(None, parts)))
