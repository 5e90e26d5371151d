"""Markdown tables: columns with wrapped cells, or one field per line on a screen too narrow for columns.

The column widths come from the header and the first rows alone, so that a long table can be written while it grows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from arawn.cli.render.lines import EMPTY, Line, Span, nest_style, width, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arawn.cli.render.theme import Theme

    Cell = Sequence[Span]
    Row = Sequence[Cell]

SAMPLE_ROWS = 10
"""Rows, besides the header, that decide the column widths."""

_MIN_COLUMN_WIDTH = 8
"""Columns of the screen; with less for a cell, fields are shown instead."""
_SEPARATOR = " │ "


class Table(NamedTuple):
    """A table: its header, its rows, and how each column is aligned."""

    header: Row
    rows: Sequence[Row]
    alignment: Sequence[str]

    def lines(self, room: int, theme: Theme, *, sample: int = SAMPLE_ROWS) -> list[Line]:
        """Lay the table out in ``room`` columns of the screen."""
        sampled = self.rows[: min(sample, _sample_size(self.rows[:sample], room))]
        widths = _column_widths([self.header, *sampled], room - len(_SEPARATOR) * (len(self.header) - 1))
        if widths is None:
            return list(_field_lines(self, room, theme))
        return list(_column_lines(self, widths, room, theme))


def _sample_size(rows: Sequence[Row], room: int) -> int:
    """Return how many rows to measure: fewer if cells are long, because all must fit on the screen."""
    height = 0
    for at, row in enumerate(rows):
        total = sum(_width(cell) for cell in row)
        height += 1 if total <= room else 1 + 2 * total // room
        if height >= SAMPLE_ROWS:
            return at + 1
    return len(rows)


def _column_widths(rows: Sequence[Row], room: int) -> list[int] | None:
    """Divide the room among the columns; None if one would be too narrow."""
    natural = [max(1, *(_width(row[at]) for row in rows)) for at in range(len(rows[0]))]
    widths = dict.fromkeys(range(len(natural)), 0)
    waiting = list(widths)
    while waiting:
        share = room // len(waiting)
        fitting = [at for at in waiting if natural[at] <= share]
        if not fitting and share < _MIN_COLUMN_WIDTH:
            return None
        for at in fitting or waiting:
            widths[at] = min(natural[at], share)
            room -= widths[at]
        waiting = [at for at in waiting if at not in fitting] if fitting else []
    return list(widths.values())


def _column_lines(table: Table, widths: Sequence[int], room: int, theme: Theme) -> Iterator[Line]:
    rest = room - sum(widths[:-1]) - len(_SEPARATOR) * (len(widths) - 1)
    rooms = [*widths[:-1], max(rest, widths[-1])]
    rule = Line((Span("─┼─".join("─" * each for each in widths), theme.rule, content=False),))
    yield from _row(table, [_header_cell(cell, theme) for cell in table.header], widths, rooms)
    yield rule
    tall = False
    for at, row in enumerate(table.rows):
        lines = _row(table, row, widths, rooms)
        if at and (tall or len(lines) > 1):
            yield rule
        tall = len(lines) > 1
        yield from lines


def _row(table: Table, row: Row, widths: Sequence[int], rooms: Sequence[int]) -> list[Line]:
    cells = [wrap(cell, room, split=True) for cell, room in zip(row, rooms, strict=True)]
    lines = []
    for at in range(max(map(len, cells))):
        spans: list[Span] = []
        for column, cell in enumerate(cells):
            spans += [Span(_SEPARATOR, content=False)] if column else []
            spans += _align(cell[at] if at < len(cell) else [], widths[column], table.alignment[column])
        lines.append(Line(_strip_right(spans)))
    return lines


def _align(cell: Cell, room: int, alignment: str) -> Cell:
    free = max(0, room - _width(cell))
    before = {"right": free, "center": free // 2}.get(alignment, 0)
    return [Span(" " * before), *cell, Span(" " * (free - before))]


def _strip_right(spans: list[Span]) -> list[Span]:
    """Remove the spaces at the end of a line."""
    while spans and not spans[-1].text.strip():
        spans.pop()
    if spans:
        spans[-1] = spans[-1]._replace(text=spans[-1].text.rstrip())
    return spans


def _field_lines(table: Table, room: int, theme: Theme) -> Iterator[Line]:
    """Yield one field per line, after a line with all names: what is on the screen already keeps its order."""
    names = [_header_cell(cell, theme) for cell in table.header]
    title = [span for at, name in enumerate(names) for span in [Span(" · " if at else "", content=False), *name]]
    yield from (Line(spans) for spans in wrap(title, room))
    for row in table.rows:
        yield EMPTY
        for name, cell in zip(names, row, strict=True):
            label = [span._replace(content=False) for span in name]
            yield from (Line(_strip_right(spans)) for spans in wrap([*label, Span(": ", content=False), *cell], room))


def _header_cell(cell: Cell, theme: Theme) -> Cell:
    return [span._replace(style=nest_style(theme.header, span.style)) for span in cell]


def _width(cell: Cell) -> int:
    """Return the columns of the widest line of a cell."""
    return max(width(line) for line in "".join(span.text for span in cell).split("\n"))
