"""Which project files the user trusts: by path and exact content, so that one changed byte ends it."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

from arawn.errors import UsageError
from arawn.files import read_file, write_private
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    Recording = Callable[[str, str | None, str | None], AbstractContextManager[None]]
    """What the list is changed within; it is given the file, and its trusted hash before and after."""

_LIMIT = 1 << 20


def unrecorded(*_: object) -> AbstractContextManager[None]:
    """Record nothing."""
    return nullcontext()


class Trust(Value):
    """The list of trusted files, kept in the JSON file ``path``; one that cannot be read trusts nothing."""

    path: str

    def entries(self) -> dict[str, str]:
        """Return the trusted files and the SHA-256 of their trusted content."""
        try:
            entries = json.loads(read_file(self.path, _LIMIT))["files"]
        except (UsageError, ValueError, TypeError, KeyError, RecursionError):
            return {}
        if not isinstance(entries, dict):
            return {}
        return {file: digest for file, digest in entries.items() if isinstance(digest, str)}

    def is_trusted(self, file: str, content: bytes) -> bool:
        """Say whether this content was trusted at this path."""
        return self.entries().get(_place(file)) == _digest(content)

    def trust(self, file: str, content: bytes, *, recording: Recording = unrecorded) -> None:
        """Trust this content at this path: what the user was shown, not what stands there by now."""
        entries, place, digest = self.entries(), _place(file), _digest(content)
        before = entries.get(place)
        if before != digest:
            with recording(place, before, digest):
                self._write({**entries, place: digest})

    def revoke(self, file: str, *, recording: Recording = unrecorded) -> bool:
        """Trust the file no longer; says whether it was trusted."""
        entries, place = self.entries(), _place(file)
        before = entries.pop(place, None)
        if before is not None:
            with recording(place, before, None):
                self._write(entries)
        return before is not None

    def _write(self, entries: dict[str, str]) -> None:
        text = json.dumps({"version": 1, "files": entries}, indent=1, sort_keys=True)
        write_private(self.path, (text + "\n").encode())


def _place(file: str) -> str:
    """Name the file by its real folder and its own name: a link to a trusted file is another file."""
    folder, name = os.path.split(os.path.abspath(file))
    return os.path.join(os.path.realpath(folder), name)


def _digest(content: bytes) -> str:
    from hashlib import sha256

    return sha256(content).hexdigest()
