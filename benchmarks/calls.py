"""Unstreamed calls, 1, 8 and 64 at a time: processor time a call beside bare httpx.AsyncClient, which asks the same.

Run as a program (``python -m benchmarks.calls CONTENDER CALLS JOBS``) with ARAWN_HOME set, it is one contender and
prints the microseconds of a call. ``engine`` is adapter, backend and the middleware that needs no store; ``stack`` is
all middleware with ledger, budget, limits, cache and fallback; both also over aiohttp, the extra ``server``.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.rapid import rapid
from benchmarks.report import TIMES, Row

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from arawn.backends.base import Backend
    from arawn.config.roles import Choice
    from arawn.config.settings import BackendSettings
    from arawn.engine.assembly import Engine
    from arawn.network.transport import Transport
    from benchmarks.peers import Peers
    from benchmarks.place import Place

_CALLS = 2_000
_WARM = 5
_JOBS = (1, 8, 64)
_GOALS: dict[str, dict[int, float]] = {
    "engine": {1: 1.3, 8: 1.3, 64: 1.3},
    "stack": {1: 1.8, 8: 1.8, 64: 1.5},
    "engine-server": {64: 0.8},
    "stack-server": {64: 0.8},
}
_TITLES = {
    "engine": "engine without the store",
    "stack": "ledger and all middleware",
    "engine-server": "engine without the store, with server",
    "stack-server": "ledger and all middleware, with server",
}
_BACKEND = """\
[backends.{name}]
adapter = "openai_chat"
base_url = "{url}"
api_key = "$env:BENCH_KEY"
model = "bench-1"
rpm = 1000000
tpm = 1000000000
concurrent = 64

"""
_CONFIG = """\
[llm]
backend = "bench"
fallback = ["other"]

[models."bench-1"]
input_price = 1.0
output_price = 2.0

[budget]
limit = 1000000
period = "month"

[cache]
enabled = true
"""


def rows(place: Place, _peers: Peers) -> Iterator[Row]:
    """Yield the processor time of a call over that of bare httpx; contenders take turns."""
    with rapid() as url:
        home = place.folder / "arawn-calls"
        home.mkdir(mode=0o700)
        tables = "".join(_BACKEND.format(name=name, url=url) for name in ("bench", "other"))
        (home / "config.toml").write_text(_CONFIG + "\n" + tables, encoding="utf-8")
        environ = {**place.environ, "ARAWN_HOME": str(home), "BENCH_URL": url}
        for jobs in _JOBS:
            yield from _compared(home, environ, jobs, max(3, place.rounds // 7))


def _compared(home: Path, environ: dict[str, str], jobs: int, rounds: int) -> Iterator[Row]:
    names = [name for name, goals in _GOALS.items() if jobs in goals]
    costs: dict[str, list[float]] = {name: [] for name in ("httpx", *names)}
    for _ in range(rounds):
        for name, found in costs.items():
            for left in home.glob("arawn.db*"):
                left.unlink()
            words = [sys.executable, "-m", "benchmarks.calls", name, str(_CALLS), str(jobs)]
            found.append(float(subprocess.run(words, env=environ, capture_output=True, text=True, check=True).stdout))
    floor = median(costs["httpx"])
    for name in names:
        cost = median(costs[name])
        remark = f"{cost:.0f} µs / httpx {floor:.0f} µs"
        yield Row(f"{jobs} at a time, {_TITLES[name]}, CPU a call", cost / floor, TIMES, _GOALS[name][jobs], remark)


def main() -> None:
    """Measure one contender."""
    name, calls, jobs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    print(asyncio.run(_bare(calls, jobs) if name == "httpx" else _arawn(name, calls, jobs)))


async def _bare(calls: int, jobs: int) -> float:
    import httpx

    limits = httpx.Limits(max_connections=jobs, max_keepalive_connections=jobs)
    headers = {"Authorization": "Bearer bench-key"}
    address = f"{os.environ['BENCH_URL']}/chat/completions"
    async with httpx.AsyncClient(limits=limits, headers=headers, timeout=60) as client:

        async def ask(number: int) -> str:
            body = {"model": "bench-1", "messages": [{"role": "user", "content": f"Question {number}"}]}
            response = await client.post(address, json=body)
            return str(response.json()["choices"][0]["message"]["content"])

        return await _timed(ask, calls, jobs)


async def _arawn(name: str, calls: int, jobs: int) -> float:
    from arawn.config.sources import load
    from arawn.engine.assembly import Engine
    from arawn.events import collect
    from arawn.messages import ChatRequest, Message, Role, Text
    from arawn.network.routes import Route
    from arawn.network.transport import AsyncTransport

    def transport(_: BackendSettings) -> Transport:
        return AsyncTransport(Route({}), with_aiohttp=name.endswith("-server"))

    settings = load(environ=os.environ, cwd=os.getcwd(), project=False)
    engine = Engine(settings, transport=transport, sleep=asyncio.sleep)
    choice = engine.choose()
    backend = engine.backend(choice) if name.startswith("stack") else _without_store(engine, choice, transport)

    async def ask(number: int) -> str:
        messages = (Message(Role.USER, (Text(f"Question {number}"),)),)
        request = engine.complete(ChatRequest(choice.model, messages, stream=False), choice)
        return (await collect(backend.stream(request))).message.text

    cost = await _timed(ask, calls, jobs)
    await engine.aclose()
    return cost


def _without_store(engine: Engine, choice: Choice, transport: Callable[[BackendSettings], Transport]) -> Backend:
    """Return the backend of a choice with what stands around it and needs no store."""
    from random import random

    from arawn.adapters.base import Quirks
    from arawn.adapters.openai.chat import OpenAIChatAdapter
    from arawn.backends.http import HttpBackend
    from arawn.middleware.errors import RedactSecrets
    from arawn.middleware.retry import Retry, RetryPolicy
    from arawn.network.endpoint import Endpoint
    from arawn.secrets.references import Secret

    table, secret = engine.settings.backend(choice.backend), Secret("bench-key", "$env:BENCH_KEY")
    endpoint = Endpoint(
        name=table.name,
        label=table.name,
        base_url=table.base_url,
        transport=transport(table),
        credential=lambda: secret,
    )
    bare = HttpBackend(endpoint, OpenAIChatAdapter(table.name, Quirks()))
    return Retry(RedactSecrets(bare, [secret]), RetryPolicy(sleep=asyncio.sleep, random=random))


async def _timed(ask: Callable[[int], Awaitable[str]], calls: int, jobs: int) -> float:
    """Return the microseconds of processor time a call. Raises ValueError for an answer that is empty."""

    async def work(numbers: Iterator[int]) -> None:
        for number in numbers:
            if not await ask(number):
                raise ValueError(number)

    async def all_of(numbers: range) -> None:
        left = iter(numbers)
        await asyncio.gather(*(work(left) for _ in range(jobs)))

    await all_of(range(_WARM * jobs))
    began = time.process_time()
    await all_of(range(_WARM * jobs, _WARM * jobs + calls))
    return (time.process_time() - began) / calls * 1e6


if __name__ == "__main__":
    main()
