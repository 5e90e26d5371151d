"""A server on loopback that answers at once, some ten thousand times a second: whole, or streamed where that is asked.

Every answer is the same, of TOKENS tokens. ``benchmarks.upstream`` starts a thread for each connection, which is too
slow to measure many calls at the same time.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.upstream import answer

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKENS = 10
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream": *true')


@contextmanager
def rapid() -> Iterator[str]:
    """Run the server while the block runs; yields the base_url."""
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.rapid"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def whole(tokens: int) -> bytes:
    """Return a whole answer of so many tokens that is not streamed."""
    words = ("The ", "quick ", "brown ", "fox ")
    message = {"role": "assistant", "content": "".join(words[at % 4] for at in range(tokens))}
    body = json.dumps(
        {
            "id": "chatcmpl-0123456789",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "bench-1",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9},
        }
    ).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class _Connection(asyncio.Protocol):
    """One connection; a request is read to its end before it is answered."""

    _transport: asyncio.WriteTransport
    _whole, _streamed = whole(TOKENS), answer(TOKENS)

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n") + 4) > 3:
            length = _LENGTH.search(self._received, 0, end)
            end += int(length[1]) if length else 0
            if len(self._received) < end:
                return
            request, self._received = self._received[:end], self._received[end:]
            self._transport.write(self._streamed if _STREAM.search(request) else self._whole)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
