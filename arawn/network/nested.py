"""TLS within TLS, for blocking sockets: a tunnel through a proxy that is reached by https itself."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_RECORD = 16 << 10


class Nested:
    """As much of a socket as a connection needs. Raises what the socket below raises."""

    def __init__(self, below: ssl.SSLSocket, trust: ssl.SSLContext, host: str) -> None:
        self._below = below
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trust.wrap_bio(self._coming, self._going, server_hostname=host)
        self.settimeout, self.close, self.fileno = below.settimeout, below.close, below.fileno
        self._done(self._tls.do_handshake)

    def recv(self, most: int) -> bytes:
        """Wait for bytes; none mean the end."""
        try:
            return self._done(partial(self._tls.read, most))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def sendall(self, data: bytes) -> None:
        """Send all."""
        while data:
            data = data[self._done(partial(self._tls.write, data)) :]

    def _done(self, step: Callable[[], T]) -> T:
        """Do a step, carrying bytes between the two layers until it can be done."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._send()
                received = self._below.recv(_RECORD)
                if received:
                    self._coming.write(received)
                else:
                    self._coming.write_eof()
            else:
                self._send()
                return result

    def _send(self) -> None:
        if self._going.pending:
            self._below.sendall(self._going.read())
