"""Many calls at a time: arawn's engine, and ``arawn batch`` with files at both ends, beside bare httpx.AsyncClient.

Run as a program (``python -m benchmarks.batch CALLS JOBS``) with ARAWN_HOME set, it is the engine: it asks, gathers
the answers and prints them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.measure import Command
from benchmarks.place import ROOT
from benchmarks.rapid import rapid
from benchmarks.report import TIMES, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arawn.backends.base import Backend
    from arawn.messages import ChatRequest
    from benchmarks.peers import Peers
    from benchmarks.place import Place

_CALLS = 10_000
_GOALS = {4: 0.6, 8: 0.6, 16: 0.75}
_TITLES = {"engine": "the engine without server", "batch": "arawn batch as installed"}
_CONFIG = """\
[llm]
backend = "bench"

[backends.bench]
adapter = "openai_chat"
base_url = "{url}"
api_key = "$env:BENCH_KEY"
model = "bench-1"
"""


class _Pace(NamedTuple):
    """Calls a second by the clock on the wall, and milliseconds of processor time a call; with the start-up in both."""

    rate: float
    cpu: float


def rows(place: Place, peers: Peers) -> Iterator[Row]:
    """Yield how many calls arawn makes in the time of one of httpx; the processor time is told besides."""
    with rapid() as url:
        home = _home(place.folder / "arawn-batch", url)
        for jobs, goal in _GOALS.items():
            titles = {name: f"{_CALLS:,} calls, {jobs} at a time, {title}" for name, title in _TITLES.items()}
            if peers.missing:
                yield from (Row(title, None, TIMES, goal, peers.missing, more=True) for title in titles.values())
                continue
            paces = _compared(_contenders(place, peers, home, url, jobs), home, max(3, place.rounds // 5))
            floor = paces["httpx"]
            for name, title in titles.items():
                pace = paces[name]
                remark = (
                    f"{pace.rate:.0f} / httpx {floor.rate:.0f} a second; CPU {pace.cpu:.2f} / {floor.cpu:.2f} ms a call"
                )
                yield Row(title, pace.rate / floor.rate, TIMES, goal, remark, more=True)


def _home(home: Path, url: str) -> Path:
    """Make the folder of an arawn that asks the server, with the questions in it."""
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text(_CONFIG.format(url=url), encoding="utf-8")
    with (home / "questions.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"prompt": f"Question {number}"}) + "\n" for number in range(_CALLS))
    return home


def _contenders(place: Place, peers: Peers, home: Path, url: str, jobs: int) -> dict[str, Command]:
    environ = {**place.environ, "ARAWN_HOME": str(home)}
    numbers = [str(_CALLS), str(jobs)]
    script, floor = Path(sys.executable).with_name("arawn"), ROOT / "benchmarks" / "floors" / "httpx_many.py"
    files = [str(home / "questions.jsonl"), "-o", str(home / "answers.jsonl")]
    return {
        "httpx": Command([peers.python, str(floor), url, *numbers], environ),
        "engine": Command([sys.executable, "-m", "benchmarks.batch", *numbers], environ),
        "batch": Command([str(script), "batch", *files, "--jobs", str(jobs)], environ),
    }


def _compared(contenders: dict[str, Command], home: Path, rounds: int) -> dict[str, _Pace]:
    """Return the median pace of each contender; they take turns, and each begins with an empty ledger."""
    paces: dict[str, list[_Pace]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, command in contenders.items():
            for left in (*home.glob("arawn.db*"), *home.glob("answers.jsonl")):
                left.unlink()
            began = time.perf_counter()
            cpu = command.run().cpu
            paces[name].append(_Pace(_CALLS / (time.perf_counter() - began), cpu / _CALLS))
    return {
        name: _Pace(median(pace.rate for pace in found), median(pace.cpu for pace in found))
        for name, found in paces.items()
    }


def main() -> None:
    """Ask so many questions, so many at a time."""
    from asyncio import run

    run(_ask_all(int(sys.argv[1]), int(sys.argv[2])))


async def _ask_all(calls: int, jobs: int) -> None:
    from asyncio import gather, sleep

    from arawn.config.sources import load
    from arawn.engine.assembly import Engine
    from arawn.messages import ChatRequest, Message, Role, Text
    from arawn.network.routes import Route
    from arawn.network.transport import AsyncTransport

    settings = load(environ=os.environ, cwd=os.getcwd(), project=False)
    engine = Engine(settings, transport=lambda _: AsyncTransport(Route({}), with_aiohttp=False), sleep=sleep)
    choice = engine.choose()
    requests = (
        engine.complete(
            ChatRequest(choice.model, (Message(Role.USER, (Text(f"Question {number}"),)),), stream=False), choice
        )
        for number in range(calls)
    )
    await gather(*(_ask(engine.backend(choice), requests) for _ in range(jobs)))
    await engine.aclose()


async def _ask(backend: Backend, requests: Iterator[ChatRequest]) -> None:
    from arawn.events import collect

    for request in requests:
        response = await collect(backend.stream(request))
        sys.stdout.write(json.dumps(response.message.text) + "\n")


if __name__ == "__main__":
    main()
