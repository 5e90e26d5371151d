"""Tables of figures: numbers stand under numbers, and on a narrow terminal the less important columns give way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from arawn.cli.guard import one_line
from arawn.cli.output import Styled
from arawn.cli.render.lines import Span, width, wrap
from arawn.cli.report.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from arawn.cli.output import Output
    from arawn.cli.report.tables import Cell

NONE = "-"
"""What stands where there is nothing to tell."""
_BETWEEN = 2
_USUAL = 80


class Column(NamedTuple):
    """A column: its title, and what of a row stands in it.

    The higher its ``rank``, the sooner it gives way; one of rank 0 stays. Figures stand at the right, words at the
    left: they are cut to ``words`` columns where there is no more room.
    """

    title: str
    cell: Callable[[Any], Cell]
    rank: int = 0
    words: int = 0


def terminal_columns(output: Output) -> int | None:
    """Return the width of the terminal that is written to; None for anything else."""
    if not output.paints:
        return None
    try:
        return os.get_terminal_size(1).columns or _USUAL
    except OSError:
        return _USUAL


def print_columns(output: Output, columns: Sequence[Column], rows: Iterable[Any]) -> None:
    """Write a table: on a terminal without what says nothing, cut to its width; into anything else the whole of it."""
    room = terminal_columns(output)
    lines, hidden = laid_out(columns, rows, room)
    for line in lines:
        output.line(*line)
    if hidden and room:
        for spans in wrap([Span(f"no room for {', '.join(hidden)}: --json has all")], room):
            output.note("".join(span.text for span in spans))


def laid_out(
    columns: Sequence[Column], rows: Iterable[Any], room: int | None
) -> tuple[list[list[Cell]], tuple[str, ...]]:
    """Return the lines of a table for so many columns (None: any), and the titles for which there was no room."""
    listed = list(rows)
    shown = [_Shown(column, [column.cell(row) for row in listed]) for column in columns]
    dropped: list[Column] = []
    if room is not None:
        shown = [each for each in shown if not each.column.rank or any(_text(cell) != NONE for cell in each.cells)]
        dropped = _drop(shown, room)
    lines = table([each.title for each in shown], zip(*(each.aligned() for each in shown), strict=True))
    return lines, tuple(column.title for column in columns if column in dropped)


def shortened(text: str, room: int) -> str:
    """Return as much of a text as fits into so many columns."""
    if width(text) <= room:
        return text
    text = text[: 4 * room]
    while text and width(text) >= room:
        text = text[:-1]
    return f"{text}…"


class _Shown:
    """A column with its cells; ``least`` is how narrow it can be made."""

    def __init__(self, column: Column, cells: list[Cell]) -> None:
        self.column = column
        self.cells = cells
        self.width = max([width(column.title), *(width(_text(cell)) for cell in cells)])

    @property
    def title(self) -> str:
        return self.column.title if self.column.words else self.column.title.rjust(self.width)

    def least(self, room: int) -> int:
        return min(self.width, max(self.column.words, room // 4)) if self.column.words else self.width

    def cut(self, room: int) -> None:
        self.cells = [_changed(cell, shortened(_text(cell), room)) for cell in self.cells]
        self.width = room

    def aligned(self) -> list[Cell]:
        if self.column.words:
            return self.cells
        return [_changed(cell, " " * (self.width - width(_text(cell))) + _text(cell)) for cell in self.cells]


def _drop(shown: list[_Shown], room: int) -> list[Column]:
    """Take out of the columns those for which there is no room, and return them; cut words where that is enough."""
    dropped: list[Column] = []
    while _together(each.least(room) for each in shown) > room and any(each.column.rank for each in shown):
        least = max(shown, key=lambda each: each.column.rank)
        shown.remove(least)
        dropped.append(least.column)
    for each in shown:
        spare = room - _together(other.width for other in shown)
        if spare < 0 and each.column.words:
            each.cut(max(each.least(room), each.width + spare))
    return dropped


def _together(widths: Iterable[int]) -> int:
    listed = list(widths)
    return sum(listed) + _BETWEEN * (len(listed) - 1)


def _text(cell: Cell) -> str:
    return one_line(cell.text if isinstance(cell, Styled) else cell)


def _changed(cell: Cell, text: str) -> Cell:
    return cell._replace(text=text) if isinstance(cell, Styled) else text
