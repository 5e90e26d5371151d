"""The one door to the network: sends a request, hands in the reply, and says what went wrong in our own words.

Two engines stand behind one door. The blocking one has ``async`` methods that never suspend, so that a command needs
no event loop; the other runs on asyncio. Both are httpcore's, which is named in this file only. It passes the
"timeout" of a request on to the network stream as it is: we put the clocks there, and ask them at every read.
No redirect is ever followed, nothing is decompressed, and no ``.netrc`` is read.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import httpcore

from arawn.backends import mishaps
from arawn.backends.clocked import AsyncNetwork, BlockingNetwork
from arawn.backends.clocks import Expired
from arawn.backends.exchange import Reply
from arawn.backends.proxies import proxy_for
from arawn.errors import ConfigError, ProtocolError
from arawn.values import Value

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

    from arawn.backends.clocks import Clocks
    from arawn.backends.exchange import Outgoing, Peer
    from arawn.errors import BackendError

MAX_HEADERS = 64 << 10
_KEEP_ALIVE = 30.0
_FOREIGN: tuple[type[Exception], ...] = (
    httpcore.ConnectionNotAvailable,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
    Expired,
    OSError,
    UnicodeError,
)
P = TypeVar("P", httpcore.ConnectionPool, httpcore.AsyncConnectionPool)


class Transport(Protocol):
    """Sends requests."""

    async def send(self, call: Outgoing, clocks: Clocks) -> Reply:
        """Send one and return when status and headers are there, whatever the status. The reply must be closed.

        Raises ConnectionFailedError, BackendTimeoutError, ProtocolError, and ConfigError for a proxy or a file of
        certificates that cannot be used.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class Route(Value):
    """What decides the way to a server: ``environ`` names proxies and certificates, ``proxy`` stands above it.

    An empty ``proxy`` means none; ``ca_bundle`` names certificates to trust besides; ``insecure_tls`` trusts all.
    """

    environ: Mapping[str, str]
    proxy: str | None = None
    ca_bundle: str | None = None
    insecure_tls: bool = False


class _Engine(Protocol[P]):
    """The few lines in which the two engines differ."""

    def open(self, options: Mapping[str, Any]) -> P: ...

    async def exchange(self, pool: P, request: httpcore.Request, clocks: Clocks) -> httpcore.Response: ...

    def chunks(self, response: httpcore.Response, peer: Peer, clocks: Clocks) -> AsyncGenerator[bytes, None]: ...

    async def close(self, what: P | httpcore.Response) -> None: ...


class _Door(Generic[P]):
    """A Transport over one engine: the choice of proxy and trust, headers, caps, and the words for failures."""

    def __init__(self, engine: _Engine[P], route: Route) -> None:
        self._engine: _Engine[P] = engine
        self._route = route
        self._trust: ssl.SSLContext | None = None
        self._pools: dict[tuple[str | None, bool], P] = {}

    async def send(self, call: Outgoing, clocks: Clocks) -> Reply:
        """Send a request; see Transport."""
        engine, peer = self._engine, call.peer
        proxy = proxy_for(call.url, self._route.environ, self._route.proxy)
        pool = self._pool(proxy, secure=call.url.startswith("https:"))
        with _in_our_words(peer, clocks, proxy):
            response = await engine.exchange(pool, _request(call, clocks), clocks)
        if sum(len(name) + len(value) for name, value in response.headers) > MAX_HEADERS:
            await engine.close(response)
            raise mishaps.too_large("headers", MAX_HEADERS, peer)
        chunks = engine.chunks(response, peer, clocks)
        return Reply(peer, response.status, _joined(response.headers), chunks, lambda: engine.close(response))

    async def aclose(self) -> None:
        """Close all connections."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await self._engine.close(pool)

    def _pool(self, proxy: str | None, *, secure: bool) -> P:
        """Return the pool for this way; only one that needs TLS pays for its set-up."""
        secure = secure or (proxy or "").startswith("https:")
        if (proxy, secure) not in self._pools:
            trust = self._trusted() if secure else None
            self._pools[proxy, secure] = self._engine.open(
                {
                    "ssl_context": trust,
                    "proxy": _usable(proxy, trust) if proxy else None,
                    "max_connections": None,
                    "keepalive_expiry": _KEEP_ALIVE,
                }
            )
        return self._pools[proxy, secure]

    def _trusted(self) -> ssl.SSLContext:
        if self._trust is None:
            from arawn.backends.tls import trust

            self._trust = trust(self._route.environ, self._route.ca_bundle, insecure=self._route.insecure_tls)
        return self._trust


class BlockingTransport(_Door[httpcore.ConnectionPool]):
    """Blocks while it waits; its coroutines never suspend."""

    def __init__(self, route: Route) -> None:
        super().__init__(_Blocking(), route)


class AsyncTransport(_Door[httpcore.AsyncConnectionPool]):
    """Runs on asyncio, which is imported with the first connection."""

    def __init__(self, route: Route) -> None:
        super().__init__(_Asynchronous(), route)


class _Blocking:
    def open(self, options: Mapping[str, Any]) -> httpcore.ConnectionPool:
        network: Any = BlockingNetwork(httpcore.SyncBackend(), (httpcore.ConnectError, httpcore.ConnectTimeout))
        return httpcore.ConnectionPool(network_backend=network, **options)

    async def exchange(
        self, pool: httpcore.ConnectionPool, request: httpcore.Request, clocks: Clocks
    ) -> httpcore.Response:
        def trace(step: str, info: Mapping[str, Any]) -> None:
            _note(step, info, clocks)

        request.extensions = {**request.extensions, "trace": trace}
        return pool.handle_request(request)

    async def chunks(self, response: httpcore.Response, peer: Peer, clocks: Clocks) -> AsyncGenerator[bytes, None]:
        with _in_our_words(peer, clocks, answering=True):
            for chunk in response.iter_stream():
                yield chunk

    async def close(self, what: httpcore.ConnectionPool | httpcore.Response) -> None:
        what.close()


class _Asynchronous:
    def open(self, options: Mapping[str, Any]) -> httpcore.AsyncConnectionPool:
        network: Any = AsyncNetwork(httpcore.AnyIOBackend())
        return httpcore.AsyncConnectionPool(network_backend=network, **options)

    async def exchange(
        self, pool: httpcore.AsyncConnectionPool, request: httpcore.Request, clocks: Clocks
    ) -> httpcore.Response:
        async def trace(step: str, info: Mapping[str, Any]) -> None:
            _note(step, info, clocks)

        request.extensions = {**request.extensions, "trace": trace}
        return await pool.handle_async_request(request)

    async def chunks(self, response: httpcore.Response, peer: Peer, clocks: Clocks) -> AsyncGenerator[bytes, None]:
        with _in_our_words(peer, clocks, answering=True):
            async for chunk in response.aiter_stream():
                yield chunk

    async def close(self, what: httpcore.AsyncConnectionPool | httpcore.Response) -> None:
        await what.aclose()


def failure_of(
    error: Exception, peer: Peer, clocks: Clocks, proxy: str | None = None, *, answering: bool = False
) -> BackendError:
    """Return our error for one of httpcore's or of the system's; ``answering`` once a reply has begun."""
    match error:
        case Expired():
            return mishaps.timed_out(error, peer)
        case httpcore.TimeoutException():
            return mishaps.timed_out(clocks.expired(), peer)
        case _ if answering:
            return mishaps.interrupted(error, peer)
        case httpcore.RemoteProtocolError(args=[Exception(), *_]):  # from h11; a hang-up has a text of httpcore's
            return mishaps.not_http(error, peer)
        case httpcore.ReadError() | httpcore.WriteError() | httpcore.RemoteProtocolError():
            return mishaps.hung_up(error, peer)
        case httpcore.ProtocolError():  # its words may repeat a header's value
            return ProtocolError("The request cannot be written as HTTP", backend=peer.backend)
        case httpcore.ProxyError() if str(error).startswith("4"):  # a status: it will not let us through
            failure = mishaps.unreached(error, peer, proxy)
            failure.transient = False
            return failure
        case _:
            return mishaps.unreached(error, peer, proxy)


@contextmanager
def _in_our_words(peer: Peer, clocks: Clocks, proxy: str | None = None, *, answering: bool = False) -> Iterator[None]:
    try:
        yield
    except _foreign_to(proxy) as error:
        raise failure_of(error, peer, clocks, proxy, answering=answering) from None


def _foreign_to(proxy: str | None) -> tuple[type[Exception], ...]:
    if not (proxy or "").startswith("socks"):
        return _FOREIGN
    import socksio

    return (*_FOREIGN, socksio.SOCKSError, AssertionError)  # httpcore asserts that a SOCKS proxy speaks in turn


def _note(step: str, info: Mapping[str, Any], clocks: Clocks) -> None:
    """Hear from httpcore what it does: once the request itself is on its way, the wait for the answer begins."""
    if step == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
        clocks.connected()


def _request(call: Outgoing, clocks: Clocks) -> httpcore.Request:
    headers = {"Host": urlsplit(call.url).netloc, **call.headers, "Accept-Encoding": "identity"}
    if call.method == "POST":
        headers["Content-Length"] = str(len(call.body))
    return httpcore.Request(
        call.method,
        call.url,
        headers=list(headers.items()),
        content=call.body,
        extensions={"timeout": {"connect": clocks, "write": clocks, "read": clocks}},
    )


def _usable(proxy: str, trust: ssl.SSLContext | None) -> httpcore.Proxy:
    if proxy.startswith("socks"):
        _require_socks()
    parts = urlsplit(proxy)
    return httpcore.Proxy(
        f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
        auth=(unquote(parts.username), unquote(parts.password or "")) if parts.username else None,
        ssl_context=trust if parts.scheme == "https" else None,
    )


def _require_socks() -> None:
    try:
        import socksio  # noqa: F401 -- httpcore needs it, and would miss it only in the middle
    except ImportError:
        hint = "Install it: pip install 'arawn[socks]'"
        raise ConfigError("A SOCKS proxy needs the extra 'socks'", hints=(hint,)) from None


def _joined(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
