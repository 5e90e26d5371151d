"""aiohttp's connections under httpx, for many calls at a time, as httpx-aiohttp makes them.

Two things are ours, and tests fail without them. The connector checks an idle connection for unsolicited bytes before
it hands it out, and hands out one a call, for aiohttp sends a GET twice when the first came to nothing. The handler of
a connection separates the head of an answer from what follows: aiohttp drops a whole answer when garbage stands behind
it in the same read, uses a connection again that had some, and leaves a reader of broken chunks waiting.
"""

# ruff: noqa: TID253, ASYNC109 -- only who runs on asyncio imports this; aiohttp names the parameters

from __future__ import annotations

import asyncio
import re
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from httpx_aiohttp import AiohttpTransport

from arawn.network import connection
from arawn.network.connection import is_readable
from arawn.network.http_errors import ClosedEarly, ConnectionLost, NotHttp, NotSendable, ProxyRefused

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

_HEAD_LIMIT = 100 << 10
"""Bytes of an answer's head that are waited for to be whole."""
_HEADER_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Transport(AiohttpTransport):
    """httpx-aiohttp's transport. A request names in its extensions, as ``connected``, what to call once it is."""

    def __init__(self, proxy: Any, tls: ssl.SSLContext | None) -> None:
        super().__init__(verify=tls or False, proxy=proxy, client=partial(_session, tls))

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request; see httpx.AsyncBaseTransport. It has no deadline."""
        if not all(_HEADER_NAME.fullmatch(name) for name, _ in request.headers.raw):
            raise NotSendable  # aiohttp looks at values alone
        _connected.set(request.extensions["connected"])
        return await super().handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections; the loop needs a turn for it."""
        await super().aclose()
        await asyncio.sleep(0)


def _session(tls: ssl.SSLContext | None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=_Connector(tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_AUTOMATIC,
        timeout=aiohttp.ClientTimeout(),
        auto_decompress=False,
        max_line_size=_HEAD_LIMIT,
        max_field_size=_HEAD_LIMIT,
        max_headers=_HEAD_LIMIT,
    )


_connected: ContextVar[Callable[[], None] | None] = ContextVar("called once the connection stands")


class _Connector(aiohttp.TCPConnector):
    """Connections with our handler, one a call, and none of them used again when something is left in it."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(limit=0, keepalive_timeout=connection.KEPT_FOR, ssl=tls or False)
        self._factory: Any = partial(_Handler, loop=asyncio.get_running_loop())

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        """Return a connection."""
        connected = _connected.get()
        if connected is None:
            raise aiohttp.ServerDisconnectedError
        while True:
            opened = await super().connect(req, traces, timeout)
            handler = opened.protocol
            if not isinstance(handler, _Handler) or not handler.is_spent():
                break
            opened.close()
        _connected.set(None)
        connected()
        return opened


class _Handler(ResponseHandler):
    """What comes in over one connection: a head, then a body, then nothing."""

    _answer: Any = None  # the body of the last answer
    _awaits_head = False
    _is_chunked = False
    _body_size = 0  # bytes that came after its head

    def is_spent(self) -> bool:
        """Say whether an idle connection has unsolicited bytes, or was closed by the server."""
        if self._answer is None or self.transport is None:
            return False
        return bool(self.should_close) or is_readable(self.transport.get_extra_info("socket"))

    def close(self) -> None:
        """Close the connection at once, without waiting for what is still to be sent."""
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
        """Take bytes."""
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
                # who waits already is first to read what came before
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
