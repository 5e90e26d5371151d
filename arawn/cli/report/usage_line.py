"""The line of ``ask --usage``: what an answer took, in the words of the line under an answer in chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli.report import budget_status, figures

if TYPE_CHECKING:
    from arawn.answers.record import Record
    from arawn.cli.context import Context


def tell(context: Context, record: Record) -> None:
    """Write the line on stderr: who answered, tokens, cost, times, and how much of a budget is spent."""
    response = record.response
    usage = response.usage
    if not usage.total_tokens:
        return  # nothing came that could be counted
    with context.database as database:
        budget = budget_status.part(context.settings, database, response.backend)
    latency = record.summary()["latency_ms"] / 1000
    times = [f"{latency:.1f} s"]
    if record.first_token_ms is not None:
        times += figures.pace(usage, record.first_token_ms / 1000, latency)
    parts = [f"{response.backend}/{response.model}", *figures.spent(usage, record.cost), *times, budget]
    context.output.note(figures.SEPARATOR.join(filter(None, parts)))
