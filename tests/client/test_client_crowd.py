"""Many calls of the Python API at the same time."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager

from support.loopback import CHUNKED, Loopback, Pause, chunked, head
from support.python_api import BEGUN, client_of, pieces, streamed
from support.waiting import eventually

from arawn import LLMConfig, get_llm_client


@asynccontextmanager
async def echoing():
    """A server that streams the last message back word by word, giving way to others between the words."""
    at_work = set()

    async def serve(reader, writer):
        at_work.add(writer)
        while request := await read_request(reader):
            writer.write(head(headers=CHUNKED))
            for word in request["messages"][-1]["content"].split(" "):
                writer.write(chunked(pieces(f"{word} ", end=False), end=False))
                await writer.drain()
                await asyncio.sleep(0)
            writer.write(chunked(pieces()))
        writer.close()
        await writer.wait_closed()
        at_work.remove(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        await eventually(lambda: not at_work)


async def read_request(reader):
    """The body of the next request; None where the client has left."""
    try:
        before = (await reader.readuntil(b"\r\n\r\n")).lower()
    except asyncio.IncompleteReadError:
        return None
    length = int(re.search(rb"content-length: (\d+)", before)[1])
    return json.loads(await reader.readexactly(length))


class TestAtTheSameTime:
    def test_each_of_many_calls_gets_its_own_answer(self):
        async def story():
            async with (
                echoing() as url,
                get_llm_client(LLMConfig("remote", "tiny", "a-key", url)) as client,
            ):
                asked = [f"{number} " * 20 for number in range(50)]
                responses = await asyncio.gather(*(client.generate(text.strip()) for text in asked))
                return asked, [response.text for response in responses]

        asked, answered = asyncio.run(story())
        assert answered == asked

    def test_a_call_that_waits_holds_up_no_other(self):
        async def story(server):
            async with client_of(server) as client:
                slow = asyncio.create_task(client.generate("Hello"))
                await eventually(lambda: server.requests)
                quick = await client.generate("Hello")
                assert not slow.done()
                slow.cancel()
                return quick.text

        with Loopback([BEGUN], streamed("Hi")) as server:
            assert asyncio.run(story(server)) == "Hi"

    def test_the_loop_turns_while_a_call_waits(self):
        async def story(server):
            async with client_of(server) as client:
                call = asyncio.create_task(client.generate("Hello"))
                turns = 0
                while not call.done():
                    turns += 1
                    await asyncio.sleep(0.001)
                return turns

        with Loopback([Pause(1.0), *streamed("Hi")]) as server:
            assert asyncio.run(story(server)) > 3
