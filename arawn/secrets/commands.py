"""Keys that a command prints: ``$cmd:pass show anthropic``.

The command is split into words as a shell would, and run without one: nothing in it is expanded, but for ``~`` in front
of the program. It runs in the home folder, so that the working folder cannot bring a program of its own, with standard
input closed and without a terminal, so that it cannot wait for an answer. The first line it prints is the key.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from contextlib import suppress
from functools import cache
from threading import Event, Lock, Thread
from typing import IO

from arawn.errors import SecretError

TIMEOUT = 10.0
"""Seconds a command may take."""
_LINE_LIMIT = 64 * 1024
"""Bytes of the longest line that is read."""
_SHOWN = 200
"""Characters of the command's error output that are shown."""
_CHUNK = 1 << 16
_QUOTES = ("its words are split, and quoted, as in a shell",)
_COMPLAINT_WAIT = 1.0
"""Seconds to wait for what a failed command wrote about it."""
_one_at_a_time = Lock()


def words_of(command: str) -> list[str]:
    """Split a command. Raises SecretError, without the command, for one that a shell could not split or find."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SecretError(f"$cmd: cannot be split into words: {str(error).lower()}", hints=_QUOTES) from None
    if not words or not words[0]:
        raise SecretError("$cmd: needs a command after the colon", hints=_QUOTES)
    words[0] = os.path.expanduser(words[0])
    if os.path.dirname(words[0]) and not os.path.isabs(words[0]):
        raise SecretError(
            f"$cmd: {words[0]} depends on the working folder",
            hints=("name a program in PATH, or one by a path that begins with / or ~/",),
        )
    return words


def first_line(command: str) -> str:
    """Return the first line that a command prints; it is run once for this process.

    Raises SecretError where it cannot be run, fails, prints nothing or does not end in time.
    """
    with _one_at_a_time:
        return _first_line(command)


@cache
def _first_line(command: str) -> str:
    words = words_of(command)
    name = os.path.basename(words[0])
    try:
        process = subprocess.Popen(  # noqa: S603 -- the user's own command, from the user's own file
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=home if os.path.isdir(home := os.path.expanduser("~")) else os.sep,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "is it installed, and in PATH?"
        raise SecretError(f"$cmd: cannot run {words[0]}: {reason}", hints=(hint,)) from None
    try:
        return _key_from(process, name)
    except BaseException as error:
        has_expired = isinstance(error, subprocess.TimeoutExpired)
        if has_expired or process.poll() is None:
            _kill(process)
        if not has_expired:
            raise
    raise SecretError(
        f"$cmd: {name} did not print a key within {TIMEOUT:g} s, and was stopped",
        hints=("it cannot ask for anything: unlock what it needs first, then try again",),
    )


def _key_from(process: subprocess.Popen[bytes], name: str) -> str:
    """Return the key that a command prints. Raises TimeoutExpired, and SecretError where it fails or prints none."""
    deadline = time.monotonic() + TIMEOUT
    output, complaints = _FirstLine(process.stdout), _FirstLine(process.stderr)
    code = process.wait(TIMEOUT)
    line = "" if code else output.text(deadline - time.monotonic())
    if line is None:  # what it started in the background holds its output open
        raise subprocess.TimeoutExpired(process.args, TIMEOUT)
    if line:
        return line
    what = f"failed with exit code {code}" if code else "printed nothing"
    complaint = "".join(c for c in complaints.text(_COMPLAINT_WAIT) or "" if c.isprintable())[:_SHOWN]
    raise SecretError(
        f"$cmd: {name} {what}{complaint and f': {complaint}'}",
        hints=("run it in a terminal to see what it does there",),
    )


class _FirstLine:
    """The first line of a stream. The rest is read and dropped: a full pipe holds up who writes."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        assert stream is not None
        self._stream = stream
        self._line = b""
        self._is_read = Event()
        Thread(target=self._read, name="arawn-cmd", daemon=True).start()

    def text(self, seconds: float) -> str | None:
        """Return the line, waiting so long for its end; None where it has not ended by then."""
        return self._line.decode("utf-8", "replace").strip() if self._is_read.wait(max(0.0, seconds)) else None

    def _read(self) -> None:
        with self._stream:
            self._line = self._stream.readline(_LINE_LIMIT)
            self._is_read.set()
            while self._stream.read(_CHUNK):
                pass


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a command and everything it started."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
