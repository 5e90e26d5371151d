"""A server on loopback that answers at once: ``/N/v1/chat/completions`` streams N tokens in one write.

``/stamped/v1/…`` streams a token now and then instead, and the token is the time it was sent at: nanoseconds of
CLOCK_MONOTONIC, which every process on the machine shares. ``/arrived/v1/…`` answers with the time the request came at.
It is a process of its own, so that its work is not counted as a client's.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STAMPS = 20
_PAUSE = 0.02
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_END = b"0\r\n\r\n"


@contextmanager
def upstream() -> Iterator[str]:
    """Run the server while the block runs; yields its address."""
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.upstream"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def answer(tokens: int) -> bytes:
    """Return a whole streamed answer of so many tokens, each a chunk of its own, as services send them."""
    words = ("The ", "quick ", "brown ", "fox ")
    pieces = [_chunk({"delta": {"role": "assistant", "content": ""}})]
    pieces += [_chunk({"delta": {"content": words[at % 4]}}) for at in range(tokens)]
    return b"".join([_HEAD, *pieces, _last(tokens)])


def _last(tokens: int) -> bytes:
    usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9}
    return _chunk({"delta": {}, "finish_reason": "stop"}) + _chunk(None, usage) + _framed("[DONE]") + _END


def _chunk(choice: dict[str, object] | None, usage: dict[str, int] | None = None) -> bytes:
    event = {
        "id": "chatcmpl-0123456789",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "bench-1",
        "choices": [] if choice is None else [{"index": 0, "finish_reason": None, **choice}],
        "usage": usage,
    }
    return _framed(json.dumps(event, separators=(",", ":")))


def _framed(data: str) -> bytes:
    event = f"data: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(event), event)


def main() -> None:
    """Serve until the process is ended; the port is the first line of output."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    prepared = {str(tokens): answer(tokens) for tokens in (20, 20_000)}
    while True:
        connection, _ = listener.accept()
        Thread(target=_serve, args=(connection, prepared), daemon=True).start()


def _serve(connection: socket.socket, prepared: dict[str, bytes]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError), connection, connection.makefile("rb") as stream:
        while line := stream.readline():
            arrived = time.monotonic_ns()
            length = 0
            while (header := stream.readline()) not in (b"\r\n", b""):
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            stream.read(length)
            wanted = line.split(b"/")[1].decode()
            if wanted == "stamped":
                _send_stamps(connection)
            elif wanted == "arrived":
                connection.sendall(_HEAD + _chunk({"delta": {"content": f"{arrived}"}}) + _last(1))
            else:
                connection.sendall(prepared[wanted])


def _send_stamps(connection: socket.socket) -> None:
    connection.sendall(_HEAD + _chunk({"delta": {"role": "assistant", "content": ""}}))
    for _ in range(STAMPS):
        time.sleep(_PAUSE)
        connection.sendall(_chunk({"delta": {"content": f"{time.monotonic_ns()} "}}))
    connection.sendall(_last(STAMPS))


if __name__ == "__main__":
    main()
