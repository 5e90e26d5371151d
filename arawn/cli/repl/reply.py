"""One answer on the screen: the wait for it, its text while it comes, and what it took."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from arawn.cli.guard import one_line
from arawn.cli.render.lines import Line, Span, width
from arawn.cli.render.painter import Painter
from arawn.cli.report import figures
from arawn.cli.report.figures import SEPARATOR
from arawn.events import Finished, Notice, ReasoningDelta, RefusalDelta, TextDelta
from arawn.messages import FinishReason

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from arawn.cli.render.screen import Screen
    from arawn.events import StreamEvent
    from arawn.messages import Usage

PATIENCE = 0.4
"""Seconds until waiting is worth a line."""
_TURNING = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ENDS = {
    FinishReason.LENGTH: "cut at the limit of tokens",
    FinishReason.CONTENT_FILTER: "the provider's filter ended this answer",
    FinishReason.TOOL_CALLS: "the model asked for a tool; there are none here",
    FinishReason.PAUSE: "the model paused",
}


class Waiting:
    """A line that says for what and how long we have been waiting; where nothing is redrawn, it is written once."""

    def __init__(self, screen: Screen, what: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._screen = screen
        self._what = what
        self._monotonic = monotonic
        self._began = monotonic()
        self._painter = Painter(screen.write)
        self._width = 0
        self._told = False

    def tick(self) -> None:
        """Show it, once it has lasted; call it several times a second."""
        seconds = self._monotonic() - self._began
        if seconds < PATIENCE:
            return
        if self._screen.mode != "live":
            self._tell_once()
            return
        columns = self._screen.size[0]
        if columns <= self._width:  # a resize may have wrapped it: it stays where it is
            self._painter.leave()
        turning = _TURNING[int(seconds * 10) % len(_TURNING)]
        text = SEPARATOR.join((f"{turning} {one_line(self._what)}", f"{seconds:.1f} s", "Esc stops"))
        text = text[: columns - 1]
        self._width = width(text)
        self._painter.update([], [Line((Span(text, self._screen.theme.reasoning),))], columns)

    def leave(self) -> None:
        """Take the line away."""
        self._painter.update([], [], self._screen.size[0])
        self._width = 0

    def _tell_once(self) -> None:
        if not self._told:
            self._screen.note(f"waiting for {self._what}")
            self._told = True


class Reply:
    """Draws the events of one answer; ``what`` is the name of what answers. Close it before anything else writes."""

    def __init__(self, screen: Screen, what: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.usage: Usage | None = None
        self.came = False
        self._screen = screen
        self._monotonic = monotonic
        self._live = screen.answer()
        self._waiting = Waiting(screen, what, monotonic)
        self._began = self._last = monotonic()
        self._first = 0.0
        self._end: Finished | None = None

    def event(self, event: StreamEvent) -> None:
        """Take in the next event."""
        match event:
            case TextDelta(text) | RefusalDelta(text) if text:
                self._come()
                self._live.text(text)
            case ReasoningDelta(text=text) if text:
                self._come()
                self._live.reasoning(text)
            case Notice(text=text):
                self.leave()
                self._screen.note(text)
            case Finished():
                self._end, self.usage = event, event.usage
            case _:
                pass

    def tick(self) -> None:
        """Draw what has changed; call it several times a second."""
        if self.came:
            self._live.frame()
        else:
            self._waiting.tick()

    def leave(self) -> None:
        """Leave the terminal to others, for a while."""
        self._waiting.leave()
        self._live.suspend()

    def close(self) -> None:
        """Write the rest for good."""
        self._waiting.leave()
        self._live.close()
        if self._end is not None:
            self._tell_end(self._end)

    def summary(self, usage: Usage, cost: Decimal | None) -> list[str]:
        """Return what it took and how fast it was, as the parts of a line."""
        pace = figures.pace(usage, self._first, self._last - self._began) if self.came else []
        return [*figures.spent(usage, cost), *pace]

    def _come(self) -> None:
        self._last = self._monotonic()
        if not self.came:
            self.came = True
            self._first = self._last - self._began
            self._waiting.leave()

    def _tell_end(self, end: Finished) -> None:
        if end.finish_reason in _ENDS:
            self._screen.note(f"[{_ENDS[end.finish_reason]}]")
        elif not self.came:
            self._screen.note("[the answer is empty]")
