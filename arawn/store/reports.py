"""Reports from the ledger: what calls took and cost by backend, model, day, session or role; and the newest calls."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from arawn.errors import NotSavedError
from arawn.messages import Usage
from arawn.models.money import usd
from arawn.store.budgets import day_of
from arawn.store.calls import Call
from arawn.store.ledger import Ledger
from arawn.store.sessions import add_usage
from arawn.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from arawn.store.database import Database

By: TypeAlias = Literal["backend", "model", "day", "session", "role"]
"""What calls are grouped by; ``model`` is backend/model, ``day`` one of UTC."""

_KEYS = {"backend": "backend", "model": "backend || '/' || model", "day": "day", "session": "session", "role": "role"}
_SUMS = """
    SELECT {key}, outcome, error NOT IN ('', 'stopped'), counted <> 'reported', cost IS NULL, count(*), sum(cost),
        sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(reasoning_tokens),
        sum(latency_ms), count(latency_ms), sum(first_token_ms), count(first_token_ms)
    FROM calls WHERE {conditions} GROUP BY 1, 2, 3, 4, 5
"""
_NEWEST = """
    SELECT id, backend, model, began, role, session, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
        reasoning_tokens, counted, cost, latency_ms, first_token_ms, outcome, error, retries
    FROM calls WHERE {conditions} ORDER BY id DESC LIMIT ?
"""
_RUNNING = "SELECT 1 FROM calls WHERE outcome = 'pending' LIMIT 1"
_ANSWERED = ("complete", "interrupted", "abandoned")
_LONGEST_GAP = 366
"""Days without a call in a row that are listed; more of them mean that a clock was wrong."""


class Totals(Value, kw_only=True):
    """What the calls of a group took. ``key`` names the group, ``title`` is that of a session.

    Every call is counted once: ``complete``; ``stopped`` by its reader or the end of its process; ``failed``, where
    ``unreached`` of them were never sent; ``running``. ``cached`` counts the answers from the cache.
    ``cost`` is in USD, without the ``unpriced`` calls, and None where none has a price. Times are averages of complete
    calls.
    """

    key: str = ""
    title: str = ""
    complete: int = 0
    stopped: int = 0
    failed: int = 0
    unreached: int = 0
    running: int = 0
    cached: int = 0
    usage: Usage = Usage()
    cost: Decimal | None = None
    unpriced: int = 0
    latency_ms: float | None = None
    first_token_ms: float | None = None

    @property
    def calls(self) -> int:
        """The calls that were sent."""
        return self.complete + self.stopped + self.failed - self.unreached + self.running

    @property
    def error_rate(self) -> float | None:
        """The share of failures, 0 to 1, among what has ended; None where nothing has."""
        ended = self.complete + self.stopped + self.failed
        return self.failed / ended if ended else None


class Report(Value):
    """The groups, days in order and others by cost, the highest first; and all of them together."""

    groups: tuple[Totals, ...] = ()
    total: Totals = Totals()


class Reports:
    """Reads the ledger in a database; where there is no file, nothing was called, and none is created.

    Calls whose process died are closed before. Every method raises ConfigError when the file cannot be used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def totals(self, by: By = "backend", since: float = 0.0, *, backend: str = "", model: str = "") -> Report:
        """Return what calls took since a time (seconds since the epoch), perhaps only of one backend or model."""
        conditions, values = _conditions(since, backend, model)
        rows = self._rows(_SUMS.format(key=_KEYS[by], conditions=conditions), *values)
        sums: dict[str, _Sums] = {}
        total = _Sums()
        for row in map(_Row._make, rows):
            sums.setdefault(row.key, _Sums()).add(row)
            total.add(row)
        groups = [each.totals(key) for key, each in sums.items()]
        if by == "day":
            groups = list(_every_day(sorted(groups, key=lambda each: each.key)))
        else:
            groups.sort(key=_by_cost)
        if by == "session":
            titles = dict(self._rows("SELECT id, title FROM sessions"))
            groups = [replace(each, title=titles.get(each.key, "")) for each in groups]
        return Report(tuple(groups), total.totals(""))

    def recent(self, count: int = 20, since: float = 0.0, *, backend: str = "", model: str = "") -> tuple[Call, ...]:
        """Return the newest calls, the newest first."""
        conditions, values = _conditions(since, backend, model)
        return tuple(map(_call, self._rows(_NEWEST.format(conditions=conditions), *values, count)))

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        if not os.path.exists(self._database.path):
            return []
        close_abandoned(self._database)
        return self._database.rows(sql, *values)


def close_abandoned(database: Database) -> None:
    """Close the calls, and so the reservations, of processes that died; where that cannot be written, they stay."""
    if not os.path.exists(database.path) or not database.rows(_RUNNING):
        return
    with suppress(NotSavedError):
        Ledger(database).close_abandoned()


class _Row(NamedTuple):
    """A row of _SUMS: the calls of a group that have the same outcome."""

    key: str
    outcome: str
    failed: int
    guessed: int
    unpriced: int
    calls: int
    cost: int | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    latency: float | None
    latencies: int
    first: float | None
    firsts: int

    @property
    def usage(self) -> Usage:
        """What they took."""
        return Usage(
            self.input_tokens,
            self.output_tokens,
            self.cache_read_tokens,
            self.cache_write_tokens,
            self.reasoning_tokens,
            bool(self.guessed),
        )


class _Sums:
    """The sums of one group."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._usage = Usage()
        self._cost = self._priced = self._unpriced = 0
        self._latency, self._latencies = 0.0, 0
        self._first, self._firsts = 0.0, 0

    def add(self, row: _Row) -> None:
        """Add a row."""
        for name in _counted_as(row.outcome, failed=bool(row.failed)):
            self._counts[name] += row.calls
        if row.outcome == "complete":
            self._latency += row.latency or 0.0
            self._latencies += row.latencies
            self._first += row.first or 0.0
            self._firsts += row.firsts
        if row.outcome in _ANSWERED:
            self._usage = add_usage(self._usage, row.usage)
            self._unpriced += row.calls if row.unpriced else 0
            self._priced += 0 if row.unpriced else row.calls
        if row.outcome != "cached":
            self._cost += row.cost or 0

    def totals(self, key: str) -> Totals:
        """Return the sums."""
        return Totals(
            key=key,
            complete=self._counts["complete"],
            stopped=self._counts["stopped"],
            failed=self._counts["failed"],
            unreached=self._counts["unreached"],
            running=self._counts["running"],
            cached=self._counts["cached"],
            usage=self._usage,
            cost=usd(self._cost) if self._priced or self._cost or not self._unpriced else None,
            unpriced=self._unpriced,
            latency_ms=self._latency / self._latencies if self._latencies else None,
            first_token_ms=self._first / self._firsts if self._firsts else None,
        )


def _counted_as(outcome: str, *, failed: bool) -> tuple[str, ...]:
    match outcome:
        case "pending":
            return ("running",)
        case "unreached":
            return ("failed", "unreached")
        case "rejected":
            return ("failed",)
        case "interrupted":
            return ("failed",) if failed else ("stopped",)
        case "abandoned":
            return ("stopped",)
        case _:
            return (outcome,)


def _conditions(since: float, backend: str, model: str) -> tuple[str, list[object]]:
    conditions: list[str] = []
    values: list[object] = []
    if since > 0:
        conditions.append("day >= ? AND began >= ?")  # the day has an index
        values += [day_of(since), since]
    if backend:
        conditions.append("backend = ?")
        values.append(backend)
    if model:
        conditions.append("? IN (model, backend || '/' || model)")
        values.append(model)
    return " AND ".join(conditions) or "1", values


def _by_cost(group: Totals) -> tuple[Any, ...]:
    return -(group.cost or 0), -group.usage.total_tokens, -group.calls, group.key


def _every_day(groups: Iterable[Totals]) -> Iterator[Totals]:
    """Insert the days without calls."""
    from datetime import date, timedelta

    before: date | None = None
    for group in groups:
        day = date.fromisoformat(group.key)
        gap = (day - before).days - 1 if before else 0
        for number in range(gap if gap <= _LONGEST_GAP else 0):
            yield _Sums().totals(str(day - timedelta(gap - number)))
        yield group
        before = day


def _call(row: tuple[Any, ...]) -> Call:
    identity, backend, model, began, role, session, sent, came, read, wrote, reasoned = row[:11]
    counted, cost, latency, first, outcome, error, retries = row[11:]
    return Call(
        id=identity,
        backend=backend,
        model=model,
        began=began,
        role=role,
        session=session,
        usage=Usage(sent, came, read, wrote, reasoned, counted != "reported"),
        counted=counted,
        cost=None if cost is None else usd(cost),
        latency_ms=latency,
        first_token_ms=first,
        outcome=outcome,
        error=error,
        retries=retries,
    )
