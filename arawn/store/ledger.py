"""The ledger: a row for every call, and the reservations that keep any number of processes within a budget.

The problem: what a call costs is known when it has ended, and a budget must hold before. If calls that run at the same
time each looked only at what is spent, all of them would see the same money left and together spend it many times.

The invariant: what is spent plus what is reserved never exceeds a budget, at any moment, over all processes. A call
writes its row before it is sent, with the most it can cost, in one transaction with the look at the budgets: no other
process can write between the two. While the row is ``pending`` that amount is reserved; when the call has ended,
another transaction replaces it by what the call did cost. Three rules follow:

* A call whose highest price is unknown cannot be reserved, and is refused where there is a budget.
* Where only reservations exceed the limit, waiting may help (``ReservedByOthers``): most calls cost less than the most.
  Where the money itself is spent, it does not (BudgetError).
* A process that dies leaves its row. The next check of a budget closes it (``abandoned``) at the price of its
  question, the part that was surely paid; a call that ends after all still writes its true cost.

Budgets are checked against sums by day and backend (``spending``), which change in the same transactions as the rows,
so that a check costs the same on the first call and on the millionth. Amounts are whole numbers: sums are exact.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from arawn.errors import BudgetError
from arawn.models.money import money, stored, usd
from arawn.store.budgets import budget_statuses, day_of, due_alerts
from arawn.store.leases import LONGEST_CALL, is_running
from arawn.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal
    from sqlite3 import Connection

    from arawn.store.budgets import Alert, BudgetLimit, BudgetStatus
    from arawn.store.calls import Call
    from arawn.store.database import Database

MIN_OUTPUT = 256
"""Tokens below which an answer that a budget would cut is not asked for."""
_LASTING = ("day", "began", "session", "role", "backend", "model", "retries")
"""The columns of a row that stay as they were when it was opened."""
_CHANGING = (
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
    "floor",
    "reserved",
    "process",
    "expires",
)
_COLUMNS = (*_LASTING, *_CHANGING)
_INSERT = f"INSERT INTO calls ({', '.join(_COLUMNS)}) VALUES ({', '.join(':' + name for name in _COLUMNS)})"  # noqa: S608 -- names of our own
_UPDATE = f"UPDATE calls SET {', '.join(f'{name} = :{name}' for name in _CHANGING)} WHERE id = :id"  # noqa: S608
_UPDATE_PENDING = f"{_UPDATE} AND outcome = 'pending'"
_SPEND = "INSERT INTO spending VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET cost = cost + excluded.cost"
_PENDING_OF_OTHERS = """
    SELECT id, day, backend, floor, process, expires FROM calls
    WHERE outcome = 'pending' AND NOT (process = ? AND expires > ? AND expires <= ?)
"""
_ABANDON = "UPDATE calls SET outcome = 'abandoned', cost = floor, reserved = 0 WHERE id = ? AND outcome = 'pending'"
_PAID_UNTIL = """
    INSERT INTO uptime VALUES (?, ?) ON CONFLICT DO UPDATE SET until = excluded.until
"""


class MaxCost(Value):
    """The most a call can cost, in USD: for its input, and for each of at most ``output`` tokens of its answer.

    Where ``output`` is not ``fixed``, it may be lowered to what a budget has left.
    """

    input_cost: Decimal
    per_output_token: Decimal
    output: int = 0
    fixed: bool = True

    @property
    def total(self) -> Decimal:
        """All of it together."""
        return self.input_cost + self.per_output_token * self.output


class Reservation(Value):
    """The row of a call that is about to be sent: its id, 0 where it could not be written yet.

    ``output`` is the limit in tokens that a budget puts on the answer, None where it puts none.
    """

    id: int = 0
    output: int | None = None
    alerts: tuple[Alert, ...] = ()


class BilledTime(Value):
    """From when to when (monotonic seconds) a server that is paid by the hour worked, and its price a second in USD."""

    began: float
    ended: float
    rate: Decimal


class ReservedByOthers(Exception):  # noqa: N818 -- no failure: a caller that can wait catches it
    """Other calls have reserved what is left: when they end, there may be enough. ``error`` is for when they do not."""

    def __init__(self, error: BudgetError) -> None:
        super().__init__(error.message)
        self.error = error


class Ledger:
    """The calls in a database. ``now`` is in seconds since the epoch, ``monotonic`` the same clock in all processes.

    What writes raises NotSavedError when it cannot; every method raises ConfigError when the file cannot be used.
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

    def open(self, call: Call, max_cost: MaxCost | None, limits: Sequence[BudgetLimit] = ()) -> Reservation:
        """Write the row of a call that is about to be sent, and reserve the most it can cost.

        Without limits this does not wait for another process that is writing: NotSavedError is raised at once, and
        ``settle`` writes the row. Raises BudgetError where a limit does not allow the call, and ReservedByOthers where
        only the reservations of other calls exceed the limit.
        """
        with self._database.writing(wait=bool(limits)) as connection:
            if not limits:
                return Reservation(self._insert(connection, call, max_cost))
            self._close_abandoned(connection)
            assert max_cost is not None, "where there are limits the price is known"
            statuses = self._statuses(connection, limits)
            alerts = due_alerts(connection, statuses)
            output = _allowed_output(max_cost, statuses)
            cut = None if output == max_cost.output else output
            return Reservation(self._insert(connection, call, replace(max_cost, output=output)), cut, alerts)

    def settle(
        self, reservation: Reservation, call: Call, limits: Sequence[BudgetLimit] = (), billed: BilledTime | None = None
    ) -> tuple[Call, tuple[Alert, ...]]:
        """Write how a call ended, which ends its reservation. Returns it with its cost, and the alerts that are due.

        ``billed`` prices it by the time its server worked: a second in which several calls ran is paid once.
        """
        with self._database.writing() as connection:
            if billed is not None:
                call = replace(call, cost=self._time_cost(connection, call.backend, billed))
            row = self._row(call, None)
            before = _write_end(connection, {**row, "id": reservation.id})
            _spend(connection, row["day"], call.backend, (row["cost"] or 0) - before)
            return call, due_alerts(connection, self._statuses(connection, limits))

    def record(self, call: Call) -> None:
        """Write the row of a call that cost nothing: the cache answered it."""
        with self._database.writing() as connection:
            connection.execute(_INSERT, self._row(call, None))

    def close_abandoned(self) -> None:
        """Close the rows of calls whose process died."""
        with self._database.writing() as connection:
            self._close_abandoned(connection)

    def _statuses(self, connection: Connection, limits: Sequence[BudgetLimit]) -> tuple[BudgetStatus, ...]:
        return budget_statuses(lambda sql, *values: connection.execute(sql, values).fetchall(), limits, self._now())

    def _insert(self, connection: Connection, call: Call, max_cost: MaxCost | None) -> int:
        return connection.execute(_INSERT, self._row(call, max_cost)).lastrowid or 0

    def _row(self, call: Call, max_cost: MaxCost | None) -> dict[str, Any]:
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
            "reserved": 0 if max_cost is None else stored(max_cost.total),
            "process": self._process() if pending else 0,
            "expires": self._monotonic() + LONGEST_CALL if pending else 0,
        }

    def _close_abandoned(self, connection: Connection) -> None:
        now = self._monotonic()
        candidates = connection.execute(_PENDING_OF_OTHERS, [self._process(), now, now + LONGEST_CALL]).fetchall()
        for row, day, backend, floor, process, expires in candidates:
            if not (0 < expires - now <= LONGEST_CALL and is_running(process)):
                connection.execute(_ABANDON, [row])
                _spend(connection, day, backend, floor or 0)

    def _time_cost(self, connection: Connection, backend: str, billed: BilledTime) -> Decimal:
        """Return the price of the part of the time that no earlier call has paid, and record that it is paid."""
        found = connection.execute("SELECT until FROM uptime WHERE backend = ?", [backend]).fetchone()
        until = found[0] if found and found[0] <= self._monotonic() else 0.0  # else the machine was started anew
        connection.execute(_PAID_UNTIL, [backend, max(until, billed.ended)])
        unpaid = max(0.0, billed.ended - max(until, billed.began))
        return usd(round(unpaid * 1e6) * stored(billed.rate) // 1_000_000)


def _allowed_output(max_cost: MaxCost, statuses: Sequence[BudgetStatus]) -> int:
    """Return how long the answer may be, in tokens. Raises BudgetError and ReservedByOthers."""
    output = max_cost.output
    for each in statuses:
        if each.left <= 0:
            raise _reached(each)
        output = min(output, _affordable_output(max_cost, each.left, output))
    if output < max_cost.output and (max_cost.fixed or output < MIN_OUTPUT):
        raise _too_expensive(max_cost, min(statuses, key=lambda each: each.left))
    needed = replace(max_cost, output=output).total
    if exceeded := [each for each in statuses if needed > each.left]:
        raise _too_expensive(max_cost, exceeded[0])
    if exceeded := [each for each in statuses if needed > each.left - each.reserved]:
        raise ReservedByOthers(_too_expensive(max_cost, exceeded[0]))
    return output


def _affordable_output(max_cost: MaxCost, left: Decimal, output: int) -> int:
    if max_cost.total <= left or not max_cost.per_output_token:
        return output
    return max(0, int((left - max_cost.input_cost) / max_cost.per_output_token))


def _reached(status: BudgetStatus) -> BudgetError:
    option = f" -b {status.limit.scope}" if status.limit.scope else ""
    spent = f"{money(status.spent)} of {money(status.limit.amount)} spent"
    return BudgetError(
        f"{status.limit.label} is reached: {spent}; nothing was sent",
        backend=status.limit.scope,
        hints=[f"raise it: arawn budget set AMOUNT{option}", "see: arawn budget show"],
    )


def _too_expensive(max_cost: MaxCost, status: BudgetStatus) -> BudgetError:
    reserved = f", {money(status.reserved)} of it reserved by calls under way" if status.reserved else ""
    left = f"of {status.limit.label} {money(status.left)} is left{reserved}"
    return BudgetError(
        f"the call may cost {money(max_cost.total)}, and {left}; nothing was sent",
        backend=status.limit.scope,
        hints=["ask for a shorter answer: --max-tokens N", "see: arawn budget show"],
    )


def _write_end(connection: Connection, row: dict[str, Any]) -> int:
    """Write how a call ended, in place of its row where it has one. Returns what that had cost: 0 while pending."""
    if not row["id"]:
        connection.execute(_INSERT, row)
        return 0
    if connection.execute(_UPDATE_PENDING, row).rowcount:
        return 0
    [[cost]] = connection.execute("SELECT cost FROM calls WHERE id = ?", [row["id"]])  # it was thought to be abandoned
    connection.execute(_UPDATE, row)
    return cost or 0


def _spend(connection: Connection, day: str, backend: str, amount: int) -> None:
    if amount:
        connection.execute(_SPEND, [day, backend, amount])
