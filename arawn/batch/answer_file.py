"""Where a batch writes: a file with a record for every line of its input, or a stream.

The file keeps a record as soon as it is there, and has them in order at the end.

A record is a line of JSON: ``line`` is the number of the question's line, ``input`` and ``settings`` are short hashes
of that line and of how it was asked, the rest is what ``ask --json`` prints. Whatever ends the run, what was written
counts: a record that was cut off is removed by the next run, and of several for one line the last is meant.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from arawn.errors import NotSavedError, UsageError

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator

SYNCED_EVERY = 10.0
"""Seconds of answers that a power failure may cost."""
_BEGINNING = b'{"line": '
_BLOCK = 4096
_FAR = 1 << 40
_FLAGS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_BINARY"))
_JSON = json.JSONEncoder(ensure_ascii=False)


class Key(NamedTuple):
    """What a record answers: short hashes of the input line, and of the settings it was asked with."""

    input: str
    settings: str


class AnswerStream:
    """Standard output, a pipe or a device: it gets the records as they come and has none of an earlier run.

    ``write`` takes a record with its line end.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def has(self, line: int, key: Key) -> bool:
        """Whether the answer to a line is there: never."""
        return False

    def append(self, line: int, key: Key, fields: dict[str, Any]) -> None:
        """Write a record. Raises what ``write`` raises."""
        self._write(_record(line, key, fields))

    def finish(self) -> None:
        """Do nothing: the records are where they belong."""


class AnswerFile:
    """One file, locked while it is open.

    Raises UsageError for a file that cannot be written, is being written by another run, or holds anything but
    records; it is then as it was.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._target = os.path.realpath(path)
        self._descriptor = self._open()
        try:
            self._index = _Index()
            self._end = self._read()
        except BaseException:
            os.close(self._descriptor)
            raise
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            with suppress(OSError):
                os.fsync(self._descriptor)
            self._close()

    def has(self, line: int, key: Key) -> bool:
        """Whether the answer to a line is there; then it is one of those that stay."""
        return self._index.stay(line, hash(key))

    def append(self, line: int, key: Key, fields: dict[str, Any]) -> None:
        """Write a record behind the others, in one piece. Raises NotSavedError, and then nothing of it is there."""
        record = _record(line, key, fields)
        try:
            written = os.write(self._descriptor, record)
            while written < len(record):
                written += os.write(self._descriptor, record[written:])
            if time.monotonic() - self._synced >= SYNCED_EVERY:
                os.fsync(self._descriptor)
                self._synced = time.monotonic()
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._end)
            raise self._not_saved(error, "what is there is kept; once it can be written, run the same again") from error
        self._index.put(line, self._end, stays=True)
        self._end += len(record)

    def finish(self) -> None:
        """Leave one record a line, in the order of the lines. Raises NotSavedError, and then all are there still."""
        try:
            os.fsync(self._descriptor)
            if not self._index.is_in_order or not self._stands():
                self._rewrite()
        except OSError as error:
            hint = "every answer is in it, in the order in which they came; run the same again to put them in order"
            raise self._not_saved(error, hint) from error

    def _open(self) -> int:
        """Open the file and lock it; one that another run put into its place meanwhile is opened instead."""
        while True:
            try:
                descriptor = os.open(self._target, os.O_RDWR | os.O_CREAT | os.O_APPEND | _FLAGS, 0o600)
            except (OSError, ValueError) as error:
                raise UsageError(f"cannot write {self.path}: {_reason(error)}") from error
            try:
                self._take(descriptor)
                if _is_at(descriptor, self._target):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _take(self, descriptor: int) -> None:
        """Lock the file for this run alone."""
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UsageError(f"cannot write {self.path}: it is no regular file, so no run could go on with it")
        try:
            is_free = _locked(descriptor)
        except OSError as error:
            raise UsageError(f"cannot lock {self.path}: {_reason(error)}") from error
        if not is_free:
            hint = "wait until it is done, or choose another file: -o FILE"
            raise UsageError(f"another batch is writing {self.path}", hints=[hint])

    def _read(self) -> int:
        """Take in the records that are there, and remove one that was cut off. Returns where the next begins."""
        at, written = 0, b"\n"
        with open(os.dup(self._descriptor), "rb") as file:
            for number, written in enumerate(file, 1):
                record = _decoded(written)
                if record is not None:
                    self._index.put(record[0], at, record[1])
                elif _is_cut(written):
                    return self._mended(at)
                elif b"\0" in written:  # what a power failure left of a block that was not written yet
                    self._index.spoil()
                else:
                    hint = "choose another file, or remove this one: nothing was changed"
                    raise UsageError(f"{self.path} is no file of a batch: see its line {number}", hints=[hint])
                at += len(written)
        return self._mended(at, b"" if written.endswith(b"\n") else b"\n")

    def _mended(self, end: int, missing: bytes = b"") -> int:
        """Cut the file behind its last record, or end that where only its line end is missing; return its size."""
        try:
            os.ftruncate(self._descriptor, end)
            return end + os.write(self._descriptor, missing)
        except OSError as error:
            raise self._not_saved(error, "nothing was lost") from error

    def _stands(self) -> bool:
        """Whether the path still names this file, and not another that replaced it."""
        return _is_at(self._descriptor, self._target)

    def _rewrite(self) -> None:
        """Put a file with the records that stay into the place of this one, whole or not at all."""
        folder, name = os.path.split(self._target)
        temporary = os.path.join(folder, f".arawn-{sha256(os.fsencode(name)).hexdigest()[:16]}.tmp")
        with suppress(FileNotFoundError):
            os.unlink(temporary)  # of a run that was killed here: this one has the lock
        fresh = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
        try:
            with open(fresh, "wb") as file:
                _settle(fresh, os.fstat(self._descriptor))
                file.writelines(self._in_order())
                file.flush()
                os.fsync(fresh)
            if os.name == "nt":
                self._close()  # an open file cannot be replaced there
            os.replace(temporary, self._target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _in_order(self) -> Iterator[bytes]:
        with open(os.dup(self._descriptor), "rb") as file:
            for at in self._index.places():
                file.seek(at)
                yield file.readline()

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    def _not_saved(self, error: OSError, hint: str) -> NotSavedError:
        return NotSavedError(f"cannot write {self.path}: {_reason(error)}", hints=[hint])


class _Index:
    """Where the last record of each line begins, what it answers, and whether it stays: 17 bytes a line."""

    def __init__(self) -> None:
        self._blocks: dict[int, tuple[array[int], array[int], bytearray]] = {}
        self._records = self._staying = self._last = 0
        self._ascends = True

    @property
    def is_in_order(self) -> bool:
        """Whether the file is as it should be at the end."""
        return self._ascends and self._records == self._staying

    def put(self, line: int, at: int, key: int = 0, *, stays: bool = False) -> None:
        """Note a record; ``key`` is what it answers, 0 where that does not count."""
        places, keys, staying = self._block(line)
        within = line % _BLOCK
        places[within], keys[within] = at, key
        if stays and not staying[within]:
            staying[within] = 1
            self._staying += 1
        self._records += 1
        self._ascends = self._ascends and line > self._last
        self._last = line

    def stay(self, line: int, key: int) -> bool:
        """Keep the record of a line if it answers just this; say whether it does."""
        if line // _BLOCK not in self._blocks:
            return False
        _, keys, staying = self._block(line)
        within = line % _BLOCK
        if keys[within] != key:
            return False
        staying[within] = 1
        self._staying += 1
        return True

    def spoil(self) -> None:
        """Note that there is something in the file that cannot stay."""
        self._ascends = False

    def places(self) -> Iterator[int]:
        """Yield where the records that stay begin, in the order of their lines."""
        for number in sorted(self._blocks):
            places, _, staying = self._blocks[number]
            yield from (at for at, stays in zip(places, staying, strict=True) if stays)

    def _block(self, line: int) -> tuple[array[int], array[int], bytearray]:
        number = line // _BLOCK
        if number not in self._blocks:
            from array import array

            zeros = bytes(8 * _BLOCK)
            self._blocks[number] = array("q", zeros), array("q", zeros), bytearray(_BLOCK)
        return self._blocks[number]


def _record(line: int, key: Key, fields: dict[str, Any]) -> bytes:
    fields = {"line": line, "input": key.input, "settings": key.settings, **fields}
    text = _JSON.encode(fields)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(fields).encode() + b"\n"


def _decoded(written: bytes) -> tuple[int, int] | None:
    """Return the line of a record and what it answers, 0 for a failure; None for what is no record."""
    try:
        record = json.loads(written)
    except (ValueError, RecursionError):
        return None
    match record:
        case {"line": int() as line, "input": str() as given, "settings": str() as settings, "text": str()} if (
            line > 0 and type(line) is int
        ):
            is_good = record.get("error") is None and record.get("exit_code") == 0
            return line, hash(Key(given, settings)) if is_good else 0
        case _:
            return None


def _is_cut(written: bytes) -> bool:
    """Whether this is the beginning of a record whose end is missing."""
    return not written.endswith(b"\n") and (
        written.startswith(_BEGINNING) or _BEGINNING.startswith(written) or b"\0" in written
    )


def _settle(descriptor: int, old: os.stat_result) -> None:
    """Give the file the owner and the mode of the one it replaces."""
    if hasattr(os, "fchown") and (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(OSError):  # only root can
            os.fchown(descriptor, old.st_uid, old.st_gid)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _locked(descriptor: int) -> bool:
    """Take the lock, which ends with the process or when the descriptor is closed; say whether it was free."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _FAR, os.SEEK_SET)  # far behind every record: what is locked cannot be read
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
