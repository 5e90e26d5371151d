"""The project files that the user trusts, by path and exact content: one changed byte ends the trust."""

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
    """A context manager around the change; it gets the file, and its trusted hash before and after."""

_TRUST_LIST_LIMIT = 1 << 20
"""Bytes of the list that are read."""


def unrecorded(*_: object) -> AbstractContextManager[None]:
    """Record nothing."""
    return nullcontext()


class Trust(Value):
    """The list of trusted files, kept in the JSON file ``path``; one that cannot be read trusts nothing."""

    path: str

    def entries(self) -> dict[str, str]:
        """Return the trusted files and the SHA-256 of their trusted content."""
        try:
            entries = json.loads(read_file(self.path, _TRUST_LIST_LIMIT))["files"]
        except (UsageError, ValueError, TypeError, KeyError, RecursionError):
            return {}
        if not isinstance(entries, dict):
            return {}
        return {file: digest for file, digest in entries.items() if isinstance(digest, str)}

    def is_trusted(self, file: str, content: bytes) -> bool:
        """Return whether this content is trusted at this path."""
        return self.entries().get(_place(file)) == _digest(content)

    def trust(self, file: str, content: bytes, *, recording: Recording = unrecorded) -> None:
        """Trust this content at this path: the content that the user has seen, not the file's current one."""
        entries, place, digest = self.entries(), _place(file), _digest(content)
        before = entries.get(place)
        if before != digest:
            with recording(place, before, digest):
                self._write({**entries, place: digest})

    def revoke(self, file: str, *, recording: Recording = unrecorded) -> bool:
        """Stop trusting the file, and return whether it was trusted."""
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
    """Return the real folder and the file's own name: a link to a trusted file is another file."""
    folder, name = os.path.split(os.path.abspath(file))
    return os.path.join(os.path.realpath(folder), name)


def _digest(content: bytes) -> str:
    from hashlib import sha256

    return sha256(content).hexdigest()
