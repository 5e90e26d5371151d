"""The one door to the network: sends a request, hands in the reply, and says what went wrong in our own words.

The blocking transport has ``async`` methods that never suspend, so that a command needs no event loop; the other runs
on asyncio. Both use httpx, see ``httpx_clients``.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from contextlib import aclosing
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from arawn.errors import ProtocolError
from arawn.network import http_errors, httpx_clients
from arawn.network.deadlines import DeadlineExpired, StepTimeout
from arawn.network.exchange import Reply
from arawn.network.http_errors import CONNECTION_ERRORS, ClosedEarly, ConnectionLost, NotHttp, NotSendable, ProxyRefused
from arawn.network.proxies import proxy_for
from arawn.network.routes import proxy_at, server_at

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Sequence

    import httpx

    from arawn.errors import BackendError
    from arawn.network.deadlines import Deadlines
    from arawn.network.exchange import Outgoing
    from arawn.network.routes import Peer, Proxy, Route, Server

MAX_HEADERS = 64 << 10
"""Bytes of an answer's headers, at most."""
FOREIGN_ERRORS = (*httpx_clients.ERRORS, *CONNECTION_ERRORS, DeadlineExpired, OSError, UnicodeError)
"""What a connection or a library below may raise; each becomes one of our errors."""


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


Client = TypeVar("Client", "httpx.Client", "httpx.AsyncClient")


class _HttpxTransport(ABC, Generic[Client]):
    """A Transport over a client of httpx for each server: the choice of proxy and trust, the cap on headers, errors.

    What differs between blocking and asyncio is abstract, and raises FOREIGN_ERRORS.
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

    @abstractmethod
    def _open(self, server: Server, proxy: Proxy | None, tls: ssl.SSLContext | None) -> Client:
        """Return a client for a server."""

    @abstractmethod
    async def _exchange(self, client: Client, call: Outgoing, deadlines: Deadlines) -> httpx.Response:
        """Send a request and return the answer as soon as its headers are there."""

    @abstractmethod
    def _body(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives."""

    @abstractmethod
    async def _release(self, response: httpx.Response) -> None:
        """Give the connection back, or drop it where something of the body is unread."""

    @abstractmethod
    async def _close(self, client: Client) -> None:
        """Close all connections of a client."""


class BlockingTransport(_HttpxTransport["httpx.Client"]):
    """Blocks while it waits; its coroutines never suspend."""

    def _open(self, server: Server, proxy: Proxy | None, tls: ssl.SSLContext | None) -> httpx.Client:
        return httpx_clients.blocking_client(proxy, tls)

    async def _exchange(self, client: httpx.Client, call: Outgoing, deadlines: Deadlines) -> httpx.Response:
        request = httpx_clients.request(call, deadlines)
        return client.send(request, stream=True, follow_redirects=False)  # noqa: ASYNC212 -- it blocks

    async def _body(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        for chunk in response.iter_raw():
            yield chunk

    async def _release(self, response: httpx.Response) -> None:
        response.close()

    async def _close(self, client: httpx.Client) -> None:
        client.close()  # noqa: ASYNC212 -- as above


class AsyncTransport(_HttpxTransport["httpx.AsyncClient"]):
    """Runs on asyncio, which is imported with the first connection; ``with_aiohttp`` where that is installed."""

    def __init__(self, route: Route, *, with_aiohttp: bool | None = None) -> None:
        super().__init__(route)
        self._with_aiohttp = _has_aiohttp() if with_aiohttp is None else with_aiohttp

    def _open(self, server: Server, proxy: Proxy | None, tls: ssl.SSLContext | None) -> httpx.AsyncClient:
        with_aiohttp = self._with_aiohttp and "%" not in server.host and not (proxy and proxy.is_socks)
        return httpx_clients.async_client(proxy, tls, with_aiohttp=with_aiohttp)

    async def _exchange(self, client: httpx.AsyncClient, call: Outgoing, deadlines: Deadlines) -> httpx.Response:
        request = httpx_clients.request(call, deadlines, StepTimeout(deadlines))
        return await client.send(request, stream=True, follow_redirects=False)

    async def _body(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        async with aclosing(response.aiter_raw()) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                yield chunk

    async def _release(self, response: httpx.Response) -> None:
        await response.aclose()

    async def _close(self, client: httpx.AsyncClient) -> None:
        await client.aclose()


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
        case _ if isinstance(error, httpx_clients.ADDRESS_ERRORS):
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
