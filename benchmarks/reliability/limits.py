"""Many processes share a backend's limits: never too many calls in any window, none is forgotten, and it is cheap."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from arawn.store.database import Database
from arawn.store.limits import Permit, Quota, RateLimits
from benchmarks.reliability.score import Score
from benchmarks.reliability.spoken import WHOLE
from tests.support.loopback import Loopback, answer
from tests.support.processes import Home
from tests.support.request_times import RequestTimes

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROCESSES = 16
_RPM = 20
_CALLS = 5
_MINUTE = 60.0
_HERD = 10
_PAUSE = 5
_CHEAP = 0.3  # ms of CPU for all that a call needs
_FREE = 0.02
_TESTS = Path(__file__).parents[2] / "tests"


def score(_times: int) -> Score:
    """Try windows of a second, a real minute, a herd that is told to wait, and what a permit costs."""
    score = Score(
        f"rate: {_PROCESSES} processes, {_RPM} requests a window; a herd after a 429; the cost of a permit",
        f"never {_RPM + 1} in a window, all served; 0 stampedes; ≤ {_CHEAP} ms CPU a call",
    )
    with tempfile.TemporaryDirectory() as folder:
        _seconds(score, folder)
    with tempfile.TemporaryDirectory() as folder:
        _minute(score, Home(Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        _herd(score, Home(Path(folder)))
    for name, quota, most in (
        ("nothing limited", Quota(), _FREE),
        ("requests", Quota(rpm=501), _CHEAP),
        ("requests, tokens and calls at once", Quota(501, 10**9, 4), _CHEAP),
    ):
        spent = _cost(quota)
        score.case(f"cost: {name}", "" if spent <= most else f"{spent:.3f} ms")
    return score


def _seconds(score: Score, folder: str) -> None:
    """Share a window of a second: the permits' own times are exact."""
    command = [
        sys.executable,
        str(_TESTS / "support" / "limited_process.py"),
        folder,
        f"calls={_CALLS}",
        f"rpm={_RPM}",
        "window=1",
    ]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_TESTS), str(_TESTS.parent)])}
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, text=True) for _ in range(_PROCESSES)]
    lines = [line.split() for each in started for line in each.communicate()[0].splitlines()]
    _judge(score, "a second", sorted(float(value) for what, value in lines if what == "taken"), 1.0 - 1e-6)
    for _ in range(_PROCESSES * _CALLS - sum(what == "ended" for what, _ in lines)):
        score.case("a second: served", "was not")


def _minute(score: Score, home: Home) -> None:
    """Share a real minute, seen from the server; on its way there a call may lose a little time."""
    with Loopback([*WHOLE]) as server:
        server.requests = stamps = RequestTimes()
        home.serve(server.url, f"rpm = {_RPM}")
        codes = _ended([home.start("ask", "hi", "-q") for _ in range(2 * _RPM)])
        _judge(score, "a minute", stamps.times, _MINUTE - 1)
    for code in codes:
        score.case("a minute: served", "" if code == 0 else f"exit {code}")


def _herd(score: Score, home: Home) -> None:
    """Tell one process to wait, while the others begin: none of them comes before the time is over."""
    with Loopback([answer(b"{}", 429, headers={"Retry-After": str(_PAUSE)})], [*WHOLE]) as server:
        server.requests = stamps = RequestTimes()
        home.serve(server.url)
        file = home.path / "config.toml"
        home.configure(file.read_text().replace("max_retries = 0", "max_retries = 3"))
        first = home.start("ask", "hi", "-q")
        while not server.requests:
            time.sleep(0.01)
        time.sleep(0.3)
        codes = _ended([first, *(home.start("ask", "hi", "-q") for _ in range(_HERD))])
        told, *others = stamps.times
    for each in others:
        score.case("herd", "" if each - told >= _PAUSE - 0.1 else f"came {each - told:.2f} s after the 429")
    for code in codes:
        score.case("herd: served", "" if code == 0 else f"exit {code}")


def _cost(quota: Quota, calls: int = 500) -> float:
    """Return the CPU time in ms of taking a permit, correcting it and giving it back, with up to 500 in the window."""
    with tempfile.TemporaryDirectory() as folder, Database(f"{folder}/arawn.db") as database:
        limits = RateLimits(database)
        limits.acquire("other", Quota(rpm=1), 0)
        began = time.process_time()
        for _ in range(calls):
            permit = limits.acquire("b", quota, 500)
            assert isinstance(permit, Permit)
            limits.release(permit, 300)
        return (time.process_time() - began) / calls * 1000


def _ended(processes: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    for process in processes:
        process.communicate()
    return [process.returncode for process in processes]


def _judge(score: Score, name: str, times: Sequence[float], window: float) -> None:
    for start in times:
        inside = sum(1 for each in times if start <= each < start + window)
        score.case(name, "" if inside <= _RPM else f"{inside} within {window:g} s")
