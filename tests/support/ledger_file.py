"""A ledger in a file of the test (``ledger_in``), calls and worst cases for it, and ``query`` for what SQLite has."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal

from arawn.messages import Usage
from arawn.store.budgets import BudgetLimit
from arawn.store.calls import Call
from arawn.store.database import Database
from arawn.store.ledger import Ledger, MaxCost

NOON = 1_795_262_400.0
"""2026-11-21, 12:00 UTC."""
DAY = 86_400.0
DEAD = 2**22 + 1
"""A number no process has: it is above the highest."""
CENT = Decimal("0.01")


class Clock:
    """A wall clock and a clock that only goes on, both moved by the test."""

    def __init__(self):
        self.now = NOON
        self.monotonic = 1_000.0


def file_of(folder):
    return str(folder / "arawn.db")


def ledger_in(folder, clock=None, **options):
    """A ledger with a connection of its own; close its database at the end."""
    clock = clock or Clock()
    database = Database(file_of(folder))
    return database, Ledger(database, now=lambda: clock.now, monotonic=lambda: clock.monotonic, **options)


def call(**fields):
    return Call(**{"backend": "b", "model": "m-1", "began": NOON, "usage": Usage(7, estimated=True), **fields})


def completed_call(cost, **fields):
    """A call that came to its end, at this price in USD (None: unknown)."""
    price = None if cost is None else Decimal(cost)
    return call(**{"outcome": "complete", "counted": "reported", "cost": price, **fields})


def max_cost(total, *, output=0):
    """The most a call can cost: this for its question, or spread over the tokens of its answer."""
    total = Decimal(total)
    return MaxCost(total * 0, total / output, output, fixed=False) if output else MaxCost(total, total * 0)


def limit(amount, scope="", period="total"):
    return BudgetLimit(scope, Decimal(amount), period)


def query(folder, sql, *values):
    """Rows of the file, as SQLite itself reads them."""
    with closing(sqlite3.connect(file_of(folder))) as connection:
        return connection.execute(sql, values).fetchall()


def mark_process_dead(folder, row):
    """Let a waiting row be one of a process that died."""
    with closing(sqlite3.connect(file_of(folder))) as connection, connection:
        connection.execute("UPDATE calls SET process = ? WHERE id = ?", [DEAD, row])
