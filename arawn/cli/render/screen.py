"""Where a conversation is shown: our own lines, and what draws answers.

What lays out Markdown is imported with the first answer: the first prompt need not wait for it.
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
    from arawn.cli.render.stream import LiveAnswer, Mode
    from arawn.cli.render.theme import Theme

MARK = "❯ "
"""What a question stands behind."""
_NARROWEST = 20
_SIZE_OF_NOTHING = os.terminal_size((80, 24))


class Screen:
    """The terminal as a place to write to. ``theme`` is the name of what colours answers."""

    def __init__(self, output: Output, environ: Mapping[str, str], theme: str) -> None:
        self.theme_name = theme
        self._output = output
        self._environ = environ

    @cached_property
    def mode(self) -> Mode:
        """Whether what was written may be drawn again."""
        from arawn.cli.render.stream import mode_for

        return mode_for(self._environ, tty=True)

    @property
    def theme(self) -> Theme:
        """The styles of answers."""
        return THEMES[self.theme_name] if self._output.colour else PLAIN

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows, now."""
        try:
            size = os.get_terminal_size(1)
        except OSError:
            size = _SIZE_OF_NOTHING
        return size.columns or 80, size.lines or 24  # a terminal that does not know says 0

    def change_theme(self, name: str) -> None:
        """Take another theme. Raises UsageError for one that does not exist."""
        if name not in THEMES:
            raise UsageError(f"no theme {name!r}", hints=["there are: " + ", ".join(THEMES)])
        self.theme_name = name

    def write(self, text: str) -> None:
        """Write what has passed the guard."""
        write_all(1, text.encode("utf-8", "replace"))

    def note(self, text: str) -> None:
        """Write a remark of our own, broken between words."""
        for line in self._wrapped(text, 0):
            self._output.line(Styled(line, "dim"))

    def rows(self, rows: Iterable[tuple[str, str]]) -> None:
        """Write names and what is to be said of them, side by side."""
        listed = list(rows)
        indent = max(len(name) for name, _ in listed) + 2
        for name, about in listed:
            first, *more = self._wrapped(about, indent)
            self._output.line(f"{name:<{indent}}{first}".rstrip())
            for line in more:
                self._output.line(f"{'':<{indent}}{line}")

    def blank(self) -> None:
        """Write an empty line."""
        self.write("\n")

    def clear(self) -> None:
        """Begin on an empty screen; where that cannot be, on a new line."""
        self.write("\x1b[2J\x1b[H" if self.mode == "live" else "\n")

    def answer(self) -> LiveAnswer:
        """Return what draws one answer."""
        from arawn.cli.render.stream import LiveAnswer

        return LiveAnswer(
            self.write, size=lambda: self.size, mode=self.mode, theme=self.theme, colour=self._output.colour
        )

    def show_earlier(self, question: str, answer: str) -> None:
        """Show a turn that is over, as it looked."""
        from arawn.cli.render.markdown import render

        for line in printable(question).expandtabs().splitlines():
            self.note(f"{MARK}{line}")
        self.write(render(answer, self.size[0], self.theme, colour=self._output.colour))

    def _wrapped(self, text: str, indent: int) -> list[str]:
        room = max(self.size[0] - 1 - indent, _NARROWEST)
        return ["".join(span.text for span in line) for line in wrap([Span(one_line(text))], room)] or [""]
