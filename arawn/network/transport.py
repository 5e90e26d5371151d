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
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from arawn.errors import ProtocolError
from arawn.network import http_errors
from arawn.network.deadlines import DeadlineExpired
from arawn.network.exchange import Reply
from arawn.network.http_errors import CONNECTION_ERRORS, ClosedEarly, ConnectionLost, NotHttp, NotSendable, ProxyRefused
from arawn.network.proxies import proxy_for
from arawn.network.routes import proxy_at, server_at, without_zone

_modules: dict[str, Any] = sys.modules
_modules.setdefault("httpx._main", None)  # its own command line, which would import click, rich and pygments
import httpx  # noqa: E402 -- after the line above

if _modules["httpx._main"] is None:
    del _modules["httpx._main"]

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from arawn.errors import BackendError
    from arawn.network.aiohttp_io import AiohttpPool
    from arawn.network.async_io import AsyncPool
    from arawn.network.blocking_io import BlockingPool
    from arawn.network.connection import Answer, Request
    from arawn.network.deadlines import Deadlines
    from arawn.network.exchange import Outgoing, Peer
    from arawn.network.routes import Proxy, Route, Server

MAX_HEADERS = 64 << 10
_UPLOAD_PART = 64 << 10
FOREIGN_ERRORS = (httpx.HTTPError, httpx.InvalidURL, *CONNECTION_ERRORS, DeadlineExpired, OSError, UnicodeError)
"""What a connection or a library below may raise; each becomes one of our errors."""

for _name in ("httpx", "httpcore"):  # they log addresses with their queries
    logging.getLogger(_name).setLevel(logging.WARNING)

_address = lru_cache(64)(httpx.URL)


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


class _Client(Protocol):
    """httpx's client for one server; ``proxy`` is the one it goes through, as it was named."""

    proxy: str | None

    async def send(self, call: Outgoing, deadlines: Deadlines) -> httpx.Response:
        """Send a request; the response is open. Raises FOREIGN_ERRORS."""
        ...

    def chunks(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives. Raises FOREIGN_ERRORS."""
        ...

    async def release(self, response: httpx.Response) -> None:
        """Give the connection back, or drop it where something of the body is unread."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class _HttpxTransport:
    """A Transport over clients of httpx: the choice of proxy and trust, the cap on headers, our errors."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._tls: ssl.SSLContext | None = None
        self._clients: dict[tuple[str, str], _Client] = {}

    async def send(self, call: Outgoing, deadlines: Deadlines) -> Reply:
        """Send a request; see Transport."""
        client, peer = self._client(call.url), call.peer
        try:
            response = await client.send(call, deadlines)
        except FOREIGN_ERRORS as error:
            failure = failure_of(error, peer, client.proxy)
        else:
            headers = response.extensions["headers"]
            if sum(len(name) + len(value) for name, value in headers) > MAX_HEADERS:
                await client.release(response)
                raise http_errors.too_large("headers", MAX_HEADERS, peer)
            chunks = _chunks(client, response, peer)
            return Reply(peer, response.status_code, _joined(headers), chunks, lambda: client.release(response))
        raise failure  # here, for the library's error may hold the key and must not become its context

    async def aclose(self) -> None:
        """Close all connections."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    def _client(self, url: str) -> _Client:
        """Return the client for a server; only one that needs TLS pays for its set-up."""
        parts = urlsplit(url)
        place = parts.scheme, parts.netloc
        if place not in self._clients:
            named = proxy_for(url, self._route.environ, self._route.proxy)
            proxy = proxy_at(named) if named else None
            is_secure = parts.scheme == "https" or (proxy is not None and proxy.scheme == "https")
            client = self._open(server_at(url), proxy, self._trusted() if is_secure else None)
            client.proxy = named
            self._clients[place] = client
        return self._clients[place]

    def _open(self, server: Server, proxy: Proxy | None, tls: ssl.SSLContext | None) -> _Client:
        raise NotImplementedError

    def _trusted(self) -> ssl.SSLContext:
        if self._tls is None:
            from arawn.network.tls import trust

            self._tls = trust(self._route.environ, self._route.ca_bundle, insecure=self._route.insecure_tls)
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


class BlockingTransport(_HttpxTransport):
    """Blocks while it waits; its coroutines never suspend."""

    def _open(self, server: Server, proxy: Proxy | None, tls: ssl.SSLContext | None) -> _Client:
        from arawn.network.blocking_io import BlockingPool

        return _BlockingClient(BlockingPool(server, proxy, tls))


class AsyncTransport(_HttpxTransport):
    """Runs on asyncio, which is imported with the first connection; ``with_aiohttp`` where that is installed."""

    def __init__(self, route: Route, *, with_aiohttp: bool | None = None) -> None:
        super().__init__(route)
        is_installed = importlib.util.find_spec("httpx_aiohttp") is not None
        self._with_aiohttp = is_installed if with_aiohttp is None else with_aiohttp

    def preload(self) -> None:
        """Import what the first connection needs."""
        importlib.import_module(f"arawn.network.{'aiohttp_io' if self._with_aiohttp else 'async_io'}")

    def _open(self, server: Server, proxy: Proxy | None, tls: ssl.SSLContext | None) -> _Client:
        if self._with_aiohttp and "%" not in server.host and not (proxy and proxy.is_socks):
            from arawn.network.aiohttp_io import AiohttpPool

            return _AsyncClient(_OverAiohttp(AiohttpPool(_named(proxy), tls)), _content_for_aiohttp)
        from arawn.network.async_io import AsyncPool

        return _AsyncClient(_OverAsyncPool(AsyncPool(server, proxy, tls)), _AsyncContent)


# ---- httpx's clients ----


class _BlockingClient:
    proxy: str | None = None

    def __init__(self, pool: BlockingPool) -> None:
        self._client = httpx.Client(transport=_OverBlockingPool(pool), trust_env=False)

    async def send(self, call: Outgoing, deadlines: Deadlines) -> httpx.Response:
        request = _request(call, deadlines, stream=_BlockingContent(call.body, deadlines))
        return self._client.send(request, stream=True, follow_redirects=False)

    async def chunks(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        for chunk in response.iter_raw():
            yield chunk

    async def release(self, response: httpx.Response) -> None:
        response.close()

    async def aclose(self) -> None:
        self._client.close()


class _AsyncClient:
    proxy: str | None = None

    def __init__(
        self, transport: httpx.AsyncBaseTransport, content: Callable[[bytes, Deadlines], httpx.AsyncByteStream]
    ) -> None:
        self._client = httpx.AsyncClient(transport=transport, trust_env=False)
        self._content = content

    async def send(self, call: Outgoing, deadlines: Deadlines) -> httpx.Response:
        request = _request(call, deadlines, stream=self._content(call.body, deadlines))
        return await self._client.send(request, stream=True, follow_redirects=False)

    async def chunks(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        async with aclosing(response.aiter_raw()) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                yield chunk

    async def release(self, response: httpx.Response) -> None:
        await response.aclose()

    async def aclose(self) -> None:
        await self._client.aclose()


def _request(
    call: Outgoing, deadlines: Deadlines, *, stream: httpx.SyncByteStream | httpx.AsyncByteStream
) -> httpx.Request:
    """Return a request with our headers and no other. Raises NotSendable for what cannot be a header."""
    headers = {"Host": without_zone(call.url).split("/")[2], **call.headers, "Accept-Encoding": "identity"}
    if call.method == "POST":
        headers["Content-Length"] = str(len(call.body))
    extensions = {"deadlines": deadlines, "timeout": {}}
    try:
        encoded = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
    except UnicodeError:
        encoded = None
    if encoded is None:
        raise NotSendable
    address = _address(without_zone(call.url))
    request = httpx.Request(call.method, address, headers=encoded, stream=stream, extensions=extensions)
    if isinstance(stream, httpx.ByteStream):
        request.read()
    return request


class _BlockingContent(httpx.SyncByteStream):
    """A body going out; that it is asked for means that the connection stands."""

    def __init__(self, body: bytes, deadlines: Deadlines) -> None:
        self._body = body
        self._deadlines = deadlines

    def __iter__(self) -> Iterator[bytes]:
        self._deadlines.connected()
        if self._body:
            yield self._body


class _AsyncContent(httpx.AsyncByteStream):
    """The same on asyncio."""

    def __init__(self, body: bytes, deadlines: Deadlines) -> None:
        self._body = body
        self._deadlines = deadlines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._deadlines.connected()
        if self._body:
            yield self._body


class _ContentInParts(_AsyncContent):
    """A long body going out over aiohttp, which says of no part when it is out."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), _UPLOAD_PART):
            yield self._body[start : start + _UPLOAD_PART]
            self._deadlines.sent()


def _content_for_aiohttp(body: bytes, deadlines: Deadlines) -> httpx.AsyncByteStream:
    return httpx.ByteStream(body) if len(body) <= _UPLOAD_PART else _ContentInParts(body, deadlines)


# ---- httpx's transports: what httpx is shown of an answer, and where the bytes come from ----


class _OverBlockingPool(httpx.BaseTransport):
    def __init__(self, pool: BlockingPool) -> None:
        self._pool = pool

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._pool.send(_described(request))
        return _response(answer.status, answer.headers, _BlockingBody(self._pool, answer))

    def close(self) -> None:
        self._pool.close()


class _BlockingBody(httpx.SyncByteStream):
    def __init__(self, pool: BlockingPool, answer: Answer) -> None:
        self._pool = pool
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._pool.chunks(self._answer)

    def close(self) -> None:
        self._pool.release(self._answer)


class _OverAsyncPool(httpx.AsyncBaseTransport):
    def __init__(self, pool: AsyncPool) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._pool.send(_described(request))
        chunks = self._pool.chunks(answer)
        return _response(answer.status, answer.headers, _AsyncBody(chunks, lambda: self._pool.release(answer)))

    async def aclose(self) -> None:
        await self._pool.close()


class _OverAiohttp(httpx.AsyncBaseTransport):
    def __init__(self, pool: AiohttpPool) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        deadlines = request.extensions["deadlines"]
        response: httpx.Response = await self._pool.send(request, deadlines)
        chunks = self._pool.chunks(response, deadlines)
        return _response(
            response.status_code, response.headers.raw, _AsyncBody(chunks, lambda: self._pool.release(response))
        )

    async def aclose(self) -> None:
        await self._pool.close()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, chunks: AsyncGenerator[bytes, None], release: Callable[[], Awaitable[None]]) -> None:
        self._chunks = chunks
        self._release = release

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        await self._chunks.aclose()
        await self._release()


def _named(proxy: Proxy | None) -> httpx.Proxy | None:
    if proxy is None:
        return None
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    headers = {"Authorization": proxy.authorization} if proxy.user else {}  # aiohttp makes Proxy-Authorization of it
    return httpx.Proxy(f"{proxy.scheme}://{host}:{proxy.port}", headers=headers)


def _described(request: httpx.Request) -> Request:
    """Return a request as a pool takes it."""
    from arawn.network.connection import Request

    content: Any = request.stream
    method, url = request.method.encode("ascii"), request.url
    return Request(method, url.raw_path, request.headers.raw, content, request.extensions["deadlines"])


def _response(
    status: int,
    headers: Sequence[tuple[bytes, bytes]],
    body: httpx.SyncByteStream | httpx.AsyncByteStream,
) -> httpx.Response:
    """Return an answer as httpx is shown it: by a header, it would build the request of a redirect and keep cookies."""
    return httpx.Response(status, stream=body, extensions={"headers": headers})


# ---- Bytes, headers and errors as ours ----


async def _chunks(client: _Client, response: httpx.Response, peer: Peer) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(client.chunks(response)) as chunks:
            async for chunk in chunks:
                yield chunk
    except FOREIGN_ERRORS as error:
        failure = failure_of(error, peer, answering=True)
    else:
        return
    raise failure


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
        case NotSendable() | httpx.LocalProtocolError():
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
