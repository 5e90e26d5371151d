"""Answers without end, and small ones that would be large: an error, and never much memory."""

from __future__ import annotations

import gzip
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.reliability.score import Score
from tests.support.loopback import Flood, Loopback, answer, head
from tests.support.processes import ARAWN, Home

if TYPE_CHECKING:
    from tests.support.loopback import Step

_MOST = 150  # MiB
_CONFIG = """\
[llm]
backend = "flood"

[backends.flood]
adapter = "{adapter}"
base_url = "{url}"
model = "m-1"
max_retries = 0
"""
_OPEN = {"Connection": "close"}
_PIECE = b"x" * 65536
_PAD = b'data: {"pad": "' + b"x" * 500_000 + b'"'


def _bomb() -> bytes:
    return gzip.compress(bytes(256 << 20), 9)


def _scripts() -> dict[str, list[Step]]:
    lines = b"data: " + b"x" * 60_000 + b"\n"
    return {
        "gzip bomb, streamed": [
            answer(_bomb(), content_type="text/event-stream", headers={"Content-Encoding": "gzip"})
        ],
        "gzip bomb, whole": [answer(_bomb(), headers={"Content-Encoding": "gzip"})],
        "gzip bomb in an error": [answer(_bomb(), 500, headers={"Content-Encoding": "gzip"})],
        "a line without end": [head(headers=_OPEN), b"data: ", Flood(_PIECE)],
        "an event without end": [head(headers=_OPEN), Flood(lines)],
        "a body without end": [head(content_type="application/json", headers=_OPEN), b"{", Flood(_PIECE)],
        "HTML without end": [head(content_type="text/html", headers=_OPEN), Flood(_PIECE)],
        "an error without end": [head(500, content_type="application/json", headers=_OPEN), b"{", Flood(_PIECE)],
        "a header without end": [b"HTTP/1.1 200 OK\r\nX-Pad: ", Flood(_PIECE)],
        "headers without end": [b"HTTP/1.1 200 OK\r\n", Flood(b"X-Pad: " + b"x" * 1000 + b"\r\n")],
        "a length of terabytes": [head(headers={"Content-Length": "9" * 13}), _PAD, Flood(_PIECE)],
    }


def score(_times: int) -> Score:
    """Meet each with two wire protocols: events, and lines of JSON."""
    score = Score(f"decompression bomb, endless body or line → error, peak < {_MOST} MiB", "0 wrong")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        for name, script in _scripts().items():
            for adapter in ("openai_chat", "ollama"):
                with Loopback(script) as server:
                    home.configure(_CONFIG.format(adapter=adapter, url=server.url))
                    score.case(f"{name}, {adapter}", _met(home))
    return score


def _met(home: Home) -> str:
    """Ask, and return what is wrong with how it ended or what it took."""
    process = subprocess.Popen(
        [*ARAWN, "ask", "hi"],
        env=home.environ,
        cwd=home.work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process.stderr:
        said = process.stderr.read().strip()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (5, 7) or not said.startswith("Error:"):
        return f"exit {process.returncode}: {said}"
    return "" if used.ru_maxrss / 1024 < _MOST else f"{used.ru_maxrss / 1024:.0f} MiB"
