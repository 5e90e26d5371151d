"""The ledger on a real file: reservations before calls, what they came to after, and nothing lost between."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest
from support.ledger_file import (
    CENT,
    DAY,
    NOON,
    Clock,
    call,
    completed_call,
    file_of,
    ledger_in,
    limit,
    mark_process_dead,
    max_cost,
    query,
)

from arawn.errors import BudgetError, NotSavedError
from arawn.messages import Usage
from arawn.models.money import stored
from arawn.store.leases import LONGEST_CALL
from arawn.store.ledger import MIN_OUTPUT, BilledTime, MaxCost, Reservation, ReservedByOthers


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(tmp_path, clock):
    database, made = ledger_in(tmp_path, clock)
    with database:
        yield made


def spent(folder):
    return dict(query(folder, "SELECT backend, sum(cost) FROM spending GROUP BY backend"))


def test_a_row_waits_before_the_call_and_says_afterwards_what_it_took(ledger, tmp_path):
    reservation = ledger.open(call(session="s1", role="indexing", cost=CENT), None)
    waiting = query(tmp_path, "SELECT outcome, cost, floor, input_tokens FROM calls")

    usage = Usage(100, 20, 30, 5, 7)
    ledger.settle(
        reservation,
        completed_call("0.5", session="s1", role="indexing", usage=usage, latency_ms=90.0, first_token_ms=9.0),
    )

    assert waiting == [("pending", None, stored(CENT), 7)]
    columns = "day, session, role, backend, model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens"
    assert query(tmp_path, f"SELECT {columns}, reasoning_tokens FROM calls") == [
        ("2026-11-21", "s1", "indexing", "b", "m-1", 100, 20, 30, 5, 7)
    ]
    rest = "cost, counted, outcome, latency_ms, first_token_ms, reserved, floor, process"
    assert query(tmp_path, f"SELECT {rest} FROM calls") == [
        (stored(Decimal("0.5")), "reported", "complete", 90.0, 9.0, 0, None, 0)
    ]
    assert spent(tmp_path) == {"b": stored(Decimal("0.5"))}


def test_an_unknown_price_is_not_a_price_of_nothing(ledger, tmp_path):
    ledger.settle(ledger.open(call(), None), completed_call(None))

    assert query(tmp_path, "SELECT cost FROM calls") == [(None,)]
    assert spent(tmp_path) == {}


def test_r49_what_may_be_spent_is_reserved_before_the_call(ledger, tmp_path):
    budget = [limit("0.10")]
    first = ledger.open(call(), max_cost("0.06"), budget)
    with pytest.raises(ReservedByOthers) as refused:
        ledger.open(call(), max_cost("0.06"), budget)

    ledger.settle(first, completed_call("0.02"), budget)
    second = ledger.open(call(), max_cost("0.06"), budget)

    assert refused.value.error.exit_code == 9
    assert "$0.0600 of it reserved by calls under way" in refused.value.error.message
    assert query(tmp_path, "SELECT id FROM calls WHERE outcome = 'pending'") == [(second.id,)]


def test_a_call_dearer_than_what_is_left_is_not_sent_and_says_so(ledger):
    ledger.settle(ledger.open(call(), max_cost("0.05"), [limit("0.10")]), completed_call("0.05"), [limit("0.10")])

    with pytest.raises(BudgetError) as refused:
        ledger.open(call(), max_cost("0.06"), [limit("0.10")])

    assert refused.value.message == (
        "the call may cost $0.0600, and of the budget of all time $0.0500 is left; nothing was sent"
    )
    assert refused.value.backend == ""


def test_at_the_limit_nothing_is_sent_not_even_what_is_free(ledger):
    ledger.settle(ledger.open(call(), max_cost("0.10"), [limit("0.10")]), completed_call("0.10"), [limit("0.10")])

    with pytest.raises(BudgetError, match=r"the budget of all time is reached: \$0.1000 of \$0.1000 spent"):
        ledger.open(call(), max_cost("0"), [limit("0.10")])


def test_a_limit_of_one_backend_says_whose_it_is_and_does_not_bind_others(ledger):
    own = limit("0.01", "b")
    ledger.settle(ledger.open(call(), max_cost("0.01"), [own]), completed_call("0.01"), [own])

    with pytest.raises(BudgetError, match="b's budget") as refused:
        ledger.open(call(), max_cost("0.01"), [own, limit("9")])

    assert refused.value.backend == "b"
    assert ledger.open(call(backend="other"), max_cost("1"), [limit("9")]).id


def test_an_answer_is_cut_to_what_is_left_rather_than_refused(ledger):
    reservation = ledger.open(call(), max_cost("1", output=10_000), [limit("0.5")])

    assert reservation.output == 5_000


def test_an_answer_whose_length_the_user_set_is_refused_rather_than_cut(ledger):
    fixed = MaxCost(Decimal(0), Decimal("0.0001"), 10_000)

    with pytest.raises(BudgetError, match=r"may cost \$1.00"):
        ledger.open(call(), fixed, [limit("0.5")])


def test_an_answer_is_not_cut_to_a_few_words(ledger):
    tiny = Decimal("0.0001") * (MIN_OUTPUT - 1)

    with pytest.raises(BudgetError):
        ledger.open(call(), max_cost("1", output=10_000), [limit(tiny)])


def test_calls_wait_for_reservations_rather_than_be_cut_by_them(ledger):
    ledger.open(call(), max_cost("0.4", output=4_000), [limit("0.5")])

    with pytest.raises(ReservedByOthers):
        ledger.open(call(), max_cost("0.4", output=4_000), [limit("0.5")])


@pytest.mark.parametrize(("period", "days", "fresh"), [("day", 1, True), ("month", 9, False), ("month", 10, True)])
def test_a_limit_begins_anew_with_its_period(ledger, clock, period, days, fresh):
    budget = [limit("0.01", period=period)]
    ledger.settle(ledger.open(call(), max_cost("0.01"), budget), completed_call("0.01"), budget)
    clock.now += days * DAY

    if fresh:
        assert ledger.open(call(began=clock.now), max_cost("0.01"), budget).id
    else:
        with pytest.raises(BudgetError):
            ledger.open(call(began=clock.now), max_cost("0.01"), budget)


@pytest.mark.parametrize("period", ["day", "month"])
def test_r52_a_clock_set_back_gives_nothing_back(ledger, clock, period):
    budget = [limit("0.01", period=period)]
    ledger.settle(ledger.open(call(), max_cost("0.01"), budget), completed_call("0.01"), budget)
    clock.now -= 40 * DAY

    with pytest.raises(BudgetError):
        ledger.open(call(began=clock.now), max_cost("0.01"), budget)


def test_alerts_come_once_at_each_percentage_and_again_for_another_limit(ledger):
    budget = [limit("1")]

    def pay(amount, budget=budget):
        _, alerts = ledger.settle(ledger.open(call(), max_cost(amount), budget), completed_call(amount), budget)
        return [str(alert) for alert in alerts]

    assert pay("0.7") == []
    assert pay("0.05") == ["75 % of the budget of all time is spent: $0.7500 of $1.00"]
    assert pay("0.05") == []
    assert pay("0.11") == ["90 % of the budget of all time is spent: $0.9100 of $1.00"]
    assert pay("0.29", [limit("1.3")]) == ["90 % of the budget of all time is spent: $1.20 of $1.30"]


def test_an_alert_that_nobody_could_hear_is_told_at_the_next_call(ledger):
    budget = [limit("1")]
    ledger.settle(ledger.open(call(), max_cost("0.8"), budget), completed_call("0.8"))

    assert [alert.percent for alert in ledger.open(call(), max_cost("0.1"), budget).alerts] == [75]


def test_r49_the_reservation_of_a_process_that_died_ends_and_its_question_is_paid(ledger, tmp_path):
    budget = [limit("0.10")]
    dead = ledger.open(call(cost=CENT), max_cost("0.09"), budget)
    mark_process_dead(tmp_path, dead.id)

    assert ledger.open(call(), max_cost("0.09"), budget).id
    assert query(tmp_path, "SELECT outcome, cost, reserved FROM calls WHERE id = ?", dead.id) == [
        ("abandoned", stored(CENT), 0)
    ]
    assert spent(tmp_path) == {"b": stored(CENT)}


def test_a_reservation_is_not_for_ever_even_where_its_process_lives(ledger, clock, tmp_path):
    ledger.open(call(), max_cost("0.09"), [limit("0.10")])
    clock.monotonic += LONGEST_CALL

    ledger.close_abandoned()

    assert query(tmp_path, "SELECT outcome FROM calls") == [("abandoned",)]


def test_r52_a_reservation_from_before_the_machine_was_started_anew_has_ended(ledger, clock, tmp_path):
    ledger.open(call(), max_cost("0.09"), [limit("0.10")])
    clock.monotonic = 3.0

    ledger.close_abandoned()

    assert query(tmp_path, "SELECT outcome FROM calls") == [("abandoned",)]


def test_a_call_thought_dead_that_ends_after_all_is_paid_once(ledger, tmp_path):
    late = ledger.open(call(cost=CENT), None)
    mark_process_dead(tmp_path, late.id)
    ledger.close_abandoned()

    ledger.settle(late, completed_call("0.07"))
    ledger.settle(late, completed_call("0.07"))

    assert spent(tmp_path) == {"b": stored(Decimal("0.07"))}
    assert query(tmp_path, "SELECT outcome, cost FROM calls") == [("complete", stored(Decimal("0.07")))]


def test_without_a_limit_a_row_does_not_wait_for_another_writer(ledger, tmp_path):
    ledger.record(completed_call("0"))
    with closing(sqlite3.connect(file_of(tmp_path), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotSavedError):
            ledger.open(call(), None)
        other.execute("ROLLBACK")

    ledger.settle(Reservation(), completed_call("0.02"))

    assert spent(tmp_path) == {"b": stored(Decimal("0.02"))}


def test_a_server_paid_by_the_hour_is_paid_once_for_each_second(ledger, clock):
    rate = Decimal("0.36") / 3600

    def work(began, end):
        clock.monotonic = max(clock.monotonic, end)
        done, _ = ledger.settle(ledger.open(call(), None), completed_call(None), billed=BilledTime(began, end, rate))
        return done.cost

    assert work(1_000, 1_010) == Decimal("0.001")
    assert work(1_005, 1_020) == Decimal("0.001")
    assert work(1_002, 1_015) == 0
    assert work(1_030, 1_040) == Decimal("0.001")


def test_r52_work_noted_before_the_machine_was_started_anew_does_not_count_as_paid(ledger, clock):
    rate = Decimal(1)
    ledger.settle(ledger.open(call(), None), completed_call(None), billed=BilledTime(990, 1_000, rate))
    clock.monotonic = 10.0

    done, _ = ledger.settle(ledger.open(call(), None), completed_call(None), billed=BilledTime(4, 10, rate))

    assert done.cost == 6


def test_the_day_of_a_call_is_that_of_utc(ledger, tmp_path):
    ledger.settle(Reservation(), completed_call("1", began=NOON + DAY / 2 - 1))
    ledger.settle(Reservation(), completed_call("1", began=NOON + DAY / 2))

    assert query(tmp_path, "SELECT day FROM calls") == [("2026-11-21",), ("2026-11-22",)]
