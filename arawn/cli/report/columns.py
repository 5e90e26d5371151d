"""Tables of figures: numbers are right-aligned, and a narrow terminal drops the less important columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from arawn.cli.guard import one_line
from arawn.cli.output import Styled
from arawn.cli.render.lines import Span, width, wrap
from arawn.cli.render.screen import terminal_size
from arawn.cli.report.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from arawn.cli.output import Output
    from arawn.cli.report.tables import Cell

NONE = "-"
"""Shown for a value that does not exist."""
_GAP = 2
"""Spaces between two columns."""


class Column(NamedTuple):
    """A column: its title, and the function that returns its cell of a row.

    The column with the highest ``rank`` is dropped first; one of rank 0 always stays. ``words`` is 0 for figures, which
    are right-aligned; for words it is the width to which they may be truncated, in columns of the screen.
    """

    title: str
    cell: Callable[[Any], Cell]
    rank: int = 0
    words: int = 0


def terminal_columns(output: Output) -> int | None:
    """Return the width of the terminal on stdout; None if output goes elsewhere."""
    if not output.paints:
        return None
    return terminal_size()[0]


def print_columns(output: Output, columns: Sequence[Column], rows: Iterable[Any]) -> None:
    """Write a table: on a terminal without empty columns and fitted to its width, into anything else all of it."""
    room = terminal_columns(output)
    lines, hidden = lay_out(columns, rows, room)
    for line in lines:
        output.line(*line)
    if hidden and room:
        for spans in wrap([Span(f"no room for {', '.join(hidden)}: --json has all")], room):
            output.note("".join(span.text for span in spans))


def lay_out(
    columns: Sequence[Column], rows: Iterable[Any], room: int | None
) -> tuple[list[list[Cell]], tuple[str, ...]]:
    """Return the lines of a table for a width of ``room`` (None: any), and the titles of the dropped columns."""
    listed = list(rows)
    shown = [_FittedColumn(column, [column.cell(row) for row in listed]) for column in columns]
    dropped: list[Column] = []
    if room is not None:
        shown = [each for each in shown if not each.column.rank or any(_text(cell) != NONE for cell in each.cells)]
        dropped = _fit(shown, room)
    lines = table([each.title for each in shown], zip(*(each.align() for each in shown), strict=True))
    return lines, tuple(column.title for column in columns if column in dropped)


def truncate(text: str, room: int) -> str:
    """Return the part of a text that fits into ``room`` columns, with an ellipsis if it is not all."""
    if width(text) <= room:
        return text
    text = text[: 4 * room]
    while text and width(text) >= room:
        text = text[:-1]
    return f"{text}…"


class _FittedColumn:
    """A column with its cells; ``least`` returns its smallest width."""

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
        self.cells = [_with_text(cell, truncate(_text(cell), room)) for cell in self.cells]
        self.width = room

    def align(self) -> list[Cell]:
        if self.column.words:
            return self.cells
        return [_with_text(cell, " " * (self.width - width(_text(cell))) + _text(cell)) for cell in self.cells]


def _fit(shown: list[_FittedColumn], room: int) -> list[Column]:
    """Remove the columns that do not fit, and return them; truncate words where that is enough."""
    dropped: list[Column] = []
    while _total_width(each.least(room) for each in shown) > room and any(each.column.rank for each in shown):
        least = max(shown, key=lambda each: each.column.rank)
        shown.remove(least)
        dropped.append(least.column)
    for each in shown:
        spare = room - _total_width(other.width for other in shown)
        if spare < 0 and each.column.words:
            each.cut(max(each.least(room), each.width + spare))
    return dropped


def _total_width(widths: Iterable[int]) -> int:
    listed = list(widths)
    return sum(listed) + _GAP * (len(listed) - 1)


def _text(cell: Cell) -> str:
    return one_line(cell.text if isinstance(cell, Styled) else cell)


def _with_text(cell: Cell, text: str) -> Cell:
    return cell._replace(text=text) if isinstance(cell, Styled) else text
