"""Blocking connections: httpcore's pool, in which each step takes no longer than what is left until the deadlines.

httpcore's timeouts are per read, so that a server that drips would never end. Its documented extension, a network
backend, is handed whatever the request named as its timeout, unread: here these are the Deadlines of the call. The
system's own timeouts are for a whole step (a handshake, a read, a write), however often bytes arrive meanwhile.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, TypeVar

import httpcore

from arawn.network import connection
from arawn.network.connection import PART, failure_of, is_readable
from arawn.network.http_errors import ConnectionLost

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from arawn.network.connection import Arrived
    from arawn.network.deadlines import Deadlines
    from arawn.network.routes import Proxy

T = TypeVar("T")


class BlockingPool:
    """httpcore's pool, for requests and responses as httpx and httpcore have them."""

    def __init__(self, proxy: Proxy | None, tls: ssl.SSLContext | None) -> None:
        self._through_socks = proxy is not None and proxy.is_socks
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls,
            proxy=_proxy_for_pool(proxy, tls),
            max_connections=None,
            keepalive_expiry=connection.KEPT_FOR,
            network_backend=_Backend(),
        )

    def send(self, request: Any, deadlines: Deadlines) -> httpcore.Response:
        """Send a request of httpx's; its response must be closed. Raises what a connection raises."""
        opened: list[Any] = []

        def trace(event: str, info: Any) -> None:
            if event.endswith(".connect_tcp.complete"):
                opened.append(info["return_value"])

        timeouts = dict.fromkeys(("connect", "read", "write"), deadlines)
        url = request.url
        host, extensions = _bracketed(url.raw_host), {"timeout": timeouts, "trace": trace}
        address = httpcore.URL(scheme=url.raw_scheme, host=host, port=url.port, target=url.raw_path)
        asked = httpcore.Request(
            request.method, address, headers=request.headers.raw, content=request.stream, extensions=extensions
        )
        try:
            return self._pool.handle_request(asked)
        except BaseException as error:
            for stream in opened:  # the pool forgets a connection whose proxy refused
                stream.close()
            if not isinstance(error, Exception):
                raise
            failure = failure_of(error, httpcore, through_socks=self._through_socks)
        raise failure

    def chunks(self, response: httpcore.Response, arrived: Arrived) -> Iterator[bytes]:
        """Yield the body, all that came in one read at once. Raises what ``send`` does."""
        try:
            for part in response.iter_stream():
                yield arrived.with_arrived(part)
                if arrived.has_ended:
                    break
        except Exception as error:  # noqa: BLE001 -- see failure_of
            failure = failure_of(error, httpcore)
        else:
            return
        raise failure

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


def _proxy_for_pool(proxy: Proxy | None, tls: ssl.SSLContext | None) -> httpcore.Proxy | None:
    if proxy is None:
        return None
    url = httpcore.URL(scheme=proxy.scheme.encode(), host=_bracketed(proxy.host.encode()), port=proxy.port, target=b"")
    auth = (proxy.user.encode(), proxy.password.encode()) if proxy.user else None
    return httpcore.Proxy(url, auth=auth, ssl_context=tls if proxy.scheme == "https" else None)


def _bracketed(host: bytes) -> bytes:
    """Return a host as it stands in an address."""
    return b"[%b]" % host if b":" in host else host


class _Backend(httpcore.NetworkBackend):
    """Connects within the time that is left, shared among the addresses of the host."""

    def connect_tcp(  # type: ignore[override]  # httpcore's pool passes no other arguments
        self, host: str, port: int, timeout: Any = None, **_: Any
    ) -> httpcore.NetworkStream:
        deadlines: Deadlines = timeout
        addresses = _looked_up(host.strip("[]"), port, deadlines)
        failure: OSError = OSError("the name has no address")
        for tried, address in enumerate(addresses):
            share = deadlines.remaining() / (len(addresses) - tried)  # a silent address leaves time for the next
            try:
                opened = socket.create_connection((address, port), share)
            except OSError as error:
                failure = error
                continue
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _Stream(opened, deadlines)
        if isinstance(failure, TimeoutError):
            raise deadlines.expired()
        raise failure


def _looked_up(host: str, port: int, deadlines: Deadlines) -> list[str]:
    """Resolve a name in a thread: the system's resolver knows no timeout, and does not stop for Ctrl-C."""
    from threading import Thread

    answers: list[list[str] | Exception] = []

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.append(list(dict.fromkeys(_address(family, at) for family, _, _, _, at in found)))
        except Exception as error:  # noqa: BLE001 -- raised where the caller waits
            answers.append(error)

    thread = Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(deadlines.remaining())
    match answers:
        case [list() as addresses]:
            return addresses
        case [Exception() as error]:
            raise error
        case _:
            raise deadlines.expired()


def _address(family: int, at: Any) -> str:
    """Return an address with the zone that is a part of a link-local one."""
    host, zone = str(at[0]), at[3] if family == socket.AF_INET6 else 0
    return f"{host}%{zone}" if zone and "%" not in host else host


class _Stream(httpcore.NetworkStream):
    """One connection. A step without a timeout, of a handshake with a proxy, has the deadlines it was opened with."""

    def __init__(self, opened: socket.socket, deadlines: Deadlines) -> None:
        self._socket = opened
        self._deadlines = deadlines

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        """Wait for bytes; none mean the end."""
        deadlines: Deadlines = timeout or self._deadlines
        data = self._do(lambda: self._receive(min(max_bytes, PART), deadlines), deadlines, ConnectionLost)
        deadlines.received()
        return data

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        """Send all. Raises WriteError, after which the pool reads what the server may have answered."""
        deadlines: Deadlines = timeout or self._deadlines
        self._do(lambda: self._transmit(buffer, deadlines), deadlines, httpcore.WriteError)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Any = None
    ) -> httpcore.NetworkStream:
        """Speak TLS from now on, also within TLS."""
        deadlines: Deadlines = timeout or self._deadlines
        name = (server_hostname or "").strip("[]").partition("%")[0]  # a certificate names no brackets and no zone
        try:
            return self._do(lambda: self._secured(ssl_context, name, deadlines), deadlines)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        return self._is_readable() if info == "is_readable" else None

    def _do(self, step: Callable[[], T], deadlines: Deadlines, failure: type[Exception] | None = None) -> T:
        """Do a step in the time that is left. ``failure`` is raised with the system's error, where it is given."""
        self._socket.settimeout(deadlines.remaining())
        try:
            return step()
        except TimeoutError:
            raise deadlines.expired() from None
        except OSError as error:
            if failure is None:
                raise
            raise failure(error) from None

    def _receive(self, size: int, _deadlines: Deadlines) -> bytes:
        return self._socket.recv(size)

    def _transmit(self, data: bytes, _deadlines: Deadlines) -> None:
        self._socket.sendall(data)

    def _secured(self, tls: ssl.SSLContext, name: str, deadlines: Deadlines) -> _Stream:
        from ssl import SSLSocket

        if isinstance(self._socket, SSLSocket):
            return _NestedTls(self._socket, tls, name, deadlines)
        return _Stream(tls.wrap_socket(self._socket, server_hostname=name), deadlines)

    def _is_readable(self) -> bool:
        return is_readable(self._socket)


class _NestedTls(_Stream):
    """TLS within TLS: a tunnel through a proxy that is reached by https. A socket of the standard library cannot do it.

    httpcore's own class for it is private, and gives the whole timeout to each read of a handshake.
    """

    def __init__(self, below: ssl.SSLSocket, tls: ssl.SSLContext, name: str, deadlines: Deadlines) -> None:
        from ssl import MemoryBIO

        super().__init__(below, deadlines)
        self._coming, self._going = MemoryBIO(), MemoryBIO()
        self._tls = tls.wrap_bio(self._coming, self._going, server_hostname=name)
        self._carry(self._tls.do_handshake, deadlines)

    def _receive(self, size: int, deadlines: Deadlines) -> bytes:
        from ssl import SSLEOFError, SSLZeroReturnError

        try:
            return self._carry(lambda: self._tls.read(size), deadlines)
        except (SSLZeroReturnError, SSLEOFError):
            return b""

    def _transmit(self, data: bytes, deadlines: Deadlines) -> None:
        self._carry(lambda: self._tls.write(data), deadlines)

    def _is_readable(self) -> bool:
        return bool(self._coming.pending) or super()._is_readable()

    def _carry(self, step: Callable[[], T], deadlines: Deadlines) -> T:
        """Do a step, carrying bytes between the two layers until it can be done."""
        from ssl import SSLWantReadError

        while True:
            try:
                result = step()
            except SSLWantReadError:
                self._socket.sendall(self._going.read())
                self._socket.settimeout(deadlines.remaining())
                received = self._socket.recv(PART)
                if received:
                    self._coming.write(received)
                else:
                    self._coming.write_eof()
            else:
                self._socket.sendall(self._going.read())
                return result
