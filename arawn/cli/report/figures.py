"""Usage, cost and speed in few characters: for the line under an answer, for tables and charts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.models.money import money

if TYPE_CHECKING:
    from decimal import Decimal

    from arawn.messages import Usage

SEPARATOR = " · "
"""Between the parts of a line."""
_MIN_STREAM_SECONDS = 0.2
"""Seconds; for a shorter stream no speed is shown."""


def tokens(count: int) -> str:
    """Return a number of tokens in at most five characters: 950, 1.2k, 45k, 1.3M."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if count >= size:
            number = f"{count / size:.1f}".removesuffix(".0") if count < 10 * size else str(count // size)
            return number + unit
    return str(count)


def spent(usage: Usage, cost: Decimal | None) -> list[str]:
    """Return tokens and cost as the parts of a line; an estimate is marked ``~``."""
    guess = "~" if usage.estimated else ""
    parts = [f"{guess}{tokens(usage.input_tokens)} in", f"{guess}{tokens(usage.output_tokens)} out"]
    return parts if cost is None else [*parts, guess + money(cost)]


def pace(usage: Usage, first: float, last: float) -> list[str]:
    """Return the speed of an answer as the parts of a line; ``first`` and ``last`` token in seconds since the call."""
    parts = [f"{first:.1f} s to first"]
    streamed = last - first
    if streamed >= _MIN_STREAM_SECONDS and usage.output_tokens:
        parts.append(f"{usage.output_tokens / streamed:.0f} tok/s")
    return parts


def bill(cost: Decimal | None, unpriced: int, *, guessed: bool = False) -> str:
    """Return the cost of calls: ``$1.20``, with calls of unknown price ``$1.20 + 3 unknown``, estimated ``~$1.20``."""
    if cost is None:
        return "unknown"
    known = ("~" if guessed and cost else "") + money(cost)
    return f"{known} + {unpriced} unknown" if unpriced else known


def duration(milliseconds: float) -> str:
    """Return a duration: <1 ms, 840 ms, 3.2 s, 75 s."""
    if milliseconds < 1:
        return "<1 ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"


def percent(share: float) -> str:
    """Return a share (0 to 1): 0.4%, 12%."""
    shown = share * 100
    return f"{shown:.1f}%" if 0 < shown < 9.95 else f"{shown:.0f}%"
