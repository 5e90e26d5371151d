"""The line of ``ask --usage``: what an answer took, in the words of the line under an answer in chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli.report import budget_status, figures

if TYPE_CHECKING:
    from arawn.answers.record import Record
    from arawn.cli.output import Output
    from arawn.config.settings import Settings
    from arawn.store.database import Database


def write(output: Output, record: Record, settings: Settings, database: Database) -> None:
    """Write the line on standard error: who answered, tokens, cost, times, and how much of a budget is spent."""
    response = record.response
    usage = response.usage
    if not usage.total_tokens:
        return  # nothing came that could be counted
    budget = budget_status.part(settings, database, response.backend)
    latency = record.summary()["latency_ms"] / 1000
    times = [f"{latency:.1f} s"]
    if record.first_token_ms is not None:
        times += figures.pace(usage, record.first_token_ms / 1000, latency)
    parts = [f"{response.backend}/{response.model}", *figures.spent(usage, record.cost), *times, budget]
    output.note(figures.SEPARATOR.join(filter(None, parts)))
