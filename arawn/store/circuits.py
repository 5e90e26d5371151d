"""Which backends failed of late, known to all processes of this machine, so that nobody waits for what is down.

A circuit is closed while its backend answers. Failures in a row open it: the backend is then left alone for a while.
After that it is half open, and one call at a time may try it: a success closes it, a failure opens it for twice as
long. Times are those of the monotonic clock, which all processes share. It begins anew when the machine does: a stamp
from its future is older than that, and counts for nothing.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from arawn.errors import ConfigError, NotSavedError
from arawn.store.processes import alive
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable
    from sqlite3 import Connection

    from arawn.store.database import Database

FAILURES = 3
"""Failures in a row that open a circuit; a row of the table knows the times of the last two."""
WINDOW = 120.0
"""Seconds within which they have to come."""
SHORTEST = 30.0
"""Seconds a circuit stays open at first."""
LONGEST = 300.0
"""Seconds a circuit stays open at most."""
PROBE = 60.0
"""Seconds after which another call may try, when nobody knows how the last one went."""

_SELECT = """
    SELECT failures, failed, failed_before, opened, seconds, probed, process, reason FROM circuits WHERE backend = ?
"""
_PUT = "INSERT OR REPLACE INTO circuits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_CLAIM = "UPDATE circuits SET probed = ?, process = ? WHERE backend = ?"
_RELEASE = "UPDATE circuits SET probed = NULL WHERE backend = ? AND probed = ?"
_FORGET = "DELETE FROM circuits WHERE backend = ?"
_UNUSABLE = (ConfigError, NotSavedError)


class Circuit(Value):
    """A backend's circuit as a caller found it; ``allows`` says whether it may ask.

    ``failures`` are those in a row, ``reason`` is the kind of the last. Where it is not allowed, ``wait`` is for how
    many seconds, 0 while another call tries; ``opened`` says since when. ``probe`` names the caller's own try.
    """

    backend: str
    allows: bool = True
    failures: int = 0
    reason: str = ""
    wait: float = 0.0
    opened: float | None = None
    probe: float | None = None

    @property
    def spotless(self) -> bool:
        """Whether no failure is known."""
        return not self.failures


class Circuits:
    """The circuits of all backends. A database that cannot be used stops nobody: all circuits are closed then."""

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

    def look(self, backend: str) -> Circuit:
        """Say whether a backend may be asked; where one call may try it, this one does. It costs one read otherwise.

        Whoever is allowed tells how it went, by ``succeeded``, ``failed`` or ``released``.
        """
        with suppress(*_UNUSABLE):
            row = self._read(backend)
            if row is None or row.opened is None or row.left(self._monotonic()) > 0:
                return self._found(backend, row)
            with self._database.writing() as connection:
                return self._claimed(connection, backend)
        return Circuit(backend)

    def succeeded(self, circuit: Circuit) -> None:
        """Close a circuit: its backend answered. It writes only where a failure was known."""
        if not circuit.spotless:
            self._forget(circuit.backend)

    def failed(self, circuit: Circuit, reason: str) -> None:
        """Count a failure of some kind. One of a call that was under way when the circuit opened changes nothing."""
        with suppress(*_UNUSABLE), self._database.writing() as connection:
            now = self._monotonic()
            row = _current(connection.execute(_SELECT, [circuit.backend]).fetchall(), now)
            if row is None or row.opened is None:
                _put(connection, circuit.backend, _counted(row, now, reason))
            elif circuit.probe is not None and row.probed == circuit.probe:
                _put(connection, circuit.backend, _opened(row, now, reason))

    def released(self, circuit: Circuit) -> None:
        """Let another call try: this one ended without saying anything of the backend."""
        if circuit.probe is None:
            return
        with suppress(*_UNUSABLE), self._database.writing() as connection:
            connection.execute(_RELEASE, [circuit.backend, circuit.probe])

    def tripped(self, backend: str, reason: str) -> None:
        """Open a circuit at once, after a check that failed; one that is open stays as it is."""
        with suppress(*_UNUSABLE):
            row = self._read(backend)
            if row is not None and row.left(self._monotonic()) > 0:
                return
            with self._database.writing() as connection:
                now = self._monotonic()
                row = _current(connection.execute(_SELECT, [backend]).fetchall(), now)
                _put(connection, backend, _opened(row, now, reason))

    def closed(self, backend: str) -> None:
        """Close a circuit after a check that went well; it writes only where a failure was known."""
        with suppress(*_UNUSABLE):
            if os.path.exists(self._database.path) and self._database.rows(_SELECT, backend):
                self._forget(backend)

    def _read(self, backend: str) -> _Row | None:
        return _current(self._database.rows(_SELECT, backend), self._monotonic())

    def _found(self, backend: str, row: _Row | None) -> Circuit:
        """Return what a caller may know who does not try."""
        if row is None:
            return Circuit(backend)
        wait = row.left(self._monotonic())
        return Circuit(backend, row.opened is None, row.failures, row.reason, wait, row.opened)

    def _claimed(self, connection: Connection, backend: str) -> Circuit:
        """Take the one try there is, unless another call has it."""
        now = self._monotonic()
        row = _current(connection.execute(_SELECT, [backend]).fetchall(), now)
        if row is None or row.opened is None or row.left(now) > 0 or row.is_probed(now):
            return self._found(backend, row)
        connection.execute(_CLAIM, [now, self._process(), backend])
        return Circuit(backend, True, row.failures, row.reason, 0.0, row.opened, now)

    def _forget(self, backend: str) -> None:
        with suppress(*_UNUSABLE), self._database.writing() as connection:
            connection.execute(_FORGET, [backend])


class _Row(NamedTuple):
    """A backend's row: its failures, the times of the last two, and since when and for how long it is left alone."""

    failures: int
    failed: float
    failed_before: float | None
    opened: float | None
    seconds: float
    probed: float | None
    process: int
    reason: str

    def left(self, now: float) -> float:
        """Return the seconds until it may be tried."""
        return 0.0 if self.opened is None else max(0.0, self.opened + self.seconds - now)

    def is_probed(self, now: float) -> bool:
        """Say whether a call tries it now."""
        return self.probed is not None and 0 <= now - self.probed < PROBE and alive(self.process)


def _current(rows: list[tuple[Any, ...]], now: float) -> _Row | None:
    """Return the row there is, unless it is older than the machine's last start."""
    row = _Row(*rows[0]) if rows else None
    return None if row is None or max(row.failed, row.opened or 0.0) > now else row


def _counted(row: _Row | None, now: float, reason: str) -> _Row:
    """Return a closed circuit after one more failure; it may be the one that opens it."""
    before = [] if row is None else [row.failed, row.failed_before]
    recent = [stamp for stamp in before if stamp is not None and now - stamp <= WINDOW]
    failures = len(recent) + 1
    opened = now if failures >= FAILURES else None
    return _Row(failures, now, recent[0] if recent else None, opened, SHORTEST, None, 0, reason)


def _opened(row: _Row | None, now: float, reason: str) -> _Row:
    """Return an open circuit; where it was open before, for twice as long."""
    if row is None:
        return _Row(1, now, None, now, SHORTEST, None, 0, reason)
    seconds = SHORTEST if row.opened is None else min(2 * row.seconds, LONGEST)
    return _Row(row.failures + 1, now, row.failed, now, seconds, None, 0, reason)


def _put(connection: Connection, backend: str, row: _Row) -> None:
    connection.execute(_PUT, [backend, *row])
