"""The terminal as a place to write to: messages of arawn, and what draws answers.

The Markdown renderer is imported with the first answer, so that the first prompt need not wait for it.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from arawn.cli.guard import one_line, printable
from arawn.cli.output import Styled, write_all
from arawn.cli.render.lines import Span, wrap
from arawn.cli.render.theme import PLAIN, THEMES
from arawn.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from arawn.cli.output import Output
    from arawn.cli.render.stream import LiveAnswer, MarkdownPrinter, Mode
    from arawn.cli.render.theme import Theme
    from arawn.messages import Citation

PROMPT_MARK = "❯ "
"""Written before a question."""
DEFAULT_SIZE = (80, 24)
"""Columns and rows of a terminal that does not report them."""
_MIN_WRAP_WIDTH = 20
"""Columns into which messages are wrapped on any screen."""


def terminal_size() -> tuple[int, int]:
    """Return the columns and rows of the terminal on stdout, now."""
    try:
        columns, rows = os.get_terminal_size(1)
    except OSError:
        return DEFAULT_SIZE
    return columns or DEFAULT_SIZE[0], rows or DEFAULT_SIZE[1]  # a terminal that does not know says 0


class Screen:
    """The terminal on stdout. ``theme`` is the name of the theme for answers."""

    def __init__(self, output: Output, environ: Mapping[str, str], theme: str) -> None:
        self.theme_name = theme
        self._output = output
        self._environ = environ

    @cached_property
    def mode(self) -> Mode:
        """Whether answers may be redrawn."""
        from arawn.cli.render.stream import mode_for

        return mode_for(self._environ, tty=True)

    @property
    def theme(self) -> Theme:
        """The styles of answers."""
        return THEMES[self.theme_name] if self._output.colour else PLAIN

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows, now."""
        return terminal_size()

    def set_theme(self, name: str) -> None:
        """Use another theme. Raises UsageError if there is none of that name."""
        if name not in THEMES:
            raise UsageError(f"no theme {name!r}", hints=["there are: " + ", ".join(THEMES)])
        self.theme_name = name

    def write(self, text: str) -> None:
        """Write text that is already escaped."""
        write_all(1, text.encode("utf-8", "replace"))

    def notify(self, text: str) -> None:
        """Write a message, dim and wrapped between words."""
        for line in self._wrap(text, 0):
            self._output.line(Styled(line, "dim"))

    def print_rows(self, rows: Iterable[tuple[str, str]]) -> None:
        """Write names and their descriptions in two columns."""
        listed = list(rows)
        indent = max(len(name) for name, _ in listed) + 2
        for name, text in listed:
            first, *more = self._wrap(text, indent)
            self._output.line(f"{name:<{indent}}{first}".rstrip())
            for line in more:
                self._output.line(f"{'':<{indent}}{line}")

    def blank(self) -> None:
        """Write an empty line."""
        self.write("\n")

    def clear(self) -> None:
        """Clear the screen; where nothing may be redrawn, write an empty line."""
        self.write("\x1b[2J\x1b[H" if self.mode == "live" else "\n")

    def new_answer(self) -> LiveAnswer:
        """Return what draws one answer."""
        from arawn.cli.render.stream import LiveAnswer

        return LiveAnswer(
            self.write, size=lambda: self.size, mode=self.mode, theme=self.theme, colour=self._output.colour
        )

    def printer(self) -> MarkdownPrinter:
        """Return a printer for the events of one answer; notices go to stderr."""
        from arawn.cli.render.stream import MarkdownPrinter

        return MarkdownPrinter(self.new_answer(), self._output.note, self.print_sources)

    def print_sources(self, citations: Iterable[Citation]) -> None:
        """Write the numbered sources of an answer."""
        self._output.sources(citations)

    def print_question(self, question: str) -> None:
        """Write a question behind the mark of the prompt."""
        for line in printable(question).expandtabs().splitlines():
            self.notify(f"{PROMPT_MARK}{line}")

    def print_turn(self, question: str, answer: str) -> None:
        """Write a turn that is over, as it looked."""
        from arawn.cli.render.markdown import render

        self.print_question(question)
        self.write(render(answer, self.size[0], self.theme, colour=self._output.colour))

    def _wrap(self, text: str, indent: int) -> list[str]:
        room = max(self.size[0] - 1 - indent, _MIN_WRAP_WIDTH)
        return ["".join(span.text for span in line) for line in wrap([Span(one_line(text))], room)] or [""]
