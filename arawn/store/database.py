"""The database file: SQLite with a write-ahead log, private, migrated by number.

A commit survives kill -9 at once, and a power cut where it was asked to be durable. ``sqlite3`` is imported when the
file is first needed, since most runs of a library need none.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

from arawn.errors import ConfigError, NotSavedError
from arawn.files import check_private, open_private, open_private_lock
from arawn.folders import data_folder
from arawn.store.migrations import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from sqlite3 import Connection

FILE = "arawn.db"
BUSY_TIMEOUT = 10.0
"""Seconds a process waits for another's write; SQLite's ``busy_timeout``."""


class Database:
    """The file at ``path``, opened and migrated when first used; of one thread. Close it, or use it in ``with``.

    ``warnings`` says what was repaired on opening. Every method raises ConfigError for a file that cannot be used: not
    a database, damaged, made by a newer arawn.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._connection: Connection | None = None
        self._pragmas: dict[str, str] = {}
        self._deferred: list[Callable[[Connection], object]] = []

    @classmethod
    def of_user(cls, environ: Mapping[str, str]) -> Self:
        """Return the database of the user."""
        return cls(os.path.join(data_folder(environ), FILE))

    def reopened(self) -> Self:
        """Return the same file for another thread; close it there."""
        return type(self)(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a later method opens it again."""
        connection, self._connection = self._connection, None
        self._pragmas = {}
        if connection is not None:
            connection.close()

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        import sqlite3

        connection = self._opened()
        try:
            return connection.execute(sql, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite's message may quote bytes of a damaged file
            raise _unusable(self.path, error) from error

    @contextmanager
    def writing(self, *, durable: bool = False, wait: bool = True) -> Iterator[Connection]:
        """Write in one transaction: all of it or nothing, while no other process writes.

        ``durable`` waits until it is on the disk, and all that was written before. Raises NotSavedError when it cannot
        be written: the disk is full, the file read-only, or locked for longer than BUSY_TIMEOUT; without ``wait``, if
        it is locked at all.
        """
        import sqlite3

        connection = self._opened()
        try:
            if connection.in_transaction:  # a signal ended the last one before it could end itself
                connection.execute("ROLLBACK")
            self._set_pragma(connection, "synchronous", "FULL" if durable else "NORMAL")
            self._set_pragma(connection, "busy_timeout", f"{BUSY_TIMEOUT * wait * 1000:.0f}")
            try:
                connection.execute("BEGIN IMMEDIATE")
                deferred = tuple(self._deferred)
                for write in deferred:
                    write(connection)
                yield connection
                connection.execute("COMMIT")
                del self._deferred[: len(deferred)]
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _not_written(self.path, error) from error

    def defer(self, write: Callable[[Connection], object]) -> None:
        """Write with this object's next transaction, which spares one; ``flush`` is to be called soon."""
        self._deferred.append(write)

    def flush(self) -> None:
        """Write what is deferred still. Raises NotSavedError when it cannot be written; then it stays deferred."""
        if self._deferred:
            with self.writing():
                pass

    def checkpoint(self) -> None:
        """Empty the write-ahead log, which still holds what was deleted, as far as no other process is reading."""
        self.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def _set_pragma(self, connection: Connection, name: str, value: str) -> None:
        """Set what holds for one connection, unless it holds already."""
        if self._pragmas.get(name) != value:
            connection.execute(f"PRAGMA {name} = {value}")
            self._pragmas[name] = value

    def _opened(self) -> Connection:
        if self._connection is None:
            import sqlite3

            try:
                self._connection = self._current() or self._migrated()
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise _unusable(self.path, error) from error
        return self._connection

    def _current(self) -> Connection | None:
        """Open the file; None where it is missing or of an older version."""
        if not os.path.exists(self.path):
            return None
        repaired = (check_private(self.path + suffix) for suffix in ("", "-wal", "-shm"))
        self.warnings += filter(None, repaired)
        with ExitStack() as on_failure:
            connection = _connected(self.path)
            on_failure.callback(connection.close)
            if self._version(connection) == len(MIGRATIONS):
                on_failure.pop_all()
                return connection
        return None

    def _migrated(self) -> Connection:
        """Open the file, created and brought up to date while no other process does."""
        with open_private_lock(self.path), ExitStack() as on_failure:
            if not os.path.exists(self.path):
                os.close(open_private(self.path))
            connection = _connected(self.path)
            on_failure.callback(connection.close)
            version = self._version(connection)
            if version == 0:
                connection.execute("PRAGMA journal_mode = WAL")
            for number, statements in enumerate(MIGRATIONS[version:], version + 1):
                connection.execute("BEGIN IMMEDIATE")
                for statement in statements:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
                connection.execute("COMMIT")
            on_failure.pop_all()
            return connection

    def _version(self, connection: Connection) -> int:
        """Return the version of the file. Raises ConfigError, the file untouched, when a newer arawn made it."""
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise ConfigError(
                f"{self.path} was made by a newer arawn (version {version}; this one knows {len(MIGRATIONS)})",
                hints=["update arawn, or use another folder: ARAWN_HOME=… arawn …"],
            )
        return version


def _connected(path: str) -> Connection:
    import sqlite3

    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def _unusable(path: str, error: Exception) -> ConfigError:
    return ConfigError(f"cannot use {path}: {error}", hints=_hints(path, error))


def _not_written(path: str, error: Exception) -> NotSavedError:
    return NotSavedError(f"cannot write {path}: {error}", hints=_hints(path, error))


def _hints(path: str, error: Exception) -> list[str]:
    """Say what to do, by SQLite's name of the failure."""
    match getattr(error, "sqlite_errorname", "").split("_")[1:2]:
        case ["NOTADB" | "CORRUPT"]:
            return [f"move it away, and a new one is made: mv {path} {path}.damaged"]
        case ["FULL" | "IOERR"]:
            return ["make room on the disk, or check its health"]
        case ["BUSY" | "LOCKED"]:
            return [f"another process has been writing for more than {BUSY_TIMEOUT:.0f} seconds"]
        case ["READONLY" | "CANTOPEN" | "PERM"]:
            return ["check who may write the file and its folder"]
        case _:
            return []
