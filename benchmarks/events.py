"""The engine alone: processor time per event of adapter, backend and middleware, over the transport's own bytes.

Run as a program (``python -m benchmarks.events``) with ARAWN_HOME set, it prints both in microseconds per event.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import aclosing
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arawn.config.roles import Choice
    from arawn.engine.assembly import Engine
    from benchmarks.peers import Peers
    from benchmarks.place import Place

_TOKENS = 20_000


def rows(place: Place, _peers: Peers) -> Iterator[Row]:
    """Yield the microseconds of an event. It is a difference of two times on one machine: compare it with care."""
    command = place.arawn(answers=_TOKENS)
    words = [sys.executable, "-m", "benchmarks.events", str(max(3, place.rounds // 3))]
    done = subprocess.run(words, env=command.environ, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    remark = f"engine {found['engine']:.1f} µs, transport {found['transport']:.1f} µs"
    yield Row("a parsed event, engine only, CPU", found["engine"] - found["transport"], "µs", 10, remark)


def main() -> None:
    """Measure both in turns and print the medians."""
    from arawn.config.sources import load
    from arawn.engine.assembly import Engine

    engine = Engine.blocking(load(environ=os.environ, cwd=os.getcwd(), project=False))
    choice = engine.choose()
    whole, bare = [], []
    for _ in range(int(sys.argv[1]) + 1):
        whole.append(_timed(lambda: engine.run(_events(engine, choice))))
        bare.append(_timed(lambda: engine.run(_bytes(engine, choice))))
    print(json.dumps({"engine": median(whole[1:]), "transport": median(bare[1:])}))


def _timed(work: Callable[[], int]) -> float:
    """Return the microseconds an event took. Raises ValueError when the answer was not the whole one."""
    began = time.process_time()
    found = work()
    if found < _TOKENS:
        raise ValueError(found)
    return (time.process_time() - began) * 1e6 / _TOKENS


async def _events(engine: Engine, choice: Choice) -> int:
    from arawn.messages import ChatRequest, Message, Role, Text

    request = ChatRequest(model=choice.model, messages=(Message(Role.USER, (Text("hi"),)),))
    count = 0
    async with aclosing(engine.backend(choice).stream(engine.complete(request, choice))) as events:
        async for _ in events:
            count += 1
    return count


async def _bytes(engine: Engine, choice: Choice) -> int:
    from arawn.network.deadlines import Deadlines, Timeouts
    from arawn.network.exchange import Outgoing
    from arawn.network.routes import Peer, Route
    from arawn.network.transport import BlockingTransport

    address = engine.settings.backend(choice.backend).base_url
    transport = BlockingTransport(Route({}))
    call = Outgoing(
        peer=Peer("bench", "bench", address),
        method="POST",
        url=f"{address}/chat/completions",
        headers={"Content-Type": "application/json"},
        body=b"{}",
    )
    reply = await transport.send(call, Deadlines(Timeouts(), time.monotonic))
    size = 0
    async with aclosing(reply.chunks()) as chunks:
        async for chunk in chunks:
            size += len(chunk)
    await reply.aclose()
    await transport.aclose()
    return size


if __name__ == "__main__":
    main()
