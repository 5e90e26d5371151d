"""The transport's caps on headers and bodies, and what it holds in memory."""

from __future__ import annotations

import gzip
import tracemalloc
from contextlib import aclosing

import pytest
from support.loopback import CHUNKED, Flood, Loopback, answer, chunked, head
from support.transports import EVERY_TRANSPORT, deadlines, fetched, outgoing

from arawn.errors import (
    ProtocolError,
)
from arawn.network.transport import MAX_HEADERS


@EVERY_TRANSPORT
def test_r33_a_compressed_answer_is_refused_without_being_unpacked(runner):
    bomb = gzip.compress(bytes(64 << 20))
    sent = answer(bomb, headers={"Content-Encoding": "gzip"})
    with Loopback([sent]) as server, pytest.raises(ProtocolError, match=r"compressed its answer \(gzip\)"):
        runner.play(lambda transport: fetched(transport, server.url))


@EVERY_TRANSPORT
def test_r33_an_endless_body_is_an_error_and_takes_no_more_memory_than_its_cap(runner):
    with Loopback(
        [head(content_type="application/json", headers=CHUNKED), Flood(chunked(bytes(1 << 20), end=False))]
    ) as server:

        async def story(transport):
            reply = await transport.send(outgoing(server.url), deadlines())
            try:
                return await reply.read(cap=8 << 20)
            finally:
                await reply.aclose()

        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError, match="more than 8388608 bytes of body"):
                runner.play(story)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 24 << 20


@EVERY_TRANSPORT
def test_r33_reading_a_stream_piece_by_piece_holds_no_more_than_a_piece(runner):
    with Loopback([head(headers=CHUNKED), Flood(chunked(bytes(1 << 20), end=False))]) as server:

        async def story(transport):
            reply = await transport.send(outgoing(server.url), deadlines())
            size = 0
            async with aclosing(reply.chunks()) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > 32 << 20:
                        break
            await reply.aclose()

        tracemalloc.start()
        try:
            runner.play(story)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 12 << 20


@EVERY_TRANSPORT
@pytest.mark.parametrize("size", [MAX_HEADERS + 1, 1 << 20], ids=["just over", "1 MiB"])
def test_r33_headers_over_their_cap_are_an_error(runner, size):
    sent = answer(b"{}", headers={"X-Long": "x" * size})
    with Loopback([sent]) as server, pytest.raises(ProtocolError):
        runner.play(lambda transport: fetched(transport, server.url))


@EVERY_TRANSPORT
def test_a_cap_met_exactly_is_no_error(runner):
    with Loopback([answer(b"x" * 1000)]) as server:

        async def story(transport):
            reply = await transport.send(outgoing(server.url), deadlines())
            try:
                return await reply.read(cap=1000)
            finally:
                await reply.aclose()

        assert len(runner.play(story)) == 1000
