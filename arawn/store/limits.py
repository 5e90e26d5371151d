"""How fast a backend may be called: one count for all processes of this machine.

A call takes a permit before it and gives it back after it. Permits of the last minute hold all processes to the
user's own quota; what the provider says is left, and how long it wants to be left alone, stands beside them. Times are
those of the monotonic clock, which all processes share. It begins anew when the machine does: a stamp from its future
is older than that, and counts for nothing.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from arawn.adapters.rate_limits import Pace
from arawn.store.processes import alive
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from sqlite3 import Connection

    from arawn.adapters.rate_limits import Allowance
    from arawn.store.database import Database

MINUTE = 60.0
LONGEST_PACE = 60.0
"""Seconds that what a provider says holds at most: after them it is asked again."""
LONGEST_CALL = 3_600.0
"""Seconds after which a call counts as ended, whatever its process does."""
LOOK_AGAIN = 0.25
"""Seconds to wait for a call to end, which nobody can foresee."""
_LEAST = 0.001  # a shorter wait may be lost in the rounding of large numbers

Cause: TypeAlias = Literal["rpm", "tpm", "concurrent", "requests", "tokens", "closed"]
"""Why to wait.

The user's quota (``rpm``, ``tpm``, ``concurrent``), the ``requests`` or ``tokens`` left by the provider, or because it
asked for a pause (``closed``).
"""

_PACE = "SELECT requests_left, requests_reset, tokens_left, tokens_reset, closed_until FROM paces WHERE backend = ?"
_TAKE_FROM_PACE = """
    UPDATE paces SET requests_left = requests_left - 1, tokens_left = tokens_left - ? WHERE backend = ?
"""
_OBSERVE = """
    INSERT INTO paces (backend, requests_left, requests_reset, tokens_left, tokens_reset) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (backend) DO UPDATE SET
        requests_left = excluded.requests_left, requests_reset = excluded.requests_reset,
        tokens_left = excluded.tokens_left, tokens_reset = excluded.tokens_reset
"""
_CLOSE = """
    INSERT INTO paces (backend, closed_until) VALUES (?, ?)
    ON CONFLICT (backend) DO UPDATE SET closed_until = excluded.closed_until
"""
_FORGET_PACE = """
    DELETE FROM paces WHERE backend = ? AND requests_reset IS NULL AND tokens_reset IS NULL
    AND (closed_until IS NULL OR closed_until <= ? OR closed_until > ?)
"""
_FORGET_OLD = "DELETE FROM permits WHERE backend = ? AND taken <= ? AND (held = 0 OR taken <= ?)"
_FORGET_FUTURE = "DELETE FROM permits WHERE backend = ? AND taken > ?"
_COUNT = "SELECT count(*) FROM permits WHERE backend = ? AND taken > ?"
_SUM = "SELECT coalesce(sum(tokens), 0) FROM permits WHERE backend = ? AND taken > ?"
_OLDEST = "SELECT taken FROM permits WHERE backend = ? AND taken > ? ORDER BY taken LIMIT 1 OFFSET ?"
_BY_AGE = "SELECT taken, tokens FROM permits WHERE backend = ? AND taken > ? AND tokens > 0 ORDER BY taken"
_HELD = "SELECT count(*) FROM permits WHERE backend = ? AND held = 1"
_HOLDERS = "SELECT DISTINCT process FROM permits WHERE backend = ? AND held = 1"
_FREE = "UPDATE permits SET held = 0 WHERE backend = ? AND process = ?"
_TAKE = "INSERT INTO permits (backend, taken, tokens, process, held) VALUES (?, ?, ?, ?, ?)"
_SETTLE = "UPDATE permits SET held = 0, tokens = ? WHERE id = ? AND taken = ?"  # an id alone may have been given again
_DROP = "DELETE FROM permits WHERE id = ? AND taken = ?"


class Quota(Value):
    """What the user allows a backend: requests and tokens a minute, and calls at the same time; None for no limit."""

    rpm: int | None = None
    tpm: int | None = None
    concurrent: int | None = None


_NO_QUOTA = Quota()


class Permit(Value):
    """The right to make one call. Without an ``id`` nothing was written: nothing limits the call."""

    id: int = 0
    taken: float = 0.0
    tokens: int = 0
    quota: Quota = _NO_QUOTA


class Wait(Value):
    """Not yet: ask again in so many seconds."""

    seconds: float
    cause: Cause


class Limits:
    """The permits and paces of all backends. ``window`` is the minute of a quota, in seconds.

    Every verb raises ConfigError or NotSavedError where the database cannot be used.
    """

    def __init__(
        self,
        database: Database,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        process: Callable[[], int] = os.getpid,
        window: float = MINUTE,
    ) -> None:
        self._database = database
        self._monotonic = monotonic
        self._process = process
        self._window = window

    def acquire(self, backend: str, quota: Quota, tokens: int) -> Permit | Wait:
        """Take a permit for a call of about so many tokens, or learn how long to wait.

        A call larger than the quota may go when no other is in the window. Without a quota it costs one read, unless
        the provider said that little is left.
        """
        if quota == _NO_QUOTA and not self._paced(backend):
            return Permit()
        with self._database.writing() as connection:
            now = self._monotonic()  # read while no other process writes: so stamps are in order
            turn = _Turn(connection, backend, quota, now=now, window=self._window)
            return turn.wait(tokens) or turn.take(tokens, self._process())

    def release(self, permit: Permit, tokens: int | None = None) -> None:
        """Give a permit back; ``tokens`` is what the call took, where that is known."""
        quota = permit.quota
        took = permit.tokens if tokens is None or quota.tpm is None else tokens
        if not permit.id or (quota.concurrent is None and took == permit.tokens):
            return
        with self._database.writing() as connection:
            if quota.rpm is None and quota.tpm is None:
                connection.execute(_DROP, [permit.id, permit.taken])
            else:
                connection.execute(_SETTLE, [took, permit.id, permit.taken])

    def observe(self, backend: str, pace: Pace) -> None:
        """Take in what the provider said with an answer; it writes only where little is left, or was before."""
        if pace == Pace() and not self._database.rows(_PACE, backend):
            return
        with self._database.writing() as connection:
            now = self._monotonic()
            until = [*_until(pace.requests, now), *_until(pace.tokens, now)]
            connection.execute(_OBSERVE, [backend, *until])
            connection.execute(_FORGET_PACE, [backend, now, now + LONGEST_PACE])

    def close(self, backend: str, seconds: float) -> None:
        """Let nobody call for so many seconds, at most LONGEST_PACE; a longer pause that was asked for stays."""
        if not seconds > 0:
            return
        with self._database.writing() as connection:
            now = self._monotonic()
            until = now + min(seconds, LONGEST_PACE)
            for row in connection.execute(_PACE, [backend]):
                until = max(until, now + _left(row[4], now))
            connection.execute(_CLOSE, [backend, until])

    def _paced(self, backend: str) -> bool:
        """Say whether the provider said anything that holds now."""
        now = self._monotonic()
        rows = self._database.rows(_PACE, backend)
        return any(_left(stamp, now) for _, requests, _, tokens, closed in rows for stamp in (requests, tokens, closed))


class _Turn:
    """One caller's look at a backend, while no other process changes anything."""

    def __init__(self, connection: Connection, backend: str, quota: Quota, *, now: float, window: float) -> None:
        self._connection = connection
        self._backend = backend
        self._quota = quota
        self._now = now
        self._window = window
        self._since = now - window
        self._paced = False
        connection.execute(_FORGET_OLD, [backend, self._since, now - LONGEST_CALL])
        connection.execute(_FORGET_FUTURE, [backend, now])

    def wait(self, tokens: int) -> Wait | None:
        """Return the longest of all waits."""
        waits = [*self._by_pace(tokens), *self._by_requests(), *self._by_tokens(tokens), *self._by_calls()]
        return max(waits, key=lambda wait: wait.seconds, default=None)

    def take(self, tokens: int, process: int) -> Permit:
        """Take a permit, and count it off what the provider said is left."""
        if self._paced:
            self._connection.execute(_TAKE_FROM_PACE, [tokens, self._backend])
        if self._quota == _NO_QUOTA:
            return Permit()
        held = self._quota.concurrent is not None
        taken = self._connection.execute(_TAKE, [self._backend, self._now, tokens, process, held])
        return Permit(taken.lastrowid or 0, self._now, tokens, self._quota)

    def _by_pace(self, tokens: int) -> Iterator[Wait]:
        for row in self._connection.execute(_PACE, [self._backend]):
            requests_left, requests_reset, tokens_left, tokens_reset, closed = row
            if seconds := _left(closed, self._now):
                yield Wait(seconds, "closed")
            if seconds := _left(requests_reset, self._now):
                self._paced = True
                if requests_left < 1:
                    yield Wait(seconds, "requests")
            if seconds := _left(tokens_reset, self._now):
                self._paced = True
                if tokens_left < tokens:
                    yield Wait(seconds, "tokens")

    def _by_requests(self) -> Iterator[Wait]:
        """Wait until so many of the oldest have left the window that one more fits."""
        if self._quota.rpm is None:
            return
        over = self._one(_COUNT, self._since) - self._quota.rpm
        if over >= 0:
            yield self._until(self._one(_OLDEST, self._since, over), "rpm")

    def _by_tokens(self, tokens: int) -> Iterator[Wait]:
        """Wait until the oldest have left the window whose tokens are too many, at most until all have."""
        if self._quota.tpm is None:
            return
        used = self._one(_SUM, self._since)
        if not used or used + tokens <= self._quota.tpm:
            return
        for taken, freed in self._connection.execute(_BY_AGE, [self._backend, self._since]):
            used -= freed
            if used <= 0 or used + tokens <= self._quota.tpm:
                yield self._until(taken, "tpm")
                return

    def _by_calls(self) -> Iterator[Wait]:
        most = self._quota.concurrent
        if most is not None and self._one(_HELD) >= most:
            self._free_the_dead()
            if self._one(_HELD) >= most:
                yield Wait(LOOK_AGAIN, "concurrent")

    def _free_the_dead(self) -> None:
        for (process,) in self._connection.execute(_HOLDERS, [self._backend]).fetchall():
            if not alive(process):
                self._connection.execute(_FREE, [self._backend, process])

    def _one(self, query: str, *values: float) -> Any:
        return self._connection.execute(query, [self._backend, *values]).fetchone()[0]

    def _until(self, taken: float, cause: Cause) -> Wait:
        return Wait(max(taken + self._window - self._now, _LEAST), cause)


def _left(stamp: float | None, now: float) -> float:
    """Return the seconds until a stamp; 0 for one that is over, and for one of before a restart."""
    return stamp - now if stamp is not None and 0 < stamp - now <= LONGEST_PACE else 0.0


def _until(allowance: Allowance | None, now: float) -> tuple[int | None, float | None]:
    return (None, None) if allowance is None else (allowance.left, now + min(allowance.reset, LONGEST_PACE))
