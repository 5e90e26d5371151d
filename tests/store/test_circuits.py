"""Circuits in a real file; time is a number that a test moves."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from arawn.store.circuits import MAX_OPEN, MIN_OPEN, PROBE_TIMEOUT, Circuit, Circuits
from arawn.store.database import Database


class Bench:
    """A store's file with a clock of its own."""

    def __init__(self, file):
        self.now = 1000.0
        self.database = Database(str(file))
        self.circuits = Circuits(self.database, monotonic=lambda: self.now)

    def check(self):
        return self.circuits.check("b")

    def fail(self, times=1):
        for _ in range(times):
            circuit = self.check()
            self.circuits.record_failure(circuit, "connection")

    def rows(self):
        return self.database.rows("SELECT * FROM circuits")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "arawn.db"


@pytest.fixture
def bench(file):
    found = Bench(file)
    yield found
    found.database.close()


def test_three_failures_in_a_row_open_it_for_half_a_minute(bench):
    bench.fail(2)
    assert bench.check().allows
    bench.fail()
    found = bench.check()
    assert (found.allows, found.failures, found.wait, found.reason) == (False, 3, MIN_OPEN, "connection")
    bench.now += 6.0
    assert bench.check().wait == MIN_OPEN - 6.0


@pytest.mark.parametrize(("pauses", "opens"), [((60, 59), True), ((60, 61), False), ((119, 119, 1), True)])
def test_only_failures_close_together_open_it(bench, pauses, opens):
    bench.fail()
    for pause in pauses:
        bench.now += pause
        bench.fail()
    assert bench.check().allows is not opens


def test_a_success_ends_the_row(bench):
    bench.fail(2)
    bench.circuits.record_success(bench.check())
    assert bench.rows() == []
    bench.fail(2)
    assert bench.check().allows


def test_each_backend_has_its_own(bench):
    bench.fail(3)
    assert bench.circuits.check("other").allows


def test_success_writes_nothing_where_no_failure_is_known(bench, file):
    bench.check()
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")  # a write would wait for this
        began = time.monotonic()
        for _ in range(100):
            bench.circuits.record_success(bench.check())
        assert time.monotonic() - began < 8  # one that waits gives up after ten seconds


def test_when_its_time_is_over_one_call_may_try(bench):
    bench.fail(3)
    bench.now += MIN_OPEN
    first, second = bench.check(), bench.check()
    assert (first.allows, second.allows, second.wait) == (True, False, 0.0)
    bench.circuits.record_success(first)
    assert bench.check() == Circuit("b")


def test_a_try_that_fails_opens_it_for_twice_as_long_up_to_five_minutes(bench):
    bench.fail(3)
    waits = []
    for _ in range(6):
        waits.append(bench.check().wait)
        bench.now += waits[-1]
        bench.fail()
    assert waits == [MIN_OPEN, 60.0, 120.0, 240.0, MAX_OPEN, MAX_OPEN]
    assert bench.check().failures == 9


def test_after_a_success_it_opens_for_half_a_minute_again(bench):
    bench.fail(3)
    bench.now += MIN_OPEN
    bench.fail()
    bench.now += 2 * MIN_OPEN
    bench.circuits.record_success(bench.check())
    bench.fail(3)
    assert bench.check().wait == MIN_OPEN


def test_a_try_that_says_nothing_leaves_the_next_to_another(bench):
    bench.fail(3)
    bench.now += MIN_OPEN
    first = bench.check()
    bench.circuits.release(first)
    bench.now += 1.0
    second = bench.check()
    assert second.allows
    bench.circuits.release(first)  # it has nothing to give back any more
    assert not bench.check().allows


def test_a_failure_of_a_call_that_began_before_it_opened_changes_nothing(bench):
    early = bench.check()
    bench.fail(3)
    bench.now += 10.0
    bench.circuits.record_failure(early, "connection")
    assert bench.check().wait == MIN_OPEN - 10.0
    bench.now += MIN_OPEN
    trying = bench.check()
    bench.circuits.record_failure(early, "connection")
    assert not bench.check().allows
    bench.circuits.record_success(trying)
    assert bench.check().allows


def test_a_try_that_never_ends_holds_nobody_up_for_more_than_a_minute(bench):
    bench.fail(3)
    bench.now += MIN_OPEN
    lost = bench.check()
    bench.now += PROBE_TIMEOUT - 0.1
    assert not bench.check().allows
    bench.now += 0.1
    second = bench.check()
    assert second.allows
    bench.circuits.record_failure(lost, "timeout")  # it comes too late to decide
    assert bench.check().wait == 0.0
    bench.circuits.record_failure(second, "timeout")
    assert bench.check().wait == 2 * MIN_OPEN


TRYING = """
import sys, os
from arawn.store.circuits import Circuits
from arawn.store.database import Database
now = float(sys.argv[2])
with Database(sys.argv[1]) as database:
    print(Circuits(database, monotonic=lambda: now).check("b").allows, flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), 9)
"""


def test_a_try_of_a_process_that_was_killed_is_free_at_once(bench, file):
    bench.fail(3)
    bench.now += MIN_OPEN
    words = [sys.executable, "-c", TRYING, str(file), str(bench.now)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"True\n"
        assert not bench.check().allows
        other.stdin.close()
        other.wait(10)
    assert bench.check().allows


def test_of_many_processes_one_may_try(bench, file):
    bench.fail(3)
    bench.now += MIN_OPEN
    words = [sys.executable, "-c", TRYING, str(file), str(bench.now)]
    others = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)]
    answers = [other.stdout.readline() for other in others]
    for other in others:
        other.communicate()
    assert sorted(answers) == [b"False\n"] * 3 + [b"True\n"]


def test_a_failed_check_opens_it_at_once_and_a_good_one_closes_it(bench):
    bench.circuits.trip("b", "server")
    found = bench.check()
    assert (found.allows, found.failures, found.wait, found.reason) == (False, 1, MIN_OPEN, "server")
    bench.circuits.close("b")
    assert (bench.check(), bench.rows()) == (Circuit("b"), [])


def test_checks_that_fail_again_and_again_keep_it_open_for_longer_and_longer(bench):
    for wait in (MIN_OPEN, 60.0, 120.0):
        bench.circuits.trip("b", "server")
        bench.circuits.trip("b", "server")  # while it is open that is nothing new
        assert bench.check().wait == wait
        bench.now += wait


def test_a_good_check_makes_no_file(bench, file):
    bench.circuits.close("b")
    assert not file.exists()


def test_r52_a_restart_of_the_machine_closes_all(bench):
    bench.now = 90_000.0
    bench.fail(3)
    bench.now = 10.0
    assert bench.check() == Circuit("b")
    bench.fail(2)
    assert bench.check().allows
    bench.fail()
    assert bench.check().wait == MIN_OPEN


def test_r52_a_try_from_before_a_restart_is_nobody_s(bench):
    bench.fail(3)
    bench.now += MIN_OPEN
    bench.check()
    bench.database.rows("UPDATE circuits SET probed = 90000.0")
    assert bench.check().allows


@pytest.mark.parametrize("damage", [b"this is no database", b""])
def test_a_file_that_cannot_be_used_stops_nobody(tmp_path, damage):
    file = tmp_path / "arawn.db"
    if damage:
        file.write_bytes(damage * 100)
    else:
        file.mkdir()
    bench = Bench(file)
    bench.fail(4)
    bench.circuits.trip("b", "server")
    bench.circuits.close("b")
    bench.circuits.record_success(Circuit("b", failures=2))
    bench.circuits.release(Circuit("b", probe=1.0))
    assert bench.check() == Circuit("b")
    bench.database.close()
