"""Blocking connections: their ``async`` methods never suspend, and wait no longer than the clocks of the call allow."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from arawn.network.links import PART, Broken, is_readable

if TYPE_CHECKING:
    import ssl

    from arawn.network.deadlines import Clocks
    from arawn.network.nested import Nested


async def connect(host: str, port: int, clocks: Clocks) -> BlockingLink:
    """Connect within the time of the clocks, shared among the addresses of the host."""
    addresses = _looked_up(host, port, clocks)
    failure: OSError = OSError("the name has no address")
    for tried, address in enumerate(addresses):
        share = clocks.remaining() / (len(addresses) - tried)  # a silent address leaves time for the next
        try:
            found = socket.create_connection((address, port), share)
        except OSError as error:
            failure = error
            continue
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return BlockingLink(found)
    if isinstance(failure, TimeoutError):
        raise clocks.expired()
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


class BlockingLink:
    """One blocking connection; see Link."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket: socket.socket | Nested = opened

    async def read(self, clocks: Clocks) -> bytes:
        """Wait for bytes; none mean the end."""
        self._socket.settimeout(clocks.remaining())
        try:
            data = self._socket.recv(PART)
        except TimeoutError:
            raise clocks.expired() from None
        except OSError as error:
            raise Broken(error) from None
        clocks.heard()
        return data

    async def write(self, data: bytes, clocks: Clocks) -> None:
        """Send all, part by part."""
        for start in range(0, len(data), PART):
            self._socket.settimeout(clocks.remaining())
            try:
                self._socket.sendall(data[start : start + PART])
            except TimeoutError:
                raise clocks.expired() from None
            except OSError:
                return
            clocks.sent()

    async def secure(self, trust: ssl.SSLContext, host: str, clocks: Clocks) -> None:
        """Speak TLS from now on."""
        self._socket.settimeout(clocks.remaining())
        try:
            self._socket = _secured(self._socket, trust, host)
        except TimeoutError:
            raise clocks.expired() from None

    async def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def is_spent(self) -> bool:
        """Say whether there are bytes that nobody asked for, or the end."""
        descriptor = self._socket.fileno()
        return descriptor < 0 or is_readable(descriptor)


def _secured(below: socket.socket | Nested, trust: ssl.SSLContext, host: str) -> socket.socket | Nested:
    from ssl import SSLSocket

    if isinstance(below, SSLSocket):
        from arawn.network.nested import Nested

        return Nested(below, trust, host)
    assert isinstance(below, socket.socket), "no way leads through three layers of TLS"
    return trust.wrap_socket(below, server_hostname=host)
