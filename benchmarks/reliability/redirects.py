"""Redirects of five statuses, four ways to carry a key: neither the key nor a connection reaches the target."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.reliability.score import Score
from tests.support.loopback import Loopback, answer
from tests.support.processes import Home

_CANARY = "sk-canary-0123456789"
_HEADERS = {"authorization": "Bearer ", "x-api-key": "", "api-key": "", "x-auth-token": "Token "}
_CONFIG = """\
[llm]
backend = "moved"

[backends.moved]
adapter = "openai_chat"
base_url = "{url}/v1"
api_key = "$env:MOVED_KEY"
auth_header = "{header}"
auth_prefix = "{prefix}"
model = "m-1"
max_retries = 0
"""


def score(_times: int) -> Score:
    """Try every pair; the proxies of the environment lead to the sink too, and must not be used on loopback."""
    score = Score("redirects with each auth header", "0 secrets leave")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        for status in (301, 302, 303, 307, 308):
            for header, prefix in _HEADERS.items():
                score.case(f"{status} with {header}", _led(home, status, header, prefix))
    return score


def _led(home: Home, status: int, header: str, prefix: str) -> str:
    """Ask a server that points to the sink, and return what is wrong."""
    with Loopback([answer(b"{}")]) as sink:
        with Loopback([answer(b"", status, headers={"Location": f"{sink.url}/v1/chat/completions"})]) as server:
            home.configure(_CONFIG.format(url=server.url, header=header, prefix=prefix))
            run = home.run("ask", "hi", env={"MOVED_KEY": _CANARY, "HTTP_PROXY": sink.url, "ALL_PROXY": sink.url})
        asked = [request.headers.get(header) for request in server.requests]
        reached = sink.connections
    if reached:
        return "the target was reached"
    if asked != [f"{prefix}{_CANARY}"]:
        return f"the server was sent {asked}"
    if run.code != 5 or sink.url not in run.err or _CANARY in run.out + run.err:
        return repr(run)
    return ""
