"""Which stored secret may be sent to which origin: an index of names and origins, never of values.

A secret is bound to an origin (scheme, host and port) when it is stored, or when it is first used; after a change of
``base_url`` it is not sent to the new host.
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

_INDEX_LIMIT = 1 << 20
"""Bytes of the index that are read."""


class StoredSecret(Value):
    """An entry of the index: ``store`` is the class of the keyring, ``created`` a date, 2026-01-31."""

    store: str = ""
    origins: tuple[str, ...] = ()
    created: str = ""


class Bindings(Value):
    """The index in the JSON file ``path``.

    Every method raises SecretError when it is damaged: read as empty, it would let every secret be sent anywhere.
    ``bind`` and ``forget`` raise ConfigError when it cannot be written.
    """

    path: str

    def entries(self) -> dict[str, StoredSecret]:
        """Return the entries by name."""
        try:
            data = read_file(self.path, _INDEX_LIMIT)
        except UsageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return {}
            raise SecretError(error.message) from error
        try:
            return {name: _stored(entry) for name, entry in json.loads(data)["secrets"].items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            hint = "repair or delete it: each secret is then bound again when it is next used"
            raise SecretError(f"{self.path} is damaged: it says which secret may go where", hints=(hint,)) from None

    def names(self) -> tuple[str, ...]:
        """Return the names of the secrets, sorted."""
        return tuple(sorted(self.entries()))

    def origins(self, name: str) -> tuple[str, ...]:
        """Return the origins a secret may be sent to; none when it is not bound yet."""
        return self.entries().get(name, StoredSecret()).origins

    def bind(self, name: str, url: str) -> None:
        """Allow a secret to be sent to the origin of a URL as well."""
        origin = origin_of(url)
        with self._editing() as entries:
            old = entries.get(name) or StoredSecret(created=_today())
            entries[name] = replace(old, origins=tuple(dict.fromkeys((*old.origins, origin))))

    def record(self, name: str, url: str, store: str) -> None:
        """Record a newly stored secret, bound to the origin of a URL only."""
        origin = origin_of(url)
        with self._editing() as entries:
            entries[name] = StoredSecret(store, (origin,), _today())

    def forget(self, name: str) -> None:
        """Remove the entry of a secret."""
        with self._editing() as entries:
            entries.pop(name, None)

    @contextmanager
    def _editing(self) -> Iterator[dict[str, StoredSecret]]:
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


def _stored(entry: dict[str, object]) -> StoredSecret:
    origins = entry["origins"]
    if not isinstance(origins, list):
        raise TypeError
    return StoredSecret(str(entry.get("store", "")), tuple(map(str, origins)), str(entry.get("created", "")))


def _today() -> str:
    import time

    return time.strftime("%Y-%m-%d")
