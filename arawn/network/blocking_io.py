"""Blocking connections for httpcore's pool: no step takes longer than what is left until the deadlines of the call.

httpcore's timeouts are per read, so that a server that drips would never end. Its documented extension, a network
backend, is handed whatever the request named as its timeout, unread: here these are the Deadlines of the call.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import httpcore

from arawn.network import connection
from arawn.network.connection import (
    PART,
    Answer,
    Lane,
    Lanes,
    Unsent,
    bare_host,
    failure_of,
    is_readable,
    name_in_certificate,
    proxy_for_pool,
    request_to,
)
from arawn.network.http_errors import ConnectionLost

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from arawn.network.connection import Request
    from arawn.network.deadlines import Deadlines
    from arawn.network.routes import Proxy, Server

T = TypeVar("T")


class BlockingPool:
    """Connections to one server, kept for the next request."""

    def __init__(self, server: Server, proxy: Proxy | None, tls: ssl.SSLContext | None) -> None:
        self._server = server
        self._proxy = proxy
        self._tls = tls
        self._lanes = Lanes(self._lane)

    def send(self, request: Request) -> Answer:
        """Send a request and return its answer, which must be closed. Raises CONNECTION_ERRORS, OSError and others."""
        lane = self._lanes.take()
        try:
            return Answer(lane.pool.handle_request(request_to(self._server, request)), lane)
        except BaseException as error:
            self._lanes.drop(lane)
            if not isinstance(error, Exception):
                raise
            failure = failure_of(error, self._proxy)
        raise failure

    def chunks(self, answer: Answer) -> Iterator[bytes]:
        """Yield the body, all that came in one read at once."""
        parts = iter(answer.stream)
        try:
            for part in parts:
                yield answer.with_arrived(part)
                if answer.has_ended:
                    break
        except Exception as error:  # noqa: BLE001 -- see failure_of
            failure = failure_of(error, self._proxy)
        else:
            return
        finally:
            self.release(answer)
        raise failure

    def release(self, answer: Answer) -> None:
        """Give the connection of an answer back, or close it where no other may follow."""
        if answer.is_released:  # a second time, the connection may be at work for somebody else
            return
        answer.is_released = True
        if answer.is_last:
            answer.lane.close()
        answer.stream.close()
        self._lanes.give_back(answer.lane)

    def close(self) -> None:
        """Close all connections."""
        self._lanes.close()

    def _lane(self) -> Lane:
        backend = _Backend()
        pool = httpcore.ConnectionPool(
            ssl_context=self._tls,
            proxy=proxy_for_pool(self._proxy, self._tls),
            max_connections=1,
            keepalive_expiry=connection.KEPT_FOR,
            network_backend=backend,
        )
        return Lane(pool, backend)


class _Backend(httpcore.NetworkBackend):
    """Connects within the time that is left, shared among the addresses of the host."""

    opened: _TcpStream | None = None

    def connect_tcp(  # type: ignore[override]  # the rest nobody gives
        self, host: str, port: int, timeout: Any = None, **_: Any
    ) -> httpcore.NetworkStream:
        deadlines: Deadlines = timeout
        addresses = _looked_up(bare_host(host), port, deadlines)
        failure: OSError = OSError("the name has no address")
        for tried, address in enumerate(addresses):
            share = deadlines.remaining() / (len(addresses) - tried)  # a silent address leaves time for the next
            try:
                opened = socket.create_connection((address, port), share)
            except OSError as error:
                failure = error
                continue
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.opened = _TcpStream(opened, deadlines)
            return self.opened
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
    """One connection. What waits raises DeadlineExpired; what broke it off is told by ``read``."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines  # of the call that opened it, for steps that name none: a handshake with a proxy
        self._unsent = Unsent()

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        self._unsent.begin()
        return self.receive(min(max_bytes, PART), timeout or self._deadlines)

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        """Send all, part by part."""
        data = self._unsent.add(buffer) if timeout is not None else buffer
        for start in range(0, len(data), PART):
            self.transmit(data[start : start + PART], timeout or self._deadlines)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Any = None
    ) -> httpcore.NetworkStream:
        """Speak TLS from now on, also within TLS."""
        try:
            return _TlsStream(self, ssl_context, server_hostname or "", timeout or self._deadlines)
        except (ConnectionLost, httpcore.WriteError) as error:
            failure = error.args[0]
        except BaseException:
            self.close()
            raise
        self.close()
        raise failure

    def receive(self, size: int, deadlines: Deadlines) -> bytes:
        """Wait for bytes; none mean the end."""
        raise NotImplementedError

    def transmit(self, data: bytes, deadlines: Deadlines) -> None:
        """Send all of a part. Raises WriteError, after which the pool reads what the server may have answered."""
        raise NotImplementedError


class _TcpStream(_Stream):
    """A connection as the system has it."""

    def __init__(self, opened: socket.socket, deadlines: Deadlines) -> None:
        super().__init__(deadlines)
        self._socket = opened

    def receive(self, size: int, deadlines: Deadlines) -> bytes:
        self._socket.settimeout(deadlines.remaining())
        try:
            data = self._socket.recv(size)
        except TimeoutError:
            raise deadlines.expired() from None
        except OSError as error:
            raise ConnectionLost(error) from None
        deadlines.received()
        return data

    def transmit(self, data: bytes, deadlines: Deadlines) -> None:
        self._socket.settimeout(deadlines.remaining())
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise deadlines.expired() from None
        except OSError as error:
            raise httpcore.WriteError(error) from None
        deadlines.sent()

    def close(self) -> None:
        self._socket.close()

    def abort(self) -> None:
        """Close the connection, and so all TLS above it."""
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        if info != "is_readable":
            return None
        descriptor = self._socket.fileno()
        return descriptor < 0 or is_readable(descriptor)


class _TlsStream(_Stream):
    """TLS over a stream, which may be TLS itself: a tunnel through a proxy that is reached by https."""

    def __init__(self, below: _Stream, tls: ssl.SSLContext, host: str, deadlines: Deadlines) -> None:
        from ssl import MemoryBIO

        super().__init__(deadlines)
        self._below = below
        self._coming, self._going = MemoryBIO(), MemoryBIO()
        self._tls = tls.wrap_bio(self._coming, self._going, server_hostname=name_in_certificate(host))
        self._do(self._tls.do_handshake, deadlines)

    def receive(self, size: int, deadlines: Deadlines) -> bytes:
        from ssl import SSLEOFError, SSLError, SSLZeroReturnError

        try:
            return self._do(lambda: self._tls.read(size), deadlines)
        except (SSLZeroReturnError, SSLEOFError):
            return b""
        except SSLError as error:
            raise ConnectionLost(error) from None

    def transmit(self, data: bytes, deadlines: Deadlines) -> None:
        while data:
            sent = self._do(partial(self._tls.write, data), deadlines)
            data = data[sent:]

    def close(self) -> None:
        self._below.close()

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._tls
        return bool(self._coming.pending) or self._below.get_extra_info(info)

    def _do(self, step: Callable[[], T], deadlines: Deadlines) -> T:
        """Do a step, carrying bytes between the two layers until it can be done."""
        from ssl import SSLWantReadError

        while True:
            try:
                result = step()
            except SSLWantReadError:
                self._send(deadlines)
                received = self._below.receive(PART, deadlines)
                if received:
                    self._coming.write(received)
                else:
                    self._coming.write_eof()
            else:
                self._send(deadlines)
                return result

    def _send(self, deadlines: Deadlines) -> None:
        if self._going.pending:
            self._below.transmit(self._going.read(), deadlines)
