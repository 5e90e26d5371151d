"""Circuit breakers: which backends failed lately, known to all processes of this machine.

The problem: a backend that is down costs every call the time to find that out, a timeout at worst, before a fallback
answers; and calls that go on hitting it keep it down. What one process learnt should spare the others the wait.

A circuit has three states. Closed: calls go through. FAILURE_THRESHOLD failures in a row within FAILURE_WINDOW seconds
open it. Open: no calls for MIN_OPEN seconds, and fallbacks answer. Half open, after that: one call at a time (the
probe) may try. Its success closes the circuit and forgets the failures; its failure opens it for twice as long, up to
MAX_OPEN.

The invariant: of a half open circuit at most one call is the probe, over all processes. It is claimed in a write
transaction that looks again at the row, and named by the moment of the claim, so that the failure of a call that was
under way when the circuit opened does not pass for the probe's. A success closes a circuit whoever had it: the backend
answered. A probe whose process died, or of which nothing is known after PROBE_TIMEOUT, is left to the next caller.

Only failures that speak of the backend's health count, not the user's own mistakes. A closed circuit without failures
has no row, and a call to such a backend costs one read. For the clock see ``arawn.store.leases``.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from arawn.errors import ConfigError, NotSavedError
from arawn.store.leases import is_running
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable
    from sqlite3 import Connection

    from arawn.store.database import Database

FAILURE_THRESHOLD = 3
"""Failures in a row that open a circuit; a row of the table holds the times of the last two."""
FAILURE_WINDOW = 120.0
"""Seconds within which they have to come."""
MIN_OPEN = 30.0
"""Seconds a circuit stays open the first time."""
MAX_OPEN = 300.0
"""Seconds a circuit stays open at most."""
PROBE_TIMEOUT = 60.0
"""Seconds after which another call may be the probe, where the result of the last one is unknown."""

_SELECT = """
    SELECT failures, failed, failed_before, opened, seconds, probed, process, reason FROM circuits WHERE backend = ?
"""
_PUT = "INSERT OR REPLACE INTO circuits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_CLAIM = "UPDATE circuits SET probed = ?, process = ? WHERE backend = ?"
_RELEASE = "UPDATE circuits SET probed = NULL WHERE backend = ? AND probed = ?"
_FORGET = "DELETE FROM circuits WHERE backend = ?"
_UNUSABLE = (ConfigError, NotSavedError)


class Circuit(Value):
    """A backend's circuit as a caller found it; ``allows`` says whether it may call.

    ``failures`` are those in a row, ``reason`` is the kind of the last. Where it may not call, ``wait`` is the seconds
    until it may, 0 while another call is the probe; ``opened`` is when the circuit opened. ``probe`` names the caller's
    own probe, None where it is none.
    """

    backend: str
    allows: bool = True
    failures: int = 0
    reason: str = ""
    wait: float = 0.0
    opened: float | None = None
    probe: float | None = None

    @property
    def healthy(self) -> bool:
        """Whether no failure is known."""
        return not self.failures


class Circuits:
    """The circuits of all backends; where the database cannot be used, all are closed."""

    def __init__(
        self,
        database: Database,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        process: Callable[[], int] = os.getpid,
    ) -> None:
        self._database = database
        self._monotonic = monotonic
        self._process = process

    def check(self, backend: str) -> Circuit:
        """Return the circuit as it is now; of a half open one, this call becomes the probe if there is none.

        A caller that is allowed must say how it went: ``record_success``, ``record_failure`` or ``release``.
        """
        with suppress(*_UNUSABLE):
            row = self._read(backend)
            if row is None or row.opened is None or row.left(self._monotonic()) > 0:
                return self._found(backend, row)
            with self._database.writing() as connection:
                return self._claimed(connection, backend)
        return Circuit(backend)

    def record_success(self, circuit: Circuit) -> None:
        """Close a circuit: its backend answered. It writes only where there were failures."""
        if not circuit.healthy:
            self._forget(circuit.backend)

    def record_failure(self, circuit: Circuit, reason: str) -> None:
        """Count a failure; that of a call that was under way when the circuit opened changes nothing."""
        with suppress(*_UNUSABLE), self._database.writing() as connection:
            now = self._monotonic()
            row = _current(connection.execute(_SELECT, [circuit.backend]).fetchall(), now)
            if row is None or row.opened is None:
                _put(connection, circuit.backend, _counted(row, now, reason))
            elif circuit.probe is not None and row.probed == circuit.probe:
                _put(connection, circuit.backend, _opened(row, now, reason))

    def release(self, circuit: Circuit) -> None:
        """Let another call be the probe: this one ended without saying anything about the backend."""
        if circuit.probe is None:
            return
        with suppress(*_UNUSABLE), self._database.writing() as connection:
            connection.execute(_RELEASE, [circuit.backend, circuit.probe])

    def trip(self, backend: str, reason: str) -> None:
        """Open a circuit at once, after a check that failed; one that is open stays as it is."""
        with suppress(*_UNUSABLE):
            row = self._read(backend)
            if row is not None and row.left(self._monotonic()) > 0:
                return
            with self._database.writing() as connection:
                now = self._monotonic()
                row = _current(connection.execute(_SELECT, [backend]).fetchall(), now)
                _put(connection, backend, _opened(row, now, reason))

    def close(self, backend: str) -> None:
        """Close a circuit after a check that went well; it writes only where there were failures."""
        with suppress(*_UNUSABLE):
            if os.path.exists(self._database.path) and self._database.rows(_SELECT, backend):
                self._forget(backend)

    def _read(self, backend: str) -> _Row | None:
        return _current(self._database.rows(_SELECT, backend), self._monotonic())

    def _found(self, backend: str, row: _Row | None) -> Circuit:
        """Return the circuit for a caller that is not the probe."""
        if row is None:
            return Circuit(backend)
        wait = row.left(self._monotonic())
        return Circuit(backend, row.opened is None, row.failures, row.reason, wait, row.opened)

    def _claimed(self, connection: Connection, backend: str) -> Circuit:
        """Become the probe, unless another call is."""
        now = self._monotonic()
        row = _current(connection.execute(_SELECT, [backend]).fetchall(), now)
        if row is None or row.opened is None or row.left(now) > 0 or row.has_probe(now):
            return self._found(backend, row)
        connection.execute(_CLAIM, [now, self._process(), backend])
        return Circuit(backend, True, row.failures, row.reason, 0.0, row.opened, now)

    def _forget(self, backend: str) -> None:
        with suppress(*_UNUSABLE), self._database.writing() as connection:
            connection.execute(_FORGET, [backend])


class _Row(NamedTuple):
    """A backend's row: its failures, the times of the last two, and since when and for how many seconds it is open."""

    failures: int
    failed: float
    failed_before: float | None
    opened: float | None
    seconds: float
    probed: float | None
    process: int
    reason: str

    def left(self, now: float) -> float:
        """Return the seconds until it is half open."""
        return 0.0 if self.opened is None else max(0.0, self.opened + self.seconds - now)

    def has_probe(self, now: float) -> bool:
        """Say whether a call is the probe now."""
        return self.probed is not None and 0 <= now - self.probed < PROBE_TIMEOUT and is_running(self.process)


def _current(rows: list[tuple[Any, ...]], now: float) -> _Row | None:
    """Return the row, None where there is none or it is from before a restart of the machine."""
    row = _Row(*rows[0]) if rows else None
    return None if row is None or max(row.failed, row.opened or 0.0) > now else row


def _counted(row: _Row | None, now: float, reason: str) -> _Row:
    """Return a closed circuit after one more failure, which may open it."""
    before = [] if row is None else [row.failed, row.failed_before]
    recent = [moment for moment in before if moment is not None and now - moment <= FAILURE_WINDOW]
    failures = len(recent) + 1
    opened = now if failures >= FAILURE_THRESHOLD else None
    return _Row(failures, now, recent[0] if recent else None, opened, MIN_OPEN, None, 0, reason)


def _opened(row: _Row | None, now: float, reason: str) -> _Row:
    """Return an open circuit; where it was open before, for twice as long."""
    if row is None:
        return _Row(1, now, None, now, MIN_OPEN, None, 0, reason)
    seconds = MIN_OPEN if row.opened is None else min(2 * row.seconds, MAX_OPEN)
    return _Row(row.failures + 1, now, row.failed, now, seconds, None, 0, reason)


def _put(connection: Connection, backend: str, row: _Row) -> None:
    connection.execute(_PUT, [backend, *row])
