"""What the middleware costs: the whole stack beside the bare backend, and a first token while the database is locked.

Run as a program (``python -m benchmarks.stack ROUNDS``) with ARAWN_HOME set, it measures both in one process: the
ledger, budgets, limits, the cache (which knows no question yet) and a fallback (which is not needed) are all on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import aclosing, contextmanager
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arawn.backends.base import Backend
    from arawn.config.roles import Choice
    from arawn.engine.assembly import Engine
    from benchmarks.measure import Command
    from benchmarks.peers import Peers
    from benchmarks.place import Place

_SHORT, _LONG = 20, 20_000
_SHORT_CALLS = 20
_LOCKED_FOR = 2.0
_CONFIG = """\
[llm]
backend = "short"
fallback = ["long"]

[backends.short]
adapter = "openai_chat"
base_url = "{short}"
api_key = "$env:BENCH_KEY"
model = "bench-1"
rpm = 1000000
tpm = 1000000000
concurrent = 64

[backends.long]
adapter = "openai_chat"
base_url = "{long}"
api_key = "$env:BENCH_KEY"
model = "bench-2"
rpm = 1000000
tpm = 1000000000
concurrent = 64

[models."bench-1"]
input_price = 1.0
output_price = 2.0

[models."bench-2"]
input_price = 1.0
output_price = 2.0

[budget]
limit = 1000000
period = "month"

[cache]
enabled = true
"""


def rows(place: Place, _peers: Peers) -> Iterator[Row]:
    """Yield the processor time of an event and a call over the bare backend's, and the waits for a first token."""
    home = place.folder / "arawn-stack"
    home.mkdir(mode=0o700)
    text = _CONFIG.format(short=place.service(_SHORT), long=place.service(_LONG))
    (home / "config.toml").write_text(text, encoding="utf-8")
    words = [sys.executable, "-m", "benchmarks.stack", str(max(3, place.rounds // 3))]
    environ = {**place.environ, "ARAWN_HOME": str(home)}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=True)
    for what, unit, goal, stack, bare in json.loads(done.stdout):
        remark = f"stack {stack:.2f} {unit}, bare {bare:.2f} {unit}"
        yield Row(f"{what}, all middleware on", stack - bare, unit, goal, remark)
    yield _locked(place)


class _Cost(NamedTuple):
    """Of one call: seconds of processor time, and seconds until its first token."""

    cpu: float
    first: float


def main() -> None:
    """Measure the stack and the bare backend in turns, and print a list a row: what, unit, goal, stack, bare."""
    from arawn.config.sources import load
    from arawn.engine.assembly import Engine

    engine = Engine.blocking(load(environ=os.environ, cwd=os.getcwd(), project=False))
    short, long = engine.choose("short"), engine.choose("long")
    contenders = {
        name: (short, make(short), long, make(long))
        for name, make in (("stack", engine.backend), ("bare", lambda choice: _bare(engine, choice)))
    }
    calls: dict[str, list[_Cost]] = {name: [] for name in contenders}
    events: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(int(sys.argv[1]) + 1):
        for name, (little, brief, much, lengthy) in contenders.items():
            found = [engine.run(_call(engine, brief, little, f"{turn}.{at}")) for at in range(_SHORT_CALLS)]
            whole = engine.run(_call(engine, lengthy, much, f"{turn}"))
            if turn:  # the first finds everything cold
                calls[name] += found
                events[name].append(whole.cpu / _LONG)
    engine.close()
    cpu = {name: median(cost.cpu for cost in found) * 1e3 for name, found in calls.items()}
    first = {name: median(cost.first for cost in found) * 1e3 for name, found in calls.items()}
    event = {name: median(found) * 1e6 for name, found in events.items()}
    rows = (
        ("a streamed event, CPU", "µs", 15, event),
        (f"a call of {_SHORT} tokens, CPU", "ms", 1, cpu),
        ("first token", "ms", 1, first),
    )
    print(json.dumps([(what, unit, goal, found["stack"], found["bare"]) for what, unit, goal, found in rows]))


def _bare(engine: Engine, choice: Choice) -> Backend:
    """Return the backend of a choice with nothing around it."""
    from arawn.adapters.base import Quirks
    from arawn.adapters.openai.chat import OpenAIChatAdapter
    from arawn.backends.http import HttpBackend
    from arawn.network.endpoint import Endpoint
    from arawn.network.routes import Route
    from arawn.network.transport import BlockingTransport

    endpoint = Endpoint(
        name=choice.backend,
        label=choice.backend,
        base_url=engine.settings.backend(choice.backend).base_url,
        transport=BlockingTransport(Route({})),
        credential=lambda: None,
    )
    return HttpBackend(endpoint, OpenAIChatAdapter(choice.backend, Quirks()))


async def _call(engine: Engine, backend: Backend, choice: Choice, question: str) -> _Cost:
    from arawn.events import TextDelta
    from arawn.messages import ChatRequest, Message, Role, Text

    request = engine.complete(ChatRequest(choice.model, (Message(Role.USER, (Text(question),)),)), choice)
    began, cpu, first, count = time.perf_counter(), time.process_time(), 0.0, 0
    async with aclosing(backend.stream(request)) as events:
        async for event in events:
            count += 1
            if not first and isinstance(event, TextDelta):
                first = time.perf_counter() - began
    if count < _SHORT:
        raise ValueError(count)
    return _Cost(time.process_time() - cpu, first)


def _locked(place: Place) -> Row:
    """Return how much longer ``ask --no-save`` takes to its first token while another process holds the write lock."""
    command = place.arawn("ask", "--no-save", "hi", answers="stamped")
    command.run()  # makes the database
    waits: dict[str, list[float]] = {"free": [], "locked": []}
    for _ in range(max(3, place.rounds // 3)):
        waits["free"].append(_first_byte(command))
        with _write_lock(f"{command.environ['ARAWN_HOME']}/arawn.db"):
            waits["locked"].append(_first_byte(command))
    free, locked = (median(found) for found in waits.values())
    remark = f"locked for {_LOCKED_FOR:g} s: {locked:.0f} ms from the start, free: {free:.0f} ms"
    return Row("first token while another process writes", locked - free, "ms", 50, remark)


def _first_byte(command: Command) -> float:
    """Return the milliseconds from the start to the first byte of output."""
    began = time.perf_counter()
    process = subprocess.Popen(command.words, env=command.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as pipe:
        os.read(pipe.fileno(), 1)
        took = time.perf_counter() - began
        pipe.read()
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, command.words)
    return took * 1000


@contextmanager
def _write_lock(path: str) -> Iterator[None]:
    """Hold the write lock of a database for a while, whatever the block does; wait for its end after it."""
    words = [sys.executable, "-c", _HOLD, path, str(_LOCKED_FOR)]
    holder = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout as pipe:
        pipe.readline()
        yield
    holder.wait()


_HOLD = """\
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""

if __name__ == "__main__":
    main()
