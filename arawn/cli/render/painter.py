"""The live lines at the end of a terminal's text: rewritten in place while they change, left alone once settled.

The cursor rests at the end of the last live line. New text that only goes on from there is written as it is, without
any cursor movement; whatever has left the live lines is never touched again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli.render.lines import EMPTY, ansi, painted, rows, width

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arawn.cli.render.lines import Line


class Painter:
    """Owns the live lines; ``write`` takes text for a terminal that translates line ends, as it does unless set raw."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._live: Sequence[Line] = [EMPTY]

    @property
    def painted_lines(self) -> list[Line]:
        """The live lines as they are on the screen."""
        return [] if self._live == [EMPTY] else list(self._live)

    def update(self, settled: Sequence[Line], live: Sequence[Line], columns: int) -> None:
        """Put lines that will not change and the live lines behind them in the place of the live lines before."""
        new = [*settled, *(live or [EMPTY])]
        output = self._difference(new, columns)
        self._live = live or [EMPTY]
        if output:
            self._write(output)

    def leave(self) -> None:
        """Give up the live lines where they are, and go to a fresh line."""
        if self._live != [EMPTY]:
            self._write("\n")
        self._live = [EMPTY]

    def _difference(self, new: Sequence[Line], columns: int) -> str:
        old = self._live
        if new == old:
            return ""
        same = 0
        while same < min(len(old), len(new) - 1) and old[same] == new[same]:
            same += 1
        if same == len(old):
            return "".join(f"\n{ansi(line)}" for line in new[same:])
        if same == len(old) - 1 and same < len(new) and (more := _extension(old[same], new[same])) is not None:
            return "\n".join([more, *(ansi(line) for line in new[same + 1 :])])
        return _rewritten(old[same:], new[same:], columns)


def _extension(old: Line, new: Line) -> str | None:
    """Return what has to be written behind the old line to get the new one, if that is all there is to it."""
    (before, style), (after, last) = painted(old), painted(new)
    if not after.startswith(before):
        return None
    return f"\x1b[{style}m" * bool(style) + after[len(before) :] + "\x1b[m" * bool(last)


def _rewritten(old: Sequence[Line], new: Sequence[Line], columns: int) -> str:
    """Write new lines over old ones, the last of which the cursor is in; erase only where they are shorter."""
    old_rows, new_rows = [rows(line, columns) for line in old], [rows(line, columns) for line in new]
    up = sum(old_rows) - 1
    start = "\r" + (f"\x1b[{up}A" if up else "")
    if max(old_rows) > 1 or max(new_rows) > 1:
        return f"{start}\x1b[J" + "\n".join(ansi(line) for line in new)
    pairs = zip(new, [*old, *[EMPTY] * len(new)], strict=False)
    lines = [ansi(line) + "\x1b[K" * (width(line.text) < width(before.text)) for line, before in pairs]
    return start + "\n".join(lines) + "\x1b[J" * (len(new) < len(old))
