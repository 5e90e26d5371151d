"""Connections on asyncio for httpcore's pool, with nothing between them and the event loop.

A layer that serves every kind of event loop takes as long as all else of a call: this one knows only asyncio. As in
``blocking_io``, what the pool hands on as a timeout are the Deadlines of the call.
"""

# ruff: noqa: TID253, ASYNC109 -- only who runs on asyncio imports this; httpcore names the parameters

from __future__ import annotations

import asyncio
import importlib.util
import socket
import sys
from collections import deque
from contextlib import asynccontextmanager
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias

import httpcore

from arawn.network import connection
from arawn.network.connection import (
    PART,
    Answer,
    Lane,
    Lanes,
    Unsent,
    bare_host,
    failure_of,
    is_readable,
    name_in_certificate,
    proxy_for_pool,
    request_to,
)
from arawn.network.http_errors import ConnectionLost

if importlib.util.find_spec("sniffio") is None:
    # httpcore looks for it up to five times a call, each time in all folders, a quarter of a call's time
    _modules: dict[str, Any] = sys.modules
    _modules.setdefault("sniffio", None)

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

    from arawn.network.connection import Request
    from arawn.network.deadlines import Deadlines
    from arawn.network.routes import Proxy, Server

_Address: TypeAlias = tuple[int, int, Any]
_NEXT_ADDRESS_SECONDS = 0.25
"""How long an address has for itself before the next is tried besides it (RFC 8305, section 5)."""
_TLS_GRACE_SECONDS = 1.0
"""How much longer a timeout of asyncio's is than what is left until our deadline."""


class AsyncPool:
    """Connections to one server, kept for the next request."""

    def __init__(self, server: Server, proxy: Proxy | None, tls: ssl.SSLContext | None) -> None:
        self._server = server
        self._proxy = proxy
        self._tls = tls
        self._lanes = Lanes(self._lane)

    async def send(self, request: Request) -> Answer:
        """Send a request and return its answer, which must be closed. Raises CONNECTION_ERRORS, OSError and others."""
        lane = self._lanes.take()
        try:
            return Answer(await lane.pool.handle_async_request(request_to(self._server, request)), lane)
        except BaseException as error:
            self._lanes.drop(lane)
            if not isinstance(error, Exception):
                raise
            failure = failure_of(error, self._proxy)
        raise failure

    async def chunks(self, answer: Answer) -> AsyncGenerator[bytes, None]:
        """Yield the body, all that came in one read at once."""
        parts = aiter(answer.stream)
        try:
            async for part in parts:
                yield answer.with_arrived(part)
                if answer.has_ended:
                    break
        except Exception as error:  # noqa: BLE001 -- see failure_of
            failure = failure_of(error, self._proxy)
        else:
            return
        finally:
            await self.release(answer)
            await parts.aclose()
        raise failure

    async def release(self, answer: Answer) -> None:
        """Give the connection of an answer back, or close it where no other may follow."""
        if answer.is_released:  # a second time, the connection may be at work for somebody else
            return
        answer.is_released = True
        if answer.is_last:
            answer.lane.close()
        try:
            await answer.stream.aclose()
        finally:
            self._lanes.give_back(answer.lane)

    async def close(self) -> None:
        """Close all connections; the loop needs a turn for it."""
        self._lanes.close()
        await asyncio.sleep(0)

    def _lane(self) -> Lane:
        backend = _Backend()
        pool = httpcore.AsyncConnectionPool(
            ssl_context=self._tls,
            proxy=proxy_for_pool(self._proxy, self._tls),
            max_connections=1,
            keepalive_expiry=connection.KEPT_FOR,
            network_backend=backend,
        )
        return Lane(pool, backend)


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects to the address of a host that answers first."""

    opened: _Stream | None = None

    async def connect_tcp(  # type: ignore[override]  # the rest nobody gives
        self, host: str, port: int, timeout: Any = None, **_: Any
    ) -> httpcore.AsyncNetworkStream:
        deadlines: Deadlines = timeout
        async with _within(deadlines):
            found = await asyncio.get_running_loop().getaddrinfo(bare_host(host), port, type=socket.SOCK_STREAM)
            stream = await _first_of(_alternating((family, protocol, at) for family, _, protocol, _, at in found))
        stream.opened_for(deadlines)
        self.opened = stream
        return stream


class _Stream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection. What waits raises DeadlineExpired; what broke it off is told by ``read``."""

    _transport: asyncio.Transport
    _deadlines: Deadlines

    def __init__(self) -> None:
        self._received: deque[bytes] = deque()
        self._size = 0
        self._has_ended = False
        self._failure: Exception | None = None
        self._is_full = False
        self._is_paused = True
        self._waiting: asyncio.Future[None] | None = None
        self._unsent = Unsent()

    def opened_for(self, deadlines: Deadlines) -> None:
        """Take the deadlines of the call that opened it, for steps that name none: a handshake with a proxy."""
        self._deadlines = deadlines

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
        if self._size > PART and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Note that the other side has said all it will say."""
        self._has_ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end, and why it came."""
        self._has_ended = True
        self._failure = exc
        self._is_full = False
        self._wake()

    def pause_writing(self) -> None:
        """Let ``write`` wait."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Let ``write`` go on."""
        self._is_full = False
        self._wake()

    # ---- What the pool calls ----

    async def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        """Wait for bytes; none mean the end."""
        deadlines: Deadlines = timeout or self._deadlines
        self._unsent.begin()
        deadlines.remaining()  # who drips bytes without an end runs out of time with some at hand
        while not self._received and not self._has_ended:
            if self._is_paused:
                self._is_paused = False
                self._transport.resume_reading()
            await self._wait(deadlines)
        if not self._received and self._failure is not None:
            raise ConnectionLost(self._failure)
        data = self._taken(max_bytes) if self._received else b""
        deadlines.received()
        return data

    async def write(self, buffer: bytes, timeout: Any = None) -> None:
        """Send all, part by part."""
        deadlines: Deadlines = timeout or self._deadlines
        data = self._unsent.add(buffer) if timeout is not None else buffer
        for start in range(0, len(data), PART):
            deadlines.remaining()
            if self._transport.is_closing():
                raise httpcore.WriteError  # the server may have answered before it stopped to listen
            self._transport.write(data[start : start + PART])
            while self._is_full:
                await self._wait(deadlines)
            deadlines.sent()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Any = None
    ) -> httpcore.AsyncNetworkStream:
        """Speak TLS from now on, also within TLS."""
        deadlines: Deadlines = timeout or self._deadlines
        try:
            async with _within(deadlines):
                secured = await asyncio.get_running_loop().start_tls(
                    self._transport,
                    self,
                    ssl_context,
                    server_hostname=name_in_certificate(server_hostname or ""),
                    ssl_handshake_timeout=deadlines.remaining() + _TLS_GRACE_SECONDS,
                )
        except BaseException:
            await self.aclose()
            raise
        assert secured is not None
        self._transport = secured
        self._is_paused = False
        return self

    async def aclose(self) -> None:
        """Close the connection; the loop needs a turn for it."""
        self.abort()
        await asyncio.sleep(0)

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def get_extra_info(self, info: str) -> Any:
        """Say, before a kept connection is used again, whether it has bytes that nobody asked for, or its end."""
        if info != "is_readable":
            return self._transport.get_extra_info(info)
        if self._received or self._has_ended or self._transport.is_closing():
            return True
        return is_readable(self._transport.get_extra_info("socket").fileno())

    def _taken(self, max_bytes: int) -> bytes:
        data = self._received.popleft()
        if len(data) > max_bytes:
            self._received.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self._size -= len(data)
        return data

    async def _wait(self, deadlines: Deadlines) -> None:
        """Wait for anything to happen. Raises DeadlineExpired when nothing did in time."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(deadlines.remaining(), self._wake)
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
async def _within(deadlines: Deadlines) -> AsyncIterator[None]:
    limit = asyncio.timeout(deadlines.remaining())
    try:
        async with limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise deadlines.expired() from None
        raise  # the system's own: it gave up knocking


def _alternating(found: Iterable[_Address]) -> list[_Address]:
    """Return addresses, each once, so that another family gets the second try; who comes first stays first."""
    families: dict[int, list[_Address]] = {}
    for address in dict.fromkeys(found):
        families.setdefault(address[0], []).append(address)
    return [address for address in chain.from_iterable(zip_longest(*families.values())) if address is not None]


async def _first_of(addresses: list[_Address]) -> _Stream:
    """Connect to whoever answers first. Raises OSError, the last one, when nobody does."""
    failure: BaseException = OSError("the name has no address")
    left, tries = deque(addresses), set[asyncio.Task[_Stream]]()
    try:
        while left or tries:
            if left:
                tries.add(asyncio.ensure_future(_connected(*left.popleft())))
            wait = _NEXT_ADDRESS_SECONDS if left else None
            done, _ = await asyncio.wait(tries, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                tries.discard(task)
                error = task.exception()
                if error is None:
                    return task.result()
                failure = error
        raise failure
    finally:
        await _abandoned(tries)


async def _abandoned(tries: set[asyncio.Task[_Stream]]) -> None:
    """End attempts that nobody waits for; one of them may just have succeeded."""
    for task in tries:
        task.cancel()
    for stream in await asyncio.gather(*tries, return_exceptions=True):
        if isinstance(stream, _Stream):
            await stream.aclose()


async def _connected(family: int, protocol: int, address: Any) -> _Stream:
    loop = asyncio.get_running_loop()
    opened = socket.socket(family, socket.SOCK_STREAM, protocol)  # where TCP is named, asyncio sets TCP_NODELAY
    try:
        opened.setblocking(False)
        await loop.sock_connect(opened, address)
        _, stream = await loop.create_connection(_Stream, sock=opened)
    except BaseException:
        opened.close()
        raise
    return stream
