"""Stores of every earlier version: opened and migrated by today's code, with every row still there and readable.

``versions/N.sql`` is a dump of a file that the code of version N wrote. A new migration comes with a new dump: with
that code fill each table, then ``sqlite3 arawn.db .dump``, and at its end ``PRAGMA user_version = N;``.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from arawn.events import Finished, ReasoningDelta, Started, TextDelta
from arawn.messages import FinishReason, Image, Reasoning, Text, ToolCall, ToolResult, Usage
from arawn.store.answers import Answers
from arawn.store.audit import Audit, Change
from arawn.store.budgets import BudgetLimit, Budgets
from arawn.store.circuits import Circuits
from arawn.store.database import Database
from arawn.store.export import to_html, to_json, to_markdown
from arawn.store.learned import LearnedParameters, Place
from arawn.store.limits import Quota, RateLimits, Wait
from arawn.store.migrations import MIGRATIONS
from arawn.store.reports import Reports
from arawn.store.sessions import Sessions

DUMPS = sorted((Path(__file__).parent / "versions").glob("*.sql"), key=lambda path: int(path.stem))
WRITTEN = 1_795_262_400.0
"""When the dumps were written, by the clock that their program was given."""
STARTED = 5_000.0
"""The same by the monotonic clock."""
PICTURE = Image(b"\x89PNG\r\n\x1a\n....", "image/png")


@pytest.fixture(params=DUMPS, ids=lambda path: f"version {path.stem}")
def dump(request):
    return request.param


@pytest.fixture
def store(dump, tmp_path):
    """A file of an earlier version, as its program left it."""
    path = tmp_path / "arawn.db"
    path.touch(0o600)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(dump.read_text(encoding="utf-8"))
    return path


@pytest.fixture
def database(store):
    with Database(str(store)) as opened:
        yield opened


def rows_of(path):
    """Every row of every table, by the columns there are."""
    with closing(sqlite3.connect(path)) as connection:
        names = [name for [name] in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: {tuple(row) for row in connection.execute(f"SELECT * FROM {name}")} for name in names}


def test_each_version_has_its_dump():
    assert [int(path.stem) for path in DUMPS] == list(range(1, len(MIGRATIONS) + 1))


def test_a_dump_is_of_the_version_it_says_and_no_table_is_empty(dump, store):
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (int(dump.stem),)
    assert [name for name, rows in rows_of(store).items() if not rows] == []


def test_opening_migrates_and_keeps_every_row(store):
    before = rows_of(store)

    with Database(str(store)) as database:
        assert database.rows("PRAGMA user_version") == [(len(MIGRATIONS),)]
        assert database.rows("PRAGMA integrity_check") == [("ok",)]
        assert database.rows("PRAGMA foreign_key_check") == []

    after = rows_of(store)
    assert {name: after[name] for name in before} == before


def test_a_conversation_is_read_with_all_its_parts(database):
    sessions = Sessions(database)
    info = sessions.resolve("tea")
    entries = sessions.load(info.id).entries

    assert (info.title, info.system, info.summary, info.summarised) == (
        "Which tea grows best?",
        "Be brief.",
        "They spoke of tea.",
        1,
    )
    assert (info.usage, info.cost) == (Usage(177, 37, 100, 10, 12, estimated=True), Decimal("0.00123"))
    assert [(entry.turn, entry.position, entry.status, entry.message.text) for entry in entries] == [
        (1, 0, "complete", "Which tea grows best? ☕"),
        (1, 1, "complete", "Assam."),
        (2, 0, "complete", "What is the weather there?"),
        (2, 1, "partial", "Let me look."),
        (2, 2, "complete", ""),
        (2, 3, "complete", "It rains."),
        (3, 0, "complete", "And how is it"),
        (3, 1, "incomplete", "It brea"),
    ]
    assert entries[0].message.parts[1] == PICTURE
    assert entries[1].message.parts[1] == Reasoning("Hm, it is wet there.", "c2lnbmVk", None, "anthropic")
    assert (entries[1].usage, entries[1].cost) == (Usage(120, 30, 100, 10, 12), Decimal("0.00123"))
    assert entries[3].message.tool_calls == (ToolCall("call_1", "weather", '{"place": "Assam"}'),)
    assert entries[4].message.parts == (ToolResult("call_1", (Text("rain"), PICTURE), "weather"),)
    assert entries[7].message.metadata == {"partial": "interrupted", "error": "it broke off"}


def test_branches_and_failures_are_read(database):
    sessions = Sessions(database)
    question, branch, tea = sessions.recent()

    assert question.last_text == "precious words"
    assert (branch.parent, branch.branched_at, branch.turns) == (tea.id, 2, 3)
    assert sessions.load(branch.id).entries[-1].status == "error"


def test_conversations_are_searched_exported_and_go_on(database):
    sessions = Sessions(database)
    tea = sessions.resolve("tea")

    assert [hit.found for hit in sessions.search("Assam")] == ["Assam"]
    for write in (to_json, to_markdown, to_html):
        assert "Which tea grows best?" in write(sessions.load(tea.id))
    assert sessions.add_turn(tea.id, sessions.load(tea.id).entries[0].message, backend="b", model="m") == 4


version_2 = pytest.mark.parametrize("dump", DUMPS[1:], ids=lambda path: f"version {path.stem}")


@version_2
def test_calls_and_budgets_are_read(database):
    pending, cached, stopped, complete = Reports(database).recent()

    assert (complete.usage, complete.cost) == (Usage(120, 30, 100, 10, 12), Decimal("0.4"))
    assert (stopped.role, stopped.outcome, stopped.cost, stopped.retries) == (
        "indexing",
        "interrupted",
        Decimal("0.001"),
        1,
    )
    assert (cached.outcome, cached.cost) == ("cached", 0)
    assert (pending.outcome, pending.usage) == ("abandoned", Usage(100, estimated=True))
    limits = [BudgetLimit("", Decimal(1)), BudgetLimit("anthropic", Decimal("0.5"), "total")]
    found = Budgets(database, now=lambda: WRITTEN).status(limits)
    assert [(status.spent, status.reserved, status.percent) for status in found] == [
        (Decimal("0.4013"), 0, 40),
        (Decimal("0.4003"), 0, 80),
    ]


@version_2
def test_limits_and_circuits_are_read(database):
    limits = RateLimits(database, monotonic=lambda: STARTED + 1)
    circuits = Circuits(database, monotonic=lambda: STARTED + 1)

    assert limits.acquire("anthropic", Quota(), 1) == Wait(19.0, "closed")
    assert limits.acquire("groq", Quota(), 1) == Wait(11.5, "requests")
    assert limits.acquire("groq", Quota(rpm=2), 1) == Wait(59.0, "rpm")
    down, shaky = circuits.check("ollama"), circuits.check("groq")
    assert (down.allows, down.failures, down.reason, down.wait) == (False, 3, "connection", 29.0)
    assert (shaky.allows, shaky.failures, shaky.reason) == (True, 1, "server")


@version_2
def test_cached_answers_and_the_audit_log_are_read(database):
    answer = Answers(database, now=lambda: WRITTEN + 1).get("a1" * 32)
    entries = Audit(database).entries()

    assert answer.events == (
        Started("groq", "llama", "id-1"),
        ReasoningDelta("Hm"),
        TextDelta("Good day"),
        Finished(FinishReason.STOP, "stop", Usage(7, 2, cost=Decimal("0.5"))),
    )
    assert [(entry.at, entry.who, entry.change) for entry in entries] == [
        (WRITTEN, "ann (sudo: bob)", Change("budget", "budget.limit", None, "1")),
        (WRITTEN, "ann (sudo: bob)", Change("secret", "anthropic", None, '["https://api.anthropic.com"]')),
    ]


@pytest.mark.parametrize("dump", DUMPS[3:], ids=lambda path: f"version {path.stem}")
def test_refused_parameters_are_read(database):
    learned = LearnedParameters(database, now=lambda: WRITTEN + 1)

    assert learned.refused(Place("groq", "https://api.groq.com/openai/v1", "llama")) == {"temperature"}
