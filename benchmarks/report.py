"""What a benchmark found: rows of a figure and its goal, as a table or as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMES = "\N{MULTIPLICATION SIGN}"


class Row(NamedTuple):
    """One figure. ``figure`` is None where it could not be taken; ``remark`` then says why, else what it is made of.

    With ``more`` set, more is better.
    """

    what: str
    figure: float | None
    unit: str
    goal: float
    remark: str
    more: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is no figure."""
        if self.figure is None:
            return None
        return self.figure >= self.goal if self.more else self.figure <= self.goal


def as_json(rows: Sequence[Row]) -> str:
    """Return one JSON object a row, a line each."""
    return "\n".join(json.dumps({**row._asdict(), "reached": row.reached}, ensure_ascii=False) for row in rows)


def as_table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table, which is also readable as it stands."""
    cells = [("what", "measured", "goal", "", "made of"), *map(_cells, rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(5)]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    goal = f"{'≥' if row.more else '≤'} {row.goal:g} {row.unit}"
    if row.figure is None:
        return row.what, "skipped", goal, "", row.remark
    return row.what, f"{row.figure:.2f} {row.unit}", goal, "reached" if row.reached else "MISSED", row.remark
