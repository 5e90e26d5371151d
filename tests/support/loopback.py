"""A server on loopback that does what a test tells it, byte by byte, and remembers what it was asked.

    with Loopback([answer(b'{"ok": true}')], [answer(status=429)]) as server: ...

Each request gets the next script, and the last script again and again. A script is a list of steps: bytes are sent as
they are; ``Pause``, ``WaitFor``, ``Signal``, ``Drip``, ``Flood``, ``Stall``, ``Rst``, ``Fin`` and ``Tunnel`` are below.
After a script the connection stays open for the next request. ``greeting`` is sent before any request came.
``server.url`` is its address, ``server.requests`` what it received, ``server.connections`` how many came;
``server.idle()`` waits until all of them have ended.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TypeAlias

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping


@dataclass(frozen=True)
class Pause:
    """Do nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class WaitFor:
    """Do nothing until the event is set."""

    event: threading.Event


@dataclass(frozen=True)
class Signal:
    """Set the event: what stands before it in the script has been sent."""

    event: threading.Event


@dataclass(frozen=True)
class Drip:
    """Send these bytes one at a time, so many seconds apart, from the start again until the client leaves."""

    data: bytes
    seconds: float


@dataclass(frozen=True)
class Flood:
    """Send these bytes again and again until the client leaves."""

    data: bytes


@dataclass(frozen=True)
class Stall:
    """Do nothing more; the connection stays open."""


@dataclass(frozen=True)
class Fin:
    """Close the connection in order."""


@dataclass(frozen=True)
class Rst:
    """Cut the connection: the client sees a reset."""


@dataclass(frozen=True)
class Tunnel:
    """Be a proxy: relay bytes between the client and this loopback port."""

    port: int


Step: TypeAlias = bytes | Pause | WaitFor | Signal | Drip | Flood | Stall | Fin | Rst | Tunnel


@dataclass(frozen=True)
class Received:
    """One request. Header names are lower case; ``raw`` is everything, as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    raw: bytes = field(repr=False)


def answer(
    body: bytes = b"", status: int = 200, *, content_type: str = "application/json", headers: Mapping[str, str] = {}
) -> bytes:
    """A whole answer with its length; an empty ``content_type`` leaves that header out."""
    return head(status, content_type=content_type, headers={**headers, "Content-Length": str(len(body))}) + body


def head(status: int = 200, *, content_type: str = "text/event-stream", headers: Mapping[str, str] = {}) -> bytes:
    """Status line and headers alone."""
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*lines, "", ""]).encode()


def chunked(*parts: bytes, end: bool = True) -> bytes:
    """A body in chunked coding, its terminator included unless told otherwise."""
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part) + (b"0\r\n\r\n" if end else b"")


CHUNKED = {"Transfer-Encoding": "chunked"}


class Loopback:
    """The server; a context manager. With ``tls`` it speaks https."""

    def __init__(
        self,
        *scripts: list[Step],
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        greeting: bytes = b"",
    ) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self._scripts = scripts
        self._tls = tls
        self._greeting = greeting
        self._over = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((host, 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._shut(self._listener)
        for connection in list(self._open):
            self._shut(connection)
        for thread in self._threads:
            thread.join(5)

    def idle(self) -> None:
        """Wait until every connection has ended."""
        for thread in self._threads[1:]:
            thread.join(30)
        assert not self._open

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections += 1
                self._open.add(connection)
                self._start(self._serve, connection)
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                plain, connection = connection, self._tls.wrap_socket(connection, server_side=True)
                self._open.discard(plain)
                self._open.add(connection)
            connection.sendall(self._greeting)
            buffer = b""
            while not self._over.is_set():
                received, buffer = self._receive(connection, buffer)
                if received is None:
                    break
                script = self._scripts[min(len(self.requests), len(self._scripts) - 1)]
                self.requests.append(received)
                if not all(self._play(connection, step) for step in script):
                    break
        self._shut(connection)
        self._open.discard(connection)
        connection.close()

    def _receive(self, connection: socket.socket, buffer: bytes) -> tuple[Received | None, bytes]:
        def more() -> bytes:
            data = connection.recv(65536)
            if not data:
                raise ConnectionError
            return data

        try:
            while b"\r\n\r\n" not in buffer:
                buffer += more()
            first, _, buffer = buffer.partition(b"\r\n\r\n")
            request, *lines = first.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = int(headers.get("content-length", 0))
            while len(buffer) < length:
                buffer += more()
        except ConnectionError:
            return None, b""
        method, target, _ = request.split(" ")
        body, rest = buffer[:length], buffer[length:]
        return Received(method, target, headers, body, first + b"\r\n\r\n" + body), rest

    def _play(self, connection: socket.socket, step: Step) -> bool:  # noqa: C901, PLR0912 -- one case a step
        """Do one step; False ends the connection."""
        match step:
            case bytes():
                connection.sendall(step)
            case Pause(seconds):
                self._over.wait(seconds)
            case WaitFor(event):
                while not (event.wait(0.05) or self._over.is_set()):
                    pass
            case Signal(event):
                event.set()
            case Stall():
                self._over.wait()
            case Drip(data, seconds):
                while not self._over.is_set():
                    for byte in data:
                        connection.sendall(bytes([byte]))
                        if self._over.wait(seconds):
                            break
            case Flood(data):
                while not self._over.is_set():
                    connection.sendall(data)
            case Tunnel(port):
                self._relay(connection, port)
                return False
            case Fin():
                return False
            case Rst():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._open.discard(connection)
                connection.close()
                return False
        return True

    def _relay(self, connection: socket.socket, port: int) -> None:
        def pump(source: socket.socket, sink: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(65536):
                    sink.sendall(data)
            self._shut(source)
            self._shut(sink)

        with socket.create_connection(("127.0.0.1", port)) as upstream:
            self._open.add(upstream)
            back = threading.Thread(target=pump, args=(upstream, connection), daemon=True)
            back.start()
            pump(connection, upstream)
            back.join(5)
            self._open.discard(upstream)

    @staticmethod
    def _shut(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
