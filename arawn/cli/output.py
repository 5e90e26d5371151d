"""Where arawn writes: the answer to stdout, everything else to stderr, each guarded where it is a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from arawn.cli.guard import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from arawn.errors import ArawnError

_STYLES = {"error": "1;31", "warning": "33", "dim": "2", "good": "32", "bold": "1"}


def wants_colour(environ: Mapping[str, str], *, tty: bool) -> bool:
    """Whether to colour a stream: NO_COLOR and TERM=dumb switch it off, FORCE_COLOR on, else terminals get it."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return tty and environ.get("TERM") != "dumb"


class Output:
    """The two streams. ``guard`` is None for "where it is a terminal", or forces the guard on or off for stdout."""

    def __init__(self, environ: Mapping[str, str], *, quiet: bool = False, guard: bool | None = None) -> None:
        self.quiet = quiet
        self.stdout_tty = sys.stdout.isatty()
        self.stderr_tty = sys.stderr.isatty()
        self.environ = environ
        self._guarded = self.stdout_tty if guard is None else guard
        self._colour_err = wants_colour(environ, tty=self.stderr_tty)
        self.colour = wants_colour(environ, tty=self.stdout_tty)
        self._high_surrogate = ""
        self._at_line_start = True

    def answer(self, text: str) -> None:
        """Write a piece of an answer at once: guarded on a terminal, byte for byte into anything else."""
        if self._high_surrogate or (text and "\ud800" <= text[-1] <= "\udbff"):
            text = self._whole_characters(text)
        if text:
            self._at_line_start = text.endswith("\n")
            write_all(1, (printable(text) if self._guarded else text).encode("utf-8", "replace"))

    def end_answer(self) -> None:
        """End the answer with exactly one line end, where it did not bring its own."""
        if self._high_surrogate:
            self._high_surrogate = ""
            self.answer("\ufffd")
        if not self._at_line_start:
            write_all(1, b"\n")
            self._at_line_start = True

    def line(self, text: str = "") -> None:
        """Write a line of a report to stdout."""
        write_all(1, (printable(text) + "\n").encode("utf-8", "replace"))

    def data(self, text: str) -> None:
        """Write machine-readable text (JSON, a file's content) and a line end to stdout, unchanged."""
        write_all(1, text.encode("utf-8", "replace") + b"\n")

    def note(self, text: str) -> None:
        """Tell the user something on stderr; --quiet hides it."""
        if not self.quiet:
            self._complain(self._styled(one_line(text), "dim"))

    def warning(self, text: str) -> None:
        """Warn on stderr, also under --quiet: it changes what the answer means."""
        self._complain(f"{self._styled('Warning:', 'warning')} {one_line(text)}")

    def error(self, error: ArawnError) -> None:
        """Show a failure: one line that names it, then its hints."""
        self._complain(f"{self._styled('Error:', 'error')} {one_line(error.message)}", error.hints)

    def styled(self, text: str, style: str) -> str:
        """Return text for stdout in a style, where stdout has colour."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.colour else text

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._colour_err else text

    def _complain(self, line: str, hints: Iterable[str] = ()) -> None:
        if not self._at_line_start and self.stdout_tty:
            self.end_answer()
        lines = [line, *(f"  {one_line(hint)}" for hint in hints)]
        write_all(2, ("\n".join(lines) + "\n").encode("utf-8", "replace"))

    def _whole_characters(self, text: str) -> str:
        text, self._high_surrogate = self._high_surrogate + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._high_surrogate = text[:-1], text[-1]
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes to a descriptor, unbuffered. Raises BrokenPipeError when the reader has gone."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
