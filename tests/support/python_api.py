"""The Python API as a program uses it: ``configure``, ``client_of`` a server on loopback, and what that answers."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

from support.loopback import CHUNKED, answer, chunked, head

from arawn import LLMConfig, get_llm_client

QUESTION = [{"role": "user", "content": "Hello"}]


def configure(folder, text=""):
    file = folder / "config.toml"
    file.write_text(f'[backends.ollama]\nbase_url = "http://127.0.0.1:1"\n{text}')
    file.chmod(0o600)


def pieces(*texts, end=True):
    """An answer of Chat Completions as a stream."""
    events = [{"model": "tiny", "choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    events += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}] * end
    return b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n" * end


def streamed(*texts):
    return [head(headers=CHUNKED) + chunked(pieces(*texts))]


BEGUN = head(headers=CHUNKED) + chunked(pieces("Good", end=False), end=False)  # and then the server listens
REFUSED = [answer(b'{"error": {"message": "no such key"}}', 401)]


@asynccontextmanager
async def client_of(server, **config):
    """A client of the server on loopback."""
    async with get_llm_client(LLMConfig("remote", "tiny", "a-key", f"{server.url}/v1", **config)) as client:
        yield client


def body_of(server, place=0):
    return json.loads(server.requests[place].body)


def configure_mock(folder, *replies, more=""):
    """A configuration whose [llm] plays these replies."""
    tables = "".join(f"[[backends.m.replies]]\n{reply}\n" for reply in replies)
    configure(
        folder, f'[llm]\nbackend = "m"\n[backends.m]\nadapter = "mock"\nmodel = "tiny"\nmax_retries = 0\n{tables}{more}'
    )
