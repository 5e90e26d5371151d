"""The history of typed lines, kept between chats: one JSON string per line, newest last, in a file of mode 0600.

Not stored are lines that begin with a space, lines that contain what looks like a key, and texts of more than 20 kB.
"""

# ruff: noqa: TID253 -- only ``arawn chat`` imports this, and it needs prompt_toolkit at once

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from prompt_toolkit.history import History

from arawn.errors import ArawnError
from arawn.files import open_private, open_private_lock, read_file, write_private
from arawn.secrets.references import mask

if TYPE_CHECKING:
    from collections.abc import Iterable

FILE = "chat-history"
"""Its name in the data folder."""
MAX_LINE_LENGTH = 20_000
"""Characters of a stored line."""
MAX_FILE_BYTES = 1 << 20
"""Bytes of the file; beyond that the older half is removed."""
_MAX_LINES = 2_000
"""Lines that are read."""


class StoredHistory(History):
    """The history in the file ``path``; with an empty path in memory only. A failure to write is no error."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def append_string(self, string: str) -> None:
        """Add a line, if it may be stored."""
        if may_be_stored(string):
            super().append_string(string)

    def load_history_strings(self) -> Iterable[str]:
        """Return the stored lines, newest first."""
        return reversed(self._read())

    def store_string(self, string: str) -> None:
        """Write a line to the file."""
        if not self._path:
            return
        with suppress(OSError, ArawnError), open_private_lock(self._path):
            self._shorten()
            descriptor = open_private(self._path)
            with open(descriptor, "ab") as file:
                file.write(json.dumps(string).encode() + b"\n")

    def _shorten(self) -> None:
        if os.path.exists(self._path) and os.path.getsize(self._path) > MAX_FILE_BYTES:
            kept = [json.dumps(line) + "\n" for line in self._read()[-_MAX_LINES // 2 :]]
            while sum(map(len, kept)) > MAX_FILE_BYTES // 2:
                kept = kept[len(kept) // 2 + 1 :]
            write_private(self._path, "".join(kept).encode())

    def _read(self) -> list[str]:
        if not self._path or not os.path.exists(self._path):
            return []
        lines: list[str] = []
        with suppress(ArawnError):
            for written in read_file(self._path, 4 * MAX_FILE_BYTES).splitlines()[-_MAX_LINES:]:
                with suppress(ValueError):
                    line = json.loads(written)
                    lines += [line] if isinstance(line, str) else []
        return lines


def may_be_stored(line: str) -> bool:
    """Whether a line may be stored."""
    return not line.startswith(" ") and bool(line.strip()) and len(line) <= MAX_LINE_LENGTH and mask(line) == line
