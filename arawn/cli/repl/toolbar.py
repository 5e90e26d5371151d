"""The line under the prompt: as much as fits of who answers, what was used, and what may still be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli.report.budget_status import MARK
from arawn.cli.report.figures import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Iterable


def ordered(who: str, taken: Iterable[str], budget: str, files: Iterable[str]) -> list[str]:
    """Return the parts of the line; a budget that is nearly spent stands where a narrow window shows it too."""
    near = [budget] if budget.endswith(MARK) else []
    return [who, *near, *taken, *([] if near else [budget]), *files]


def fitted(parts: Iterable[str], hints: Iterable[str], columns: int) -> str:
    """Return as much of a line as fits: the parts from the left, the hints at the right end if there is room."""
    line = f" {SEPARATOR.join(part for part in parts if part)}"
    hint = f"{SEPARATOR.join(hints)} "
    if len(line) + len(hint) + 2 <= columns:
        return line + hint.rjust(columns - len(line) - 1)
    return line if len(line) < columns else f"{line[: max(0, columns - 2)]}…"
