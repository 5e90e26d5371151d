"""Search in messages: by SQLite's full-text index where there is one; else, and for parts of words, by a plain scan.

A search brings the index up to date; a conversation does not, since that would slow it down.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from arawn.errors import NotSavedError
from arawn.store.records import Hit

if TYPE_CHECKING:
    from sqlite3 import Connection

    from arawn.store.database import Database

_AROUND = 60
_CAN_INDEX = "SELECT 1 FROM pragma_module_list WHERE name = 'fts5'"
_MAKE_INDEX = "CREATE VIRTUAL TABLE IF NOT EXISTS said USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2')"
_HAS_INDEX = "SELECT 1 FROM sqlite_master WHERE name = 'said'"
_FOUND = """
    SELECT sessions.id, title, turn, role, written, messages.text
    FROM messages JOIN sessions ON sessions.id = messages.session {join}
    WHERE (parent IS NULL OR turn > branched_at) AND {condition} ORDER BY {order} LIMIT ?
"""


def find(database: Database, words: str, limit: int) -> tuple[Hit, ...]:
    """Return the messages that have all the words, also as beginnings of words; else those that have them anywhere.

    What a branch shares with its parent is found in the parent.
    """
    wanted = words.encode("utf-8", "replace").decode().replace("\0", " ").split()
    if not wanted:
        return ()
    rows = _matched(database, wanted, limit) if _indexed(database) else []
    return tuple(_hit(row, wanted) for row in rows or _scanned(database, wanted, limit))


def prune_index(connection: Connection) -> None:
    """Remove deleted messages from the index."""
    if connection.execute(_HAS_INDEX).fetchone():
        connection.execute("DELETE FROM said WHERE rowid NOT IN (SELECT id FROM messages)")
        connection.execute("INSERT INTO said (said) VALUES ('optimize')")  # a deletion alone leaves the words there


def _indexed(database: Database) -> bool:
    """Bring the index up to date; false where there can be none, or it cannot be written."""
    if not database.rows(_CAN_INDEX):
        return False
    if database.rows(_HAS_INDEX) and not database.rows("SELECT 1 FROM messages WHERE NOT searchable LIMIT 1"):
        return True
    try:
        with database.writing() as connection:
            connection.execute(_MAKE_INDEX)
            connection.execute("DELETE FROM said WHERE rowid NOT IN (SELECT id FROM messages WHERE searchable)")
            connection.execute("INSERT INTO said (rowid, text) SELECT id, text FROM messages WHERE NOT searchable")
            connection.execute("UPDATE messages SET searchable = 1 WHERE NOT searchable")
    except NotSavedError:
        return False
    return True


def _matched(database: Database, words: list[str], limit: int) -> list[tuple[Any, ...]]:
    quoted = " ".join('"' + word.replace('"', '""') + '"*' for word in words)
    query = _FOUND.format(join="JOIN said ON said.rowid = messages.id", condition="said MATCH ?", order="rank")
    return database.rows(query, quoted, limit)


def _scanned(database: Database, words: list[str], limit: int) -> list[tuple[Any, ...]]:
    condition = " AND ".join(["messages.text LIKE ? ESCAPE '\\'"] * len(words))
    patterns = ["%" + re.sub(r"([\\%_])", r"\\\1", word) + "%" for word in words]
    query = _FOUND.format(join="", condition=condition, order="messages.id DESC")
    return database.rows(query, *patterns, limit)


def _hit(row: tuple[Any, ...], words: list[str]) -> Hit:
    session, title, turn, role, written, text = row
    found = re.search("|".join(map(re.escape, words)), text, re.IGNORECASE)
    start, end = found.span() if found else (0, 0)
    return Hit(
        session=session,
        title=title,
        turn=turn,
        role=role,
        written=written,
        before=_line(text[max(0, start - _AROUND) : start], cut_before=start > _AROUND),
        found=_line(text[start:end]),
        after=_line(text[end : end + _AROUND], cut_after=len(text) > end + _AROUND),
    )


def _line(text: str, *, cut_before: bool = False, cut_after: bool = False) -> str:
    """Return the text on one line, with an ellipsis where it was cut."""
    return "…" * cut_before + re.sub(r"\s+", " ", text) + "…" * cut_after
