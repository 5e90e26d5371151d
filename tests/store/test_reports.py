from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest
from support.ledger_rows import DEAD, DOLLAR, call, timestamp, write_calls, write_session

from arawn.errors import ConfigError
from arawn.messages import Usage
from arawn.store.database import Database
from arawn.store.reports import Reports


@pytest.fixture
def reports(tmp_path):
    """Makes the reports on these calls."""
    with closing(Database(str(tmp_path / "arawn.db"))) as database:

        def made(*calls):
            write_calls(tmp_path, *calls)
            return Reports(database)

        yield made


def keys(report):
    return [group.key for group in report.groups]


def test_a_group_has_the_sums_of_its_calls(reports):
    used = {"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 60, "reasoning_tokens": 5}
    group = (
        reports(
            call(usd=1.25, **used, cache_write_tokens=7, latency_ms=1000, first_token_ms=200),
            call(usd=0.000000000001, **used, latency_ms=3000, first_token_ms=400),
        )
        .totals()
        .groups[0]
    )
    assert group.key == "groq"
    assert group.calls == group.complete == 2
    assert group.usage == Usage(200, 40, 120, 7, 10)
    assert group.cost == Decimal("1.250000000001")
    assert (group.latency_ms, group.first_token_ms) == (2000, 300)
    assert (group.error_rate, group.unpriced) == (0, 0)


def test_every_outcome_is_counted_in_its_place(reports):
    group = (
        reports(
            call(),
            call(outcome="interrupted"),
            call(outcome="interrupted", error="stream_interrupted"),
            call(outcome="rejected", error="rate_limit", usd=None),
            call(outcome="unreached", error="connection", usd=None),
            call(outcome="abandoned"),
            call(outcome="cached"),
        )
        .totals()
        .groups[0]
    )
    assert (group.complete, group.stopped, group.failed, group.unreached, group.cached) == (1, 2, 3, 1, 1)
    assert group.calls == 5, "what was never sent and what the cache answered are no calls"
    assert group.error_rate == 0.5


def test_only_what_was_answered_counts_as_used(reports):
    spent = {"input_tokens": 10, "output_tokens": 10}
    outcomes = ("complete", "interrupted", "abandoned", "rejected", "unreached", "cached")
    total = reports(*(call(outcome=outcome, **spent) for outcome in outcomes)).totals().total
    assert total.usage.total_tokens == 60


def test_latency_is_that_of_complete_answers_alone(reports):
    total = (
        reports(
            call(latency_ms=1000, first_token_ms=100),
            call(latency_ms=9000, first_token_ms=900, outcome="interrupted"),
            call(latency_ms=5, outcome="rejected"),
            call(),
        )
        .totals()
        .total
    )
    assert (total.latency_ms, total.first_token_ms) == (1000, 100)


def test_an_unknown_price_is_counted_and_never_nothing(reports):
    report = reports(
        call(usd=2), call(usd=None), call(usd=None, outcome="interrupted"), call(usd=None, backend="ollama")
    ).totals()
    groq, ollama = report.groups
    assert (groq.cost, groq.unpriced) == (2, 2)
    assert (ollama.cost, ollama.unpriced) == (None, 1)
    assert (report.total.cost, report.total.unpriced) == (2, 3)


@pytest.mark.parametrize("refused", [None, 0.0])
def test_refusals_do_not_make_a_price_known(reports, refused):
    total = reports(call(usd=None), call(usd=refused, outcome="rejected", error="server")).totals().total
    assert (total.cost, total.unpriced) == (None, 1)


def test_a_call_that_was_refused_costs_nothing_and_is_no_unknown_price(reports):
    total = reports(call(usd=None, outcome="rejected", error="server")).totals().total
    assert (total.cost, total.unpriced) == (0, 0)


@pytest.mark.parametrize(("counted", "guess"), [("reported", False), ("counted", True), ("estimated", True)])
def test_a_guess_makes_the_sum_one(reports, counted, guess):
    total = reports(call(), call(counted=counted)).totals().total
    assert total.usage.estimated is guess


def test_calls_are_grouped_by_what_is_asked_for(reports):
    made = reports(
        call("2026-11-20", usd=1),
        call("2026-11-21", usd=2, model="qwen", role="indexing", session="7f3a0000"),
        call("2026-11-21", usd=4, backend="openai"),
    )
    assert keys(made.totals("backend")) == ["openai", "groq"], "the most expensive first"
    assert keys(made.totals("model")) == ["openai/llama", "groq/qwen", "groq/llama"]
    assert keys(made.totals("day")) == ["2026-11-20", "2026-11-21"]
    assert keys(made.totals("session")) == ["", "7f3a0000"]
    assert keys(made.totals("role")) == ["llm", "indexing"]


def test_without_prices_the_most_used_comes_first(reports):
    made = reports(call(backend="a", usd=None, input_tokens=1), call(backend="b", usd=None, input_tokens=9))
    assert keys(made.totals()) == ["b", "a"]


def test_a_session_has_its_title_while_it_is_kept(reports, tmp_path):
    made = reports(call(session="7f3a0000"), call(session="deadbeef"))
    write_session(tmp_path, "7f3a0000", "Tea")
    assert {group.key: group.title for group in made.totals("session").groups} == {"7f3a0000": "Tea", "deadbeef": ""}


def test_days_without_calls_are_listed_between_the_first_and_the_last(reports):
    groups = reports(call("2026-02-27"), call("2026-03-02")).totals("day").groups
    assert [(group.key, group.calls) for group in groups] == [
        ("2026-02-27", 1),
        ("2026-02-28", 0),
        ("2026-03-01", 0),
        ("2026-03-02", 1),
    ]


def test_a_wrong_clock_does_not_list_a_century_of_days(reports):
    assert len(reports(call("1970-01-01"), call("2026-11-20"), call("2026-11-22")).totals("day").groups) == 4


def test_since_counts_to_the_second(reports):
    made = reports(call("2026-11-20 23:59"), call("2026-11-21 10:00"), call("2026-11-21 12:00"))
    assert made.totals(since=timestamp("2026-11-21")).total.calls == 2
    assert made.totals(since=timestamp("2026-11-21 12:00")).total.calls == 1
    assert made.totals(since=timestamp("2026-11-21 12:01")).groups == ()
    assert [each.began for each in made.recent(since=timestamp("2026-11-21 11:00"))] == [timestamp("2026-11-21 12:00")]


def test_the_calls_of_one_backend_or_model_can_be_counted_alone(reports):
    made = reports(call(), call(model="qwen"), call(backend="openai"))
    assert made.totals(backend="groq").total.calls == 2
    assert made.totals(model="llama").total.calls == 2
    assert made.totals(model="groq/qwen").total.calls == 1
    assert len(made.recent(backend="openai")) == 1


def test_the_newest_calls_come_whole_and_newest_first(reports):
    made = reports(
        call("2026-11-20", usd=None),
        call(
            "2026-11-21 08:30",
            usd=0.25,
            session="7f3a0000",
            role="embeddings",
            input_tokens=5,
            output_tokens=4,
            cache_read_tokens=3,
            cache_write_tokens=2,
            reasoning_tokens=1,
            counted="estimated",
            latency_ms=12.5,
            first_token_ms=2.5,
            outcome="interrupted",
            error="timeout",
            retries=2,
        ),
    )
    newest, older = made.recent()
    assert newest.usage == Usage(5, 4, 3, 2, 1, estimated=True)
    assert (newest.backend, newest.model, newest.role, newest.session) == ("groq", "llama", "embeddings", "7f3a0000")
    assert (newest.began, newest.cost, newest.counted) == (timestamp("2026-11-21 08:30"), Decimal("0.25"), "estimated")
    assert (newest.latency_ms, newest.first_token_ms) == (12.5, 2.5)
    assert (newest.outcome, newest.error, newest.retries, newest.id) == ("interrupted", "timeout", 2, 2)
    assert (older.cost, older.usage.estimated) == (None, False)
    assert made.recent(1) == (newest,)


def test_r50_a_call_whose_process_died_does_not_run_for_ever(reports):
    pending = {"usd": None, "outcome": "pending", "expires": 1e18, "counted": "estimated", "floor": DOLLAR}
    made = reports(call(**pending, process=DEAD), call(**{**pending, "process": os.getpid(), "expires": 0}))
    total = made.totals().total
    assert (total.running, total.stopped) == (0, 2)
    assert total.cost == 2, "each is booked with what its question cost"
    assert total.usage.estimated


def test_a_call_under_way_is_running_and_has_used_nothing_yet(reports):
    import time

    alive = {"process": os.getpid(), "expires": time.monotonic() + 60, "input_tokens": 50}
    total = reports(call(usd=None, outcome="pending", counted="estimated", **alive)).totals().total
    assert (total.running, total.calls, total.error_rate) == (1, 1, None)
    assert (total.usage, total.cost, total.unpriced) == (Usage(), 0, 0)


def test_where_there_is_no_ledger_nothing_was_called_and_none_is_made(tmp_path):
    with closing(Database(str(tmp_path / "arawn.db"))) as database:
        report = Reports(database).totals("day")
        assert (report.groups, report.total.calls, report.total.cost) == ((), 0, 0)
        assert Reports(database).recent() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_ledger_is_told(tmp_path):
    (tmp_path / "arawn.db").write_bytes(b"not a database" * 100)
    (tmp_path / "arawn.db").chmod(0o600)
    with closing(Database(str(tmp_path / "arawn.db"))) as database, pytest.raises(ConfigError, match="cannot use"):
        Reports(database).totals()


def test_a_month_is_found_by_the_index_of_days(reports, tmp_path):
    reports(*(call(f"2026-{month:02}-{day:02}") for month in range(1, 13) for day in range(1, 29)))
    statements = []
    with closing(Database(str(tmp_path / "arawn.db"))) as database:
        database.rows("SELECT 1")
        database._connection.set_trace_callback(statements.append)
        assert Reports(database).totals(since=timestamp("2026-11-01")).total.calls == 56
    [report] = [text for text in statements if "GROUP BY" in text]
    with closing(sqlite3.connect(str(tmp_path / "arawn.db"))) as connection:
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {report}"))
    assert "calls_by_day" in plan
