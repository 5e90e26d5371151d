"""Plain tables: columns as wide as their widest cell and no frames, so that they copy, grep and cut well."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from arawn.cli.guard import one_line
from arawn.cli.output import Styled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from arawn.cli.output import Output

    Cell = str | Styled


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> list[list[Cell]]:
    """Return the lines of a table, each as pieces for ``Output.line``; no line ends in padding."""
    lines: list[Sequence[Cell]] = [[Styled(title, "bold") for title in header], *rows]
    widths = [max(_width(_text(line[at])) for line in lines) for at in range(len(header))]
    return [_align(line, widths) for line in lines]


def print_table(output: Output, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Write a table to stdout."""
    for line in table(header, rows):
        output.line(*line)


def plain(line: Sequence[Cell]) -> str:
    """Return a line without its styles, escaped for a terminal."""
    return "".join(_text(cell) for cell in line)


def _align(line: Sequence[Cell], widths: Sequence[int]) -> list[Cell]:
    pieces: list[Cell] = []
    while line and not _text(line[-1]):
        line = line[:-1]
    for at, cell in enumerate(line):
        last = at == len(line) - 1
        pieces += [cell] if last else [cell, " " * (widths[at] - _width(_text(cell)) + 2)]
    return pieces


def _text(cell: Cell) -> str:
    return one_line(cell.text if isinstance(cell, Styled) else cell)


def _width(text: str) -> int:
    return len(text) if text.isascii() else sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
