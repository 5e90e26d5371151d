"""A server on loopback that answers each question with ``re: `` and the question, and remembers what it was asked.

    with ChatServer() as server: ...

``reply(prompt)`` may say otherwise: it returns the text to answer with, or a status to refuse with, and may wait.
``server.url`` is its address, ``server.prompts`` are the prompts in the order in which they came, ``server.bodies`` the
whole requests, ``server.max_concurrent`` is how many were answered at once at most.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


def echo(prompt: str) -> str | int:
    """What is answered where nobody says otherwise."""
    return f"re: {prompt}"


class ChatServer(ThreadingHTTPServer):
    """The server; a context manager."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, reply: Callable[[str], str | int] = echo) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply = reply
        self.bodies: list[dict[str, Any]] = []
        self.max_concurrent = 0
        self._busy = 0
        self._accepted = self._served = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def prompts(self) -> list[str]:
        return [prompt_of(body) for body in list(self.bodies)]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join(5)

    def settle(self) -> None:
        """Wait until all that clients which have left had sent is read."""
        before = self._accepted
        socket.create_connection(self.server_address[:2]).close()  # accepted after all that are waiting
        wait_until(lambda: self._accepted > before and self._served == self._accepted)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count the connection, then serve it in a thread of its own."""
        self._accepted += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End the connection, then count it as served."""
        super().shutdown_request(request)
        with self._lock:
            self._served += 1

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that has left."""

    def begin(self, body: dict[str, Any]) -> None:
        with self._lock:
            self.bodies.append(body)
            self._busy += 1
            self.max_concurrent = max(self.max_concurrent, self._busy)

    def end(self) -> None:
        with self._lock:
            self._busy -= 1


def wait_for_all(count: int) -> Callable[[str], str]:
    """Return a reply that answers nobody until ``count`` are asking at once, and then everybody."""
    barrier = threading.Barrier(count)

    def reply(prompt: str) -> str:
        with suppress(threading.BrokenBarrierError):  # the others are there, or nobody comes any more
            barrier.wait(60)
        barrier.abort()
        return f"re: {prompt}"

    return reply


def prompt_of(body: dict[str, Any]) -> str:
    content: str = body["messages"][-1]["content"]
    return content


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.begin(body)
        try:
            said = self.server.reply(prompt_of(body))
        finally:
            self.server.end()
        if isinstance(said, int):
            self._send(said, "application/json", json.dumps({"error": {"message": "refused"}}).encode())
        else:
            self._send(200, "text/event-stream", _streamed(said, body["model"]))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _streamed(text: str, model: str) -> bytes:
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    events = [
        {"id": "a1", "model": model, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]},
        {"id": "a1", "model": model, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"id": "a1", "model": model, "choices": [], "usage": usage},
    ]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"
