"""The transport against a server on loopback: requests, replies, and the connections between."""

from __future__ import annotations

import threading
from contextlib import aclosing

import pytest
from support.loopback import CHUNKED, Fin, Flood, Loopback, WaitFor, answer, chunked, head
from support.transports import EVERY_TRANSPORT, deadlines, fetched, outgoing

from arawn.errors import (
    ConnectionFailedError,
)


@EVERY_TRANSPORT
def test_it_sends_the_request_as_described(runner):
    with Loopback([answer(b"{}")]) as server:

        async def story(transport):
            call = outgoing(f"{server.url}/v1/chat?a=1", method="POST", headers={"X-Api-Key": "k"}, body=b'{"e": 1}')
            reply = await transport.send(call, deadlines())
            await reply.aclose()

        runner.play(story)
    [request] = server.requests
    assert (request.method, request.target, request.body) == ("POST", "/v1/chat?a=1", b'{"e": 1}')
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "x-api-key": "k",
        "accept-encoding": "identity",
        "content-length": "8",
    }


@EVERY_TRANSPORT
def test_it_hands_in_status_headers_and_body(runner):
    sent = answer(b'{"a": 1}', 418, headers={"X-One": "1", "Set-Cookie": "a", "set-cookie": "b"})
    with Loopback([sent]) as server:

        async def story(transport):
            reply = await transport.send(outgoing(server.url), deadlines())
            try:
                return reply.status, reply.headers, reply.content_type, await reply.read()
            finally:
                await reply.aclose()

        status, headers, content_type, body = runner.play(story)
    assert (status, content_type, body) == (418, "application/json", b'{"a": 1}')
    assert headers["x-one"] == "1"
    assert headers["set-cookie"] == "a, b"


@EVERY_TRANSPORT
def test_it_yields_chunks_as_they_arrive(runner):
    parts, read = [b"one", b"two", b"three"], [threading.Event() for _ in range(3)]
    steps = [
        step for part, event in zip(parts, read, strict=True) for step in (chunked(part, end=False), WaitFor(event))
    ]
    with Loopback([head(headers=CHUNKED), *steps, chunked()]) as server:

        async def story(transport):
            reply = await transport.send(outgoing(server.url), deadlines())
            found = []
            async with aclosing(reply.chunks()) as chunks:
                async for chunk in chunks:
                    read[len(found)].set()
                    found.append(chunk)
            await reply.aclose()
            return found

        assert runner.play(story) == parts


@EVERY_TRANSPORT
def test_it_uses_a_connection_again_once_its_answer_was_read(runner):
    with Loopback([answer(b"{}")]) as server:

        async def story(transport):
            for _ in range(3):
                await fetched(transport, server.url)

        runner.play(story)
        assert (len(server.requests), server.connections) == (3, 1)


@EVERY_TRANSPORT
def test_it_drops_a_connection_whose_answer_was_left_unread(runner):
    with Loopback(
        [head(headers=CHUNKED), chunked(b"begun", end=False), Flood(chunked(b"x" * 1000, end=False))]
    ) as server:

        async def story(transport):
            for _ in range(2):
                reply = await transport.send(outgoing(server.url), deadlines())
                async with aclosing(reply.chunks()) as chunks:
                    assert (await anext(chunks)).startswith(b"begun")
                await reply.aclose()

        runner.play(story)
        assert (len(server.requests), server.connections) == (2, 2)


@EVERY_TRANSPORT
def test_it_asks_again_on_a_new_connection_when_the_kept_one_was_closed_meanwhile(runner):
    with Loopback([answer(b"{}"), Fin()]) as server:

        async def story(transport):
            for _ in range(2):
                await fetched(transport, server.url)
                server.idle()

        runner.play(story)
        assert server.connections == 2


@EVERY_TRANSPORT
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["http://other.example/v1", "/v2", "http://[bad", "//", "\u00e9", ""])
def test_r24_a_redirect_is_an_answer_like_any_other(runner, status, location):
    sent = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 2\r\n\r\n{{}}".encode("latin-1")
    with Loopback([sent]) as server:
        assert runner.play(lambda transport: fetched(transport, server.url)) == (status, b"{}")
        assert len(server.requests) == 1


@EVERY_TRANSPORT
def test_no_cookie_is_kept(runner):
    with Loopback([answer(b"{}", headers={"Set-Cookie": "a=1; Path=/"})]) as server:

        async def story(transport):
            for _ in range(2):
                await fetched(transport, server.url)

        runner.play(story)
    assert [request.headers.get("cookie") for request in server.requests] == [None, None]


@EVERY_TRANSPORT
@pytest.mark.parametrize("size", [64 << 10, (64 << 10) + 1, 3 << 20])
def test_a_long_body_goes_out_whole(runner, size):
    with Loopback([answer(b"{}")]) as server:
        call = outgoing(server.url, method="POST", body=b"x" * size)

        async def story(transport):
            reply = await transport.send(call, deadlines())
            await reply.aclose()

        runner.play(story)
    assert server.requests[0].headers["content-length"] == str(size)
    assert len(server.requests[0].body) == size


@EVERY_TRANSPORT
def test_a_get_is_not_sent_a_second_time_when_its_kept_connection_ended(runner):
    with Loopback([answer(b"{}")], [Fin()], [answer(b"{}")]) as server:

        async def story(transport):
            await fetched(transport, server.url)
            with pytest.raises(ConnectionFailedError):
                await fetched(transport, server.url)

        runner.play(story)
        assert len(server.requests) == 2
