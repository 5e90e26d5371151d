"""Network connections that ask the clocks of the request how long they may wait.

They stand around an engine's own connections and have the same methods. Where the engine hands in a timeout it is the
Clocks of the request; only during the handshake with a SOCKS proxy it hands in none, and then those count with which
the connection was opened.
"""

# ruff: noqa: ASYNC109 -- the engine calls these methods by these names

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

    from arawn.backends.clocks import Clocks

_PART = 64 << 10


class BlockingNetwork:
    """Opens blocking connections; after an exception of the kinds ``unreachable`` it tries the next address."""

    def __init__(self, inner: Any, unreachable: tuple[type[Exception], ...]) -> None:
        self._inner = inner
        self._unreachable = unreachable

    def connect_tcp(self, host: str, port: int, timeout: Clocks, **_: object) -> BlockingStream:
        """Connect within the time of the clocks, shared among the addresses of the host."""
        addresses = _looked_up(host, port, timeout)
        failure: Exception = OSError("the name has no address")
        for tried, address in enumerate(addresses):
            share = timeout.remaining() / (len(addresses) - tried)  # a silent address leaves time for the next
            try:
                return BlockingStream(self._inner.connect_tcp(address, port, share), timeout)
            except self._unreachable as error:
                failure = error
        raise failure


def _looked_up(host: str, port: int, clocks: Clocks) -> list[str]:
    """Resolve a name in a thread: the system's resolver knows no timeout, and does not stop for Ctrl-C."""
    from threading import Thread

    answers: list[list[str] | Exception] = []

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.append(list(dict.fromkeys(str(address[0]) for *_, address in found)))
        except Exception as error:  # noqa: BLE001 -- raised where the caller waits
            answers.append(error)

    thread = Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(clocks.remaining())
    match answers:
        case [list() as addresses]:
            return addresses
        case [Exception() as error]:
            raise error
        case _:
            raise clocks.expired()


class BlockingStream:
    """One blocking connection."""

    def __init__(self, inner: Any, clocks: Clocks) -> None:
        self._inner = inner
        self._opened_with = clocks
        self.get_extra_info = inner.get_extra_info
        self.close = inner.close

    def read(self, max_bytes: int, timeout: Clocks | None = None) -> bytes:
        """Wait for bytes; none mean the end."""
        clocks = timeout or self._opened_with
        data: bytes = self._inner.read(max_bytes, clocks.remaining())
        clocks.heard()
        return data

    def write(self, buffer: bytes, timeout: Clocks | None = None) -> None:
        """Send all, part by part."""
        clocks = timeout or self._opened_with
        for start in range(0, len(buffer), _PART):
            self._inner.write(buffer[start : start + _PART], clocks.remaining())
            clocks.sent()

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str, timeout: Clocks) -> BlockingStream:
        """Shake hands, and return the secured connection."""
        return BlockingStream(self._inner.start_tls(ssl_context, server_hostname, timeout.remaining()), timeout)


class AsyncNetwork:
    """Opens connections on asyncio."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def connect_tcp(self, host: str, port: int, timeout: Clocks, **_: object) -> AsyncStream:
        """Connect within the time of the clocks."""
        return AsyncStream(await self._inner.connect_tcp(host, port, timeout.remaining()), timeout)


class AsyncStream:
    """One connection on asyncio."""

    def __init__(self, inner: Any, clocks: Clocks) -> None:
        self._inner = inner
        self._opened_with = clocks
        self.get_extra_info = inner.get_extra_info
        self.aclose = inner.aclose

    async def read(self, max_bytes: int, timeout: Clocks | None = None) -> bytes:
        """Wait for bytes; none mean the end."""
        clocks = timeout or self._opened_with
        data: bytes = await self._inner.read(max_bytes, clocks.remaining())
        clocks.heard()
        return data

    async def write(self, buffer: bytes, timeout: Clocks | None = None) -> None:
        """Send all, part by part."""
        clocks = timeout or self._opened_with
        for start in range(0, len(buffer), _PART):
            await self._inner.write(buffer[start : start + _PART], clocks.remaining())
            clocks.sent()

    async def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str, timeout: Clocks) -> AsyncStream:
        """Shake hands, and return the secured connection."""
        return AsyncStream(await self._inner.start_tls(ssl_context, server_hostname, timeout.remaining()), timeout)
