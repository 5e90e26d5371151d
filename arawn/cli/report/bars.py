"""Bars of a chart, a row each, as wide as the terminal allows; of blocks where it can show them, of # where not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from arawn.cli.guard import one_line
from arawn.cli.output import Styled
from arawn.cli.render.lines import width
from arawn.cli.report.columns import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.cli.report.tables import Cell

_PARTS = " ▏▎▍▌▋▊▉"
_NARROWEST = 6
"""Columns below which a bar says nothing."""


class Bar(NamedTuple):
    """A row: its label, how long its bar is (0 to 1), what stands behind it, and the style of the bar."""

    label: str
    share: float
    told: str
    style: str = ""


def chart(bars: Sequence[Bar], columns: int, *, blocks: bool, track: bool = False) -> list[list[Cell]]:
    """Return the rows, none wider than ``columns``; ``track`` shows how long a bar can become.

    Long labels are cut, and where no bar has room there is none.
    """
    told = max((width(bar.told) for bar in bars), default=0)
    labels = [shortened(one_line(bar.label), max(columns // 3, columns - told - 30)) for bar in bars]
    label = max(map(width, labels), default=0)
    cells = columns - label - told - 4
    rows: list[list[Cell]] = []
    for bar, name in zip(bars, labels, strict=True):
        begin = name + " " * (label - width(name) + 2)
        if cells < _NARROWEST:
            rows.append([shortened(begin + bar.told, columns)])
            continue
        line = drawn(bar.share, cells, blocks=blocks, track=track)
        end = " " * (2 + told - width(bar.told)) + bar.told
        rows.append([begin, Styled(line, bar.style) if bar.style else line, end])
    return rows


def drawn(share: float, cells: int, *, blocks: bool, track: bool = False) -> str:
    """Return a bar in so many cells; what is more than nothing is seen, and what is less than all is not full."""
    steps = len(_PARTS) if blocks else 1
    most = cells * steps
    length = round(max(0.0, min(1.0, share)) * most)
    if 0 < share < 1:
        length = max(1, min(most - 1, length))
    full, part = divmod(length, steps)
    line = ("█" if blocks else "#") * full + (_PARTS[part] if part else "")
    rest = ("░" if blocks else ".") if track else " "
    return line + rest * (cells - len(line))


def shows_blocks() -> bool:
    """Whether the terminal's encoding has more than ASCII, by the user's locale."""
    import locale

    return locale.getencoding().lower().replace("-", "") == "utf8"
