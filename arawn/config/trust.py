"""Which project files the user trusts: by path and exact content, so that one changed byte ends it."""

from __future__ import annotations

import json
import os

from arawn.errors import UsageError
from arawn.files import read_file, write_private
from arawn.values import Value

_LIMIT = 1 << 20


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

    def trust(self, file: str, content: bytes) -> None:
        """Trust this content at this path: what the user was shown, not what stands there by now."""
        self._write({**self.entries(), _place(file): _digest(content)})

    def revoke(self, file: str) -> bool:
        """Trust the file no longer; says whether it was trusted."""
        entries = self.entries()
        known = entries.pop(_place(file), None) is not None
        if known:
            self._write(entries)
        return known

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
