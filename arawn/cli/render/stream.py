"""An answer on a terminal while it comes: finished blocks go into the scrollback once, the open one is redrawn."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, TypeAlias

from arawn.cli.render.document import Document
from arawn.cli.render.lines import Line, Span, rows, wrap
from arawn.cli.render.markdown import Renderer, room
from arawn.cli.render.painter import Painter
from arawn.cli.render.partial import Incoming, shown_part
from arawn.cli.render.theme import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from arawn.cli.render.theme import Theme

Mode: TypeAlias = Literal["live", "blocks", "raw"]
"""Redrawn in place; append only (screen readers, dumb terminals, recordings); or the text itself."""

_INTERVAL = 1 / 12
_USUAL_SIZE = (80, 24)
_MOST_ROWS = 24
_THINKING_ROWS = 8


def mode_for(environ: Mapping[str, str], *, tty: bool) -> Mode:
    """Return how answers are written where the configuration does not say."""
    if not tty:
        return "raw"
    append_only = environ.get("TERM") == "dumb" or environ.get("ACCESSIBLE", "0") not in ("", "0")
    return "blocks" if append_only else "live"


class LiveAnswer:
    """Writes one answer. ``size`` is asked for (columns, rows) before each drawing, so a resize needs no signal.

    Deltas draw when a drawing is due, at most 12 times a second and less often where drawing is slow; whoever waits
    for more calls ``frame`` now and then, so that what came last is shown too. Before anything else writes to the
    terminal, ``suspend`` has to be called.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        size: Callable[[], tuple[int, int]],
        mode: Mode,
        theme: Theme,
        colour: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._size = size
        self._mode = mode
        self._theme = theme if colour else PLAIN
        self._monotonic = monotonic
        self._renderer = Renderer(self._theme)
        self._document = Document(self._renderer)
        self._incoming = Incoming()
        self._painter = Painter(write)
        self._thinking: _Thinking | None = None
        self._painted_at = (0, 0)
        self._due = float("-inf")
        self._changed = False
        self._line_open = False

    def text(self, delta: str) -> None:
        """Take in more of the answer; the first of it folds the reasoning before it."""
        if not delta:
            return
        self._fold()
        if self._mode == "raw":
            self._write_raw(self._incoming.take(delta))
            return
        self._document.feed(delta)
        self._changed = True
        self.frame()

    def reasoning(self, delta: str) -> None:
        """Take in more thinking. It closes the answer's open block."""
        if not delta:
            return
        if self._thinking is None:
            self._finish_text()
            self._thinking = _Thinking(self._theme, self._monotonic())
        self._thinking.feed(delta)
        self._changed = True
        self.frame()

    def frame(self, *, force: bool = False) -> None:
        """Draw what has come, if there is anything new and a drawing is due."""
        began = self._monotonic()
        if not force and (not self._changed or began < self._due):
            return
        self._draw()
        self._changed = False
        self._due = began + max(_INTERVAL, 4 * (self._monotonic() - began))

    def suspend(self) -> None:
        """Leave the terminal to others, the cursor on a fresh line; the rest of the open block comes behind theirs."""
        if self._mode == "live":
            self._leave()
        elif self._line_open:
            self._write_raw("\n")

    def close(self) -> None:
        """Write everything for good, also after an interruption."""
        self._fold()
        self._finish_text()

    def _write_raw(self, text: str) -> None:
        if text:
            self._line_open = not text.endswith("\n")
            self._write(text)

    def _fold(self) -> None:
        """Put one line in the place of the reasoning."""
        if self._thinking is None:
            return
        seconds = max(1, round(self._monotonic() - self._thinking.began))
        self._thinking = None
        columns = self._columns()
        self._painter.update([Line((Span(f"∴ thought {seconds} s", self._theme.reasoning),))], [], columns)

    def _finish_text(self) -> None:
        if self._mode == "raw":
            self._write_raw(self._incoming.take("", final=True))
            self._write_raw("\n" if self._line_open else "")
            return
        columns = self._columns()
        self._painter.update(self._document.settle(room(columns), final=True), [], columns)

    def _draw(self) -> None:
        columns = self._columns()
        most = max(2, min(self._painted_at[1] - 2, _MOST_ROWS))
        if self._thinking:
            live = self._thinking.lines(room(columns), min(most, _THINKING_ROWS)) if self._mode == "live" else []
            self._painter.update([], live, columns)
        elif self._mode != "raw":
            settled = self._document.settle(room(columns))
            live = self._document.live(room(columns)) if self._mode == "live" else []
            excess = _excess(live, columns, most)
            if excess:
                self._document.mark_printed(live[:excess])
                self._document.keep_widths()
                settled += live[:excess]
            live = [_shortened(line, columns, most) for line in live[excess:]]
            self._painter.update(settled, live, columns)

    def _columns(self) -> int:
        """Return how wide the screen is now. What was painted at another size stays where it is."""
        columns, rows = self._size()
        size = columns or _USUAL_SIZE[0], rows or _USUAL_SIZE[1]
        if size != self._painted_at:
            self._leave()
            self._painted_at = size
        return size[0]

    def _leave(self) -> None:
        if self._thinking is None:
            self._document.mark_printed(self._painter.painted_lines)
        self._painter.leave()
        self._changed = True


class _Thinking:
    """Reasoning while it comes: its last lines, dim. When they are too many, the upper half is dropped."""

    def __init__(self, theme: Theme, began: float) -> None:
        self.began = began
        self._style = theme.reasoning
        self._incoming = Incoming()
        self._text = ""

    def feed(self, delta: str) -> None:
        self._text = (self._text + self._incoming.take(delta)).lstrip("\n").replace("\t", "    ")

    def lines(self, room: int, most: int) -> list[Line]:
        *complete, unfinished = self._text.split("\n")
        shown = shown_part(unfinished, code=True)
        wrapped = wrap([Span("\n".join([*complete, shown]), self._style)], room)
        lines = [Line(spans) for spans in wrapped]
        if len(lines) > most:
            lines = lines[-(most // 2) :]
            self._text = "\n".join(line.text for line in lines) + unfinished[len(shown) :]
        return lines


def _excess(live: list[Line], columns: int, most: int) -> int:
    """Return how many lines have to be printed for good so that the rest does not fill the screen."""
    heights = [rows(line, columns) for line in live]
    total, excess = sum(heights), 0
    while total > (most // 2 if excess else most) and excess < len(live) - 1:
        total -= heights[excess]
        excess += 1
    return excess


def _shortened(line: Line, columns: int, most: int) -> Line:
    """Return a line as far as it fits, if it alone is too high; the rest of it is shown when it is complete."""
    if rows(line, columns) <= most // 2:
        return line
    return line._replace(spans=wrap(line.spans, columns * (most // 2), split=True)[0])
