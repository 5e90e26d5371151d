"""Many processes share a backend's limits: never too many calls in any window, none is forgotten, and it is cheap."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arawn.store.database import Database
from arawn.store.limits import Permit, Quota, RateLimits
from benchmarks.reliability.score import Score
from benchmarks.reliability.spoken import WHOLE
from tests.support.loopback import Loopback, answer
from tests.support.processes import Home
from tests.support.request_times import RequestTimes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PROCESSES = 16
_RPM = 20
_CALLS = 5
_MINUTE = 60.0
_POLL = 0.5  # seconds
_HERD = 10
_PAUSE = 5
_CHEAP = 20  # times a transaction of SQLite that inserts a row: 0.3 ms of CPU where the goal was set
_FREE = 1.4
_PERMITS = 500
_TURNS = 3
_TESTS = Path(__file__).parents[2] / "tests"


def score(_times: int) -> Score:
    """Try windows of a second, a real minute, a herd that is told to wait, and what a permit costs."""
    score = Score(
        f"rate: {_PROCESSES} processes, {_RPM} requests a window; a herd after a 429; the cost of a permit",
        f"never {_RPM + 1} in a window, all served; 0 stampedes; ≤ {_CHEAP} × the CPU of an insert",
    )
    with tempfile.TemporaryDirectory() as folder:
        _seconds(score, folder)
    with tempfile.TemporaryDirectory() as folder:
        _minute(score, Home(Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        _herd(score, Home(Path(folder)))
    _costs(score)
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
    """Share a real minute: by the permits' own times too. Of the calls, none comes to the server before its permit.

    When they come is not judged: on a busy machine a call may stop for seconds between its permit and its request.
    """
    with Loopback([*WHOLE]) as server:
        server.requests = stamps = RequestTimes()
        home.serve(server.url, f"rpm = {_RPM}")
        processes = [home.start("ask", "hi", "-q") for _ in range(2 * _RPM)]
        permits = _permits(home, processes)
        codes = _ended(processes)
    _judge(score, "a minute", permits, _MINUTE - 1e-6)
    score.case("a minute: permits", "" if len(permits) == len(stamps) else f"{len(permits)} for {len(stamps)} calls")
    for permit, came in zip(permits, sorted(stamps.times), strict=False):
        score.case("a minute: order", "" if permit <= came else f"came {permit - came:.3f} s before its permit")
    for code in codes:
        score.case("a minute: served", "" if code == 0 else f"exit {code}")


def _permits(home: Home, processes: Sequence[subprocess.Popen[bytes]]) -> list[float]:
    """Return when permits were taken until the processes have ended; the store keeps each for a minute."""
    taken: set[tuple[int, float]] = set()
    running = True
    while running:
        time.sleep(_POLL)
        running = any(process.poll() is None for process in processes)
        taken.update(_rows(home, "SELECT id, taken FROM permits"))
    return sorted(when for _, when in taken)


def _rows(home: Home, query: str) -> list[tuple[Any, ...]]:
    """Return rows of a home's database; none where it has not been made yet."""
    address = f"file:{home.path / 'arawn.db'}?mode=ro"
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(address, uri=True)) as connection:
        return connection.execute(query).fetchall()
    return []


def _herd(score: Score, home: Home) -> None:
    """Tell one process to wait, while the others begin: none of them comes before the time is over."""
    with Loopback([answer(b"{}", 429, headers={"Retry-After": str(_PAUSE)})], [*WHOLE]) as server:
        server.requests = stamps = RequestTimes()
        home.serve(server.url)
        file = home.path / "config.toml"
        home.configure(file.read_text().replace("max_retries = 0", "max_retries = 3"))
        first = home.start("ask", "hi", "-q")
        while first.poll() is None and not _rows(home, "SELECT 1 FROM paces WHERE closed_until IS NOT NULL"):
            time.sleep(0.01)
        codes = _ended([first, *(home.start("ask", "hi", "-q") for _ in range(_HERD))])
        told, *others = stamps.times
    for each in others:
        score.case("herd", "" if each - told >= _PAUSE - 0.1 else f"came {each - told:.2f} s after the 429")
    for code in codes:
        score.case("herd: served", "" if code == 0 else f"exit {code}")


def _costs(score: Score) -> None:
    """Compare the CPU time of a permit with that of a bare transaction, each at its best of some turns."""
    contenders: dict[str, tuple[Callable[[], float], float]] = {
        "nothing limited": (lambda: _cost(Quota()), _FREE),
        "requests": (lambda: _cost(Quota(rpm=501)), _CHEAP),
        "requests, tokens and calls at once": (lambda: _cost(Quota(501, 10**9, 4)), _CHEAP),
    }
    turns = [(_insert_cost(), *(cost() for cost, _ in contenders.values())) for _ in range(_TURNS)]
    insert, *costs = (min(found) for found in zip(*turns, strict=True))
    for (name, (_, most)), cost in zip(contenders.items(), costs, strict=True):
        problem = f"{cost:.3f} ms, {cost / insert:.1f} × an insert's {insert:.3f} ms"
        score.case(f"cost: {name}", "" if cost <= most * insert else problem)


def _cost(quota: Quota) -> float:
    """Return the CPU time in ms of taking a permit, correcting it and giving it back, with up to 500 in the window."""
    with tempfile.TemporaryDirectory() as folder, Database(f"{folder}/arawn.db") as database:
        limits = RateLimits(database)
        limits.acquire("other", Quota(rpm=1), 0)
        began = time.process_time()
        for _ in range(_PERMITS):
            permit = limits.acquire("b", quota, 500)
            assert isinstance(permit, Permit)
            limits.release(permit, 300)
        return (time.process_time() - began) / _PERMITS * 1000


def _insert_cost() -> float:
    """Return the CPU time in ms of a transaction that inserts a row, by SQLite alone."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(sqlite3.connect(f"{folder}/bare.db", isolation_level=None)) as connection,
    ):
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE t (a, b)")
        began = time.process_time()
        for number in range(_PERMITS):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO t VALUES (?, ?)", ["b", number])
            connection.execute("COMMIT")
        return (time.process_time() - began) / _PERMITS * 1000


def _ended(processes: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    for process in processes:
        process.communicate()
    return [process.returncode for process in processes]


def _judge(score: Score, name: str, times: Sequence[float], window: float) -> None:
    for start in times:
        inside = sum(1 for each in times if start <= each < start + window)
        score.case(name, "" if inside <= _RPM else f"{inside} within {window:g} s")
