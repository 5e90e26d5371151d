"""Rate limits: how fast a backend may be called, counted over all processes of this machine.

The problem: a quota (requests and tokens a minute, calls at the same time) belongs to a key, and a key is used by many
processes that know nothing of each other. A count in each of them would allow the quota once per process.

The invariant: in any window of a minute, no more permits are taken than the quota allows. A call takes a permit in one
write transaction, in which the permits of the last minute are counted and the new one is inserted: no other process
can take one in between. This is a sliding window, not one that begins anew with each minute: such a one would let two
minutes' calls through around its edge. Tokens are counted by an estimate when the permit is taken, and put right when
the call gives the permit back. The sums of all permits (``permit_sums``) change with their rows, by triggers: so a look
at a full minute costs the same as one at an empty one. A call that is larger than the whole quota goes alone, when the
window is empty.

A call that gets no permit learns how long to wait, and asks again itself: there is no queue that a dead process
could block. Permits that are held (``concurrent``) by a process that died are freed when another call needs them; see
``arawn.store.leases``, also for the clock.

Beside the quota stands what the provider says with its answers (its pace): how much is left until when, and how long
it wants to be left alone. It is believed for MAX_PROVIDER_WAIT seconds, and each call is taken off it at once, so that
many processes together do not each use up the same remainder.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Literal, TypeAlias

from arawn.adapters.rate_limits import Pace
from arawn.store.leases import LONGEST_CALL, is_running
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from sqlite3 import Connection

    from arawn.adapters.rate_limits import Allowance
    from arawn.store.database import Database

MINUTE = 60.0
"""Seconds of the window that a quota is counted in."""
MAX_PROVIDER_WAIT = 60.0
"""Seconds for which a provider's word is believed at most, on what is left or a pause: then it is asked again."""
POLL_INTERVAL = 0.25
"""Seconds between two looks at whether a running call has ended, which cannot be foreseen."""
_SHORTEST_WAIT = 0.001  # a shorter wait may be lost in the rounding of large numbers

Cause: TypeAlias = Literal["rpm", "tpm", "concurrent", "requests", "tokens", "closed"]
"""Why a call has to wait.

The user's quota (``rpm``, ``tpm``, ``concurrent``), the ``requests`` or ``tokens`` that the provider has left, or the
pause it asked for (``closed``).
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
_SUMS = """
    SELECT permits - old_permits, tokens - old_tokens, held FROM permit_sums, (
        SELECT count(*) AS old_permits, coalesce(sum(tokens), 0) AS old_tokens
        FROM permits WHERE backend = ?1 AND taken <= ?2
    )
    WHERE backend = ?1
"""
_OLDEST = "SELECT taken FROM permits WHERE backend = ? AND taken > ? ORDER BY taken LIMIT 1 OFFSET ?"
_BY_AGE = "SELECT taken, tokens FROM permits WHERE backend = ? AND taken > ? AND tokens > 0 ORDER BY taken"
_HOLDERS = "SELECT DISTINCT process FROM permits WHERE backend = ? AND held = 1"
_FREE = "UPDATE permits SET held = 0 WHERE backend = ? AND process = ? AND held = 1"
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
    """There is no permit now: ask again in so many seconds."""

    seconds: float
    cause: Cause


class RateLimits:
    """The permits and paces of all backends. ``window`` is that of a quota, in seconds.

    Every method raises ConfigError or NotSavedError where the database cannot be used.
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
        """Take a permit for a call of about so many tokens, or return how long to wait.

        Without a quota it costs one read, unless the provider said that little is left.
        """
        if quota == _NO_QUOTA and not self._has_pace(backend):
            return Permit()
        with self._database.writing() as connection:
            now = self._monotonic()  # read inside the transaction: so times are in order
            window = _Window(connection, backend, quota, now=now, seconds=self._window)
            return window.wait(tokens) or window.take(tokens, self._process())

    def release(self, permit: Permit, tokens: int | None = None) -> None:
        """Give a permit back; ``tokens`` is what the call took, where that is known."""
        self.release_soon(permit, tokens)
        self.flush()

    def release_soon(self, permit: Permit, tokens: int | None = None) -> None:
        """Give a permit back with the next write to the database, at the latest with ``flush``."""
        quota = permit.quota
        used = permit.tokens if tokens is None or quota.tpm is None else tokens
        if not permit.id or (quota.concurrent is None and used == permit.tokens):
            return
        if quota.rpm is None and quota.tpm is None:
            self._database.defer(lambda connection: connection.execute(_DROP, [permit.id, permit.taken]))
        else:
            self._database.defer(lambda connection: connection.execute(_SETTLE, [used, permit.id, permit.taken]))

    def flush(self) -> None:
        """Give back what is to be given back soon."""
        self._database.flush()

    def observe(self, backend: str, pace: Pace) -> None:
        """Record what the provider said with an answer; it writes only where little is left, or was before."""
        if pace == Pace() and not self._database.rows(_PACE, backend):
            return
        with self._database.writing() as connection:
            now = self._monotonic()
            until = [*_until(pace.requests, now), *_until(pace.tokens, now)]
            connection.execute(_OBSERVE, [backend, *until])
            connection.execute(_FORGET_PACE, [backend, now, now + MAX_PROVIDER_WAIT])

    def close(self, backend: str, seconds: float) -> None:
        """Pause all calls for so many seconds, at most MAX_PROVIDER_WAIT; a longer pause that was asked for stays."""
        if not seconds > 0:
            return
        with self._database.writing() as connection:
            now = self._monotonic()
            until = now + min(seconds, MAX_PROVIDER_WAIT)
            for row in connection.execute(_PACE, [backend]):
                until = max(until, now + _left(row[4], now))
            connection.execute(_CLOSE, [backend, until])

    def _has_pace(self, backend: str) -> bool:
        """Say whether the provider said anything that counts now."""
        now = self._monotonic()
        rows = self._database.rows(_PACE, backend)
        return any(_left(stamp, now) for _, requests, _, tokens, closed in rows for stamp in (requests, tokens, closed))


class _Window:
    """The permits of a backend that count now, as one caller sees them in its transaction."""

    def __init__(self, connection: Connection, backend: str, quota: Quota, *, now: float, seconds: float) -> None:
        self._connection = connection
        self._backend = backend
        self._quota = quota
        self._now = now
        self._seconds = seconds
        self._since = now - seconds
        self._paced = False
        connection.execute(_FORGET_OLD, [backend, self._since, now - LONGEST_CALL])
        connection.execute(_FORGET_FUTURE, [backend, now])
        sums = connection.execute(_SUMS, [backend, self._since]).fetchone()
        self._requests: int
        self._tokens: int
        self._held: int
        self._requests, self._tokens, self._held = sums or (0, 0, 0)

    def wait(self, tokens: int) -> Wait | None:
        """Return the longest of all waits."""
        waits = [*self._by_pace(tokens), *self._by_requests(), *self._by_tokens(tokens), *self._by_running_calls()]
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
        over = self._requests - self._quota.rpm
        if over >= 0:
            [[oldest]] = self._connection.execute(_OLDEST, [self._backend, self._since, over])
            yield self._until(oldest, "rpm")

    def _by_tokens(self, tokens: int) -> Iterator[Wait]:
        """Wait until the oldest have left the window whose tokens are too many, at most until all have."""
        if self._quota.tpm is None:
            return
        used = self._tokens
        if not used or used + tokens <= self._quota.tpm:
            return
        for taken, freed in self._connection.execute(_BY_AGE, [self._backend, self._since]):
            used -= freed
            if used <= 0 or used + tokens <= self._quota.tpm:
                yield self._until(taken, "tpm")
                return

    def _by_running_calls(self) -> Iterator[Wait]:
        most = self._quota.concurrent
        if most is not None and self._held >= most:
            self._release_held_by_dead()
            if self._held >= most:
                yield Wait(POLL_INTERVAL, "concurrent")

    def _release_held_by_dead(self) -> None:
        for (process,) in self._connection.execute(_HOLDERS, [self._backend]).fetchall():
            if not is_running(process):
                self._held -= self._connection.execute(_FREE, [self._backend, process]).rowcount

    def _until(self, taken: float, cause: Cause) -> Wait:
        return Wait(max(taken + self._seconds - self._now, _SHORTEST_WAIT), cause)


def _left(moment: float | None, now: float) -> float:
    """Return the seconds until a time; 0 for one that has passed, and for one from before a restart."""
    return moment - now if moment is not None and 0 < moment - now <= MAX_PROVIDER_WAIT else 0.0


def _until(allowance: Allowance | None, now: float) -> tuple[int | None, float | None]:
    return (None, None) if allowance is None else (allowance.left, now + min(allowance.reset, MAX_PROVIDER_WAIT))
