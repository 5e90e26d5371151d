from __future__ import annotations

import multiprocessing
import os
import sqlite3
from contextlib import closing

import pytest

from arawn.errors import ConfigError, NotSavedError
from arawn.store import database as database_module
from arawn.store.audit import Audit, Change, Entry, user_name
from arawn.store.database import Database

ROW = "INTO audit (id, at, who, action, subject) VALUES (1, 0, 'nobody', 'config', 'nothing')"
FORBIDDEN = [
    "UPDATE audit SET who = 'nobody'",
    "UPDATE OR REPLACE audit SET id = 2 WHERE id = 1",
    "DELETE FROM audit",
    f"INSERT OR REPLACE {ROW}",
    f"REPLACE {ROW}",
    f"INSERT {ROW} ON CONFLICT DO UPDATE SET who = 'nobody'",
]


@pytest.fixture
def file(tmp_path):
    return str(tmp_path / "arawn.db")


@pytest.fixture
def audit(file):
    times = iter(range(100, 1000))
    with Database(file) as database:
        yield Audit(database, who="ann", now=lambda: float(next(times)))


def record_some(audit):
    audit.record("budget", "budget.limit", None, "20")
    audit.record("secret", "groq", '["https://api.groq.com"]', None)
    audit.record("budget", "budget.limit", "20", "25")


def test_what_was_recorded_is_read_back_the_newest_last(audit):
    record_some(audit)
    assert audit.entries() == [
        Entry(100.0, "ann", Change("budget", "budget.limit", None, "20")),
        Entry(101.0, "ann", Change("secret", "groq", '["https://api.groq.com"]', None)),
        Entry(102.0, "ann", Change("budget", "budget.limit", "20", "25")),
    ]


def test_it_can_be_asked_for_the_last_ones_for_new_ones_and_for_one_kind(audit):
    record_some(audit)
    whole = audit.entries()
    assert audit.entries(limit=2) == whole[1:]
    assert audit.entries(102.0) == whole[2:]
    assert audit.entries(action="budget") == [whole[0], whole[2]]
    assert audit.entries(action="budget", limit=1) == [whole[2]]
    assert audit.entries(103.0) == []


@pytest.mark.parametrize("statement", FORBIDDEN, ids=lambda it: it[:24])
def test_the_file_itself_refuses_to_change_or_forget_an_entry(audit, file, statement):
    record_some(audit)
    before = audit.entries()
    with closing(sqlite3.connect(file)) as connection, pytest.raises(sqlite3.IntegrityError, match="only ever added"):
        connection.execute(statement)
    assert audit.entries() == before


def test_a_change_that_fails_leaves_no_entry(audit):
    with pytest.raises(ConfigError), audit.recording(Change("config", "llm.model")):
        raise ConfigError("the disk is full")
    assert audit.entries() == []
    audit.record("config", "llm.model")
    assert len(audit.entries()) == 1


def test_several_changes_are_written_together(audit):
    with audit.recording(Change("config", "a"), Change("config", "b")):
        pass
    assert [entry.change.subject for entry in audit.entries()] == ["a", "b"]


def test_what_is_no_unicode_text_is_kept_as_far_as_it_is(audit):
    audit.record("config", "llm.model", None, "a\udcffb")
    assert audit.entries()[0].change.after == "a?b"


def test_a_database_that_is_locked_is_an_error_and_the_change_is_not_made(audit, file, monkeypatch):
    record_some(audit)
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 0.05)
    made = []
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotSavedError, match=r"arawn\.db"), audit.recording(Change("config", "a")):
            made.append("a")
        other.execute("ROLLBACK")
    assert (made, len(audit.entries())) == ([], 3)


def write_ten(file, who):
    with Database(file) as database:
        for number in range(10):
            Audit(database, who=who).record("config", str(number))


def test_processes_write_side_by_side_and_none_loses_an_entry(file):
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        pool.starmap(write_ten, [(file, f"user{number}") for number in range(4)])
    with Database(file) as database:
        found = Audit(database).entries()
    for number in range(4):
        own = [entry.change.subject for entry in found if entry.who == f"user{number}"]
        assert own == [str(each) for each in range(10)]


@pytest.mark.skipif(os.name != "posix", reason="accounts are POSIX")
def test_who_is_the_account_the_system_knows_and_the_one_who_used_sudo(monkeypatch):
    import pwd

    own = pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setenv("USER", "somebody-else")
    assert user_name({"USER": "somebody-else", "LOGNAME": "somebody-else"}) == own
    assert user_name({"SUDO_USER": "alice\x1b[31m\n"}) == f"{own} (sudo: alice[31m)"
    assert user_name({"SUDO_USER": own}) == own


@pytest.mark.skipif(os.name != "posix", reason="accounts are POSIX")
def test_an_account_without_a_name_is_its_number(monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_017)
    assert user_name({}) == "4000000017"
