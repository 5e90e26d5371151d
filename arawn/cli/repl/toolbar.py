"""What a conversation has taken, in few characters: the line under the prompt, and the line under an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from arawn.messages import Usage

SEPARATOR = " · "
_SHORTEST_STREAM = 0.2


def tokens(count: int) -> str:
    """Return a number of tokens in at most five characters: 950, 1.2k, 45k, 1.3M."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            number = f"{count / size:.1f}".removesuffix(".0") if count < 10 * size else str(count // size)
            return number + unit
    return str(count)


def money(cost: Decimal) -> str:
    """Return a cost in USD, to the cent or where that says nothing to the hundredth of one."""
    if cost and cost < 1:
        return f"${cost:.4f}" if cost >= 0.0001 else "<$0.0001"
    return f"${cost:.2f}"


def spent(usage: Usage, cost: Decimal | None) -> list[str]:
    """Return what was used, as the parts of a line; a guess is marked."""
    guess = "~" if usage.estimated else ""
    parts = [f"{guess}{tokens(usage.input_tokens)} in", f"{guess}{tokens(usage.output_tokens)} out"]
    return parts if cost is None else [*parts, money(cost)]


def pace(usage: Usage, first: float, last: float) -> list[str]:
    """Return how fast an answer came: seconds to its first token and to its last."""
    parts = [f"{first:.1f} s to first"]
    streamed = last - first
    if streamed >= _SHORTEST_STREAM and usage.output_tokens:
        parts.append(f"{usage.output_tokens / streamed:.0f} tok/s")
    return parts


def fitted(parts: Iterable[str], hints: Iterable[str], columns: int) -> str:
    """Return as much of a line as fits: the parts from the left, the hints at the right end if there is room."""
    line = f" {SEPARATOR.join(part for part in parts if part)}"
    hint = f"{SEPARATOR.join(hints)} "
    if len(line) + len(hint) + 2 <= columns:
        return line + hint.rjust(columns - len(line) - 1)
    return line if len(line) < columns else f"{line[: max(0, columns - 2)]}…"
