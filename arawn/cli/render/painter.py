"""The live lines at the end of a terminal's text, redrawn in place: the lowest part of the block commit.

An answer grows at its end. Redrawing all of it for each piece is slow, flickers, and cannot work once the answer is
higher than the screen: no escape sequence reaches the scrollback, so a redraw leaves copies there. Block commit splits
the answer instead. Lines that can never change (see document.py) are committed: printed once, below them begins the new
live area. Only the live area is ever redrawn, and it is always smaller than the screen (see stream.py). So the
scrollback ends up with exactly the lines of the whole text, and the cost of an update does not grow with the answer.

The painter keeps these invariants:
* The cursor is at the end of the last live line. It never moves above the first one.
* The common prefix of the old live lines and the new lines (committed, then live) is not written again.
* If the first line that differs only extends the old one, its new end is written without any cursor movement. This is
  the normal case: the bytes of an answer are then little more than its text.
* Otherwise: CR, up to the first changed line, and write from there. A line is erased only behind its new end, and the
  screen below only if there are fewer lines. Where the terminal wraps a line, its rows are counted, and the live area
  is erased before it is written.
* After a resize, terminals differ in where the old rows are. So the live lines are given up (``detach``): they stay as
  they are, and printed_prefix.py finds what of the open text is still to be written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli.render.lines import EMPTY, ansi, encode_sgr, rows, width

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arawn.cli.render.lines import Line


class Painter:
    """Owns the live lines; ``write`` writes to a terminal that translates LF to CR LF, as it does unless set raw."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._live: Sequence[Line] = [EMPTY]

    @property
    def live_lines(self) -> list[Line]:
        """The live lines that are on the screen."""
        return [] if self._live == [EMPTY] else list(self._live)

    def update(self, committed: Sequence[Line], live: Sequence[Line], columns: int) -> None:
        """Replace the live lines by the committed lines and, below them, the new live lines."""
        new = [*committed, *(live or [EMPTY])]
        output = self._diff(new, columns)
        self._live = live or [EMPTY]
        if output:
            self._write(output)

    def detach(self) -> None:
        """Leave the live lines where they are, and start a new line."""
        if self._live != [EMPTY]:
            self._write("\n")
        self._live = [EMPTY]

    def _diff(self, new: Sequence[Line], columns: int) -> str:
        old = self._live
        if new == old:
            return ""
        same = 0
        while same < min(len(old), len(new) - 1) and old[same] == new[same]:
            same += 1
        if same == len(old):
            return "".join(f"\n{ansi(line)}" for line in new[same:])
        if same == len(old) - 1 and same < len(new) and (more := _suffix(old[same], new[same])) is not None:
            return "\n".join([more, *(ansi(line) for line in new[same + 1 :])])
        return _rewrite(old[same:], new[same:], columns)


def _suffix(old: Line, new: Line) -> str | None:
    """Return what to write after the old line to get the new one; None if the new one does not extend it."""
    (before, style), (after, last) = encode_sgr(old), encode_sgr(new)
    if not after.startswith(before):
        return None
    return f"\x1b[{style}m" * bool(style) + after[len(before) :] + "\x1b[m" * bool(last)


def _rewrite(old: Sequence[Line], new: Sequence[Line], columns: int) -> str:
    """Return the output that replaces old lines, the cursor being in the last; erase only where lines get shorter."""
    old_rows, new_rows = [rows(line, columns) for line in old], [rows(line, columns) for line in new]
    up = sum(old_rows) - 1
    start = "\r" + (f"\x1b[{up}A" if up else "")
    if max(old_rows) > 1 or max(new_rows) > 1:
        return f"{start}\x1b[J" + "\n".join(ansi(line) for line in new)
    pairs = zip(new, [*old, *[EMPTY] * len(new)], strict=False)
    lines = [ansi(line) + "\x1b[K" * (width(line.text) < width(before.text)) for line, before in pairs]
    return start + "\n".join(lines) + "\x1b[J" * (len(new) < len(old))
