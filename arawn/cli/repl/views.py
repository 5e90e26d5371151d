"""What a chat shows while something runs: a spinner, then the answer while it arrives, and its usage."""

# ruff: noqa: TID253 -- only ``arawn chat`` imports this, and prompt_toolkit needs asyncio anyway

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from arawn.answers.pictures import described
from arawn.answers.sources import server_tool_line
from arawn.cli.guard import one_line
from arawn.cli.render.lines import Line, Span, width
from arawn.cli.render.painter import Painter
from arawn.cli.report import figures
from arawn.cli.report.figures import SEPARATOR
from arawn.events import Finished, ImageDone, Notice, ReasoningDelta, RefusalDelta, ServerToolDone, TextDelta
from arawn.messages import Citation, FinishReason, Image

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from arawn.cli.render.screen import Screen
    from arawn.events import Events, StreamEvent
    from arawn.messages import Usage

SPINNER_DELAY = 0.4
"""Seconds of waiting before the spinner is shown."""
_SPINNER_RATE = 10
"""Frames of the spinner per second."""
_MAX_BLOCKING = 0.03
"""Seconds of drawing events before the keyboard is read again."""
_SPINNER_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_UNUSUAL_ENDS = {
    FinishReason.LENGTH: "cut at the token limit",
    FinishReason.CONTENT_FILTER: "cut by the provider's content filter",
    FinishReason.TOOL_CALLS: "the model called a tool; chat has none",
    FinishReason.PAUSE: "the model paused",
    FinishReason.REFUSAL: "the model refused to answer",
}


class View(Protocol):
    """What is shown while something runs."""

    def tick(self) -> None:
        """Draw what has changed; called several times a second."""
        ...

    def suspend(self) -> None:
        """Let others write to the terminal; the next ``tick`` continues below."""
        ...


class Spinner:
    """A line that shows what we wait for and how long; where nothing may be redrawn, it is written once."""

    def __init__(self, screen: Screen, label: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._screen = screen
        self._label = label
        self._monotonic = monotonic
        self._began = monotonic()
        self._painter = Painter(screen.write)
        self._width = 0
        self._written = False

    def tick(self) -> None:
        """Draw the line, once the wait has lasted."""
        seconds = self._monotonic() - self._began
        if seconds < SPINNER_DELAY:
            return
        if self._screen.mode != "live":
            self._write_once()
            return
        columns = self._screen.size[0]
        if columns <= self._width:  # a resize may have wrapped it: it stays where it is
            self._painter.detach()
        frame = _SPINNER_FRAMES[int(seconds * _SPINNER_RATE) % len(_SPINNER_FRAMES)]
        text = SEPARATOR.join((f"{frame} {one_line(self._label)}", f"{seconds:.1f} s", "Esc stops"))
        text = text[: columns - 1]
        self._width = width(text)
        self._painter.update([], [Line((Span(text, self._screen.theme.reasoning),))], columns)

    def suspend(self) -> None:
        """Remove the line."""
        self._painter.update([], [], self._screen.size[0])
        self._width = 0

    def _write_once(self) -> None:
        if not self._written:
            self._screen.notify(f"waiting for {self._label}")
            self._written = True


class AnswerView:
    """Draws the events of one answer; ``label`` names the model. Close it before anything else writes."""

    def __init__(self, screen: Screen, label: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.usage: Usage | None = None
        self.has_text = False
        self._screen = screen
        self._monotonic = monotonic
        self._answer = screen.new_answer()
        self._spinner = Spinner(screen, label, monotonic)
        self._began = self._last_text = monotonic()
        self._first_text = 0.0
        self._finished: Finished | None = None
        self._citations: list[Citation] = []

    async def show(self, events: Events) -> None:
        """Draw all events. If they come faster than they can be drawn, other tasks (the keyboard) run in between."""
        resumed = self._monotonic()
        async with aclosing(events) as stream:
            async for event in stream:
                self.event(event)
                if self._monotonic() - resumed > _MAX_BLOCKING:
                    await asyncio.sleep(0)
                    resumed = self._monotonic()

    def event(self, event: StreamEvent) -> None:
        """Draw the next event."""
        match event:
            case TextDelta(text) | RefusalDelta(text) if text:
                self._mark_text()
                self._answer.text(text)
            case ReasoningDelta(text=text) if text:
                self._mark_text()
                self._answer.reasoning(text)
            case Finished():
                self._finished, self.usage = event, event.usage
            case Citation():
                self._citations.append(event)
            case _:
                self._notify_of(event)

    def _notify_of(self, event: StreamEvent) -> None:
        match event:
            case Notice(text=text):
                message = text
            case ServerToolDone():
                message = server_tool_line(event)
            case ImageDone(data, media_type, url):
                self._mark_text()
                message = (
                    f"[a picture: {described(Image(data, media_type, url))}; /save FILE writes it beside the text]"
                )
            case _:
                return
        self.suspend()
        self._screen.notify(message)

    def tick(self) -> None:
        """Draw what has changed."""
        if self.has_text:
            self._answer.frame()
        else:
            self._spinner.tick()

    def suspend(self) -> None:
        """Let others write to the terminal."""
        self._spinner.suspend()
        self._answer.suspend()

    def close(self) -> None:
        """Write everything that is left."""
        self._spinner.suspend()
        self._answer.close()
        self._screen.print_sources(self._citations)
        if self._finished is not None:
            self._notify_end(self._finished)

    def summary(self, usage: Usage, cost: Decimal | None) -> list[str]:
        """Return usage, cost (USD) and speed of the answer as the parts of a line."""
        pace = figures.pace(usage, self._first_text, self._last_text - self._began) if self.has_text else []
        return [*figures.spent(usage, cost), *pace]

    def _mark_text(self) -> None:
        self._last_text = self._monotonic()
        if not self.has_text:
            self.has_text = True
            self._first_text = self._last_text - self._began
            self._spinner.suspend()

    def _notify_end(self, end: Finished) -> None:
        if end.finish_reason in _UNUSUAL_ENDS:
            detail = f": {end.detail}" if end.detail else ""
            self._screen.notify(f"[{_UNUSUAL_ENDS[end.finish_reason]}{detail}]")
        elif end.finish_reason is FinishReason.UNKNOWN and end.raw:
            self._screen.notify(f"[the answer ended in an unusual way: {end.raw}]")
        elif not self.has_text:
            self._screen.notify("[the answer is empty]")
