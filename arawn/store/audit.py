"""The audit log: who changed what in the configuration, in budgets and secrets. Triggers keep its rows from changing.

An entry is written in a transaction that is open while the change is made: it is committed when the change was made,
and rolled back when that failed. Only a process that is killed between the change and the commit leaves a change
without an entry.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from arawn.store.database import Database

Action: TypeAlias = Literal["backend", "budget", "config", "secret", "trust"]
ACTIONS: tuple[Action, ...] = ("backend", "budget", "config", "secret", "trust")
_LONGEST_NAME = 64
_INSERT = "INSERT INTO audit (at, who, action, subject, before, after) VALUES (?, ?, ?, ?, ?, ?)"
_NEWEST = """
    SELECT at, who, action, subject, before, after FROM audit
    WHERE at >= ? AND (? = '' OR action = ?) ORDER BY id DESC LIMIT ?
"""


class Change(Value):
    """What changed: ``before`` and ``after`` are TOML values as text, None where there was or is none."""

    action: Action
    subject: str
    before: str | None = None
    after: str | None = None


class Entry(Value):
    """A change that was made by ``who``, ``at`` so many seconds since the epoch."""

    at: float
    who: str
    change: Change


class Audit:
    """The audit log in a database; entries are only ever added. ``who`` makes the changes, ``now`` is the clock.

    ``record`` and ``recording`` raise NotSavedError where the database cannot be written; all of them raise ConfigError
    where it cannot be used.
    """

    def __init__(self, database: Database, *, who: str = "", now: Callable[[], float] = time.time) -> None:
        self.database = database
        self._who = who
        self._now = now

    def record(self, action: Action, subject: str, before: str | None = None, after: str | None = None) -> None:
        """Write one entry."""
        with self.recording(Change(action, subject, before, after)):
            pass

    @contextmanager
    def recording(self, *changes: Change) -> Iterator[None]:
        """Write entries for changes made within the block; none where it raises."""
        with self.database.writing(durable=True) as connection:
            for change in changes:
                texts = (self._who, change.action, change.subject, change.before, change.after)
                connection.execute(_INSERT, (self._now(), *map(_storable, texts)))
            yield

    def entries(self, since: float = float("-inf"), limit: int = -1, *, action: str = "") -> list[Entry]:
        """Return the last entries, at most ``limit`` of them, the newest last."""
        rows = self.database.rows(_NEWEST, since, action, action, limit)
        return [Entry(at, who, Change(*change)) for at, who, *change in reversed(rows)]


def user_name(environ: Mapping[str, str]) -> str:
    """Return the name of the user of this process, and of the one who became it by ``sudo``."""
    name = _account()
    sudo = "".join(filter(str.isprintable, environ.get("SUDO_USER", "")))[:_LONGEST_NAME]
    return f"{name} (sudo: {sudo})" if sudo and sudo != name else name


def _account() -> str:
    """Ask the system, not the environment, which anybody may set."""
    if hasattr(os, "getuid"):
        import pwd

        try:
            return pwd.getpwuid(os.getuid()).pw_name
        except KeyError:  # a container may run as a number without a name
            return str(os.getuid())
    from getpass import getuser

    return getuser()


def _storable(text: str | None) -> str | None:
    """Return a text such as UTF-8 can hold: what is typed on a command line may be more."""
    return None if text is None else text.encode("utf-8", "replace").decode()
