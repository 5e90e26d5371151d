"""Connections of aiohttp under httpx, for many calls at a time.

aiohttp's own timeouts are off: a watch over the Deadlines of the call stands around each step. Its handler of a
connection is ours, so that bytes after an answer never become the next one: it tells the head from what follows, for
aiohttp forgets an answer when garbage stands behind it in the same read.
"""

# ruff: noqa: TID253, ASYNC109 -- only who runs on asyncio imports this; aiohttp names the parameters

from __future__ import annotations

import asyncio
import re
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from httpx_aiohttp import AiohttpTransport

from arawn.network import connection
from arawn.network.connection import is_readable
from arawn.network.http_errors import ClosedEarly, ConnectionLost, NotHttp, NotSendable, ProxyRefused

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator
    from types import TracebackType

    from arawn.network.deadlines import Deadlines

_HEAD_LIMIT = 100 << 10
"""Bytes of an answer's head that are waited for to be whole."""
_HEADER_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class AiohttpPool:
    """Connections to one server, kept for the next request; ``proxy`` is an httpx.Proxy, requests are httpx's too."""

    def __init__(self, proxy: Any, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        self._transport = AiohttpTransport(verify=tls or False, proxy=proxy, client=self._session)

    async def send(self, request: Any, deadlines: Deadlines) -> Any:
        """Send a request and return its response, which must be closed. Raises CONNECTION_ERRORS and OSError."""
        if not all(_HEADER_NAME.fullmatch(name) for name, _ in request.headers.raw):
            raise NotSendable  # aiohttp looks at values alone
        watch = _Watch(deadlines)
        _current.set(watch)
        try:
            async with watch:
                return await self._transport.handle_async_request(request)
        except Exception as error:  # noqa: BLE001 -- see failure_of
            failure = failure_of(error)
        raise failure

    async def chunks(self, response: Any, deadlines: Deadlines) -> AsyncGenerator[bytes, None]:
        """Yield the body, all that has arrived at once."""
        parts = aiter(response.stream)
        try:
            while True:
                async with _Watch(deadlines):
                    part = await anext(parts, None)
                if part is None:
                    return
                deadlines.received()
                yield part
        except Exception as error:  # noqa: BLE001 -- see failure_of
            failure = failure_of(error)
        finally:
            await parts.aclose()
        raise failure

    async def release(self, response: Any) -> None:
        """Give the connection back, or close it where something of the body is unread; the loop needs a turn for it."""
        await response.stream.aclose()
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()
        await asyncio.sleep(0)

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=_Connector(self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_AUTOMATIC,
            timeout=aiohttp.ClientTimeout(),
            auto_decompress=False,
            max_line_size=_HEAD_LIMIT,
            max_field_size=_HEAD_LIMIT,
            max_headers=_HEAD_LIMIT,
        )


class _Watch:
    """Ends what is done under it when a deadline of the call has passed, wherever that has moved meanwhile."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._loop = asyncio.get_running_loop()
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None
        self.is_connected = False

    async def __aenter__(self) -> Self:
        left = self._deadlines.remaining()
        await self._limit.__aenter__()
        self._timer = self._loop.call_later(left, self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError:
            expired = self._deadlines.expired()
        else:
            return
        raise expired

    def connected(self) -> None:
        """Note that the connection stands: from now on an answer is waited for."""
        self.is_connected = True
        self._deadlines.connected()
        self._stop()
        self._look()

    def _look(self) -> None:
        left = self._deadlines.left()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._limit.reschedule(self._loop.time())

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


_current: ContextVar[_Watch] = ContextVar("the watch of the call that asks for a connection")


class _Connector(aiohttp.TCPConnector):
    """Connections with our handler, none of them used again when something is left in it."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(limit=0, keepalive_timeout=connection.KEPT_FOR, ssl=tls or False)
        self._factory: Any = partial(_Handler, loop=asyncio.get_running_loop())

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        """Return a connection, once a call: aiohttp would send a GET a second time when the first came to nothing."""
        watch = _current.get()
        if watch.is_connected:
            raise aiohttp.ServerDisconnectedError
        while True:
            opened = await super().connect(req, traces, timeout)
            handler = opened.protocol
            if not isinstance(handler, _Handler) or not handler.is_spent():
                break
            opened.close()
        watch.connected()
        return opened


class _Handler(ResponseHandler):
    """What comes in over one connection."""

    _answer: Any = None  # the body of the last answer
    _awaits_head = False
    _is_chunked = False
    _body_size = 0  # bytes that came after its head

    def is_spent(self) -> bool:
        """Say whether a connection that served already has bytes that nobody asked for, or its end."""
        if self._answer is None or self.transport is None:
            return False
        return bool(self.should_close) or is_readable(self.transport.get_extra_info("socket").fileno())

    def close(self) -> None:
        """Close the connection at once: what is still to be sent, nobody waits for."""
        self.abort()

    def set_response_params(self, **options: Any) -> None:
        """Await an answer."""
        self._awaits_head, self._body_size = True, 0
        super().set_response_params(**options)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take the head of an answer from the parser, with the body to be."""
        message, body = data
        if message.code >= 200:
            self._awaits_head, self._answer, self._is_chunked = False, body, message.chunked
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Take bytes: a head, then a body, then nothing."""
        if not data:  # aiohttp's own call, when it reads on after a pause
            super().data_received(data)
        elif self._awaits_head:
            end = data.find(b"\r\n\r\n") + 4
            super().data_received(data[:end] if end > 3 else data)
            if 3 < end < len(data):
                self.data_received(data[end:])
        elif self._answer is None or self._answer.is_eof():
            self.force_close()
        else:
            self._body_size += len(data)
            super().data_received(data)
            if self.exception() is not None and not self._answer.is_eof():
                # aiohttp leaves its reader waiting; who waits already is first to read what came before
                self._loop.call_soon(self._answer.set_exception, aiohttp.ClientPayloadError("not HTTP's chunks"))
            elif self._answer.is_eof() and self._has_surplus(data):
                self.force_close()

    def _has_surplus(self, data: bytes) -> bool:
        if self._is_chunked:
            return not data.endswith(b"0\r\n\r\n")
        return bool(self._body_size != self._answer.total_bytes)


def failure_of(error: Exception) -> Exception:
    """Return our exception for one of aiohttp's, which httpx-aiohttp wrapped, and any other as it is.

    Raise it outside the ``except``: theirs hold the headers of the request.
    """
    cause = error if isinstance(error, aiohttp.ClientError) else error.__cause__ or error
    match cause:
        case aiohttp.ClientConnectorError():
            return getattr(cause, "certificate_error", None) or cause.os_error
        case aiohttp.ServerDisconnectedError():
            return ClosedEarly()
        case aiohttp.ClientOSError():
            return ConnectionLost(OSError(*cause.args))
        case aiohttp.InvalidURL() | UnicodeError():
            return UnicodeError()
        case ValueError():
            return NotSendable()
        case _:
            return _answered_wrongly(cause) or error


def _answered_wrongly(cause: BaseException) -> Exception | None:
    match cause:
        case aiohttp.ClientHttpProxyError():
            return ProxyRefused(f"{cause.status} {cause.message}")
        case aiohttp.ClientResponseError():
            return NotHttp(cause.message)
        case aiohttp.ClientPayloadError() if "TransferEncoding" in str(cause):
            return NotHttp("the connection ended, or went wrong, in an incomplete chunked read")
        case aiohttp.ClientPayloadError() | aiohttp.ClientConnectionError():
            return ConnectionLost(ConnectionError(str(cause)))
        case _:
            return None
