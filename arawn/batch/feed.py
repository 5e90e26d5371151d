"""The lines of a file, or of a pipe that is still being written, one by one and without holding up an event loop.

A line ends at a line feed and nowhere else: JSON text may hold every other character that some call a line's end.
"""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Self

from arawn.errors import UsageError
from arawn.files import open_pipe

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

LONGEST = 32 << 20
"""Bytes of a line; of a longer one nothing is kept but its digest."""
_CHUNK = 256 << 10
_BINARY = getattr(os, "O_BINARY", 0)  # only Windows has it
_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line without its end: its number, its bytes, and a short hash of them; ``is_whole`` unless it is too long."""

    number: int
    data: bytes
    digest: str
    is_whole: bool = True

    def text(self) -> str:
        """Return it as text. Raises UsageError for what is no text, or too long."""
        if not self.is_whole:
            raise UsageError(f"the line is longer than {LONGEST >> 20} MiB")
        try:
            return self.data.decode()
        except UnicodeDecodeError:
            raise UsageError("the line is not UTF-8 text", hints=["convert it to UTF-8 first"]) from None


class Feed:
    """Where lines come from: a path, or "-" for standard input. Raises UsageError when it cannot be read."""

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == "-" else path
        self.is_empty = True
        self._owned = path != "-"
        try:
            self._descriptor = _opened(path) if self._owned else 0
            self._mode = os.fstat(self._descriptor).st_mode
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error
        if stat.S_ISDIR(self._mode):
            self.close()
            raise UsageError(f"cannot read {path}: it is a folder")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; standard input stays open."""
        if self._owned:
            os.close(self._descriptor)

    def is_same_as(self, path: str) -> bool:
        """Whether another path names the same file."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(path))
        except (OSError, ValueError):
            return False

    def count(self) -> int | None:
        """Return how many lines there are, blank ones included; None where that is not known before the end."""
        if not stat.S_ISREG(self._mode) or not hasattr(os, "pread"):
            return None
        at, lines, last = os.lseek(self._descriptor, 0, os.SEEK_CUR), 0, b"\n"
        while chunk := os.pread(self._descriptor, 4 * _CHUNK, at):
            lines += chunk.count(b"\n")
            at, last = at + len(chunk), chunk[-1:]
        return lines + (last != b"\n")

    async def lines(self) -> AsyncGenerator[Line, None]:
        """Yield the lines that are not blank; ``is_empty`` says at the end whether there was none."""
        growing = _Growing()
        while chunk := await self._read():
            for line in growing.grown(chunk):
                self.is_empty = False
                yield line
        for line in growing.ended():
            self.is_empty = False
            yield line

    async def _read(self) -> bytes:
        try:
            if stat.S_ISREG(self._mode):
                return os.read(self._descriptor, _CHUNK)
            return await _in_thread(self._descriptor)
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError | ValueError) -> UsageError:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        return UsageError(f"cannot read {self.name}: {reason}")


class _Growing:
    """The line that is being read: its parts until its end has come."""

    def __init__(self) -> None:
        self._number = 1
        self._begin()

    def _begin(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._digest = sha256()

    def grown(self, chunk: bytes) -> Iterator[Line]:
        """Take in bytes, and yield the lines that are complete now."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._add(end)
            yield from self.ended()
        self._add(rest)

    def ended(self) -> Iterator[Line]:
        """Yield the line, where it is not blank, and begin the next."""
        data = b"".join(self._parts).removesuffix(b"\r")
        if self._number == 1:
            data = data.removeprefix(_BOM)
        is_whole = self._size <= LONGEST
        if data.strip() or not is_whole:
            yield Line(self._number, data, self._digest.hexdigest()[:16], is_whole)
        self._number += 1
        self._begin()

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        self._digest.update(part)
        if self._size <= LONGEST:
            self._parts.append(part)
        else:
            self._parts.clear()


def _opened(path: str) -> int:
    return open_pipe(path) if stat.S_ISFIFO(os.stat(path).st_mode) else os.open(path, os.O_RDONLY | _BINARY)


async def _in_thread(descriptor: int) -> bytes:
    """Read what there is, waiting in a thread that is never joined: a terminal may never say more."""
    from asyncio import get_running_loop
    from contextlib import suppress
    from threading import Thread

    loop = get_running_loop()
    arrived = loop.create_future()

    def deliver(data: bytes, error: OSError | None) -> None:
        if arrived.done():
            return
        if error is None:
            arrived.set_result(data)
        else:
            arrived.set_exception(error)

    def read() -> None:
        data, failure = b"", None
        try:
            data = os.read(descriptor, _CHUNK)
        except OSError as error:
            failure = error
        with suppress(RuntimeError):  # the loop has gone
            loop.call_soon_threadsafe(deliver, data, failure)

    Thread(target=read, daemon=True).start()
    data: bytes = await arrived
    return data
