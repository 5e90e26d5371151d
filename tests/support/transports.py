"""Both engines of the transport under one test: ``@BOTH_ENGINES`` hands in each, and ``engine.play(story)`` runs it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from arawn.engine import blocking
from arawn.network.deadlines import Clocks, Patience
from arawn.network.exchange import Outgoing, Peer
from arawn.network.transport import AsyncTransport, BlockingTransport, Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from arawn.network.transport import Transport

T = TypeVar("T")


class Engine:
    """One engine; ``play`` opens its transport, runs a coroutine function with it, and closes it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def play(self, story: Callable[[Transport], Awaitable[T]], route: Route | None = None) -> T:
        async def whole() -> T:
            transport = self.transport(route or Route({}))
            try:
                return await story(transport)
            finally:
                await transport.aclose()

        if self.name == "blocking":
            return blocking.run(whole())
        import asyncio

        return asyncio.run(whole())

    def transport(self, route: Route) -> Transport:
        return BlockingTransport(route) if self.name == "blocking" else AsyncTransport(route)


BOTH_ENGINES = pytest.mark.parametrize("engine", [Engine("blocking"), Engine("asyncio")], ids=lambda it: it.name)


def outgoing(url: str, **fields: Any) -> Outgoing:
    """A request for this address from the backend "ollama", called Ollama."""
    base = "/".join(url.split("/")[:3])
    return Outgoing(**{"peer": Peer("ollama", "Ollama", base), "method": "GET", "url": url, **fields})


def clocks(**patience: float | None) -> Clocks:
    """Clocks of so many seconds each, started now."""
    return Clocks(Patience(**patience), time.monotonic)  # type: ignore[arg-type]


async def fetched(transport: Transport, url: str, **patience: float | None) -> tuple[int, bytes]:
    """Status and body of what stands there."""
    ticking = clocks(**patience)
    reply = await transport.send(outgoing(url), ticking)
    try:
        return reply.status, await reply.read()
    finally:
        await reply.aclose()
