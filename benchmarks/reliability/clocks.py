"""Servers that take their time: every call ends within its clock and a tenth.

The time is that of the call itself, without the start-up of its process, and without what it had to wait for a
processor: a busy machine makes no call wrong.
"""

from __future__ import annotations

import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.reliability.score import Score
from benchmarks.reliability.timed import ask_timed
from tests.support.loopback import CHUNKED, Drip, Loopback, Stall, chunked, head
from tests.support.processes import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.loopback import Step

_SECONDS = 3.0
_CONFIG = """\
[llm]
backend = "slow"

[backends.slow]
adapter = "openai_chat"
base_url = "{url}/v1"
model = "m-1"
max_retries = 0
{clock} = {seconds}
"""
_TOKEN = b'data: {"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n'
_SLOW: dict[str, tuple[str, list[Step]]] = {
    "silent before the headers": ("timeout", [Stall()]),
    "headers a byte at a time": ("timeout", [Drip(head(), 0.05)]),
    "silent after the headers": ("timeout", [head(headers=CHUNKED), Stall()]),
    "silent after a token": ("timeout", [head(headers=CHUNKED), chunked(_TOKEN, end=False), Stall()]),
    "an event a byte at a time": ("timeout", [head(headers={"Connection": "close"}), Drip(b"data: xxxx", 0.05)]),
    "comments without end": ("timeout", [head(headers={"Connection": "close"}), Drip(b": ping\n\n", 0.02)]),
    "tokens without end": ("total_timeout", [head(headers={"Connection": "close"}), Drip(_TOKEN, 0.002)]),
}


def score(_times: int) -> Score:
    """Meet each once, and a port that takes no connection."""
    score = Score("blackhole, drip, slow connect → ends within its clock + 10 %", "0 wrong")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        for name, (clock, script) in _SLOW.items():
            with Loopback(script) as server:
                score.case(name, _waited(home, server.url, clock))
        with _blackhole() as url:
            score.case("blackhole", _waited(home, url, "connect_timeout"))
    return score


def _waited(home: Home, url: str, clock: str) -> str:
    """Ask, and return what is wrong with how it ended."""
    home.configure(_CONFIG.format(url=url, clock=clock, seconds=_SECONDS))
    run = ask_timed(home)
    if run.code != 124:
        return f"exit {run.code}: {run.err.strip()}"
    if run.latency >= _SECONDS * 0.9 and run.waited <= _SECONDS * 1.1:
        return ""
    return f"{run.latency:.2f} s with a clock of {_SECONDS:g} s ({run.queued:.2f} s without a processor)"


@contextmanager
def _blackhole() -> Iterator[str]:
    """Return an address that takes no connection: a full queue on loopback answers nothing (on Linux)."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(address)
            waiting.append(client)
        yield f"http://127.0.0.1:{address[1]}"
        for client in waiting:
            client.close()
