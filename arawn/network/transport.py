"""The one door to the network: sends a request, hands in the reply, and says what went wrong in our own words.

Two engines stand behind one door. The blocking one has ``async`` methods that never suspend, so that a command needs
no event loop; the other runs on asyncio. They differ only in how a connection waits: everything above that is the same.
No redirect is ever followed, nothing is decompressed, and no ``.netrc`` is read.
"""

from __future__ import annotations

from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from arawn.errors import ProtocolError
from arawn.network import http_errors
from arawn.network.deadlines import Expired
from arawn.network.exchange import Reply
from arawn.network.http11 import HungUp, NotHttp, Unwritable
from arawn.network.links import Broken, Refused
from arawn.network.pool import Pool
from arawn.network.proxies import proxy_for
from arawn.network.ways import Way, proxy_of
from arawn.values import Value

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

    from arawn.errors import BackendError
    from arawn.network.deadlines import Clocks
    from arawn.network.exchange import Outgoing, Peer
    from arawn.network.http11 import Connection
    from arawn.network.links import Connect, Link

MAX_HEADERS = 64 << 10
_FOREIGN = (Broken, Expired, HungUp, NotHttp, OSError, Refused, UnicodeError, Unwritable)


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


class _Line:
    """One place that is sent to: the way there, its connections, and its proxy as it was named."""

    def __init__(self, way: Way, proxy: str | None) -> None:
        self.way = way
        self.pool = Pool(way.open)
        self.proxy = proxy


class _Door:
    """A Transport over what opens connections: the choice of proxy and trust, headers, caps, words for failures."""

    def __init__(self, connect: Connect, route: Route) -> None:
        self._connect = connect
        self._route = route
        self._trust: ssl.SSLContext | None = None
        self._lines: dict[tuple[str, str], _Line] = {}

    async def send(self, call: Outgoing, clocks: Clocks) -> Reply:
        """Send a request; see Transport."""
        line, peer = self._line(call.url), call.peer
        request = line.way.request(call.method, call.url, _headers(call), call.body)
        with _in_our_words(peer, line.proxy):
            connection = await line.pool.take(clocks)
            try:
                clocks.connected()
                head = await connection.exchange(request, clocks)
            except BaseException:
                await line.pool.give_back(connection)
                raise
        if sum(len(name) + len(value) for name, value in head.headers) > MAX_HEADERS:
            await line.pool.give_back(connection)
            raise http_errors.too_large("headers", MAX_HEADERS, peer)
        chunks = _chunks(connection, peer, clocks)
        return Reply(peer, head.status, _joined(head.headers), chunks, lambda: line.pool.give_back(connection))

    async def aclose(self) -> None:
        """Close all connections."""
        lines, self._lines = self._lines, {}
        for line in lines.values():
            await line.pool.aclose()

    def _line(self, url: str) -> _Line:
        """Return the line to a server; only one that needs TLS pays for its set-up."""
        parts = urlsplit(url)
        place = parts.scheme, parts.netloc
        if place not in self._lines:
            proxy = proxy_for(url, self._route.environ, self._route.proxy)
            is_secure = parts.scheme == "https" or (proxy or "").startswith("https:")
            trust = self._trusted() if is_secure else None
            way = Way(url, proxy_of(proxy) if proxy else None, trust, self._connect)
            self._lines[place] = _Line(way, proxy)
        return self._lines[place]

    def _trusted(self) -> ssl.SSLContext:
        if self._trust is None:
            from arawn.network.tls import trust

            self._trust = trust(self._route.environ, self._route.ca_bundle, insecure=self._route.insecure_tls)
            self._trust.set_alpn_protocols(["http/1.1"])
        return self._trust


class BlockingTransport(_Door):
    """Blocks while it waits; its coroutines never suspend."""

    def __init__(self, route: Route) -> None:
        super().__init__(_connect_blocking, route)


class AsyncTransport(_Door):
    """Runs on asyncio, which is imported with the first connection."""

    def __init__(self, route: Route) -> None:
        super().__init__(_connect_on_asyncio, route)


async def _connect_blocking(host: str, port: int, clocks: Clocks) -> Link:
    from arawn.network.clocked import connect

    return await connect(host, port, clocks)


async def _connect_on_asyncio(host: str, port: int, clocks: Clocks) -> Link:
    from arawn.network.looped import connect

    return await connect(host, port, clocks)


async def _chunks(connection: Connection, peer: Peer, clocks: Clocks) -> AsyncGenerator[bytes, None]:
    with _in_our_words(peer, answering=True):
        async with aclosing(connection.body(clocks)) as chunks:
            async for chunk in chunks:
                yield chunk


def failure_of(error: Exception, peer: Peer, proxy: str | None = None, *, answering: bool = False) -> BackendError:
    """Return our error for one of the connection's or of the system's; ``answering`` once a reply has begun."""
    match error:
        case Expired():
            return http_errors.timed_out(error, peer)
        case _ if answering:
            return http_errors.interrupted(error, peer)
        case NotHttp():
            return http_errors.not_http(error, peer)
        case HungUp() | Broken():
            return http_errors.hung_up(error, peer)
        case Unwritable():
            return ProtocolError("The request cannot be written as HTTP", backend=peer.backend)
        case Refused() if str(error).startswith("4"):  # a status: it will not let us through
            failure = http_errors.unreached(error, peer, proxy)
            failure.transient = False
            return failure
        case _:
            return http_errors.unreached(error, peer, proxy)


@contextmanager
def _in_our_words(peer: Peer, proxy: str | None = None, *, answering: bool = False) -> Iterator[None]:
    try:
        yield
    except _FOREIGN as error:
        raise failure_of(error, peer, proxy, answering=answering) from None


def _headers(call: Outgoing) -> list[tuple[str, str]]:
    headers = {"Host": urlsplit(call.url).netloc, **call.headers, "Accept-Encoding": "identity"}
    if call.method == "POST":
        headers["Content-Length"] = str(len(call.body))
    return list(headers.items())


def _joined(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
