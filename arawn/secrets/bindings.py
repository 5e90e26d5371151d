"""Which stored secret may go where: an index of names and addresses, never of values.

A secret is bound to scheme, host and port when it is stored, or when it is first used; a changed ``base_url`` does not
take it along.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from arawn.errors import SecretError, UsageError
from arawn.files import open_private_lock, read_file, write_private
from arawn.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIMIT = 1 << 20


class Stored(Value):
    """What the index knows of one secret: ``store`` is the kind of keyring, ``created`` a date, 2026-01-31."""

    store: str = ""
    origins: tuple[str, ...] = ()
    created: str = ""


class Bindings(Value):
    """The index in the JSON file ``path``.

    Every method raises SecretError when it is damaged: taken as empty, it would let every secret go everywhere.
    ``bind`` and ``forget`` raise ConfigError when it cannot be written.
    """

    path: str

    def entries(self) -> dict[str, Stored]:
        """Return what is known, by name."""
        try:
            data = read_file(self.path, _LIMIT)
        except UsageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return {}
            raise SecretError(error.message) from error
        try:
            return {name: _stored(entry) for name, entry in json.loads(data)["secrets"].items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            hint = "put it right, or delete it: each secret is then bound anew where it is used first"
            raise SecretError(f"{self.path} is damaged: it says which secret may go where", hints=(hint,)) from None

    def names(self) -> tuple[str, ...]:
        """Return the names of the secrets, in order."""
        return tuple(sorted(self.entries()))

    def origins(self, name: str) -> tuple[str, ...]:
        """Return the addresses a secret may go to; none when it is not bound yet."""
        return self.entries().get(name, Stored()).origins

    def bind(self, name: str, url: str) -> None:
        """Allow a secret to go to the origin of a URL, beside those it may go to already."""
        origin = origin_of(url)
        with self._changing() as entries:
            old = entries.get(name) or Stored(created=_today())
            entries[name] = replace(old, origins=tuple(dict.fromkeys((*old.origins, origin))))

    def record(self, name: str, url: str, store: str) -> None:
        """Begin anew for a secret that was stored just now, bound to the origin of a URL and to nothing else."""
        origin = origin_of(url)
        with self._changing() as entries:
            entries[name] = Stored(store, (origin,), _today())

    def forget(self, name: str) -> None:
        """Drop what is known of a secret."""
        with self._changing() as entries:
            entries.pop(name, None)

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Stored]]:
        with open_private_lock(self.path):
            entries = self.entries()
            yield entries
            secrets = {
                name: {"store": entry.store, "origins": entry.origins, "created": entry.created}
                for name, entry in sorted(entries.items())
            }
            write_private(self.path, (json.dumps({"version": 1, "secrets": secrets}, indent=1) + "\n").encode())


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, the port only where it is not the scheme's own. Raises SecretError."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    if not scheme or not host:
        raise SecretError(f"{url!r} is no address that a secret could be bound to", hints=("like https://host:port",))
    host = f"[{host}]" if ":" in host else host
    is_default = port is None or port == {"https": 443, "http": 80}.get(scheme)
    return f"{scheme}://{host}" if is_default else f"{scheme}://{host}:{port}"


def _stored(entry: dict[str, object]) -> Stored:
    origins = entry["origins"]
    if not isinstance(origins, list):
        raise TypeError
    return Stored(str(entry.get("store", "")), tuple(map(str, origins)), str(entry.get("created", "")))


def _today() -> str:
    import time

    return time.strftime("%Y-%m-%d")
