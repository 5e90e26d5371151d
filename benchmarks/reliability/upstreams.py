"""Bad upstreams: each ends ``ask`` in its own exit code, one error line, no traceback, and in time."""

from __future__ import annotations

import json
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.reliability.score import Score
from benchmarks.reliability.timed import ask_timed
from tests.support.loopback import CHUNKED, Fin, Loopback, Rst, Stall, answer, chunked, head
from tests.support.processes import Home

if TYPE_CHECKING:
    from tests.support.loopback import Step

_SECONDS = 1
_CONFIG = """\
[llm]
backend = "bad"

[backends.bad]
adapter = "openai_chat"
base_url = "{url}/v1"
api_key = "$env:BAD_KEY"
model = "m-1"
timeout = {seconds}
max_retries = 0
"""


def _event(text: str, **fields: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None, **fields}
    return f"data: {json.dumps({'id': 'a', 'model': 'm-1', 'choices': [choice]})}\n\n".encode()


def _error(message: str, **fields: object) -> bytes:
    return json.dumps({"error": {"message": message, "type": "x", **fields}}).encode()


def _stream(*parts: bytes, end: bool = True) -> bytes:
    return head(headers=CHUNKED) + chunked(*parts, end=end)


_BEGUN = _event("Good ")
_KINDS: dict[str, tuple[list[Step], int]] = {
    "401": ([answer(_error("no such key"), 401)], 4),
    "403": ([answer(_error("not yours"), 403)], 4),
    "404 for the model": ([answer(_error("no model", code="model_not_found"), 404)], 8),
    "429": ([answer(_error("slow down"), 429)], 6),
    "429, no credit": ([answer(_error("pay", code="insufficient_quota"), 429)], 6),
    "500": ([answer(_error("oops"), 500)], 7),
    "503 in HTML": ([answer(b"<html>busy</html>", 503, content_type="text/html")], 7),
    "529": ([answer(_error("overloaded"), 529)], 7),
    "400": ([answer(_error("bad request"), 400)], 8),
    "302": ([answer(b"", 302, headers={"Location": "http://127.0.0.1:1/"})], 5),
    "200 in HTML": ([answer(b"<html>sign in</html>", content_type="text/html")], 7),
    "200 with nothing": ([answer(b"")], 7),
    "200 with an error": ([answer(_error("the engine died", code="server_error"))], 7),
    "200 of another shape": ([answer(b'{"hello": 1}')], 7),
    "an error in the stream": ([_stream(_BEGUN, b"data: " + _error("died", code="server_error") + b"\n\n")], 7),
    "an event that is no JSON": ([_stream(_BEGUN, b'data: {"choices": [\n\n', _event("day"))], 7),
    "ended without a stop reason": ([_stream(_BEGUN)], 10),
    "closed in mid-stream": ([_stream(_BEGUN, end=False), Fin()], 10),
    "reset in mid-stream": ([_stream(_BEGUN, end=False), Rst()], 10),
    "silent before the answer": ([Stall()], 124),
    "silent in mid-stream": ([_stream(_BEGUN, end=False), Stall()], 124),
    "closed before the answer": ([Fin()], 5),
    "another protocol": ([b"-ERR unknown command\r\n\r\n", Fin()], 7),
    "another protocol's greeting": ([b"SSH-2.0-OpenSSH_9.6\r\n", Fin()], 5),
}


def score(_times: int) -> Score:
    """Meet each kind once, and a port without a listener."""
    score = Score("kinds of bad upstream → typed errors, in time", "0 wrong")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        for name, (script, code) in _KINDS.items():
            with Loopback(script) as server:
                score.case(name, _met(home, server.url, code))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        score.case("no listener", _met(home, f"http://127.0.0.1:{port}", 5))
    return score


def _met(home: Home, url: str, code: int) -> str:
    """Ask, and return what is wrong with how it ended."""
    home.configure(_CONFIG.format(url=url, seconds=_SECONDS))
    run = ask_timed(home, env={"BAD_KEY": "sk-canary-0123456789"})
    if run.code != code:
        return f"exit {run.code}, not {code}: {run.err.strip()}"
    if "Error:" not in run.err or "Traceback" in run.err or "sk-canary" in run.out + run.err:
        return f"said {run.err.strip()}"
    return f"took {run.waited:.1f} s" if run.waited > 2 * _SECONDS + 1 else ""
