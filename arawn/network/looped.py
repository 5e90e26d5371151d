"""Connections on asyncio, with nothing between them and the event loop.

A layer that serves every kind of event loop takes as long as all else of a call: this one knows only asyncio.
"""

# ruff: noqa: TID253 -- only who runs on asyncio imports this

from __future__ import annotations

import asyncio
import socket
from collections import deque
from contextlib import asynccontextmanager
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias

from arawn.network.links import PART, Broken, is_readable

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterable

    from arawn.network.deadlines import Clocks

_Address: TypeAlias = tuple[int, int, Any]
_MOMENT = 0.25  # seconds an address has for itself before the next is tried besides it (RFC 8305, section 5)
_AFTER = 1.0  # seconds a clock of asyncio's runs longer than ours


async def connect(host: str, port: int, clocks: Clocks) -> AsyncLink:
    """Connect within the time of the clocks to the address of the host that answers first."""
    async with _within(clocks):
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return await _first_of(_alternating((family, protocol, at) for family, _, protocol, _, at in found))


class AsyncLink(asyncio.Protocol):
    """One connection on asyncio; see Link."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._received: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._failure: Exception | None = None
        self._full = False
        self._paused = True
        self._waiting: asyncio.Future[None] | None = None

    # ---- What the event loop calls ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport. A write is done when the system has all of it; nothing is read before that is asked."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(0)
        transport.pause_reading()
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep what came until it is read; when that is much, take no more."""
        self._received.append(data)
        self._size += len(data)
        if self._size > PART and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Note that the other side has said all it will say."""
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end, and why it came."""
        self._ended = True
        self._failure = exc
        self._full = False
        self._wake()

    def pause_writing(self) -> None:
        """Let ``write`` wait."""
        self._full = True

    def resume_writing(self) -> None:
        """Let ``write`` go on."""
        self._full = False
        self._wake()

    # ---- What a Link does ----

    async def read(self, clocks: Clocks) -> bytes:
        """Wait for bytes; none mean the end."""
        clocks.remaining()  # who drips bytes without an end runs out of time with some at hand
        while not self._received and not self._ended:
            if self._paused:
                self._paused = False
                self._transport.resume_reading()
            await self._wait(clocks)
        if not self._received and self._failure is not None:
            raise Broken(self._failure)
        data = self._taken() if self._received else b""
        clocks.heard()
        return data

    async def write(self, data: bytes, clocks: Clocks) -> None:
        """Send all, part by part."""
        for start in range(0, len(data), PART):
            clocks.remaining()
            if self._transport.is_closing():
                return
            self._transport.write(data[start : start + PART])
            while self._full:
                await self._wait(clocks)
            clocks.sent()

    async def secure(self, trust: ssl.SSLContext, host: str, clocks: Clocks) -> None:
        """Speak TLS from now on."""
        async with _within(clocks):
            secured = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                trust,
                server_hostname=host,
                ssl_handshake_timeout=clocks.remaining() + _AFTER,
            )
        assert secured is not None
        self._transport = secured
        self._paused = False

    async def close(self) -> None:
        """Close the connection; the loop needs a turn for it."""
        self._transport.abort()
        await asyncio.sleep(0)

    def is_spent(self) -> bool:
        """Say whether there are bytes that nobody asked for, or the end."""
        if self._received or self._ended or self._transport.is_closing():
            return True
        return is_readable(self._transport.get_extra_info("socket").fileno())

    def _taken(self) -> bytes:
        data = self._received.popleft()
        if len(data) > PART:
            self._received.appendleft(data[PART:])
            data = data[:PART]
        self._size -= len(data)
        return data

    async def _wait(self, clocks: Clocks) -> None:
        """Wait for anything to happen. Raises Expired when nothing did in time."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(clocks.remaining(), self._wake)
        self._waiting = loop.create_future()
        try:
            await self._waiting
        finally:
            timer.cancel()
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


@asynccontextmanager
async def _within(clocks: Clocks) -> AsyncIterator[None]:
    limit = asyncio.timeout(clocks.remaining())
    try:
        async with limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise clocks.expired() from None
        raise  # the system's own: it gave up knocking


def _alternating(found: Iterable[_Address]) -> list[_Address]:
    """Return addresses, each once, so that another family gets the second try; who comes first stays first."""
    families: dict[int, list[_Address]] = {}
    for address in dict.fromkeys(found):
        families.setdefault(address[0], []).append(address)
    return [address for address in chain.from_iterable(zip_longest(*families.values())) if address is not None]


async def _first_of(addresses: list[_Address]) -> AsyncLink:
    """Connect to whoever answers first. Raises OSError, the last one, when nobody does."""
    failure: BaseException = OSError("the name has no address")
    left, tries = deque(addresses), set[asyncio.Task[AsyncLink]]()
    try:
        while left or tries:
            if left:
                tries.add(asyncio.ensure_future(_connected(*left.popleft())))
            done, _ = await asyncio.wait(tries, timeout=_MOMENT if left else None, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                tries.discard(task)
                error = task.exception()
                if error is None:
                    return task.result()
                failure = error
        raise failure
    finally:
        await _abandoned(tries)


async def _abandoned(tries: set[asyncio.Task[AsyncLink]]) -> None:
    """End attempts that nobody waits for; one of them may just have succeeded."""
    for task in tries:
        task.cancel()
    for link in await asyncio.gather(*tries, return_exceptions=True):
        if isinstance(link, AsyncLink):
            await link.close()


async def _connected(family: int, protocol: int, address: Any) -> AsyncLink:
    loop = asyncio.get_running_loop()
    opened = socket.socket(family, socket.SOCK_STREAM, protocol)  # where TCP is named, asyncio sets TCP_NODELAY
    try:
        opened.setblocking(False)
        await loop.sock_connect(opened, address)
        _, link = await loop.create_connection(AsyncLink, sock=opened)
    except BaseException:
        opened.close()
        raise
    return link
