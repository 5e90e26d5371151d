"""Tables of an answer: columns with wrapped cells, or one field a line where the screen is too narrow for columns.

The widths come from the header and the first rows alone, so that a long table can be written while it grows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from arawn.cli.render.lines import EMPTY, Line, Span, joined, width, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arawn.cli.render.theme import Theme

    Cell = Sequence[Span]
    Row = Sequence[Cell]

SAMPLE = 10
"""How many rows, besides the header, decide the widths."""

_NARROWEST = 8
_BAR = " │ "


class Grid(NamedTuple):
    """A table: its header, its rows, and how each column is aligned."""

    header: Row
    rows: Sequence[Row]
    alignment: Sequence[str]

    def lines(self, room: int, theme: Theme, *, sample: int = SAMPLE) -> list[Line]:
        """Lay the table out in ``room`` columns of the screen."""
        sampled = self.rows[: min(sample, _sampled(self.rows[:sample], room))]
        widths = _widths([self.header, *sampled], room - len(_BAR) * (len(self.header) - 1))
        if widths is None:
            return list(_fields(self, room, theme))
        return list(_columns(self, widths, room, theme))


def _sampled(rows: Sequence[Row], room: int) -> int:
    """Return how many rows to look at: fewer where cells are long, for the screen has to hold them all."""
    height = 0
    for at, row in enumerate(rows):
        total = sum(_width(cell) for cell in row)
        height += 1 if total <= room else 1 + 2 * total // room
        if height >= SAMPLE:
            return at + 1
    return len(rows)


def _widths(rows: Sequence[Row], room: int) -> list[int] | None:
    """Share the room among the columns; None where one would get too little."""
    natural = [max(1, *(_width(row[at]) for row in rows)) for at in range(len(rows[0]))]
    widths = dict.fromkeys(range(len(natural)), 0)
    waiting = list(widths)
    while waiting:
        share = room // len(waiting)
        fitting = [at for at in waiting if natural[at] <= share]
        if not fitting and share < _NARROWEST:
            return None
        for at in fitting or waiting:
            widths[at] = min(natural[at], share)
            room -= widths[at]
        waiting = [at for at in waiting if at not in fitting] if fitting else []
    return list(widths.values())


def _columns(grid: Grid, widths: Sequence[int], room: int, theme: Theme) -> Iterator[Line]:
    rest = room - sum(widths[:-1]) - len(_BAR) * (len(widths) - 1)
    rooms = [*widths[:-1], max(rest, widths[-1])]
    rule = Line((Span("─┼─".join("─" * each for each in widths), theme.rule, content=False),))
    yield from _row(grid, [_bold(cell, theme) for cell in grid.header], widths, rooms)
    yield rule
    tall = False
    for at, row in enumerate(grid.rows):
        lines = _row(grid, row, widths, rooms)
        if at and (tall or len(lines) > 1):
            yield rule
        tall = len(lines) > 1
        yield from lines


def _row(grid: Grid, row: Row, widths: Sequence[int], rooms: Sequence[int]) -> list[Line]:
    cells = [wrap(cell, room, split=True) for cell, room in zip(row, rooms, strict=True)]
    lines = []
    for at in range(max(map(len, cells))):
        spans: list[Span] = []
        for column, cell in enumerate(cells):
            spans += [Span(_BAR, content=False)] if column else []
            spans += _aligned(cell[at] if at < len(cell) else [], widths[column], grid.alignment[column])
        lines.append(Line(_trimmed(spans)))
    return lines


def _aligned(cell: Cell, room: int, alignment: str) -> Cell:
    free = max(0, room - _width(cell))
    before = {"right": free, "center": free // 2}.get(alignment, 0)
    return [Span(" " * before), *cell, Span(" " * (free - before))]


def _trimmed(spans: list[Span]) -> list[Span]:
    """Drop the blanks at the end of a line."""
    while spans and not spans[-1].text.strip():
        spans.pop()
    if spans:
        spans[-1] = spans[-1]._replace(text=spans[-1].text.rstrip())
    return spans


def _fields(grid: Grid, room: int, theme: Theme) -> Iterator[Line]:
    """One field a line, after a line with all the names: what was shown of a table stays in its order."""
    names = [_bold(cell, theme) for cell in grid.header]
    title = [span for at, name in enumerate(names) for span in [Span(" · " if at else "", content=False), *name]]
    yield from (Line(spans) for spans in wrap(title, room))
    for row in grid.rows:
        yield EMPTY
        for name, cell in zip(names, row, strict=True):
            label = [span._replace(content=False) for span in name]
            yield from (Line(_trimmed(spans)) for spans in wrap([*label, Span(": ", content=False), *cell], room))


def _bold(cell: Cell, theme: Theme) -> Cell:
    return [span._replace(style=joined(theme.header, span.style)) for span in cell]


def _width(cell: Cell) -> int:
    return sum(width(span.text) for span in cell)
