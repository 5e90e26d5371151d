"""RateLimits over processes: real ones, on one file, and arawn itself against a server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.http_backend import STREAM, streamed
from support.loopback import CHUNKED, Loopback, Stall, answer, chunked, head
from support.processes import Home
from support.request_times import RequestTimes
from support.waiting import wait_until

from arawn.store.database import Database
from arawn.store.limits import Quota, RateLimits

pytestmark = pytest.mark.e2e
SUPPORT = Path(__file__).parents[1] / "support"
posix = pytest.mark.skipif(os.name != "posix", reason="kill -9 and signals are POSIX")


def start(folder, **how):
    words = [f"{name}={value}" for name, value in how.items()]
    return subprocess.Popen(
        [sys.executable, str(SUPPORT / "limited_process.py"), str(folder), *words],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SUPPORT.parent), str(SUPPORT.parents[1])])},
        text=True,
    )


def said(processes):
    """What all of them said, by its first word, to their end."""
    found = {"taken": [], "began": [], "ended": [], "failed": []}
    for process in processes:
        out, _ = process.communicate(timeout=100)
        for line in out.splitlines():
            what, _, value = line.partition(" ")
            found[what].append(value if what == "failed" else float(value))
    return {what: sorted(values) for what, values in found.items()}


def crowd(times, window):
    """How many were in the fullest window."""
    return max(sum(1 for each in times if start <= each < start + window) for start in times)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def test_sixteen_processes_never_make_more_requests_in_a_window_than_allowed_and_all_are_served(tmp_path):
    found = said([start(tmp_path, calls=3, rpm=20, window=1.0) for _ in range(16)])
    assert (len(found["ended"]), found["failed"]) == (48, [])
    assert crowd(found["taken"], 1.0 - 1e-6) <= 20
    assert found["taken"][-1] - found["taken"][0] >= 2.0  # 48 calls are more than two windows hold


def test_sixteen_processes_never_take_more_tokens_in_a_window_than_allowed(tmp_path):
    found = said([start(tmp_path, calls=2, tpm=1000, tokens=90, window=0.7) for _ in range(16)])
    assert (len(found["ended"]), found["failed"]) == (32, [])
    assert crowd(found["taken"], 0.7 - 1e-6) <= 11
    assert found["taken"][-1] - found["taken"][0] >= 1.4  # 32 calls are more than two windows hold


def most_at_once(found):
    steps = sorted([(at, 1) for at in found["began"]] + [(at, -1) for at in found["ended"]])
    now = most = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most


def test_eight_processes_never_make_more_calls_at_the_same_time_than_allowed(tmp_path):
    found = said([start(tmp_path, calls=3, concurrent=3, seconds=0.05) for _ in range(8)])
    assert (len(found["ended"]), found["failed"]) == (24, [])
    assert most_at_once(found) <= 3


@posix
def test_what_a_killed_process_held_is_free_for_the_others(tmp_path):
    dead = [start(tmp_path, concurrent=2, seconds=60) for _ in range(2)]
    for process in dead:
        assert process.stdout.readline().startswith("taken")
    waiting = start(tmp_path, concurrent=2)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.7)
    for process in dead:
        process.send_signal(signal.SIGKILL)
    found = said([waiting])
    for process in dead:
        process.communicate()
    assert len(found["ended"]) == 1


def test_who_would_wait_too_long_is_told_so_instead(tmp_path):
    found = said([start(tmp_path, calls=2, rpm=1, window=60, longest=5) for _ in range(3)])
    assert (len(found["ended"]), found["failed"]) == (1, ["rate_limit"] * 5)


# ---- arawn itself ----


def test_arawn_ends_with_six_where_it_would_wait_longer_than_it_may(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, "rpm = 1\ntotal_timeout = 20")
        assert home.run("ask", "Hi").out == "Good day\n"
        run = home.run("ask", "Hi")
    assert (run.code, run.out, len(server.requests)) == (6, "", 1)
    assert 'Error: Backend "here" may not be called now: limit of 1 request a minute, free in ' in run.err
    assert "arawn config set backends.here.rpm" in run.err


def test_all_processes_wait_for_the_reset_that_a_server_told_one_of_them(home):
    told = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s"}
    with Loopback([head(headers={**told, **CHUNKED}), chunked(*STREAM)], streamed(*STREAM)) as server:
        server.requests = stamps = RequestTimes()
        home.serve(server.url)
        home.run("ask", "Hi")
        runs = [home.start("ask", "Hi") for _ in range(3)]
        ends = [run.communicate(timeout=60) for run in runs]
    assert [out for out, _ in ends] == [b"Good day\n"] * 3
    first, *others = stamps.times
    assert all(later - first >= 2.0 for later in others)
    assert any(b" s for here to allow more requests" in err for _, err in ends)


def test_a_herd_waits_with_the_one_who_was_told_to_be_slower(home):
    pause = 8  # the herd must have begun by then
    with Loopback([answer(b"{}", 429, headers={"Retry-After": str(pause)})], streamed(*STREAM)) as server:
        server.requests = stamps = RequestTimes()
        home.serve(server.url)
        home.configure((home.path / "config.toml").read_text().replace("max_retries = 0", "max_retries = 1"))
        first = home.start("ask", "Hi")
        wait_until(lambda: paused(home))
        herd = [home.start("ask", "Hi") for _ in range(9)]
        ends = [run.communicate(timeout=60) for run in (first, *herd)]
    assert [out for out, _ in ends] == [b"Good day\n"] * 10
    told, *others = stamps.times
    assert len(others) == 10
    assert all(other - told >= pause for other in others)
    assert sum(b"here, which asked for a pause" in err for _, err in ends) >= 3


def paused(home):
    """Whether a process has written down that the server asked for a pause."""
    with Database(str(home.path / "arawn.db")) as database:
        return database.rows("SELECT 1 FROM paces WHERE closed_until IS NOT NULL")


def held(home):
    with Database(str(home.path / "arawn.db")) as database:
        return database.rows("SELECT count(*) FROM permits WHERE held = 1")[0][0]


@posix
@pytest.mark.parametrize("moment", ["while it waits", "while it is answered"])
def test_ctrl_c_leaves_no_permit(home, moment):
    with Loopback([Stall()]) as server:
        home.serve(server.url, "concurrent = 1")
        asked = home.start("ask", "Hi")
        wait_until(lambda: server.requests)
        assert held(home) == 1
        stopped = asked
        if moment == "while it waits":
            stopped = home.start("ask", "Hi")
            assert b"waiting for here" in stopped.stderr.readline()
        stopped.send_signal(signal.SIGINT)
        stopped.communicate(timeout=60)
        assert stopped.returncode == -signal.SIGINT
        assert held(home) == (moment == "while it waits")
        asked.kill()
        asked.communicate()
    assert len(server.requests) == 1


# ---- R52: clocks ----

SHIFTED = "import time\nreal = time.time\ntime.time = lambda: real() + {shift}\n"


@contextmanager
def shifted(tmp_path, shift, *, with_faketime):
    """The environment of a process whose wall clock is wrong by so many seconds; its monotonic clock is right."""
    if with_faketime:
        if shutil.which("faketime") is None:
            pytest.skip("faketime is not installed")
        found = subprocess.run(["faketime", "-m", "now", "env"], capture_output=True, text=True, check=True).stdout
        preload = next(line.partition("=")[2] for line in found.splitlines() if line.startswith("LD_PRELOAD="))
        yield {
            "LD_PRELOAD": preload,
            "FAKETIME": f"{shift:+d}s",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return
    folder = tmp_path / f"clock{shift}"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SHIFTED.format(shift=shift))
    yield {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize("shift", [-86_400 * 400, -90, 90, 86_400 * 400])
@pytest.mark.parametrize("with_faketime", [False, True], ids=["in Python", "with faketime"])
def test_r52_a_wall_clock_set_back_or_forward_neither_blocks_nor_refills(home, tmp_path, shift, with_faketime):
    with (
        Loopback(streamed(*STREAM)) as server,
        shifted(tmp_path, shift, with_faketime=with_faketime) as environ,
    ):
        home.serve(server.url, "rpm = 2\ntotal_timeout = 20")
        runs = [home.run("ask", "Hi", env=env) for env in ({}, environ, environ, {})]
    assert [run.code for run in runs] == [0, 0, 6, 6]
    assert len(server.requests) == 2
    waits = [int(run.err.partition("free in ")[2].split()[0]) for run in runs[2:]]
    assert all(20 < wait <= 60 for wait in waits)


def test_r52_a_machine_that_restarted_begins_with_an_empty_minute(tmp_path):
    with Database(str(tmp_path / "arawn.db")) as database:
        later = RateLimits(database, monotonic=lambda: time.monotonic() + 1e6)
        later.acquire("b", Quota(rpm=1), 0)
        later.close("b", 60.0)
    found = said([start(tmp_path, calls=2, rpm=1, window=60, longest=5)])
    assert (len(found["ended"]), found["failed"]) == (1, ["rate_limit"])
