"""Where arawn writes: the answer to stdout, everything else to stderr, each guarded where it is a terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from arawn.cli.guard import escaped, one_line, printable
from arawn.errors import NotSavedError, UsageError
from arawn.files import is_special, is_terminal, names_stdout, require_place, write_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from arawn.errors import ArawnError
    from arawn.messages import Citation

_STYLES = {"error": "1;31", "warning": "33", "dim": "2", "good": "32", "bold": "1"}


def wants_colour(environ: Mapping[str, str], *, tty: bool) -> bool:
    """Whether to colour a stream: NO_COLOR and TERM=dumb switch it off, FORCE_COLOR on, else terminals get it."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return tty and environ.get("TERM") != "dumb"


class Styled(NamedTuple):
    """A piece of a line with a style: error, warning, dim, good or bold."""

    text: str
    style: str


class Output:
    """The two streams. What goes to stdout may be held back for a file that is written whole or not at all."""

    def __init__(self, environ: Mapping[str, str], *, quiet: bool = False, debug: bool = False) -> None:
        self.quiet = quiet
        self.debug = debug
        self.stdout_tty = os.isatty(1)
        self.stderr_tty = os.isatty(2)
        self._guarded = self.stdout_tty
        self._held: bytearray | None = None
        self._path = ""
        self._colour_err = wants_colour(environ, tty=self.stderr_tty)
        self.colour = wants_colour(environ, tty=self.stdout_tty)
        self._at_line_start = True

    @property
    def paints(self) -> bool:
        """Whether what is written now stands on a terminal."""
        return self.stdout_tty and self._held is None

    def guard_answers(self, *, on: bool) -> None:
        """Force the guard for answers on or off; without this it stands before terminals only."""
        self._guarded = on

    def hold_for(self, path: str) -> None:
        """Keep everything for a file instead of writing it to stdout, unless the name means stdout.

        Raises UsageError when the file could not be there.
        """
        if names_stdout(path):
            return
        require_place(path)
        self._held, self._path, self._guarded = bytearray(), path, is_terminal(path)

    def release(self, *, complete: bool) -> str:
        """Write what was held: to its file when complete, beside it when not. Return what to say about it.

        A pipe or a device gets what there is in any case: there is no place beside it. Raises NotSavedError when that
        fails; what was held is then on stdout.
        """
        if self._held is None or not (complete or self._held):
            return ""
        held, self._held = bytes(self._held), None
        path = self._path if complete or is_special(self._path) else f"{self._path}.partial"
        try:
            write_output(path, held)
        except (UsageError, NotSavedError) as error:
            self._put(printable(held.decode()).encode() if self.stdout_tty else held)
            raise NotSavedError(error.message, hints=["the answer is on standard output instead"]) from error
        return "" if complete else f"what had arrived is in {path}"

    def answer(self, text: str) -> None:
        """Write a piece of an answer at once: guarded on a terminal, byte for byte into anything else."""
        if text:
            self._at_line_start = text.endswith("\n")
            self._put((printable(text) if self._guarded else text).encode("utf-8", "replace"))

    def end_answer(self) -> None:
        """End the answer with exactly one line end, where it did not bring its own."""
        if not self._at_line_start:
            self._put(b"\n")
            self._at_line_start = True

    def line(self, *pieces: str | Styled) -> None:
        """Write a line of a report to stdout; every piece is guarded, styles show where stdout has colour."""
        text = "".join(_painted(piece, colour=self.colour) for piece in pieces)
        self._put((text + "\n").encode("utf-8", "replace"))

    def sources(self, citations: Iterable[Citation]) -> None:
        """Write the numbered sources of an answer below it, where it stands on a terminal."""
        if self.paints:
            from arawn.answers.sources import source_lines

            for line in source_lines(citations):
                self.line(Styled(line, "dim"))

    def data(self, text: str) -> None:
        """Write machine-readable text and a line end to stdout; before a terminal, as JSON would escape it."""
        self._put((escaped(text) if self._guarded else text).encode("utf-8", "replace") + b"\n")

    def note(self, text: str) -> None:
        """Tell the user something on stderr; --quiet hides it."""
        if not self.quiet:
            self._complain(Styled(text, "dim"))

    def warning(self, text: str) -> None:
        """Warn on stderr, also under --quiet: it changes what the answer means."""
        self._complain(Styled("Warning:", "warning"), f" {text}")

    def error(self, error: ArawnError) -> None:
        """Show a failure: one line that names it, then its hints; with --debug, where it happened."""
        self._complain(Styled("Error:", "error"), f" {error.message}", hints=error.hints)
        if self.debug:
            write_all(2, _traceback(error).encode("utf-8", "replace"))

    def _complain(self, *pieces: str | Styled, hints: Iterable[str] = ()) -> None:
        if not self._at_line_start and self.stdout_tty:
            self.end_answer()
        line = "".join(_painted(piece, colour=self._colour_err) for piece in pieces)
        lines = [line, *(f"  {one_line(hint)}" for hint in hints)]
        write_all(2, ("\n".join(lines) + "\n").encode("utf-8", "replace"))

    def _put(self, data: bytes) -> None:
        if self._held is None:
            write_all(1, data)
        else:
            self._held += data


def _painted(piece: str | Styled, *, colour: bool) -> str:
    if isinstance(piece, str):
        return one_line(piece)
    return f"\x1b[{_STYLES[piece.style]}m{one_line(piece.text)}\x1b[0m" if colour else one_line(piece.text)


def open_standard_streams() -> None:
    """Put the null device where a standard stream was closed, so that no socket or file gets its number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)


def write_all(descriptor: int, data: bytes, path: str = "") -> None:
    """Write all bytes to stdout (1), stderr (2) or what was opened at ``path``, unbuffered.

    Raises BrokenPipeError when the reader has gone, NotSavedError when it takes no more; stderr may fail.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # another process that shares the pipe made it non-blocking
            _wait_for(descriptor)
        except BrokenPipeError:
            raise
        except OSError as error:
            if path or descriptor == 1:
                place = path or "to standard output"
                raise NotSavedError(f"cannot write {place}: {error.strerror}") from error
            return


def _wait_for(descriptor: int) -> None:
    from select import select

    select([], [descriptor], [])


def _traceback(error: BaseException) -> str:
    """Return where an error came from, with everything that looks like a key masked and nothing a terminal obeys."""
    import traceback

    from arawn.secrets.references import mask

    return printable(mask("".join(traceback.format_exception(error))))
