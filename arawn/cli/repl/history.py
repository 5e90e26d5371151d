"""The lines that were typed, kept between chats: one JSON string a line, newest last, in a file of mode 0600.

Kept out are lines that begin with a space, that hold what looks like a key, and pasted texts of more than 20 kB.
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
LONGEST = 20_000
MOST_BYTES = 1 << 20
KEPT_LINES = 2_000


class TypedLines(History):
    """The history in the file ``path``, in memory only where that is empty. What cannot be kept is no error."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def append_string(self, string: str) -> None:
        """Add a line, if it may be kept."""
        if is_worth_keeping(string):
            super().append_string(string)

    def load_history_strings(self) -> Iterable[str]:
        """Return the kept lines, newest first."""
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
        if os.path.exists(self._path) and os.path.getsize(self._path) > MOST_BYTES:
            kept = [json.dumps(line) + "\n" for line in self._read()[-KEPT_LINES // 2 :]]
            while sum(map(len, kept)) > MOST_BYTES // 2:
                kept = kept[len(kept) // 2 + 1 :]
            write_private(self._path, "".join(kept).encode())

    def _read(self) -> list[str]:
        if not self._path or not os.path.exists(self._path):
            return []
        lines: list[str] = []
        with suppress(ArawnError):
            for written in read_file(self._path, 4 * MOST_BYTES).splitlines()[-KEPT_LINES:]:
                with suppress(ValueError):
                    line = json.loads(written)
                    lines += [line] if isinstance(line, str) else []
        return lines


def is_worth_keeping(line: str) -> bool:
    """Whether a line may go into the history."""
    return not line.startswith(" ") and bool(line.strip()) and len(line) <= LONGEST and mask(line) == line
