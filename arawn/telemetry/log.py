"""The log for programs: one JSON object a line, added at the end of a file that only its owner can read."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, Any

from arawn.errors import ArawnError
from arawn.files import check_private, private_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from arawn.secrets.references import Secret

# A link must not lead elsewhere, and a pipe without a reader not delay a call. Flags a platform lacks are left out.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
_CAUTION = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class EventLog:
    """The log in the file ``path``; where that is None nothing is written.

    Any number of processes may write to one file. ``content`` says that what was asked and answered may be in it.
    ``secrets`` are taken out of every text, as is all that looks like a key; the list may grow. ``warn`` is called once
    with why the file cannot be written; nothing is raised. ``now`` gives seconds since the epoch.
    """

    def __init__(
        self,
        path: str | None,
        *,
        content: bool = False,
        secrets: Iterable[Secret] = (),
        warn: Callable[[str], object] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.content = content
        self._secrets = secrets
        self._warn = warn
        self._now = now
        self._warned = False
        self._is_private = False

    def write(self, event: str, /, **fields: Any) -> None:
        """Add a line: the time, the name of the event, the fields. Values are those of JSON, and Decimal as text."""
        if self.path is None:
            return
        try:
            self._append(self.path, self._line(event, fields))
        except Exception as error:  # noqa: BLE001 -- whatever it is, the call goes on
            if not self._warned:
                self._warned = True
                self._warn(f"the log {self.path} cannot be written: {_reason(error)}")

    def _line(self, event: str, fields: dict[str, Any]) -> bytes:
        import json

        line = {"time": stamp(self._now()), "event": event, **plain(fields, self._secrets)}
        return json.dumps(line, allow_nan=False).encode() + b"\n"

    def _append(self, path: str, line: bytes) -> None:
        if not self._is_private:
            _require_file(path)
            private_dir(os.path.dirname(path))
        descriptor = os.open(path, _FLAGS | _CAUTION, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError("it is not a regular file")
            if not self._is_private:
                self._is_private = True
                if repaired := check_private(path):
                    self._warn(repaired)
            if os.write(descriptor, line) < len(line):
                raise OSError("the disk is full")
        finally:
            os.close(descriptor)


def plain(value: Any, secrets: Iterable[Secret]) -> Any:
    """Return a value as JSON has it, or as text, without these secrets and without all that looks like a key."""
    from arawn.secrets.references import mask

    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {mask(str(key), secrets): plain(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, secrets) for inner in value]
    return mask(str(value), secrets)


def log_path(file: str | None, folder: str) -> str | None:
    """Return the path of the log that the configuration names: in the user's configuration folder unless absolute.

    None where it names none.
    """
    return os.path.join(folder, os.path.expanduser(file)) if file else None


def stamp(moment: float) -> str:
    """Return a time as ISO 8601 in UTC, to the millisecond."""
    seconds, milliseconds = divmod(int(moment * 1000), 1000)
    return time.strftime(f"%Y-%m-%dT%H:%M:%S.{milliseconds:03d}Z", time.gmtime(seconds))


def _require_file(path: str) -> None:
    """Refuse a device or a pipe before it is opened: it may act on that."""
    if os.path.islink(path):
        raise OSError("it is a link")
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError("it is not a regular file")


def _reason(error: Exception) -> str:
    if isinstance(error, ArawnError):
        return error.message
    return (isinstance(error, OSError) and error.strerror) or str(error)
