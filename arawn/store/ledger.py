"""The ledger: a row for every call, written before it with what it may cost at most, and put right after it.

A row that waits is a reservation: what budgets allow is checked and the row written in one transaction, so that any
number of processes together never promise more than there is. Rows of processes that died are closed at what their
question cost. The sums by day and backend that budgets are checked against change in the same transactions.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from arawn.errors import BudgetError
from arawn.models.money import money, stored, usd
from arawn.store.budgets import day_of, due_alerts, standing
from arawn.store.processes import alive
from arawn.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal
    from sqlite3 import Connection

    from arawn.store.budgets import Alert, Limit, Standing
    from arawn.store.calls import Call
    from arawn.store.database import Database

LEASE = 3_600.0
"""Seconds after which a call counts as dead, whatever its process does."""
LEAST_OUTPUT = 256
"""Tokens of output below which an answer that a budget would cut is not asked for."""
_COLUMNS = (
    "day",
    "began",
    "session",
    "role",
    "backend",
    "model",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "counted",
    "cost",
    "latency_ms",
    "first_token_ms",
    "outcome",
    "error",
    "retries",
    "floor",
    "reserved",
    "process",
    "expires",
)
_INSERT = f"INSERT INTO calls ({', '.join(_COLUMNS)}) VALUES ({', '.join(':' + name for name in _COLUMNS)})"  # noqa: S608 -- names of our own
_UPDATE = f"UPDATE calls SET {', '.join(f'{name} = :{name}' for name in _COLUMNS)} WHERE id = :id"  # noqa: S608
_SPEND = "INSERT INTO spending VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET cost = cost + excluded.cost"
_PENDING = "SELECT id, day, backend, floor, process, expires FROM calls WHERE outcome = 'pending'"
_ABANDON = "UPDATE calls SET outcome = 'abandoned', cost = floor, reserved = 0 WHERE id = ? AND outcome = 'pending'"
_BUSY_FOR = """
    INSERT INTO uptime VALUES (?, ?) ON CONFLICT DO UPDATE SET until = excluded.until
"""


class Worst(Value):
    """What a call may cost at most: ``floor`` for its question, in USD, and so much for each token of its answer.

    ``output`` is the longest answer, in tokens; where it is not ``fixed``, it may be cut to what a budget has left.
    """

    floor: Decimal
    per_token: Decimal
    output: int = 0
    fixed: bool = True

    @property
    def total(self) -> Decimal:
        """All of it together."""
        return self.floor + self.per_token * self.output


class Opened(Value):
    """A row that waits for its end: its id (0 where it could not be written yet), and the answer's length allowed.

    ``output`` is None where nothing was cut.
    """

    id: int = 0
    output: int | None = None
    alerts: tuple[Alert, ...] = ()


class Shift(Value):
    """From when to when (monotonic seconds) a server that is paid by the hour worked, and its price a second in USD."""

    began: float
    ended: float
    rate: Decimal


class Reserved(Exception):  # noqa: N818 -- it says what is, and is caught by whoever can wait
    """What is left is reserved by other calls: when they end, there may be enough. ``error`` is for who won't wait."""

    def __init__(self, error: BudgetError) -> None:
        super().__init__(error.message)
        self.error = error


class Ledger:
    """The calls in a database. ``now`` is in seconds since the epoch, ``monotonic`` the same clock in all processes.

    What writes raises NotSavedError when it cannot, and everything raises ConfigError when the file cannot be used.
    """

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        process: Callable[[], int] = os.getpid,
    ) -> None:
        self._database = database
        self._now = now
        self._monotonic = monotonic
        self._process = process

    def open(self, call: Call, worst: Worst | None, limits: Sequence[Limit] = ()) -> Opened:
        """Write the row of a call that is about to be sent, and reserve what it may cost.

        Without limits the row is not waited for: where another process is writing just now, it is written at the end.
        Raises BudgetError where a limit does not allow it, and Reserved where it would but for calls under way.
        """
        with self._database.writing(patient=bool(limits)) as connection:
            if not limits:
                return Opened(self._insert(connection, call, worst))
            self._sweep(connection)
            assert worst is not None, "who has limits knows the price"
            standings = [self._standing(connection, limit) for limit in limits]
            alerts = due_alerts(connection, standings)
            output = _allowed(worst, standings)
            cut = None if output == worst.output else output
            return Opened(self._insert(connection, call, replace(worst, output=output)), cut, alerts)

    def settle(
        self, opened: Opened, call: Call, limits: Sequence[Limit] = (), shift: Shift | None = None
    ) -> tuple[Call, tuple[Alert, ...]]:
        """Write how a call ended; its reservation ends too. Returns it with its cost, and what is to be told.

        ``shift`` prices it by the time its server worked: of calls at the same time each second is paid once.
        """
        with self._database.writing() as connection:
            if shift is not None:
                call = replace(call, cost=self._worked(connection, call.backend, shift))
            before = 0
            if opened.id:
                [[outcome, cost]] = connection.execute("SELECT outcome, cost FROM calls WHERE id = ?", [opened.id])
                before = 0 if outcome == "pending" else cost or 0
                connection.execute(_UPDATE, {**self._row(call, None), "id": opened.id})
            else:
                connection.execute(_INSERT, self._row(call, None))
            _spend(
                connection, day_of(call.began), call.backend, (0 if call.cost is None else stored(call.cost)) - before
            )
            return call, due_alerts(connection, [self._standing(connection, limit) for limit in limits])

    def note(self, call: Call) -> None:
        """Write the row of a call that cost nothing: the cache answered it."""
        with self._database.writing() as connection:
            connection.execute(_INSERT, self._row(call, None))

    def sweep(self) -> None:
        """Close the rows of calls whose process died."""
        with self._database.writing() as connection:
            self._sweep(connection)

    def _standing(self, connection: Connection, limit: Limit) -> Standing:
        return standing(lambda sql, *values: connection.execute(sql, values).fetchall(), limit, self._now())

    def _insert(self, connection: Connection, call: Call, worst: Worst | None) -> int:
        return connection.execute(_INSERT, self._row(call, worst)).lastrowid or 0

    def _row(self, call: Call, worst: Worst | None) -> dict[str, Any]:
        pending = call.outcome == "pending"
        cost = None if call.cost is None else stored(call.cost)
        return {
            "day": day_of(call.began),
            "began": call.began,
            "session": call.session,
            "role": call.role,
            "backend": call.backend,
            "model": call.model,
            **call.usage.counts,
            "counted": call.counted,
            "cost": None if pending else cost,
            "latency_ms": call.latency_ms,
            "first_token_ms": call.first_token_ms,
            "outcome": call.outcome,
            "error": call.error,
            "retries": call.retries,
            "floor": cost if pending else None,
            "reserved": 0 if worst is None else stored(worst.total),
            "process": self._process() if pending else 0,
            "expires": self._monotonic() + LEASE if pending else 0,
        }

    def _sweep(self, connection: Connection) -> None:
        for row, day, backend, floor, process, expires in connection.execute(_PENDING).fetchall():
            left = expires - self._monotonic()
            if not (0 < left <= LEASE and (process == self._process() or alive(process))):
                connection.execute(_ABANDON, [row])
                _spend(connection, day, backend, floor or 0)

    def _worked(self, connection: Connection, backend: str, shift: Shift) -> Decimal:
        """Return the price of the part of a shift that was not paid yet, and note that it is."""
        found = connection.execute("SELECT until FROM uptime WHERE backend = ?", [backend]).fetchone()
        until = found[0] if found and found[0] <= self._monotonic() else 0.0  # else the machine was started anew
        connection.execute(_BUSY_FOR, [backend, max(until, shift.ended)])
        unpaid = max(0.0, shift.ended - max(until, shift.began))
        return usd(round(unpaid * 1e6) * stored(shift.rate) // 1_000_000)


def _allowed(worst: Worst, standings: Sequence[Standing]) -> int:
    """Return how long the answer may be, in tokens. Raises BudgetError and Reserved."""
    output = worst.output
    for each in standings:
        if each.left <= 0:
            raise _reached(each)
        output = min(output, _affordable(worst, each.left, output))
    if output < worst.output and (worst.fixed or output < LEAST_OUTPUT):
        raise _too_dear(worst, min(standings, key=lambda each: each.left))
    wanted = replace(worst, output=output).total
    if tight := [each for each in standings if wanted > each.left]:
        raise _too_dear(worst, tight[0])
    if tight := [each for each in standings if wanted > each.left - each.reserved]:
        raise Reserved(_too_dear(worst, tight[0]))
    return output


def _affordable(worst: Worst, left: Decimal, output: int) -> int:
    if worst.total <= left or not worst.per_token:
        return output
    return max(0, int((left - worst.floor) / worst.per_token))


def _reached(at: Standing) -> BudgetError:
    of = f" -b {at.limit.scope}" if at.limit.scope else ""
    return BudgetError(
        f"{at.limit.label} is reached: {money(at.spent)} of {money(at.limit.amount)} spent; nothing was sent",
        backend=at.limit.scope,
        hints=[f"raise it: arawn budget set AMOUNT{of}", "see: arawn budget show"],
    )


def _too_dear(worst: Worst, at: Standing) -> BudgetError:
    reserved = f", {money(at.reserved)} of it reserved by calls under way" if at.reserved else ""
    return BudgetError(
        f"the call may cost {money(worst.total)}, and of {at.limit.label} {money(at.left)} is left{reserved}; "
        "nothing was sent",
        backend=at.limit.scope,
        hints=["ask for a shorter answer: --max-tokens N", "see: arawn budget show"],
    )


def _spend(connection: Connection, day: str, backend: str, amount: int) -> None:
    if amount:
        connection.execute(_SPEND, [day, backend, amount])
