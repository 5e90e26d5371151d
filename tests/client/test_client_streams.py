"""The streams of the Python API, and the connections they leave behind."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from support.loopback import Loopback
from support.python_api import BEGUN, QUESTION, client_of, streamed
from support.waiting import eventually

from arawn import Client
from arawn.events import Finished, Started, TextDelta


class TestStreams:
    def test_events_come_in_order(self):
        async def story(server):
            async with client_of(server) as client, aclosing(client.infer_stream(QUESTION)) as events:
                return [event async for event in events]

        with Loopback(streamed("Good ", "day")) as server:
            first, *texts, last = asyncio.run(story(server))
        assert (first, texts) == (Started("remote", "tiny"), [TextDelta("Good "), TextDelta("day")])
        assert isinstance(last, Finished)

    def test_pieces_of_text_come_by_themselves(self):
        async def story(server):
            async with client_of(server) as client, aclosing(client.stream_chat_completion(QUESTION)) as stream:
                return [piece async for piece in stream]

        with Loopback(streamed("Good ", "day")) as server:
            assert asyncio.run(story(server)) == ["Good ", "day"]

    @pytest.mark.parametrize("ask", [Client.infer_stream, Client.stream_chat_completion], ids=lambda ask: ask.__name__)
    def test_a_reader_who_leaves_early_ends_the_connection(self, ask):
        async def story(server):
            async with client_of(server) as client:
                async with aclosing(ask(client, QUESTION)) as stream:
                    async for _ in stream:
                        break
                await eventually(lambda: not server._open)

        with Loopback([BEGUN]) as server:
            asyncio.run(story(server))

    def test_a_cancelled_call_leaves_no_connection_behind(self):
        async def story(server):
            async with client_of(server) as client:
                calls = [asyncio.create_task(client.generate("Hello")) for _ in range(5)]
                await eventually(lambda: len(server.requests) == 5)
                for call in calls:
                    call.cancel()
                ended = await asyncio.gather(*calls, return_exceptions=True)
                await eventually(lambda: not server._open)
                return ended

        with Loopback([BEGUN]) as server:
            ended = asyncio.run(story(server))
        assert [type(end) for end in ended] == [asyncio.CancelledError] * 5

    def test_a_call_cancelled_before_its_answer_begins_leaves_no_connection_behind(self):
        async def story(server):
            async with client_of(server) as client:
                call = asyncio.create_task(client.generate("Hello"))
                await eventually(lambda: server.requests)
                call.cancel()
                await eventually(lambda: not server._open)

        with Loopback([]) as server:
            asyncio.run(story(server))

    def test_after_a_whole_answer_the_connection_is_used_again(self):
        async def story(server):
            async with client_of(server) as client:
                return [(await client.generate("Hello")).text for _ in range(3)]

        with Loopback(streamed("Hi")) as server:
            assert asyncio.run(story(server)) == ["Hi"] * 3
        assert server.connections == 1

    def test_closing_the_client_closes_its_connections(self):
        async def story(server):
            async with client_of(server) as client:
                await client.generate("Hello")
                assert server._open
            await eventually(lambda: not server._open)

        with Loopback(streamed("Hi")) as server:
            asyncio.run(story(server))
