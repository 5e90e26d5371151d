"""httpx's clients, and what goes into them and comes out: the one file that names httpx.

No redirect is ever followed, no cookie kept, nothing decompressed, and no ``.netrc`` or variable of the environment
read: httpx is shown the status and the bytes of an answer, and its headers travel beside it, in its extensions. The
blocking client stands on httpcore's pool with our network backend. The asynchronous one stands on httpx's own
transport or, where it is installed, on that of httpx-aiohttp, which costs a quarter when many calls run at a time.
"""

from __future__ import annotations

import logging
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from arawn.network import connection
from arawn.network.connection import PART
from arawn.network.deadlines import StepTimeout
from arawn.network.http_errors import NotSendable
from arawn.network.routes import with_plain_zone, without_zone

_modules: dict[str, Any] = sys.modules
_modules.setdefault("httpx._main", None)  # its own command line, which would import click, rich and pygments
import httpx  # noqa: E402 -- after the line above

if _modules["httpx._main"] is None:
    del _modules["httpx._main"]

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping, Sequence

    from arawn.network.blocking_io import BlockingPool
    from arawn.network.deadlines import Deadlines
    from arawn.network.exchange import Outgoing
    from arawn.network.routes import Proxy

ERRORS = (httpx.HTTPError, httpx.InvalidURL)
"""What httpx raises."""
ADDRESS_ERRORS = (httpx.InvalidURL, httpx.UnsupportedProtocol)
"""Those of them that mean the address cannot be used."""

for _name in ("httpx", "httpcore"):  # they log addresses with their queries
    logging.getLogger(_name).setLevel(logging.WARNING)

_address = lru_cache(64)(httpx.URL)


def blocking_client(proxy: Proxy | None, tls: ssl.SSLContext | None) -> httpx.Client:
    """Return a client for one server; its requests are those of ``request`` without a timeout."""
    from arawn.network.blocking_io import BlockingPool

    return httpx.Client(transport=_OverBlockingPool(BlockingPool(proxy, tls)), trust_env=False)


def async_client(proxy: Proxy | None, tls: ssl.SSLContext | None, *, with_aiohttp: bool) -> httpx.AsyncClient:
    """Return a client for one server; its requests are those of ``request`` with a timeout."""
    transport = _OverAiohttp(proxy, tls) if with_aiohttp else _OverHttpcore(proxy, tls)
    return httpx.AsyncClient(transport=transport, trust_env=False)


# ---- Requests ----


class _Content(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body going out, part by part; that it is asked for means that the connection stands."""

    def __init__(self, body: bytes, progress: Deadlines | StepTimeout) -> None:
        self.body = body
        self._progress = progress

    def __iter__(self) -> Iterator[bytes]:
        self._progress.connected()
        for start in range(0, len(self.body), PART):
            yield self.body[start : start + PART]
            self._progress.sent()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part


def request(call: Outgoing, deadlines: Deadlines, timeout: StepTimeout | None = None) -> httpx.Request:
    """Return a request with our headers and no other, within its deadlines; ``timeout`` keeps those on asyncio.

    Raises NotSendable for what cannot be a header.
    """
    headers = {"Host": without_zone(call.url).split("/")[2], **call.headers, "Accept-Encoding": "identity"}
    if call.method == "POST":
        headers["Content-Length"] = str(len(call.body))
    try:
        encoded = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
    except UnicodeError:
        encoded = None
    if encoded is None:
        raise NotSendable
    address = _address(with_plain_zone(call.url))
    extensions: dict[str, Any] = {"deadlines": deadlines, "timeout_of_call": timeout}
    extensions["timeout"] = {}  # httpx's own: none
    if "%" in address.host:
        extensions["sni_hostname"] = address.host.partition("%")[0]
    content = _Content(call.body, timeout or deadlines)
    return httpx.Request(call.method, address, headers=encoded, stream=content, extensions=extensions)


# ---- httpx's transports: where the bytes come from, and what httpx is shown of an answer ----


class _OverBlockingPool(httpx.BaseTransport):
    """httpcore's pool with our deadlines; httpx's own transport has no way to name them."""

    def __init__(self, pool: BlockingPool) -> None:
        self._pool = pool

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._pool.send(request, request.extensions["deadlines"])
        return _response(response.status, response.headers, _BlockingBody(self._pool, response))

    def close(self) -> None:
        self._pool.close()


class _BlockingBody(httpx.SyncByteStream):
    def __init__(self, pool: BlockingPool, response: Any) -> None:
        self._pool = pool
        self._response = response
        self._arrived = connection.Arrived(response, response.headers)

    def __iter__(self) -> Iterator[bytes]:
        return self._pool.chunks(self._response, self._arrived)

    def close(self) -> None:
        if self._arrived.is_last():
            self._response.extensions["network_stream"].close()
        self._response.close()


class _OverHttpcore(httpx.AsyncBaseTransport):
    """httpx's own transport, within the deadlines of each call, which asks its pool for one connection at a time.

    The pool gives an idle connection to all who ask before the first of them uses it; the others come back, to be given
    the next one together. At 64 calls at a time that cost 10 ms a call, and some waited until their deadline.
    """

    def __init__(self, proxy: Proxy | None, tls: ssl.SSLContext | None) -> None:
        from asyncio import Lock

        self._asking = Lock()
        self._has_opened = False
        self._through_socks = proxy is not None and proxy.is_socks
        self._through_http = proxy is not None and not proxy.is_socks
        named = None
        if proxy is not None:
            auth = (proxy.user, proxy.password) if proxy.user else None
            named = httpx.Proxy(proxy.url, ssl_context=tls if proxy.scheme == "https" else None, auth=auth)
        limits = httpx.Limits(keepalive_expiry=connection.KEPT_FOR)
        self._transport = httpx.AsyncHTTPTransport(verify=tls or False, trust_env=False, limits=limits, proxy=named)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._through_http and ":" in request.url.host:
            request.url = _BracketedUrl(request.url)
        timeout: StepTimeout = request.extensions["timeout_of_call"]
        response = await timeout.run(self._send(request), self._failure_of)
        arrived = connection.Arrived(response, response.headers.raw)
        body = _AsyncBody(response, request.extensions["deadlines"], self._failure_of, arrived)
        return _response(response.status_code, response.headers.raw, body)

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _send(self, request: httpx.Request) -> httpx.Response:
        opened: list[Any] = []
        is_asking = self._has_opened  # before, there is no idle connection to be given

        async def trace(event: str, info: Mapping[str, Any]) -> None:
            nonlocal is_asking
            if is_asking:  # the first event of all is of a connection that is no one else's
                is_asking = False
                self._asking.release()
            if event.endswith(".connect_tcp.complete"):
                opened.append(info["return_value"])
                self._has_opened = True

        request.extensions["trace"] = trace
        if is_asking:
            await self._asking.acquire()
        try:
            return await self._transport.handle_async_request(request)
        except BaseException:
            for stream in opened:  # httpcore leaves a connection open where it is cancelled in a handshake
                await stream.aclose()
            raise
        finally:
            if is_asking:
                self._asking.release()

    def _failure_of(self, error: Exception) -> Exception:
        return connection.failure_of(error, httpx, through_socks=self._through_socks)


class _BracketedUrl(httpx.URL):
    """An address whose IPv6 host keeps its brackets: httpcore tells a proxy the host as it is."""

    @property
    def raw_host(self) -> bytes:
        return b"[%b]" % super().raw_host


class _OverAiohttp(httpx.AsyncBaseTransport):
    """httpx-aiohttp's transport, within the deadlines of each call."""

    def __init__(self, proxy: Proxy | None, tls: ssl.SSLContext | None) -> None:
        from arawn.network import aiohttp_io

        self._failure_of = aiohttp_io.failure_of
        named = None
        if proxy is not None:  # aiohttp makes Proxy-Authorization of it; its option takes Latin-1 passwords only
            headers = {"Authorization": proxy.authorization} if proxy.user else {}
            named = httpx.Proxy(proxy.url, headers=headers)
        self._transport = aiohttp_io.Transport(named, tls)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        timeout: StepTimeout = request.extensions["timeout_of_call"]
        request.extensions["connected"] = timeout.connected
        if isinstance(request.stream, _Content) and len(request.stream.body) <= PART:
            request.stream = httpx.ByteStream(request.stream.body)  # aiohttp has a task of its own for any other
            request.read()
        response = await timeout.run(self._transport.handle_async_request(request), self._failure_of)
        body = _AsyncBody(response, request.extensions["deadlines"], self._failure_of)
        return _response(response.status_code, response.headers.raw, body)

    async def aclose(self) -> None:
        await self._transport.aclose()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(
        self,
        response: httpx.Response,
        deadlines: Deadlines,
        failure_of: Callable[[Exception], Exception],
        arrived: connection.Arrived | None = None,
    ) -> None:
        self._response = response
        self._deadlines = deadlines
        self._failure_of = failure_of
        self._arrived = arrived
        self._is_read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = aiter(cast("AsyncIterable[bytes]", self._response.stream))
        while (part := await StepTimeout(self._deadlines).run(anext(parts, None), self._failure_of)) is not None:
            self._deadlines.received()
            yield self._arrived.with_arrived(part) if self._arrived else part
            if self._arrived and self._arrived.has_ended:
                return
        self._is_read = True

    async def aclose(self) -> None:
        from asyncio import sleep

        if self._arrived:
            stream = self._response.extensions["network_stream"]
            if self._arrived.is_last() or connection.has_unread_record(stream):
                await stream.aclose()
        await cast("httpx.AsyncByteStream", self._response.stream).aclose()
        if not self._is_read:  # then the connection closes, which takes the loop a turn
            await sleep(0)


def _response(
    status: int,
    headers: Sequence[tuple[bytes, bytes]],
    body: httpx.SyncByteStream | httpx.AsyncByteStream,
) -> httpx.Response:
    """Return an answer as httpx is shown it: by a header, it would build the request of a redirect and keep cookies."""
    return httpx.Response(status, stream=body, extensions={"headers": headers})
