"""Bar charts, one row per bar, as wide as the terminal: of block characters where it can show them, else of #."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from arawn.cli.guard import one_line
from arawn.cli.output import Styled
from arawn.cli.render.lines import width
from arawn.cli.report.columns import truncate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.cli.report.tables import Cell

_EIGHTHS = " ▏▎▍▌▋▊▉"
_MIN_BAR_WIDTH = 6
"""Columns of the screen; with less room no bar is drawn."""


class Bar(NamedTuple):
    """A row: its label, the length of its bar (0 to 1), the text after it, and the style of the bar."""

    label: str
    share: float
    text: str
    style: str = ""


def chart(bars: Sequence[Bar], columns: int, *, blocks: bool, track: bool = False) -> list[list[Cell]]:
    """Return the rows, none wider than ``columns``; ``track`` shows the length of a full bar.

    Long labels are truncated; where there is no room for bars they are omitted.
    """
    text = max((width(bar.text) for bar in bars), default=0)
    labels = [truncate(one_line(bar.label), max(columns // 3, columns - text - 30)) for bar in bars]
    label = max(map(width, labels), default=0)
    cells = columns - label - text - 4
    rows: list[list[Cell]] = []
    for bar, name in zip(bars, labels, strict=True):
        begin = name + " " * (label - width(name) + 2)
        if cells < _MIN_BAR_WIDTH:
            rows.append([truncate(begin + bar.text, columns)])
            continue
        line = draw_bar(bar.share, cells, blocks=blocks, track=track)
        end = " " * (2 + text - width(bar.text)) + bar.text
        rows.append([begin, Styled(line, bar.style) if bar.style else line, end])
    return rows


def draw_bar(share: float, cells: int, *, blocks: bool, track: bool = False) -> str:
    """Return a bar of so many cells; it is empty only for a share of 0 and full only for 1."""
    steps = len(_EIGHTHS) if blocks else 1
    most = cells * steps
    length = round(max(0.0, min(1.0, share)) * most)
    if 0 < share < 1:
        length = max(1, min(most - 1, length))
    full, part = divmod(length, steps)
    line = ("█" if blocks else "#") * full + (_EIGHTHS[part] if part else "")
    rest = ("░" if blocks else ".") if track else " "
    return line + rest * (cells - len(line))


def shows_blocks() -> bool:
    """Whether the encoding of the user's locale has block characters."""
    import locale

    return locale.getencoding().lower().replace("-", "") == "utf8"
