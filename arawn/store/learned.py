"""What servers were found to refuse: the parameters that are left out of requests to one model, for a day.

A row names a backend, its address, a model and a parameter; nothing of a conversation is in it. Where the database
cannot be written, what was learned holds for this object alone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from arawn.errors import ConfigError, NotSavedError
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from arawn.store.database import Database

LEARNED_FOR = 86_400.0
"""Seconds after which a parameter is tried again."""
REREAD_AFTER = 60.0
"""Seconds after which a process reads again what others have learned or forgotten: not with each of many calls."""
_READ = "SELECT parameter FROM learned WHERE backend = ? AND address = ? AND model = ? AND at > ? AND at <= ?"
_ALL = """
    SELECT backend, address, model, parameter FROM learned WHERE at > ? AND at <= ?
    ORDER BY backend, address, model, parameter
"""
_PUT = "INSERT OR REPLACE INTO learned (backend, address, model, parameter, at) VALUES (?, ?, ?, ?, ?)"
_EXPIRE = "DELETE FROM learned WHERE at <= ?"


class Place(Value):
    """Whose parameters they are: a backend, the address it has (its ``base_url``), and one of its models."""

    backend: str
    address: str
    model: str


class LearnedParameters:
    """The parameters that are known to be refused."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now
        self._unwritten: dict[tuple[Place, str], float] = {}
        self._known: dict[Place, tuple[float, frozenset[str]]] = {}

    def refused(self, place: Place) -> frozenset[str]:
        """Return what a model was found to refuse within the last day."""
        now = self._now()
        read_at, names = self._known.get(place, (0.0, frozenset()))
        if not 0 <= now - read_at < REREAD_AFTER:
            names = self._read(place, now)
            self._known[place] = now, names
        return names

    def _read(self, place: Place, now: float) -> frozenset[str]:
        own = {name for (where, name), at in self._unwritten.items() if where == place and at > now - LEARNED_FOR}
        try:
            rows = self._database.rows(_READ, place.backend, place.address, place.model, now - LEARNED_FOR, now)
        except ConfigError:
            rows = []
        return frozenset(own.union(name for [name] in rows))

    def all(self) -> dict[Place, tuple[str, ...]]:
        """Return everything that is remembered, by place. Raises ConfigError for a database that cannot be used."""
        now = self._now()
        found: dict[Place, tuple[str, ...]] = {}
        for backend, address, model, name in self._database.rows(_ALL, now - LEARNED_FOR, now):
            place = Place(backend, address, model)
            found[place] = (*found.get(place, ()), name)
        return found

    def add(self, place: Place, names: Collection[str]) -> None:
        """Remember that these are refused, and forget what is older than a day."""
        now = self._now()
        self._known.pop(place, None)
        try:
            with self._database.writing() as connection:
                connection.execute(_EXPIRE, [now - LEARNED_FOR])
                connection.executemany(
                    _PUT, [(place.backend, place.address, place.model, name, now) for name in sorted(names)]
                )
        except (NotSavedError, ConfigError):
            self._unwritten |= {(place, name): now for name in names}


def forget(database: Database, backend: str = "") -> int:
    """Forget what was learned of a backend, of all where it is empty. Returns how many parameters that were."""
    with database.writing() as connection:
        return connection.execute("DELETE FROM learned WHERE ? IN ('', backend)", [backend]).rowcount
