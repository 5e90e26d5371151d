"""Whatever is opened, settled, left to die and swept, in whatever order: no cent is lost, invented or overspent."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from support.ledger_file import NOON, Clock, call, completed_call, ledger_in, limit, mark_process_dead, max_cost, query

from arawn.errors import BudgetError
from arawn.models.money import stored, usd
from arawn.store.ledger import ReservedByOthers

_OVERALL, _OWN = limit("10"), limit("4", "a")
AMOUNTS = st.integers(0, 3 * 10**12).map(usd)


class Processes(RuleBasedStateMachine):
    """Three processes with connections of their own, and a model of what they owe."""

    calls = Bundle("calls")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.clock = Clock()
        made = [ledger_in(self.path, self.clock) for _ in range(3)]
        self.databases, self.ledgers = zip(*made, strict=True)
        self.waiting = {}
        self.dead = []
        self.paid = dict.fromkeys("ab", Decimal(0))

    def teardown(self):
        for database in self.databases:
            database.close()
        self.folder.cleanup()

    def limits(self, backend):
        return [_OVERALL, _OWN] if backend == "a" else [_OVERALL]

    @rule(target=calls, who=st.integers(0, 2), backend=st.sampled_from("ab"), most=AMOUNTS, part=st.integers(0, 100))
    def open(self, who, backend, most, part):
        floor = usd(stored(most) * part // 100)
        opening = call(backend=backend, cost=floor, began=self.clock.now)
        try:
            reservation = self.ledgers[who].open(opening, max_cost(most), self.limits(backend))
        except (BudgetError, ReservedByOthers):
            assert not self.fits(backend, most)
            return multiple()
        assert self.fits(backend, most)
        self.bury_dead()
        self.waiting[reservation.id] = (backend, most, floor)
        return reservation

    def fits(self, backend, most):
        """Whether the model of the budgets has room for this."""
        for each in self.limits(backend):
            mine = each.scope or "ab"
            held = {row: kept for row, kept in self.waiting.items() if kept[0] in mine}
            used = sum(self.paid[name] for name in mine) + sum(held[row][2] for row in self.dead if row in held)
            reserved = sum(kept[1] for row, kept in held.items() if row not in self.dead)
            if used >= each.amount or used + reserved + most > each.amount:
                return False
        return True

    @rule(reservation=consumes(calls), who=st.integers(0, 2), part=st.integers(0, 100))
    def settle(self, reservation, who, part):
        backend, most, _ = self.waiting.pop(reservation.id)
        cost = usd(stored(most) * part // 100)
        self.ledgers[who].settle(
            reservation, completed_call(cost, backend=backend, began=self.clock.now), self.limits(backend)
        )
        self.paid[backend] += cost

    @rule(reservation=consumes(calls))
    def die(self, reservation):
        mark_process_dead(self.path, reservation.id)
        self.dead.append(reservation.id)

    @rule(who=st.integers(0, 2))
    def sweep(self, who):
        self.ledgers[who].close_abandoned()
        self.bury_dead()

    def bury_dead(self):
        for row in self.dead:
            backend, _, floor = self.waiting.pop(row)
            self.paid[backend] += floor
        self.dead = []

    @rule(hours=st.integers(-50, 50))
    def time_passes_or_is_set_back(self, hours):
        self.clock.now = max(NOON, self.clock.now + hours * 3600)

    @invariant()
    def nothing_is_lost_invented_or_overspent(self):
        for backend, paid in self.paid.items():
            for table in ("spending", "calls"):
                sql = f"SELECT coalesce(sum(cost), 0) FROM {table} WHERE backend = ?"
                assert not (self.path / "arawn.db").exists() or query(self.path, sql, backend) == [(stored(paid),)]
        assert sum(self.paid.values()) <= _OVERALL.amount
        assert self.paid["a"] <= _OWN.amount


Processes.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestLedger = Processes.TestCase
