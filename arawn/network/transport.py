"""The one door to the network: sends a request, hands in the reply, and says what went wrong in our own words.

httpx is the client, and named in this file only. The blocking transport has ``async`` methods that never suspend, so
that a command needs no event loop; the other runs on asyncio, over httpcore's connections or, where it is installed,
over aiohttp's, which cost a quarter when many calls run at a time. No redirect is ever followed, no cookie kept,
nothing decompressed, and no ``.netrc`` or variable of the environment read: httpx is shown the status and the bytes of
an answer, and its headers travel beside it.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from contextlib import aclosing
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from arawn.errors import ProtocolError
from arawn.network import connection, http_errors
from arawn.network.connection import PART
from arawn.network.deadlines import DeadlineExpired, StepTimeout
from arawn.network.exchange import Reply
from arawn.network.http_errors import CONNECTION_ERRORS, ClosedEarly, ConnectionLost, NotHttp, NotSendable, ProxyRefused
from arawn.network.proxies import proxy_for
from arawn.network.routes import proxy_at, server_at, with_plain_zone, without_zone

_modules: dict[str, Any] = sys.modules
_modules.setdefault("httpx._main", None)  # its own command line, which would import click, rich and pygments
import httpx  # noqa: E402 -- after the line above

if _modules["httpx._main"] is None:
    del _modules["httpx._main"]

if TYPE_CHECKING:
    import ssl
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        AsyncIterator,
        Callable,
        Iterator,
        Mapping,
        Sequence,
    )

    from arawn.errors import BackendError
    from arawn.network.blocking_io import BlockingPool
    from arawn.network.deadlines import Deadlines
    from arawn.network.exchange import Outgoing
    from arawn.network.routes import Peer, Proxy, Route, Server

MAX_HEADERS = 64 << 10
FOREIGN_ERRORS = (httpx.HTTPError, httpx.InvalidURL, *CONNECTION_ERRORS, DeadlineExpired, OSError, UnicodeError)
"""What a connection or a library below may raise; each becomes one of our errors."""

for _name in ("httpx", "httpcore"):  # they log addresses with their queries
    logging.getLogger(_name).setLevel(logging.WARNING)

_address = lru_cache(64)(httpx.URL)


def preload() -> None:
    """Import what the first connection on asyncio would import."""
    importlib.import_module("httpx_aiohttp" if _has_aiohttp() else "anyio._backends._asyncio")


def _has_aiohttp() -> bool:
    return importlib.util.find_spec("httpx_aiohttp") is not None


class Transport(Protocol):
    """Sends requests."""

    async def send(self, call: Outgoing, deadlines: Deadlines) -> Reply:
        """Send one and return when status and headers are there, whatever the status. The reply must be closed.

        Raises ConnectionFailedError, BackendTimeoutError, ProtocolError, and ConfigError for a proxy or a file of
        certificates that cannot be used.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


Client = TypeVar("Client", httpx.Client, httpx.AsyncClient)


class _HttpxTransport(Generic[Client]):
    """A Transport over a client of httpx for each server: the choice of proxy and trust, the cap on headers, errors.

    The methods without a body are the way: what they raise is in FOREIGN_ERRORS.
    """

    def __init__(self, route: Route) -> None:
        self._route = route
        self._tls: ssl.SSLContext | None = None
        self._clients: dict[tuple[str, str], tuple[Client, str | None]] = {}

    async def send(self, call: Outgoing, deadlines: Deadlines) -> Reply:
        """Send a request; see Transport."""
        client, proxy = self._client(call.url)
        try:
            response = await self._exchange(client, call, deadlines)
        except FOREIGN_ERRORS as error:
            failure = failure_of(error, call.peer, proxy)
        else:
            headers = response.extensions["headers"]
            if sum(len(name) + len(value) for name, value in headers) > MAX_HEADERS:
                await self._release(response)
                raise http_errors.too_large("headers", MAX_HEADERS, call.peer)
            chunks = self._chunks(response, call.peer)
            return Reply(call.peer, response.status_code, _joined(headers), chunks, lambda: self._release(response))
        raise failure  # here, for the library's error may hold the key and must not become its context

    async def aclose(self) -> None:
        """Close all connections."""
        clients, self._clients = self._clients, {}
        for client, _ in clients.values():
            await self._close(client)

    async def _chunks(self, response: httpx.Response, peer: Peer) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(self._body(response)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except FOREIGN_ERRORS as error:
            failure = failure_of(error, peer, answering=True)
        else:
            return
        raise failure

    def _client(self, url: str) -> tuple[Client, str | None]:
        """Return the client for a server and the proxy it goes through; only one that needs TLS pays for its set-up."""
        parts = urlsplit(url)
        place = parts.scheme, parts.netloc
        if place not in self._clients:
            named = proxy_for(url, self._route.environ, self._route.proxy)
            proxy = proxy_at(named) if named else None
            is_secure = parts.scheme == "https" or (proxy is not None and proxy.scheme == "https")
            self._clients[place] = self._open(server_at(url), proxy, self._trusted() if is_secure else None), named
        return self._clients[place]

    def _trusted(self) -> ssl.SSLContext:
        if self._tls is None:
            from arawn.network.tls import trust

            self._tls = trust(self._route.environ, self._route.ca_bundle, insecure=self._route.insecure_tls)
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    def _open(self, server: Server, proxy: Proxy | None, tls: ssl.SSLContext | None) -> Client:
        raise NotImplementedError

    async def _exchange(self, client: Client, call: Outgoing, deadlines: Deadlines) -> httpx.Response:
        raise NotImplementedError

    def _body(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        raise NotImplementedError

    async def _release(self, response: httpx.Response) -> None:
        """Give the connection back, or drop it where something of the body is unread."""
        raise NotImplementedError

    async def _close(self, client: Client) -> None:
        raise NotImplementedError


class BlockingTransport(_HttpxTransport[httpx.Client]):
    """Blocks while it waits; its coroutines never suspend."""

    def _open(self, server: Server, proxy: Proxy | None, tls: ssl.SSLContext | None) -> httpx.Client:
        from arawn.network.blocking_io import BlockingPool

        return httpx.Client(transport=_OverBlockingPool(BlockingPool(proxy, tls)), trust_env=False)

    async def _exchange(self, client: httpx.Client, call: Outgoing, deadlines: Deadlines) -> httpx.Response:
        request = _request(call, _Content(call.body, deadlines), deadlines=deadlines)
        return client.send(request, stream=True, follow_redirects=False)  # noqa: ASYNC212 -- this way blocks

    async def _body(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        for chunk in response.iter_raw():
            yield chunk

    async def _release(self, response: httpx.Response) -> None:
        response.close()

    async def _close(self, client: httpx.Client) -> None:
        client.close()  # noqa: ASYNC212 -- as above


class AsyncTransport(_HttpxTransport[httpx.AsyncClient]):
    """Runs on asyncio, which is imported with the first connection; ``with_aiohttp`` where that is installed."""

    def __init__(self, route: Route, *, with_aiohttp: bool | None = None) -> None:
        super().__init__(route)
        self._with_aiohttp = _has_aiohttp() if with_aiohttp is None else with_aiohttp

    def _open(self, server: Server, proxy: Proxy | None, tls: ssl.SSLContext | None) -> httpx.AsyncClient:
        if self._with_aiohttp and "%" not in server.host and not (proxy and proxy.is_socks):
            return httpx.AsyncClient(transport=_OverAiohttp(proxy, tls), trust_env=False)
        return httpx.AsyncClient(transport=_OverHttpcore(proxy, tls), trust_env=False)

    async def _exchange(self, client: httpx.AsyncClient, call: Outgoing, deadlines: Deadlines) -> httpx.Response:
        timeout = StepTimeout(deadlines)
        request = _request(call, _Content(call.body, timeout), deadlines=deadlines, timeout_of_call=timeout)
        return await client.send(request, stream=True, follow_redirects=False)

    async def _body(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        async with aclosing(response.aiter_raw()) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                yield chunk

    async def _release(self, response: httpx.Response) -> None:
        await response.aclose()

    async def _close(self, client: httpx.AsyncClient) -> None:
        await client.aclose()


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


def _request(call: Outgoing, content: _Content, **extensions: Any) -> httpx.Request:
    """Return a request with our headers and no other. Raises NotSendable for what cannot be a header."""
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
    if "%" in address.host:
        extensions["sni_hostname"] = address.host.partition("%")[0]
    extensions["timeout"] = {}  # httpx's own: none
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
        if proxy is not None:  # aiohttp makes Proxy-Authorization of it; its own way takes no password beyond Latin-1
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


# ---- Headers and errors as ours ----


def failure_of(error: Exception, peer: Peer, proxy: str | None = None, *, answering: bool = False) -> BackendError:
    """Return our error for one of the connection's or of the system's; ``answering`` once a reply has begun."""
    match error:
        case DeadlineExpired():
            return http_errors.timed_out(error, peer)
        case _ if answering:
            return http_errors.interrupted(error, peer)
        case NotHttp():
            return http_errors.not_http(error, peer)
        case ClosedEarly() | ConnectionLost():
            return http_errors.closed_early(error, peer)
        case NotSendable():
            return ProtocolError("The request cannot be written as HTTP", backend=peer.backend)
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return http_errors.unreached(UnicodeError(), peer, proxy)
        case ProxyRefused() if str(error).startswith("4"):  # a status: it will not let us through
            failure = http_errors.unreached(error, peer, proxy)
            failure.transient = False
            return failure
        case _:
            return http_errors.unreached(error, peer, proxy)


def _joined(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
