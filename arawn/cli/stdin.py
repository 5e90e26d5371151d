"""Standard input, read once; and the user's message made of it, of words and of files."""

from __future__ import annotations

import os
import stat
from typing import IO, TYPE_CHECKING

from arawn.attachments.files import MAX_INPUT, as_part, attachment, compose, decode
from arawn.errors import UsageError
from arawn.messages import Message, Role
from arawn.texts import without_line_end

if TYPE_CHECKING:
    from collections.abc import Sequence


_NAME = "standard input"
_FILES = frozenset({"-", "/dev/stdin"})
"""What a file is called that means standard input."""


class StandardInput:
    """What is piped in. It is read when it is a pipe or a file, or when ``-`` asks for it; ``ignored`` by ``-n``."""

    def __init__(self) -> None:
        self.ignored = False
        self._stream: IO[bytes] | None = None

    def pipe_holds_something(self) -> bool:
        """Wait until a pipe holds a byte, which stays there, or ends. What is no pipe holds nothing."""
        try:
            if not stat.S_ISFIFO(os.fstat(0).st_mode):
                return False
        except OSError:
            return False
        return bool(self._opened().peek(1))  # type: ignore[attr-defined]  # it is buffered

    def text(self, *, expected: bool = False) -> str:
        """Return it without its last line end; nothing where it is a terminal and not ``expected``."""
        if self.ignored and not expected:
            return ""
        try:
            is_device = stat.S_ISCHR(os.fstat(0).st_mode)
        except OSError:
            return ""
        if is_device and not expected:
            return ""
        return without_line_end(decode(self.data(), _NAME))

    def data(self) -> bytes:
        """Return all of it, also what is typed at a terminal. Raises UsageError where it is too large."""
        data = self._opened().read(MAX_INPUT + 1)
        if len(data) > MAX_INPUT:
            raise UsageError(f"{_NAME} is larger than {MAX_INPUT >> 20} MiB")
        return data

    def _opened(self) -> IO[bytes]:
        if self._stream is None:
            self._stream = open(0, "rb", closefd=False)  # noqa: SIM115 -- it stays open as long as the process
        return self._stream


def read_prompt(words: Sequence[str], files: Sequence[str], stdin: StandardInput) -> Message:
    """Return the user's message: the words, a blank line, standard input; then the files in order.

    ``-`` as the only word means standard input alone, and as a file standard input in place of a file. Raises
    UsageError when there is nothing to ask.
    """
    typed = "" if list(words) == ["-"] else " ".join(words)
    attached = [as_part(stdin.data(), _NAME) if path in _FILES else attachment(path) for path in files]
    piped = "" if _FILES & {*files} else stdin.text(expected=list(words) == ["-"])
    text = "\n\n".join(part for part in (typed, piped) if part.strip())
    parts = compose(attached, text)
    if not parts:
        raise UsageError("nothing to ask", hints=['arawn ask "your question"', "or pipe text into: arawn ask -"])
    return Message(Role.USER, parts)
