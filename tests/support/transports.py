"""Every transport under one test: ``@EVERY_TRANSPORT`` hands in each, and ``runner.play(story)`` runs it.

They are blocking, asyncio over httpcore's connections, and asyncio over aiohttp's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from arawn.engine import blocking
from arawn.network.deadlines import Deadlines, Timeouts
from arawn.network.exchange import Outgoing
from arawn.network.routes import Peer, Route
from arawn.network.transport import AsyncTransport, BlockingTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from arawn.network.transport import Transport

T = TypeVar("T")


class Runner:
    """Runs one transport: ``play`` opens its transport, runs a coroutine function with it, and closes it."""

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
        if self.name == "blocking":
            return BlockingTransport(route)
        return AsyncTransport(route, with_aiohttp=self.name == "aiohttp")


BLOCKING, ON_ASYNCIO, ON_AIOHTTP = Runner("blocking"), Runner("asyncio"), Runner("aiohttp")
EVERY_TRANSPORT = pytest.mark.parametrize("runner", [BLOCKING, ON_ASYNCIO, ON_AIOHTTP], ids=lambda it: it.name)
BOTH_ON_ASYNCIO = pytest.mark.parametrize("runner", [ON_ASYNCIO, ON_AIOHTTP], ids=lambda it: it.name)


def outgoing(url: str, **fields: Any) -> Outgoing:
    """A request for this address from the backend "ollama", called Ollama."""
    base = "/".join(url.split("/")[:3])
    return Outgoing(**{"peer": Peer("ollama", "Ollama", base), "method": "GET", "url": url, **fields})


def deadlines(**timeouts: float | None) -> Deadlines:
    """Deadlines of so many seconds each, started now."""
    return Deadlines(Timeouts(**timeouts), time.monotonic)  # type: ignore[arg-type]


async def fetched(transport: Transport, url: str, **timeouts: float | None) -> tuple[int, bytes]:
    """Status and body of what stands there."""
    ticking = deadlines(**timeouts)
    reply = await transport.send(outgoing(url), ticking)
    try:
        return reply.status, await reply.read()
    finally:
        await reply.aclose()
