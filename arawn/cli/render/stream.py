"""An answer on a terminal while it arrives: closed blocks are printed once, the open one is redrawn.

``LiveAnswer`` decides when to draw and how large the live area may be; painter.py explains the block commit, and
document.py finds the lines that are final. If the open block alone gets higher than the live area (a long list item, a
table), its upper half is printed for good although the block is still open: a forced commit.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, TypeAlias

from arawn.answers.sources import server_tool_line
from arawn.cli.render.document import Document
from arawn.cli.render.incremental import IncrementalText, visible_part
from arawn.cli.render.lines import Line, Span, rows, wrap
from arawn.cli.render.markdown import Renderer, text_width
from arawn.cli.render.painter import Painter
from arawn.cli.render.theme import PLAIN
from arawn.events import Notice, ReasoningDelta, RefusalDelta, ServerToolDone, TextDelta

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from arawn.answers.record import Record
    from arawn.cli.render.theme import Theme
    from arawn.events import StreamEvent
    from arawn.messages import Citation

Mode: TypeAlias = Literal["live", "blocks", "raw"]
"""Redrawn in place; append only (screen readers, dumb terminals, recordings); or the raw text."""

_FRAME_INTERVAL = 1 / 12
"""Seconds between two drawings, at least."""
_MAX_LIVE_ROWS = 24
"""Rows of the live area, on a screen that is higher."""
_MAX_REASONING_ROWS = 8
"""Rows in which reasoning is shown."""


def mode_for(environ: Mapping[str, str], *, tty: bool) -> Mode:
    """Return how answers are written to this terminal, or to a stream that is none."""
    if not tty:
        return "raw"
    append_only = environ.get("TERM") == "dumb" or environ.get("ACCESSIBLE", "0") not in ("", "0")
    return "blocks" if append_only else "live"


class LiveAnswer:
    """Writes one answer. ``size`` returns (columns, rows) and is called before each drawing: a resize needs no signal.

    Each delta draws if a drawing is due: at most 12 times a second, less often where drawing is slow. While waiting for
    more, call ``frame`` now and then, so that the last delta is shown too. Call ``suspend`` before anything else writes
    to the terminal.
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
        self._incoming = IncrementalText()
        self._painter = Painter(write)
        self._reasoning: _Reasoning | None = None
        self._drawn_size = (0, 0)
        self._next_frame = float("-inf")
        self._changed = False
        self._line_open = False

    def text(self, delta: str) -> None:
        """Add text of the answer; the first text collapses the reasoning before it."""
        if not delta:
            return
        self._collapse_reasoning()
        if self._mode == "raw":
            self._write_raw(self._incoming.feed(delta))
            return
        self._document.feed(delta)
        self._changed = True
        self.frame()

    def reasoning(self, delta: str) -> None:
        """Add reasoning. It closes the open block of the answer."""
        if not delta:
            return
        if self._reasoning is None:
            self._finish_text()
            self._reasoning = _Reasoning(self._theme, self._monotonic())
        self._reasoning.feed(delta)
        self._changed = True
        self.frame()

    def frame(self, *, force: bool = False) -> None:
        """Draw, if there is anything new and a drawing is due."""
        began = self._monotonic()
        if not force and (not self._changed or began < self._next_frame):
            return
        self._draw()
        self._changed = False
        self._next_frame = began + max(_FRAME_INTERVAL, 4 * (self._monotonic() - began))

    def suspend(self) -> None:
        """Let others write to the terminal, from a new line on; the rest of the open block follows below."""
        if self._mode == "live":
            self._detach()
        elif self._line_open:
            self._write_raw("\n")

    def close(self) -> None:
        """Write everything that is left, also after an interruption."""
        self._collapse_reasoning()
        self._finish_text()

    def _write_raw(self, text: str) -> None:
        if text:
            self._line_open = not text.endswith("\n")
            self._write(text)

    def _collapse_reasoning(self) -> None:
        """Replace the reasoning by one line."""
        if self._reasoning is None:
            return
        seconds = max(1, round(self._monotonic() - self._reasoning.began))
        self._reasoning = None
        columns = self._columns()
        self._painter.update([Line((Span(f"∴ thought {seconds} s", self._theme.reasoning),))], [], columns)

    def _finish_text(self) -> None:
        if self._mode == "raw":
            self._write_raw(self._incoming.feed("", final=True))
            self._write_raw("\n" if self._line_open else "")
            return
        columns = self._columns()
        self._painter.update(self._document.commit(text_width(columns), final=True), [], columns)

    def _draw(self) -> None:
        columns = self._columns()
        most = max(2, min(self._drawn_size[1] - 2, _MAX_LIVE_ROWS))
        if self._reasoning:
            height = min(most, _MAX_REASONING_ROWS)
            live = self._reasoning.lines(text_width(columns), height) if self._mode == "live" else []
            self._painter.update([], live, columns)
        elif self._mode != "raw":
            committed = self._document.commit(text_width(columns))
            live = self._document.live(text_width(columns)) if self._mode == "live" else []
            overflow = _overflow(live, columns, most)
            if overflow:
                self._document.mark_printed(live[:overflow])
                self._document.freeze_widths()
                committed += live[:overflow]
            live = [_truncate(line, columns, most) for line in live[overflow:]]
            self._painter.update(committed, live, columns)

    def _columns(self) -> int:
        """Return the columns of the screen now. Lines drawn at another size stay where they are."""
        size = self._size()
        if size != self._drawn_size:
            self._detach()
            self._drawn_size = size
        return size[0]

    def _detach(self) -> None:
        if self._reasoning is None:
            self._document.mark_printed(self._painter.live_lines)
        self._painter.detach()
        self._changed = True


class MarkdownPrinter:
    """The printer of ``ask`` on a terminal: draws the events of an answer as ``chat`` does."""

    def __init__(
        self,
        answer: LiveAnswer,
        notify: Callable[[str], None],
        show_sources: Callable[[Sequence[Citation]], None] = lambda _: None,
    ) -> None:
        self._answer = answer
        self._notify = notify
        self._show_sources = show_sources

    def event(self, event: StreamEvent) -> None:
        """Draw text and reasoning, show notices."""
        match event:
            case TextDelta(text) | RefusalDelta(text):
                self._answer.text(text)
            case ReasoningDelta(text=text):
                self._answer.reasoning(text)
            case Notice(text=text):
                self._answer.suspend()
                self._notify(text)
            case ServerToolDone():
                self._answer.suspend()
                self._notify(server_tool_line(event))
            case _:
                pass

    def end(self, record: Record) -> None:
        """Write everything that is left, and below it the sources."""
        self._answer.close()
        self._show_sources(record.response.citations)


class _Reasoning:
    """Reasoning while it arrives: its last lines, dim. If there are too many, the upper half is dropped."""

    def __init__(self, theme: Theme, began: float) -> None:
        self.began = began
        self._style = theme.reasoning
        self._incoming = IncrementalText()
        self._text = ""

    def feed(self, delta: str) -> None:
        self._text = (self._text + self._incoming.feed(delta)).lstrip("\n").replace("\t", "    ")

    def lines(self, room: int, most: int) -> list[Line]:
        *complete, unfinished = self._text.split("\n")
        shown = visible_part(unfinished, code=True)
        wrapped = wrap([Span("\n".join([*complete, shown]), self._style)], room)
        lines = [Line(spans) for spans in wrapped]
        if len(lines) > most:
            lines = lines[-(most // 2) :]
            self._text = "\n".join(line.text for line in lines) + unfinished[len(shown) :]
        return lines


def _overflow(live: list[Line], columns: int, most: int) -> int:
    """Return how many lines a forced commit must print so that the rest fits into the live area."""
    heights = [rows(line, columns) for line in live]
    total, overflow = sum(heights), 0
    while total > (most // 2 if overflow else most) and overflow < len(live) - 1:
        total -= heights[overflow]
        overflow += 1
    return overflow


def _truncate(line: Line, columns: int, most: int) -> Line:
    """Return the part of a line that fits, if it alone is too high; the rest is shown when the line is complete."""
    if rows(line, columns) <= most // 2:
        return line
    return line._replace(spans=wrap(line.spans, columns * (most // 2), split=True)[0])
