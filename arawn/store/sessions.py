"""Saved conversations: created before the first call, written while the answer streams, found again later."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from arawn.errors import ConfigError, NotSavedError, UsageError
from arawn.messages import Usage
from arawn.store import search
from arawn.store.message_json import dumps, loads, usage_from_json, usage_to_json
from arawn.store.records import Entry, SessionInfo, Transcript
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal
    from sqlite3 import Connection

    from arawn.messages import Message
    from arawn.store.database import Database
    from arawn.store.records import Hit

LAST = "last"
"""The word for the session that was used last."""
SHORTEST_PREFIX = 4
_LONGEST_NAME = 60
_DAY = 86_400.0
_INFO = """
    SELECT id, coalesce(name, ''), title, created, updated, backend, model, system, parent, branched_at, summary,
        summarised, usage, cost,
        (SELECT count(DISTINCT turn) FROM messages WHERE session = sessions.id) AS turns,
        (SELECT substr(text, 1, 200) FROM messages WHERE session = sessions.id AND text <> ''
            ORDER BY turn DESC, position DESC LIMIT 1)
    FROM sessions
"""
_NEWEST_FIRST = " ORDER BY updated DESC, rowid DESC"
_RECENT = _INFO + " WHERE turns > 0" + _NEWEST_FIRST + " LIMIT ?"
_BY_ID = _INFO + " WHERE id = ?"
_BY_WORD = _INFO + " WHERE id = ?1 OR name = ?1"
_BY_PREFIX = _INFO + " WHERE substr(id, 1, length(?1)) = ?1" + _NEWEST_FIRST
_BEGIN = """
    INSERT INTO sessions (id, name, title, created, updated, backend, model, system, parent, branched_at, summary,
        summarised, usage)
    VALUES (:id, :name, :title, :now, :now, :backend, :model, :system, :parent, :branched_at, :summary, :summarised,
        :usage)
"""
_NEW = {"name": None, "parent": None, "branched_at": None, "summary": "", "summarised": 0}
_ENTRIES = """
    SELECT turn, position, status, written, message, backend, model, finish_reason, raw_finish_reason, usage, cost
    FROM messages WHERE session = ? ORDER BY turn, position
"""
_PUT = """
    INSERT INTO messages (session, turn, position, role, status, written, message, text, backend, model,
        finish_reason, raw_finish_reason, usage, cost)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (session, turn, position) DO UPDATE SET (role, status, written, message, text, backend, model,
        finish_reason, raw_finish_reason, usage, cost, searchable)
    = (excluded.role, excluded.status, excluded.written, excluded.message, excluded.text, excluded.backend,
        excluded.model, excluded.finish_reason, excluded.raw_finish_reason, excluded.usage, excluded.cost, 0)
"""
_COPY = """
    INSERT INTO messages (session, turn, position, role, status, written, message, text, backend, model,
        finish_reason, raw_finish_reason, usage, cost)
    SELECT ?, turn, position, role, status, written, message, text, backend, model, finish_reason, raw_finish_reason,
        usage, cost
    FROM messages WHERE session = ? AND turn <= ?
"""


class Sessions:
    """The conversations in a database. ``now`` is the time in seconds since the epoch.

    What writes raises NotSavedError when it cannot; every method raises ConfigError when the file cannot be used.
    """

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    @contextmanager
    def for_this_thread(self) -> Iterator[Self]:
        """Give the same conversations to another thread, on a connection of its own."""
        with self._database.reopened() as database:
            yield type(self)(database, now=self._now)

    def create(self, *, backend: str, model: str, title: str = "", system: str = "", name: str = "") -> str:
        """Make a session and return its id. Raises UsageError for a name that cannot be one, or is taken."""
        with self._database.writing() as connection:
            free = _free_name(connection, name) if name else None
            return self._insert(connection, backend=backend, model=model, title=title, system=system, name=free)

    def add_turn(self, session: str, message: Message, *, backend: str, model: str) -> int:
        """Begin a turn with the user's message and return its number."""
        with self._database.writing() as connection:
            [[last]] = connection.execute("SELECT coalesce(max(turn), 0) FROM messages WHERE session = ?", [session])
            self._put(connection, session, Entry(message=message, turn=last + 1, backend=backend, model=model))
            connection.execute(
                "UPDATE sessions SET updated = ?, backend = ?, model = ? WHERE id = ?",
                [self._now(), backend, model, session],
            )
            return int(last) + 1

    def save_draft(self, session: str, entry: Entry) -> None:
        """Write an answer as far as it has come; what stood at its position or after it is replaced."""
        with self._database.writing() as connection:
            self._put(connection, session, entry)

    def save_answer(self, session: str, entry: Entry) -> None:
        """Write an answer for good, durably, and add its usage and cost to the session's."""
        with self._database.writing(durable=True) as connection:
            self._put(connection, session, entry)
            [row] = connection.execute("SELECT usage, cost FROM sessions WHERE id = ?", [session])
            usage, cost = add_usage(usage_from_json(json.loads(row[0])), entry.usage), add_cost(row[1], entry.cost)
            connection.execute(
                "UPDATE sessions SET updated = ?, usage = ?, cost = ? WHERE id = ?",
                [self._now(), _usage_text(usage), _text(cost), session],
            )

    def recent(self, limit: int = -1) -> tuple[SessionInfo, ...]:
        """Return the sessions that have a message, newest first; a limit below 0 means no limit."""
        return tuple(map(_info, self._database.rows(_RECENT, limit)))

    def find(self, word: str) -> SessionInfo | None:
        """Return the session a word means: ``last``, an id, a name, or at least four letters that an id begins with.

        None where it means none. Raises UsageError where it may mean several.
        """
        if word == LAST:
            return next(iter(self.recent(1)), None)
        word = _storable(word)
        exact = self._database.rows(_BY_WORD, word)
        if exact or len(word) < SHORTEST_PREFIX:
            return _info(exact[0]) if exact else None
        begun = self._database.rows(_BY_PREFIX, word.lower())
        if len(begun) > 1:
            raise UsageError(
                f'"{word}" is the beginning of several sessions', hints=["one of " + ", ".join(row[0] for row in begun)]
            )
        return _info(begun[0]) if begun else None

    def resolve(self, word: str) -> SessionInfo:
        """Return the session a word means, as ``find`` does. Raises UsageError where it means none."""
        found = self.find(word)
        if found is not None:
            return found
        if word == LAST:
            raise UsageError("there is no session yet", hints=["the first one begins with: arawn chat"])
        from difflib import get_close_matches

        names = [name for [name] in self._database.rows("SELECT name FROM sessions WHERE name IS NOT NULL")]
        near = get_close_matches(word[:_LONGEST_NAME], names, n=1)
        guess = [f'did you mean "{near[0]}"?'] if near else []
        raise UsageError(f"no session {word[:_LONGEST_NAME]!r}", hints=[*guess, "see them: arawn sessions list"])

    def load(self, session: str) -> Transcript:
        """Return a whole conversation by its id. Raises UsageError when it is no longer there."""
        rows = self._database.rows(_BY_ID, session)
        if not rows:
            raise UsageError(f"no session {session!r}", hints=["see them: arawn sessions list"])
        try:
            return Transcript(_info(rows[0]), tuple(map(_entry, self._database.rows(_ENTRIES, session))))
        except ValueError as error:
            raise ConfigError(f"{self._database.path}: session {session} cannot be read: {error}") from error

    def search(self, words: str, limit: int = 20) -> tuple[Hit, ...]:
        """Return the messages whose visible text has all the words, the best match first."""
        return search.find(self._database, words, limit)

    def rename(self, session: str, name: str) -> None:
        """Give a session a name, or with an empty one take it away. Raises UsageError as ``begin`` does."""
        with self._database.writing(durable=True) as connection:
            free = _free_name(connection, name, session) if name else None
            connection.execute("UPDATE sessions SET name = ? WHERE id = ?", [free, session])

    def set_system(self, session: str, system: str) -> None:
        """Give a session another system prompt."""
        with self._database.writing() as connection:
            connection.execute("UPDATE sessions SET system = ? WHERE id = ?", [_storable(system), session])

    def retitle(self, session: str, title: str) -> None:
        """Give a session another title."""
        with self._database.writing() as connection:
            connection.execute("UPDATE sessions SET title = ? WHERE id = ?", [_storable(title), session])

    def summarise(self, session: str, summary: str, upto: int) -> None:
        """Set the summary that is sent in place of the turns up to ``upto``; an empty one leaves them out."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE sessions SET summary = ?, summarised = ? WHERE id = ?", [_storable(summary), upto, session]
            )

    def branch(self, session: str, turn: int) -> str:
        """Make a session that begins with the turns of another up to the number ``turn``, and return its id."""
        with self._database.writing(durable=True) as connection:
            found = connection.execute(_BY_ID, [session]).fetchone()
            if found is None:
                raise NotSavedError(f"session {session} is no longer there")
            parent = _info(found)
            summarised = parent.summarised if parent.summarised <= turn else 0
            made = self._insert(
                connection,
                backend=parent.backend,
                model=parent.model,
                title=parent.title,
                system=parent.system,
                parent=session,
                branched_at=turn,
                summary=parent.summary if summarised else "",
                summarised=summarised,
            )
            connection.execute(_COPY, [made, session, turn])
            return made

    def undo(self, session: str, turn: int) -> None:
        """Remove a turn from a session."""
        with self._database.writing(durable=True) as connection:
            connection.execute("DELETE FROM messages WHERE session = ? AND turn = ?", [session, turn])
            search.prune_index(connection)
        self._database.checkpoint()

    def delete(self, *sessions: str) -> None:
        """Remove sessions with all their messages, from the disk too; their branches stay."""
        with self._database.writing(durable=True) as connection:
            connection.executemany("DELETE FROM sessions WHERE id = ?", [[session] for session in sessions])
            search.prune_index(connection)
        self._database.checkpoint()

    def purge(self, days: float) -> int:
        """Delete the sessions that were not used for so many days, but not named ones; return how many there were."""
        old = self._database.rows(
            "SELECT id FROM sessions WHERE name IS NULL AND updated < ?", self._now() - days * _DAY
        )
        if old:
            self.delete(*(session for [session] in old))
        return len(old)

    def _insert(self, connection: Connection, **columns: Any) -> str:
        made, usage = _new_id(connection), _usage_text(Usage())
        row = {**_NEW, "id": made, "now": self._now(), "usage": usage, **columns}
        for column in ("title", "system", "summary"):
            row[column] = _storable(row[column])
        connection.execute(_BEGIN, row)
        return made

    def _put(self, connection: Connection, session: str, entry: Entry) -> None:
        if not connection.execute("SELECT 1 FROM sessions WHERE id = ?", [session]).fetchone():
            raise NotSavedError(f"session {session} is no longer there")
        connection.execute(
            "DELETE FROM messages WHERE session = ? AND turn = ? AND position > ?",
            [session, entry.turn, entry.position],
        )
        connection.execute(_PUT, [session, *_row(replace(entry, written=self._now()))])


def add_usage(total: Usage, more: Usage | None) -> Usage:
    """Return the sum of two usages, without their cost; estimated where one of them is."""
    if more is None:
        return total
    return Usage(
        total.input_tokens + more.input_tokens,
        total.output_tokens + more.output_tokens,
        total.cache_read_tokens + more.cache_read_tokens,
        total.cache_write_tokens + more.cache_write_tokens,
        total.reasoning_tokens + more.reasoning_tokens,
        total.estimated or more.estimated,
    )


def add_cost(total: Decimal | str | None, more: Decimal | None) -> Decimal | None:
    """Return the sum of the costs that are known, None where none is."""
    if total is None:
        return more
    from decimal import Decimal

    return Decimal(total) + (more or 0)


def _free_name(connection: Connection, name: str, owner: str = "") -> str:
    """Return the name. Raises UsageError when it cannot be one, or another session than ``owner`` has it."""
    if name == LAST or not name.isprintable() or name != name.strip() or len(name) > _LONGEST_NAME or name[0] == "-":
        raise UsageError(
            f"{name[:_LONGEST_NAME]!r} cannot be the name of a session",
            hints=[f'1 to {_LONGEST_NAME} visible characters, not beginning with "-", and not the word "{LAST}"'],
        )
    taken = connection.execute("SELECT id FROM sessions WHERE name = ? AND id <> ?", [name, owner]).fetchone()
    if taken:
        raise UsageError(f'session {taken[0]} already has the name "{name}"')
    return name


def _new_id(connection: Connection) -> str:
    while True:
        made = os.urandom(4).hex()
        if not connection.execute("SELECT 1 FROM sessions WHERE id = ?", [made]).fetchone():
            return made


def _info(row: tuple[Any, ...]) -> SessionInfo:
    *plain, usage, cost, turns, last_text = row
    keys = ("id", "name", "title", "created", "updated", "backend", "model", "system", "parent", "branched_at")
    return SessionInfo(
        **dict(zip((*keys, "summary", "summarised"), plain, strict=True)),
        usage=usage_from_json(json.loads(usage)),
        cost=add_cost(cost, None),
        turns=turns,
        last_text=last_text or "",
    )


def _entry(row: tuple[Any, ...]) -> Entry:
    turn, position, status, written, message, backend, model, finish_reason, raw, usage, cost = row
    return Entry(
        message=loads(message),
        turn=turn,
        position=position,
        status=status,
        written=written,
        backend=backend,
        model=model,
        finish_reason=finish_reason,
        raw_finish_reason=raw,
        usage=None if usage is None else usage_from_json(json.loads(usage)),
        cost=add_cost(cost, None),
    )


def _row(entry: Entry) -> tuple[Any, ...]:
    """Return the columns of an entry, in the order in which they are written."""
    return (
        entry.turn,
        entry.position,
        entry.message.role,
        entry.status,
        entry.written,
        dumps(entry.message),
        _storable(entry.message.text),
        entry.backend,
        entry.model,
        entry.finish_reason,
        entry.raw_finish_reason,
        None if entry.usage is None else _usage_text(entry.usage),
        _text(entry.cost),
    )


def _usage_text(usage: Usage) -> str:
    return json.dumps(usage_to_json(usage))


def _text(cost: Decimal | None) -> str | None:
    return None if cost is None else str(cost)


def _storable(text: str) -> str:
    """Return the text without halves of surrogate pairs, which SQLite's UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()
