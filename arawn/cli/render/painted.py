"""The answer of ``ask`` at a terminal: laid out while it comes, by what ``chat`` uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli.render.screen import Screen
from arawn.events import Notice, ReasoningDelta, RefusalDelta, TextDelta

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arawn.answers.record import Record
    from arawn.cli.output import Output
    from arawn.events import StreamEvent


class PaintedPrinter:
    """Writes Markdown as it comes, with the reasoning before it folded to a line."""

    def __init__(self, output: Output, environ: Mapping[str, str], theme: str) -> None:
        self._output = output
        self._live = Screen(output, environ, theme).answer()

    def event(self, event: StreamEvent) -> None:
        """Draw text and reasoning, tell notices."""
        match event:
            case TextDelta(text) | RefusalDelta(text):
                self._live.text(text)
            case ReasoningDelta(text=text):
                self._live.reasoning(text)
            case Notice(text=text):
                self._live.suspend()
                self._output.note(text)
            case _:
                pass

    def end(self, record: Record) -> None:
        """Write the rest for good."""
        self._live.close()
