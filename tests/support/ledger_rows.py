"""Rows of a ledger written with plain SQL, for reports to read: ``call``, ``write_calls``, ``write_session``."""

from __future__ import annotations

import calendar
import os
import sqlite3
import time
from typing import Any

from arawn.store.database import FILE, Database

DOLLAR = 10**12
DEAD = 2**22 + 1
"""A number that no process has."""


def timestamp(text: str) -> float:
    """Return a time in UTC, given as 2026-11-21 or 2026-11-21 13:30, in seconds since the epoch."""
    form = "%Y-%m-%d %H:%M" if " " in text else "%Y-%m-%d"
    return float(calendar.timegm(time.strptime(text, form)))


def call(at: str | float = "2026-11-21", *, usd: float | None = 0.0, **columns: Any) -> dict[str, Any]:
    """Return a complete call; ``usd`` is its cost, None where it is not known."""
    began = timestamp(at) if isinstance(at, str) else at
    return {
        "day": time.strftime("%Y-%m-%d", time.gmtime(began)),
        "began": began,
        "session": "",
        "role": "llm",
        "backend": "groq",
        "model": "llama",
        "input_tokens": 0,
        "counted": "reported",
        "cost": None if usd is None else round(usd * DOLLAR),
        "outcome": "complete",
        **columns,
    }


def write_calls(folder: Any, *calls: dict[str, Any]) -> str:
    """Write calls into the database of a folder, with the sums budgets are checked against; return its path."""
    path = os.path.join(str(folder), FILE)
    with Database(path) as database:
        database.rows("SELECT 1")
    connection = sqlite3.connect(path)
    with connection:
        for each in calls:
            names = ", ".join(each)
            marks = ", ".join(f":{name}" for name in each)
            connection.execute(f"INSERT INTO calls ({names}) VALUES ({marks})", each)
            if each["cost"]:
                connection.execute(
                    "INSERT INTO spending VALUES (:day, :backend, :cost)"
                    " ON CONFLICT DO UPDATE SET cost = cost + excluded.cost",
                    each,
                )
    connection.close()
    return path


def write_session(folder: Any, session: str, text: str) -> None:
    """Keep a session with a title."""
    connection = sqlite3.connect(os.path.join(str(folder), FILE))
    with connection:
        connection.execute(
            "INSERT INTO sessions (id, title, created, updated, backend, model, system, usage)"
            " VALUES (?, ?, 0, 0, 'groq', 'llama', '', '{}')",
            [session, text],
        )
    connection.close()
