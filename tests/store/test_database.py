from __future__ import annotations

import os
import sqlite3
import stat
import threading

import pytest

from arawn.errors import ConfigError, NotSavedError
from arawn.folders import data_folder
from arawn.store import database as database_module
from arawn.store.database import MIGRATIONS, Database
from arawn.store.sessions import Sessions

WRITE = (
    "INSERT INTO sessions (id, title, created, updated, backend, model, system, usage) VALUES (?,'',0,0,'','','','')"
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "data" / "arawn.db"


@pytest.fixture
def database(file):
    with Database(str(file)) as opened:
        yield opened


def written(database):
    return [row[0] for row in database.rows("SELECT id FROM sessions ORDER BY id")]


def write(database, word, **options):
    with database.writing(**options) as connection:
        connection.execute(WRITE, [word])


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"ARAWN_HOME": "/opt/arawn", "XDG_DATA_HOME": "/x", "HOME": "/h"}, "/opt/arawn"),
        ({"XDG_DATA_HOME": "/x", "HOME": "/h"}, "/x/arawn"),
        ({"XDG_DATA_HOME": "relative", "HOME": "/h"}, "/h/.local/share/arawn"),
        ({"HOME": "/h"}, "/h/.local/share/arawn"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="other platforms keep data elsewhere")
def test_data_is_kept_where_the_platform_says_or_the_user(environ, folder):
    assert data_folder(environ) == folder


def test_the_users_database_is_in_that_folder(tmp_path):
    assert Database.of_user({"ARAWN_HOME": str(tmp_path)}).path == str(tmp_path / "arawn.db")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_r15_the_file_its_log_and_its_folder_are_private_under_any_umask(file, umask):
    old = os.umask(umask)
    try:
        with Database(str(file)) as database:
            write(database, "one")
            modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in os.scandir(file.parent)}
    finally:
        os.umask(old)

    assert modes.keys() >= {"arawn.db", "arawn.db-wal", "arawn.db-shm"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_r15_a_file_that_others_can_read_is_repaired_and_that_is_said(file):
    with Database(str(file)) as database:
        write(database, "one")
    file.chmod(0o644)

    with Database(str(file)) as database:
        assert written(database) == ["one"]
        assert database.warnings == [f"{file} could be read by others (mode 0644); it is now 0600"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_r46_it_writes_ahead_waits_ten_seconds_and_knows_its_version(database):
    assert database.rows("PRAGMA journal_mode") == [("wal",)]
    assert database.rows("PRAGMA busy_timeout") == [(10_000,)]
    assert database.rows("PRAGMA foreign_keys") == [(1,)]
    assert database.rows("PRAGMA user_version") == [(len(MIGRATIONS),)]


def test_opening_again_changes_nothing(file, database):
    write(database, "one")
    database.close()
    before = file.read_bytes()

    with Database(str(file)) as again:
        assert written(again) == ["one"]
    assert file.read_bytes() == before


def test_r46_an_older_file_gets_the_migrations_it_lacks(file, monkeypatch):
    with Database(str(file)) as database:
        write(database, "old")
    later = (*MIGRATIONS, ("CREATE TABLE ledger (id INTEGER)", "INSERT INTO ledger VALUES (7)"))
    monkeypatch.setattr(database_module, "MIGRATIONS", later)

    with Database(str(file)) as database:
        assert written(database) == ["old"]
        assert database.rows("SELECT id FROM ledger") == [(7,)]
        assert database.rows("PRAGMA user_version") == [(len(later),)]


def test_r46_a_migration_that_fails_half_way_leaves_the_file_as_it_was(file, monkeypatch):
    with Database(str(file)) as database:
        write(database, "old")
    broken = (*MIGRATIONS, ("CREATE TABLE ledger (id INTEGER)", "INSERT INTO nowhere VALUES (7)"))
    monkeypatch.setattr(database_module, "MIGRATIONS", broken)
    with pytest.raises(ConfigError, match="no such table: nowhere"), Database(str(file)) as database:
        database.rows("SELECT 1")
    monkeypatch.undo()

    with Database(str(file)) as database:
        assert written(database) == ["old"]
        assert database.rows("SELECT name FROM sqlite_master WHERE name = 'ledger'") == []


def test_a_file_of_a_newer_arawn_is_refused_untouched(file, database):
    write(database, "one")
    with database.writing() as connection:
        connection.execute("PRAGMA user_version = 99")
    database.close()
    before = file.read_bytes()

    with pytest.raises(ConfigError, match=r"made by a newer arawn \(version 99") as caught:
        Database(str(file)).rows("SELECT 1")

    assert caught.value.hints
    assert file.read_bytes() == before
    assert sorted(os.listdir(file.parent)) == [".arawn.db.lock", "arawn.db"]


def test_a_file_that_is_no_database_is_refused_untouched_with_what_to_do(file):
    file.parent.mkdir()
    file.write_bytes(b"my diary, not a database\n" * 100)

    with pytest.raises(ConfigError, match="file is not a database") as caught:
        Database(str(file)).rows("SELECT 1")

    assert caught.value.hints == (f"move it away, and a new one is made: mv {file} {file}.damaged",)
    assert file.read_bytes() == b"my diary, not a database\n" * 100


def test_a_link_that_leads_nowhere_is_not_followed(file, tmp_path):
    file.parent.mkdir()
    file.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigError, match="cannot open"):
        Database(str(file)).rows("SELECT 1")
    assert not (tmp_path / "elsewhere").exists()


def test_what_fails_in_the_middle_is_not_written_at_all(database):
    def write_and_fail():
        with database.writing() as connection:
            connection.execute(WRITE, ["half"])
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_and_fail()

    assert written(database) == []
    write(database, "next")
    assert written(database) == ["next"]


def test_what_is_deferred_is_written_with_the_next_transaction_or_when_asked_for_and_once(database):
    database.defer(lambda connection: connection.execute(WRITE, ["first"]))
    database.defer(lambda connection: connection.execute(WRITE, ["second"]))
    assert written(database) == []
    write(database, "third")
    assert written(database) == ["first", "second", "third"]

    database.defer(lambda connection: connection.execute(WRITE, ["fourth"]))
    database.flush()
    database.flush()
    assert written(database) == ["first", "fourth", "second", "third"]


def test_what_is_deferred_outlives_the_failure_of_the_transaction_it_went_with(database):
    def fail():
        with database.writing():
            raise RuntimeError("in the middle")

    database.defer(lambda connection: connection.execute(WRITE, ["deferred"]))
    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert written(database) == []
    database.flush()
    assert written(database) == ["deferred"]


def test_pragmas_are_set_where_they_change_and_again_after_reopening(database):
    statements = []
    write(database, "one")
    database._connection.set_trace_callback(statements.append)
    write(database, "two")
    with database.writing(durable=True, wait=False):
        pass
    write(database, "three")
    assert [text for text in statements if "PRAGMA" in text] == [
        "PRAGMA synchronous = FULL",
        "PRAGMA busy_timeout = 0",
        "PRAGMA synchronous = NORMAL",
        "PRAGMA busy_timeout = 10000",
    ]
    database.close()
    with database.writing(durable=True) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_r48_a_full_disk_is_not_saved_and_leaves_the_database_sound(database):
    write(database, "before")
    [[pages]] = database.rows("PRAGMA page_count")
    database.rows(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(NotSavedError, match="database or disk is full") as caught:
        write(database, "x" * 100_000)

    assert caught.value.exit_code == 11
    assert "make room on the disk, or check its health" in caught.value.hints
    assert written(database) == ["before"]
    assert database.rows("PRAGMA integrity_check") == [("ok",)]


def test_a_database_that_may_only_be_read_is_not_saved(database):
    write(database, "before")
    database.rows("PRAGMA query_only = 1")

    with pytest.raises(NotSavedError, match="readonly"):
        write(database, "after")


def test_r46_a_lock_held_too_long_is_not_saved(file, database, monkeypatch):
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 0.05)
    write(database, "first")
    impatient = Database(str(file))
    with database.writing(), pytest.raises(NotSavedError, match="database is locked") as caught:
        write(impatient, "second")
    impatient.close()

    assert "another process has been writing" in caught.value.hints[0]


def test_r46_a_writer_waits_for_another(file, database):
    holding = threading.Event()

    def hold_and_write():
        with Database(str(file)) as other, other.writing() as connection:
            holding.set()
            connection.execute(WRITE, ["first"])

    thread = threading.Thread(target=hold_and_write)
    database.rows("SELECT 1")
    thread.start()
    holding.wait(10)
    write(database, "second")
    thread.join()

    assert written(database) == ["first", "second"]


def test_only_a_durable_write_waits_for_the_disk(database):
    with database.writing(durable=True) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    with database.writing() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (1,)


def test_a_closed_database_opens_again(database):
    write(database, "one")
    database.close()
    database.close()

    assert written(database) == ["one"]


def test_a_wrong_query_names_the_file(database, file):
    with pytest.raises(ConfigError, match=f"cannot use {file}: no such table"):
        database.rows("SELECT * FROM absent")


def test_many_threads_that_open_a_fresh_home_at_once_all_succeed(file):
    failures = []

    def open_and_write(number):
        try:
            with Database(str(file)) as own:
                write(own, f"{number:02}")
        except (ConfigError, NotSavedError, sqlite3.Error) as error:
            failures.append(error)

    threads = [threading.Thread(target=open_and_write, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with Database(str(file)) as database:
        assert written(database) == [f"{number:02}" for number in range(12)]


def test_r51_a_transaction_that_a_signal_left_open_does_not_stop_the_next(tmp_path):
    with Database(str(tmp_path / "arawn.db")) as database:
        sessions = Sessions(database)
        kept = sessions.create(backend="b", model="m", title="kept")
        connection = database._opened()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE sessions SET title = 'half done'")

        sessions.rename(kept, "a name")

        assert sessions.load(kept).info.name == "a name"
        assert sessions.load(kept).info.title == "kept"
