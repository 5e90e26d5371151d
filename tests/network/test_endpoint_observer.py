"""An endpoint tells an observer what headers came."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from support.http_backend import ASK, DONE, delta, endpoint, event, streamed
from support.loopback import Loopback, answer
from support.transports import EVERY_TRANSPORT

from arawn.adapters.base import Quirks
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.backends.http import HttpBackend


@EVERY_TRANSPORT
def test_headers_are_told_before_the_body_is_read_and_of_every_reply(runner):
    seen = []
    deltas = [delta("Hi"), delta(finish_reason="stop"), DONE]

    async def story(transport):
        there = endpoint(transport, server.url, observe=lambda headers: seen.append(dict(headers)))
        backend = HttpBackend(there, OpenAIChatAdapter("local", Quirks()))
        async with aclosing(backend.stream(ASK)) as events:
            async for each in events:
                seen.append(type(each).__name__)  # noqa: PERF401 -- in the order in which it happens
        await backend.models()

    with Loopback(streamed(*deltas), [answer(b'{"data": []}', headers={"X-Some": "1"})]) as server:
        runner.play(story)
    assert [each if isinstance(each, str) else "headers" for each in seen] == [
        *("headers", "Started", "TextDelta", "Finished", "headers"),
    ]
    assert seen[-1]["x-some"] == "1"


@EVERY_TRANSPORT
def test_an_observer_that_fails_leaves_no_connection_open(runner):
    def observe(headers):
        raise ZeroDivisionError

    async def story(transport):
        backend = HttpBackend(endpoint(transport, server.url, observe=observe), OpenAIChatAdapter("local", Quirks()))
        async with aclosing(backend.stream(ASK)) as events:
            async for _ in events:
                pass

    with Loopback(streamed(event(id="a"))) as server:
        with pytest.raises(ZeroDivisionError):
            runner.play(story)
        server.idle()
