"""Cached answers by the key of their request: each for a time to live, all within a size, the least used go first.

Each row has a checksum over its key, its time and its events: a damaged one is not used.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from arawn.errors import NotSavedError
from arawn.store.event_json import dumps, loads
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from sqlite3 import Connection

    from arawn.events import StreamEvent
    from arawn.store.database import Database

DEFAULT_TTL = 86_400.0
"""Seconds an answer is used, where the configuration does not say."""
DEFAULT_MAX_BYTES = 100_000_000.0
"""Bytes of the cache, where the configuration does not say."""
EXPIRY_INTERVAL = 10.0
"""Seconds between two removals of expired answers by one process; no expired one is used meanwhile."""
_ROW_OVERHEAD = 300
"""Bytes an answer takes in the file besides its events: key, checksum, times, names and its places in the indexes."""
_READ = "SELECT made, checksum, events FROM answers WHERE key = ?"
_PUT = """
    INSERT INTO answers (key, made, used, backend, model, size, checksum, events) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET
        made = excluded.made, used = excluded.used, hits = 0, backend = excluded.backend, model = excluded.model,
        size = excluded.size, checksum = excluded.checksum, events = excluded.events
"""
_STATS = """
    SELECT backend, count(*), sum(size), sum(hits), min(made), sum(made <= ? OR made > ?)
    FROM answers GROUP BY backend ORDER BY backend
"""


class CachedAnswer(Value):
    """An answer of the cache: its events, and its age in seconds."""

    events: tuple[StreamEvent, ...]
    age: float


class CacheStats(Value):
    """What the cache holds of one backend: answers, their bytes, how often they were used, when the oldest was made.

    ``expired`` of them are too old to be used, and are removed when the next answer is stored.
    """

    backend: str
    answers: int
    bytes: int
    hits: int
    oldest: float
    expired: int


class Answers:
    """The cached answers in a database, each for ``ttl`` seconds, all within ``max_bytes``.

    ``now`` gives seconds since the epoch. An answer from the future was made before the clock was set back: its
    age is unknown, so it has expired. Every method raises ConfigError when the file cannot be used.
    """

    def __init__(
        self,
        database: Database,
        *,
        ttl: float = DEFAULT_TTL,
        max_bytes: float = DEFAULT_MAX_BYTES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._ttl = ttl
        self._max_bytes = max_bytes
        self._now = now
        self._expired_at: float | None = None

    def get(self, key: str) -> CachedAnswer | None:
        """Return the answer of a key, with one query; None where there is no valid one. A damaged one is removed."""
        for made, checksum, written in self._database.rows(_READ, key):
            try:
                events = _verified(key, made, checksum, written)
            except ValueError:
                self.discard(key)
                return None
            age = self._now() - made
            return CachedAnswer(events, age) if 0 <= age < self._ttl else None
        return None

    def put(self, key: str, events: Sequence[StreamEvent], backend: str, model: str) -> None:
        """Store an answer in place of what its key had; the same transaction removes what is too much, or too old.

        An answer larger than the whole cache is not stored. Raises NotSavedError when it cannot be written, and
        TypeError where an event holds what JSON cannot.
        """
        written = dumps(events)
        size = len(written) + _ROW_OVERHEAD
        if size > self._max_bytes:
            return
        with self._database.writing() as connection:
            now = float(self._now())  # not before the lock: what others write meanwhile would seem to be of the future
            self._expire(connection, now)
            checksum = _checksum(key, now, written)
            connection.execute(_PUT, [key, now, now, backend, model, size, checksum, written])
            self._shrink(connection)

    def record_use(self, key: str) -> None:
        """Record that an answer was used, unless another process is writing just now: no call waits for this."""
        with suppress(NotSavedError), self._database.writing(wait=False) as connection:
            connection.execute("UPDATE answers SET used = ?, hits = hits + 1 WHERE key = ?", [self._now(), key])

    def discard(self, key: str) -> None:
        """Remove an answer, unless another process is writing just now."""
        with suppress(NotSavedError), self._database.writing(wait=False) as connection:
            connection.execute("DELETE FROM answers WHERE key = ?", [key])

    def stats(self) -> tuple[CacheStats, ...]:
        """Return what the cache holds, by backend."""
        now = self._now()
        return tuple(CacheStats(*row) for row in self._database.rows(_STATS, now - self._ttl, now))

    def clear(self, backend: str = "") -> int:
        """Remove all answers, or those of one backend, from the disk too. Returns how many there were.

        Raises NotSavedError when they cannot be removed.
        """
        with self._database.writing() as connection:
            found = connection.execute("DELETE FROM answers WHERE ? IN ('', backend)", [backend]).rowcount
        self._database.checkpoint()
        return found

    def _expire(self, connection: Connection, now: float) -> None:
        """Remove the expired; none is used before it is made, so the second condition finds those of the future."""
        if self._expired_at is not None and 0 <= now - self._expired_at < EXPIRY_INTERVAL:
            return
        self._expired_at = now
        connection.execute("DELETE FROM answers WHERE made <= ? OR used > ?", [now - self._ttl, now])

    def _shrink(self, connection: Connection) -> None:
        """Remove the least recently used until the rest is small enough."""
        [[total]] = connection.execute("SELECT size FROM answer_sums")
        if total <= self._max_bytes:
            return
        removed = []
        for row, size in connection.execute("SELECT rowid, size FROM answers ORDER BY used, rowid"):
            if total <= self._max_bytes:
                break
            removed.append([row])
            total -= size
        connection.executemany("DELETE FROM answers WHERE rowid = ?", removed)


def _checksum(key: str, made: float, written: bytes) -> bytes:
    from hashlib import sha256

    return sha256(f"{key} {made!r} ".encode() + written).digest()


def _verified(key: str, made: object, checksum: object, written: object) -> tuple[StreamEvent, ...]:
    """Return the events of a row. Raises ValueError for a row that is not as it was written."""
    if not isinstance(made, float) or not isinstance(written, bytes) or checksum != _checksum(key, made, written):
        raise ValueError("the checksum differs")
    return loads(written)
