"""Permits and paces in a real file; time is a number that a test moves."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from arawn.adapters.rate_limits import Allowance, Pace
from arawn.errors import ConfigError, NotSavedError
from arawn.store.database import Database
from arawn.store.leases import LONGEST_CALL
from arawn.store.limits import MAX_PROVIDER_WAIT, POLL_INTERVAL, Permit, Quota, RateLimits, Wait


class Desk:
    """A store's file with a clock of its own."""

    def __init__(self, file, **options):
        self.now = 1000.0
        self.database = Database(str(file))
        self.limits = RateLimits(self.database, **{"monotonic": lambda: self.now, **options})

    def ask(self, *, rpm=None, tpm=None, concurrent=None, tokens=0, backend="b"):
        return self.limits.acquire(backend, Quota(rpm, tpm, concurrent), tokens)

    def taken(self, **quota):
        permit = self.ask(**quota)
        assert isinstance(permit, Permit), permit
        return permit

    def waited(self, **quota):
        wait = self.ask(**quota)
        assert isinstance(wait, Wait), wait
        return wait.cause, pytest.approx(wait.seconds)

    def rows(self, table="permits"):
        return self.database.rows(f"SELECT * FROM {table}")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "arawn.db"


@pytest.fixture
def desk(file):
    found = Desk(file)
    yield found
    found.database.close()


# ---- requests ----


def test_so_many_requests_go_in_a_minute_and_the_next_when_the_oldest_is_a_minute_old(desk):
    for _ in range(3):
        desk.taken(rpm=3)
        desk.now += 10
    assert desk.waited(rpm=3) == ("rpm", 30.0)
    desk.now += 29.9
    assert desk.waited(rpm=3) == ("rpm", 0.1)
    desk.now += 0.1
    desk.taken(rpm=3)
    assert desk.waited(rpm=3) == ("rpm", 10.0)


def test_in_no_minute_whatever_are_there_more_than_allowed(desk):
    went = []
    while desk.now < 1400:
        got = desk.ask(rpm=5)
        if isinstance(got, Permit):
            went.append(desk.now)
            desk.now += 0.7 if len(went) % 3 else 13.1
        else:
            desk.now += got.seconds
    assert len(went) > 30
    assert all(later - earlier >= 60 - 1e-6 for earlier, later in zip(went, went[5:], strict=False))


def test_when_the_quota_was_lowered_all_that_are_too_many_must_leave_first(desk):
    for _ in range(5):
        desk.taken(rpm=5)
        desk.now += 1
    assert desk.waited(rpm=2) == ("rpm", 58.0)


def test_backends_do_not_share_a_quota(desk):
    desk.taken(rpm=1)
    desk.taken(rpm=1, backend="other")
    assert desk.waited(rpm=1) == ("rpm", 60.0)


def test_a_refused_request_counts_as_a_request(desk):
    desk.limits.release(desk.taken(rpm=1, tpm=100, tokens=50), 0)
    assert desk.waited(rpm=1, tpm=100, tokens=50) == ("rpm", 60.0)


# ---- tokens ----


def test_a_call_waits_until_enough_tokens_have_left_the_window(desk):
    for tokens in (40, 30, 20):
        desk.taken(tpm=100, tokens=tokens)
        desk.now += 10
    assert desk.waited(tpm=100, tokens=50) == ("tpm", 30.0)
    assert desk.waited(tpm=100, tokens=51) == ("tpm", 40.0)
    assert desk.waited(tpm=100, tokens=80) == ("tpm", 40.0)
    desk.taken(tpm=100, tokens=10)


def test_a_call_larger_than_the_quota_may_go_alone(desk):
    desk.taken(tpm=100, tokens=500)
    desk.now += 5
    assert desk.waited(tpm=100, tokens=1) == ("tpm", 55.0)
    assert desk.waited(tpm=100, tokens=500) == ("tpm", 55.0)
    desk.now += 55
    desk.taken(tpm=100, tokens=500)


@pytest.mark.parametrize(("took", "left"), [(1, 99), (30, 70), (None, 40), (60, 40), (99, 1)])
def test_what_a_call_really_took_stands_in_for_what_was_expected(desk, took, left):
    desk.limits.release(desk.taken(tpm=100, tokens=60), took)
    assert desk.waited(tpm=100, tokens=left + 1) == ("tpm", 60.0)
    desk.taken(tpm=100, tokens=left)


def test_a_call_that_took_nothing_leaves_room_for_a_larger_one(desk):
    desk.limits.release(desk.taken(tpm=100, tokens=60), 0)
    desk.taken(tpm=100, tokens=500)


def test_more_than_was_expected_holds_up_the_next(desk):
    desk.limits.release(desk.taken(tpm=100, tokens=10), 250)
    assert desk.waited(tpm=100, tokens=1) == ("tpm", 60.0)


def test_a_permit_that_is_given_back_late_changes_no_other_that_got_its_number(desk):
    late = desk.taken(tpm=100, tokens=60)
    desk.now += 61
    other = desk.taken(tpm=100, tokens=50)
    assert other.id == late.id
    desk.limits.release(late, 0)
    assert desk.waited(tpm=100, tokens=60) == ("tpm", 60.0)


@pytest.mark.parametrize("seed", range(5))
def test_in_no_minute_whatever_are_there_more_tokens_than_allowed_but_for_one_call_alone(desk, seed):
    dice, went = random.Random(seed), []
    while len(went) < 60:
        tokens = dice.choice([1, 5, 20, 40, 99, 100, 150])
        while isinstance(got := desk.ask(tpm=100, rpm=7, tokens=tokens), Wait):
            desk.now += got.seconds
        went.append((desk.now, tokens))
        desk.now += dice.random() * 20
    for start, _ in went:
        minute = [tokens for at, tokens in went if start <= at < start + 60 - 1e-6]
        assert len(minute) <= 7
        assert sum(minute) <= 100 or len(minute) == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_sums_are_those_of_the_permits_whatever_happened_to_them(desk, seed):
    dice, permits = random.Random(seed), []
    for _ in range(100):
        got = desk.ask(backend=dice.choice("bc"), rpm=20, tpm=500, concurrent=5, tokens=dice.randrange(100))
        permits += [got] * isinstance(got, Permit)
        if permits and dice.random() < 0.5:
            desk.limits.release(permits.pop(dice.randrange(len(permits))), dice.randrange(100))
        desk.now += dice.choice([0, 1, 30, 90, LONGEST_CALL])
    rows = desk.database.rows("SELECT backend, count(*), sum(tokens), sum(held) FROM permits GROUP BY backend")
    assert [sums for sums in desk.rows("permit_sums") if sums[1:] != (0, 0, 0)] == rows


# ---- calls at the same time ----


def test_so_many_calls_go_at_the_same_time(desk):
    first, _ = desk.taken(concurrent=2), desk.taken(concurrent=2)
    assert desk.waited(concurrent=2) == ("concurrent", POLL_INTERVAL)
    desk.limits.release(first)
    desk.taken(concurrent=2)
    assert desk.waited(concurrent=2) == ("concurrent", POLL_INTERVAL)


def test_a_call_longer_than_the_window_still_counts_as_one_that_goes_on(desk):
    permit = desk.taken(concurrent=1, rpm=10)
    desk.now += 300
    assert desk.waited(concurrent=1, rpm=10) == ("concurrent", POLL_INTERVAL)
    desk.limits.release(permit)
    desk.taken(concurrent=1, rpm=10)


def ended_process():
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


@pytest.mark.skipif(os.name != "posix", reason="other systems do not say which processes there are")
def test_what_a_dead_process_held_is_free_and_still_counts_in_the_minute(desk, file):
    gone = ended_process()
    dead = RateLimits(desk.database, monotonic=lambda: desk.now, process=lambda: gone)
    assert isinstance(dead.acquire("b", Quota(rpm=2, concurrent=1), 0), Permit)
    desk.taken(rpm=2, concurrent=1)
    assert desk.waited(rpm=2, concurrent=1) == ("rpm", 60.0)


def test_what_a_living_process_holds_is_its_own(desk):
    parent = RateLimits(desk.database, monotonic=lambda: desk.now, process=os.getppid)
    assert isinstance(parent.acquire("b", Quota(concurrent=1), 0), Permit)
    assert desk.waited(concurrent=1) == ("concurrent", POLL_INTERVAL)


def test_no_call_is_thought_to_last_longer_than_an_hour(desk):
    desk.taken(concurrent=1)
    desk.now += LONGEST_CALL - 1
    assert desk.waited(concurrent=1) == ("concurrent", POLL_INTERVAL)
    desk.now += 1
    desk.taken(concurrent=1)


def test_of_several_waits_the_longest_counts(desk):
    desk.taken(rpm=1, tpm=100, concurrent=1, tokens=100)
    assert desk.waited(rpm=1, tpm=100, concurrent=1, tokens=1)[1] == 60.0
    desk.limits.close("b", 30.0)
    desk.now += 45
    desk.limits.close("b", 30.0)
    assert desk.waited(rpm=1, tpm=100, concurrent=1) == ("closed", 30.0)


# ---- what the provider says ----


def test_when_the_provider_has_no_requests_left_all_wait_for_its_reset(desk):
    desk.limits.observe("b", Pace(Allowance(2, 20.0)))
    desk.taken()
    desk.taken(rpm=50)
    assert desk.waited() == ("requests", 20.0)
    assert desk.waited(rpm=50) == ("requests", 20.0)
    desk.taken(backend="other")
    desk.now += 20
    desk.taken()


def test_a_call_that_needs_more_tokens_than_are_left_waits_and_a_smaller_one_goes(desk):
    desk.limits.observe("b", Pace(tokens=Allowance(100, 20.0)))
    assert desk.waited(tokens=101) == ("tokens", 20.0)
    desk.taken(tokens=70)
    assert desk.waited(tokens=31) == ("tokens", 20.0)
    desk.taken(tokens=30)


def test_a_reset_far_away_is_waited_for_a_minute(desk):
    desk.limits.observe("b", Pace(Allowance(0, 7200.0)))
    assert desk.waited() == ("requests", MAX_PROVIDER_WAIT)


def test_the_users_own_quota_counts_where_it_is_stricter(desk):
    desk.taken(rpm=1)
    desk.limits.observe("b", Pace(Allowance(0, 20.0)))
    assert desk.waited(rpm=1) == ("rpm", 60.0)


def test_the_next_answer_corrects_what_is_known(desk):
    desk.limits.observe("b", Pace(Allowance(0, 20.0), Allowance(0, 30.0)))
    desk.limits.observe("b", Pace(tokens=Allowance(50, 10.0)))
    assert desk.waited(tokens=60) == ("tokens", 10.0)
    desk.limits.observe("b", Pace())
    desk.taken(tokens=60)
    assert desk.rows("paces") == []


def test_a_provider_that_asks_for_a_pause_gets_it_from_all(desk, file):
    other = Desk(file)
    desk.limits.close("b", 12.0)
    assert other.waited() == ("closed", 12.0)
    assert other.waited(rpm=9) == ("closed", 12.0)
    other.now = desk.now + 12.0
    other.taken()
    other.database.close()


def test_a_longer_pause_stands_against_a_shorter_one_and_no_pause_is_longer_than_a_minute(desk):
    desk.limits.close("b", 30.0)
    desk.limits.close("b", 5.0)
    assert desk.waited() == ("closed", 30.0)
    desk.limits.observe("b", Pace())
    assert desk.waited() == ("closed", 30.0)
    desk.limits.close("b", 1e9)
    assert desk.waited() == ("closed", MAX_PROVIDER_WAIT)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_pause_that_cannot_be_is_none(desk, seconds):
    desk.limits.close("b", seconds)
    desk.taken()


# ---- clocks ----


def test_r52_permits_of_before_a_restart_neither_block_nor_count(desk):
    for _ in range(3):
        desk.taken(rpm=3, tpm=100, concurrent=3, tokens=30)
    desk.limits.close("b", 60.0)
    desk.limits.observe("b", Pace(Allowance(0, 60.0), Allowance(0, 60.0)))
    desk.now = 5.0
    for _ in range(3):
        desk.taken(rpm=3, tpm=100, concurrent=3, tokens=30)
    assert desk.waited(rpm=3) == ("rpm", 60.0)


@pytest.mark.parametrize("uptime", [0.001, 30.0, 999.0, 1000.0, 1000.5, 1030.0, 1059.9, 1e6])
def test_r52_whenever_the_machine_restarted_nobody_waits_for_more_than_a_minute(desk, uptime):
    desk.taken(rpm=1)
    desk.limits.close("b", 60.0)
    desk.limits.observe("b", Pace(Allowance(0, 60.0)))
    desk.now = began = uptime
    while isinstance(got := desk.ask(rpm=1), Wait):
        assert 0 < got.seconds <= 60
        desk.now += got.seconds
    assert desk.now - began <= 60 + 1e-6
    assert desk.waited(rpm=1) == ("rpm", 60.0)


# ---- what it costs ----


def test_without_a_quota_and_a_pace_nothing_is_written(desk):
    desk.limits.release(desk.taken(tokens=5), 3)
    desk.limits.observe("b", Pace())
    statements = []
    desk.database._connection.set_trace_callback(statements.append)
    desk.limits.release(desk.taken(tokens=5), 3)
    desk.limits.observe("b", Pace())
    assert [statement.split()[0] for statement in statements] == ["SELECT", "SELECT"]
    assert (desk.rows(), desk.rows("paces")) == ([], [])


def test_old_permits_are_removed_on_the_way(desk):
    for _ in range(200):
        permit = desk.taken(rpm=10, concurrent=5)
        desk.now += 10
        desk.limits.release(permit)
    assert len(desk.rows()) <= 7


def test_calls_that_are_only_counted_at_the_same_time_leave_nothing(desk):
    for _ in range(5):
        desk.limits.release(desk.taken(concurrent=1))
    assert desk.rows() == []


def test_a_permit_that_goes_back_soon_is_free_for_others_with_the_next_write(desk, file):
    other = Desk(file)
    desk.limits.release_soon(desk.taken(concurrent=1))
    assert other.waited(concurrent=1) == ("concurrent", POLL_INTERVAL)
    desk.taken(concurrent=1, backend="another")
    other.limits.release(other.taken(concurrent=1))
    desk.limits.release_soon(desk.taken(concurrent=1))
    desk.limits.flush()
    other.taken(concurrent=1)
    other.database.close()


def test_a_window_may_be_shorter(file):
    desk = Desk(file, window=2.0)
    desk.taken(rpm=1)
    assert desk.waited(rpm=1) == ("rpm", 2.0)
    desk.database.close()


def test_a_file_that_cannot_be_used_is_said(tmp_path):
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database" * 100)
    desk = Desk(broken)
    for verb in (lambda: desk.ask(rpm=1), desk.ask, lambda: desk.limits.close("b", 1.0)):
        with pytest.raises((ConfigError, NotSavedError), match="broken"):
            verb()
