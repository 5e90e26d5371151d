"""Coroutines driven without an event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from arawn.engine.blocking import iterate, run, sleep

closed = []


async def numbers(*, fail=False):
    try:
        for number in range(3):
            await sleep(0)
            yield number
        if fail:
            raise LookupError("at the end")
    finally:
        closed.append(True)


@pytest.fixture(autouse=True)
def nothing_closed():
    closed.clear()


def test_a_coroutine_runs_to_its_result():
    async def answer():
        await sleep(0)
        return 42

    assert run(answer()) == 42


def test_what_a_coroutine_raises_comes_through():
    async def failing():
        raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        run(failing())


def test_a_coroutine_that_wants_an_event_loop_is_a_bug_and_told_so():
    async def waiting():
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="needs an event loop"):
        run(waiting())


def test_an_asynchronous_generator_is_read_to_its_end():
    assert list(iterate(numbers())) == [0, 1, 2]
    assert closed == [True]


def test_a_generator_whose_reader_leaves_is_closed():
    events = iterate(numbers())
    assert next(events) == 0
    events.close()
    assert closed == [True]


def test_what_a_generator_raises_comes_through():
    found = []
    with pytest.raises(LookupError, match="at the end"):
        found.extend(iterate(numbers(fail=True)))
    assert found == [0, 1, 2]


def test_a_blocking_call_imports_no_event_loop():
    code = """
import socket, sys, threading
from arawn.adapters.base import Quirks
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.engine.blocking import run
from arawn.network.endpoint import Endpoint
from arawn.backends.http import HttpBackend
from arawn.network.routes import Route
from arawn.network.transport import BlockingTransport

def serve(listener):
    connection, _ = listener.accept()
    connection.recv(65536)
    body = b'{"data": [{"id": "m-1"}]}'
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    connection.close()

listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listener,)).start()
endpoint = Endpoint(
    name="local", label="Local", base_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
    transport=BlockingTransport(Route({})), credential=lambda: None,
)
print([card.id for card in run(HttpBackend(endpoint, OpenAIChatAdapter("local", Quirks())).models())])
heavy = {"asyncio", "rich", "click", "pygments", "keyring", "tomlkit", "platformdirs", "sqlite3", "pydantic"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "['m-1']\n[]\n"
