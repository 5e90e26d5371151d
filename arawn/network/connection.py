"""What both kinds of connection share: a pool, requests for httpcore, its answers as bytes, and its errors as ours.

httpcore's pool asks all its connections of everything, and assigns one connection to every request that waits: 64 calls
at a time cost four times what one costs. So each of its pools here has one connection, and is taken by one request.

httpcore hands on a body chunk by chunk, each through several generators, however many came in one read; and it has no
public word for bytes after the end of an answer. Both are known to the h11 state of the connection, which ``_state_of``
finds: the one private place of httpcore that is looked into. A test fails when it is gone.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import httpcore

from arawn.network.http_errors import ClosedEarly, NotHttp, NotSendable, ProxyRefused
from arawn.network.routes import PORTS

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterable, Callable, Iterable, Sequence

    from arawn.network.deadlines import Deadlines
    from arawn.network.routes import Proxy, Server

PART = 64 << 10
"""Bytes that are read or written at a time; before each part the deadlines are asked."""

KEPT_FOR = 30.0
"""Seconds a connection is kept without being used."""


class Request(NamedTuple):
    """A request as it goes out. The headers are whole; ``content`` yields the body."""

    method: bytes
    target: bytes
    headers: Sequence[tuple[bytes, bytes]]
    content: Iterable[bytes] | AsyncIterable[bytes]
    deadlines: Deadlines


def request_to(server: Server, request: Request) -> httpcore.Request:
    """Return a request for the pool. What it calls a timeout are the deadlines: the network streams below read them."""
    port = None if server.port == PORTS[server.scheme] else server.port
    host = bracketed(server.host).encode()
    url = httpcore.URL(scheme=server.scheme.encode(), host=host, port=port, target=request.target)
    deadlines = request.deadlines
    timeouts = {"connect": deadlines, "read": deadlines, "write": deadlines}
    return httpcore.Request(
        request.method, url, headers=request.headers, content=request.content, extensions={"timeout": timeouts}
    )


def proxy_for_pool(proxy: Proxy | None, tls: ssl.SSLContext | None) -> httpcore.Proxy | None:
    """Return a proxy as the pool takes it."""
    if proxy is None:
        return None
    url = httpcore.URL(scheme=proxy.scheme.encode(), host=bracketed(proxy.host).encode(), port=proxy.port, target=b"")
    auth = (proxy.user.encode(), proxy.password.encode()) if proxy.user else None
    return httpcore.Proxy(url, auth=auth, ssl_context=tls if proxy.scheme == "https" else None)


def bracketed(host: str) -> str:
    """Return a host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def bare_host(host: str) -> str:
    """Return a host as the system's resolver takes it."""
    return host.strip("[]")


def name_in_certificate(host: str) -> str:
    """Return the name a server's certificate has to bear: an IPv6 address without brackets and zone."""
    return bare_host(host).partition("%")[0]


def is_readable(descriptor: int) -> bool:
    """Say whether a socket has bytes, or its end, to be read."""
    if not hasattr(select, "poll"):
        return bool(select.select([descriptor], [], [], 0)[0])
    watch = select.poll()
    watch.register(descriptor, select.POLLIN)
    return bool(watch.poll(0))


class Unsent:
    """The head of a request, kept until its body follows: httpcore writes one after the other, then nothing."""

    def __init__(self) -> None:
        self._head = b""
        self._is_beginning = True

    def begin(self) -> None:
        """Say that a next request may begin: something was read."""
        self._is_beginning = True

    def add(self, data: bytes) -> bytes:
        """Return what is to be written now."""
        if self._is_beginning:
            self._is_beginning, self._head = False, data
            return b""
        head, self._head = self._head, b""
        return head + data if head else data


class Lane:
    """One pool of httpcore for one connection; ``backend`` knows the stream that was opened."""

    def __init__(self, pool: Any, backend: Backend) -> None:
        self.pool = pool
        self.backend = backend

    def close(self) -> None:
        """Close its connection at once: httpcore forgets one whose proxy refused."""
        if self.backend.opened is not None:
            self.backend.opened.abort()


class Backend(Protocol):
    """A network backend of httpcore that keeps the stream it opened last."""

    @property
    def opened(self) -> Stream | None:
        """The stream, None before the first."""
        ...


class Stream(Protocol):
    """A network stream of httpcore that can be closed at once."""

    def abort(self) -> None:
        """Close it."""
        ...


class Lanes:
    """Lanes kept for the next request; the one used last is the first to be used again. ``make`` makes another."""

    def __init__(self, make: Callable[[], Lane]) -> None:
        self._make = make
        self._idle: list[tuple[float, Lane]] = []
        self._busy: set[Lane] = set()

    def take(self) -> Lane:
        """Return a lane for one request; ``give_back`` or ``drop`` must follow."""
        oldest = time.monotonic() - KEPT_FOR
        while self._idle and self._idle[0][0] < oldest:
            self._idle.pop(0)[1].close()
        lane = self._idle.pop()[1] if self._idle else self._make()
        self._busy.add(lane)
        return lane

    def give_back(self, lane: Lane) -> None:
        """Keep a lane for the next request, if its connection is."""
        if lane in self._busy and lane.pool.connections:
            self._idle.append((time.monotonic(), lane))
        self._busy.discard(lane)

    def drop(self, lane: Lane) -> None:
        """Close a lane whose request failed."""
        self._busy.discard(lane)
        lane.close()

    def close(self) -> None:
        """Close all, those at work as well."""
        for lane in [*(lane for _, lane in self._idle), *self._busy]:
            lane.close()
        self._idle.clear()
        self._busy.clear()


class Answer:
    """An answer over a lane, to be read by ``BlockingPool`` or ``AsyncPool``."""

    def __init__(self, response: httpcore.Response, lane: Lane) -> None:
        self.lane = lane
        self.status = response.status
        self.headers = response.headers
        self.stream: Any = response.stream
        self._state = _state_of(response)
        self._is_ambiguous = _says_two_lengths(response.headers)
        self.has_ended = False
        self.is_released = False

    def with_arrived(self, part: bytes) -> bytes:
        """Return a part of the body with all that came in the same read behind it."""
        parts: list[bytes] = [part]
        try:
            event = self._state.next_event()
            while (data := getattr(event, "data", None)) is not None:
                parts.append(data)
                event = self._state.next_event()
        except Exception:  # noqa: BLE001 -- the pool meets the same error with its next step
            return b"".join(parts)
        self.has_ended = type(event).__name__ == "EndOfMessage"
        return b"".join(parts) if len(parts) > 1 else part

    @property
    def is_last(self) -> bool:
        """Whether nothing may follow on its connection: what is left there would be taken for the next answer."""
        return self._is_ambiguous or bool(self._state.trailing_data[0])


def _state_of(response: httpcore.Response) -> Any:
    stream: Any = response.stream
    return stream._stream._connection._h11_state  # noqa: SLF001 -- see above


def _says_two_lengths(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    names = {name.lower() for name, _ in headers}
    return b"content-length" in names and b"transfer-encoding" in names


def failure_of(error: Exception, proxy: Proxy | None) -> Exception:
    """Return our exception for one of httpcore's, and any other as it is. Raise it outside the ``except``."""
    match error:
        case httpcore.ProxyError():
            return ProxyRefused(_refusal(str(error)))
        case httpcore.RemoteProtocolError():
            words = str(error)
            return ClosedEarly() if words.startswith("Server disconnected") else NotHttp(words)
        case httpcore.LocalProtocolError():
            return NotSendable()
        case AssertionError() if proxy is not None and proxy.is_socks:
            return ProxyRefused("The proxy does not speak SOCKS 5")
        case _ if type(error).__module__.startswith("socksio"):
            return ProxyRefused(f"The proxy does not speak SOCKS 5: {error}")
        case _:
            return error


def _refusal(words: str) -> str:
    """Return why a proxy refuses; httpcore speaks of ours and theirs in SOCKS, and of the status otherwise."""
    if words.startswith("Requested "):
        return f"The proxy wants another way to log in: {words.rpartition('got ')[2].rstrip('.').lower()}"
    if words.startswith("Proxy Server could not connect: "):
        return f"The proxy cannot connect: {words.partition(': ')[2].rstrip('.').lower()}"
    return "The proxy does not accept user and password" if words.startswith("Invalid username") else words
