"""What becomes of connections: which are used again, which never, and what is left when someone stops waiting."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import aiohttp
import httpcore
import pytest
from aiohttp.client_proto import ResponseHandler
from support.loopback import CHUNKED, Drip, Fin, Loopback, Pause, Signal, Stall, WaitFor, answer, chunked, head
from support.optional_data import THOROUGH
from support.transports import (
    BLOCKING,
    BOTH_ON_ASYNCIO,
    EVERY_TRANSPORT,
    ON_AIOHTTP,
    deadlines,
    fetched,
    outgoing,
)
from support.waiting import eventually

from arawn.errors import ProtocolError
from arawn.network import connection
from arawn.network.routes import Route

REQUESTS = 5_000 if THOROUGH else 1_500
DRIP = Drip(chunked(b"more", end=False), 0.02)  # a server that sends notices who leaves


# ---- Used again, or not ----


@EVERY_TRANSPORT
@pytest.mark.parametrize("surplus", [answer(b'{"stale": 1}'), b"\r\n", b"x"], ids=["an answer", "a line", "a byte"])
def test_bytes_after_an_answer_never_become_the_next_one(runner, surplus):
    with Loopback([answer(b'{"a": 1}') + surplus], [answer(b'{"b": 2}')]) as server:

        async def story(transport):
            return [await fetched(transport, server.url) for _ in range(2)]

        assert runner.play(story) == [(200, b'{"a": 1}'), (200, b'{"b": 2}')]
        assert server.connections == 2


@EVERY_TRANSPORT
@pytest.mark.parametrize("surplus", [answer(b'{"stale": 1}'), b"\r\n", b"x"], ids=["an answer", "a line", "a byte"])
def test_nor_those_after_an_answer_in_chunks(runner, surplus):
    sent = head(headers=CHUNKED) + chunked(b'{"a": 1}') + surplus
    with Loopback([sent], [answer(b'{"b": 2}')]) as server:

        async def story(transport):
            return [await fetched(transport, server.url) for _ in range(2)]

        assert runner.play(story) == [(200, b'{"a": 1}'), (200, b'{"b": 2}')]
        assert server.connections == 2


@EVERY_TRANSPORT
def test_an_answer_that_says_two_lengths_is_the_last_on_its_connection(runner):
    sent = head(headers={**CHUNKED, "Content-Length": "3"}) + chunked(b'{"a": 1}')
    with Loopback([sent], [answer(b'{"b": 2}')]) as server:

        async def story(transport):
            try:
                first = await fetched(transport, server.url)
            except ProtocolError:  # aiohttp takes it for no HTTP at all, which RFC 9112, section 6.3, allows
                first = (200, b'{"a": 1}') if runner is ON_AIOHTTP else None
            return first, await fetched(transport, server.url)

        assert runner.play(story) == ((200, b'{"a": 1}'), (200, b'{"b": 2}'))
        assert server.connections == 2


WHOLE = head(headers=CHUNKED) + chunked(b"{}")


@pytest.mark.parametrize("sent", [WHOLE + b"x", WHOLE], ids=["with a byte left", "with none"])
def test_the_private_state_of_httpcore_that_tells_is_still_there(sent):
    pool = httpcore.ConnectionPool(network_backend=httpcore.MockBackend([sent]))
    response = pool.handle_request(httpcore.Request("GET", "http://far.example/", headers={"Host": "far.example"}))
    found = connection.Arrived(response, response.headers)
    assert found.with_arrived(next(iter(response.stream))) == b"{}"
    assert (found.has_ended, found.is_last()) == (True, sent.endswith(b"x"))


def test_so_is_the_place_where_aiohttp_makes_its_handlers():
    async def story():
        made = aiohttp.TCPConnector()
        try:
            return made._factory()
        finally:
            await made.close()

    assert isinstance(asyncio.run(story()), ResponseHandler)


@EVERY_TRANSPORT
@pytest.mark.parametrize("status", [200, 204])
def test_nor_do_those_after_an_answer_that_nobody_read(runner, status):
    with Loopback([answer(b"", status) + answer(b'{"stale": 1}')], [answer(b'{"b": 2}')]) as server:

        async def story(transport):
            reply = await transport.send(outgoing(server.url), deadlines())
            await reply.aclose()
            return await fetched(transport, server.url)

        assert runner.play(story) == (200, b'{"b": 2}')
        assert server.connections == 2


@EVERY_TRANSPORT
def test_bytes_that_come_while_nothing_is_asked_end_the_connection(runner):
    read, sent = threading.Event(), threading.Event()
    stale = [answer(b'{"a": 1}'), WaitFor(read), answer(b'{"stale": 1}'), Signal(sent), Stall()]
    with Loopback(stale, [answer(b'{"b": 2}')]) as server:

        async def story(transport):
            first = await fetched(transport, server.url)
            read.set()
            assert sent.wait(60)  # the loop has no turn either, and must notice all the same
            return first, await fetched(transport, server.url)

        assert runner.play(story) == ((200, b'{"a": 1}'), (200, b'{"b": 2}'))
        assert server.connections == 2


@EVERY_TRANSPORT
def test_a_server_that_wants_to_close_is_left_alone(runner):
    with Loopback([answer(b"{}", headers={"Connection": "close"}), Fin()]) as server:

        async def story(transport):
            for _ in range(2):
                await fetched(transport, server.url)

        runner.play(story)
        assert server.connections == 2


@EVERY_TRANSPORT
def test_a_connection_that_was_idle_for_long_is_not_used_again(runner, monkeypatch):
    monkeypatch.setattr(connection, "KEPT_FOR", -1.0)
    with Loopback([answer(b"{}")]) as server:

        async def story(transport):
            for _ in range(3):
                await fetched(transport, server.url)

        runner.play(story)
        assert (len(server.requests), server.connections) == (3, 3)


@EVERY_TRANSPORT
def test_closing_a_reply_twice_does_not_disturb_who_has_its_connection_now(runner):
    with Loopback(
        [answer(b'{"a": 1}')], [head(headers=CHUNKED), chunked(b"begun", end=False), Pause(0.1), chunked()]
    ) as server:

        async def story(transport):
            first = await transport.send(outgoing(server.url), deadlines())
            await first.read()
            await first.aclose()
            second = await transport.send(outgoing(server.url), deadlines())
            await first.aclose()
            try:
                return await second.read()
            finally:
                await second.aclose()

        assert runner.play(story) == b"begun"
        assert server.connections == 1


@EVERY_TRANSPORT
def test_what_stands_before_a_broken_chunk_is_handed_on_with_it_in_one_read(runner):
    with Loopback([head(headers=CHUNKED) + chunked(b"one", b"two", end=False) + b"banana\r\n"]) as server:

        async def story(transport):
            reply = await transport.send(outgoing(server.url), deadlines())
            try:
                return await reply.beginning(100)
            finally:
                await reply.aclose()

        assert runner.play(story) == b"onetwo"


@EVERY_TRANSPORT
def test_closing_the_transport_closes_connections_at_work_too(runner):
    with Loopback([head(headers=CHUNKED), DRIP]) as server:

        async def story(transport):
            reply = await transport.send(outgoing(server.url), deadlines())
            await transport.aclose()
            await reply.aclose()

        runner.play(story)
        server.idle()


# ---- Many at a time ----


class Echo(asyncio.Protocol):
    """Answers each request with its own body; a request comes in one piece."""

    def __init__(self, connections):
        self._connections = connections

    def connection_made(self, transport):
        self._connections.append(transport)
        self._transport = transport

    def data_received(self, data):
        self._transport.write(answer(data.partition(b"\r\n\r\n")[2]))


@BOTH_ON_ASYNCIO
def test_many_calls_at_a_time_get_each_its_own_answer(runner):
    connections = []

    async def ask(transport, url, numbers):
        for number in numbers:
            reply = await transport.send(outgoing(url, method="POST", body=b"%d" % number), deadlines())
            try:
                assert await reply.read() == b"%d" % number
            finally:
                await reply.aclose()

    async def story(transport):
        server = await asyncio.get_running_loop().create_server(lambda: Echo(connections), "127.0.0.1", 0)
        url, numbers = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", iter(range(400))
        await asyncio.gather(*(ask(transport, url, numbers) for _ in range(32)))
        server.close()
        for opened in connections:
            opened.abort()
        assert list(numbers) == []

    runner.play(story)
    assert len(connections) == 32


class Tagged(asyncio.Protocol):
    """Answers each request with its body, some whole and some in two pieces a moment apart; keeps count."""

    def __init__(self, opened):
        self._opened = opened
        self._received = b""

    def connection_made(self, transport):
        self._opened.append(transport)
        self._transport = transport

    def data_received(self, data):
        self._received += data
        while b"\r\n\r\n" in self._received:
            top, _, rest = self._received.partition(b"\r\n\r\n")
            size = int(top.lower().rpartition(b"content-length: ")[2].split(b"\r\n")[0])
            if len(rest) < size:
                return
            body, self._received = rest[:size], rest[size:]
            whole = answer(body) if int(body) % 3 else head(headers=CHUNKED) + chunked(body[:1], body[1:])
            self._transport.write(whole[:-4])
            asyncio.get_running_loop().call_later(int(body) % 7 * 0.0005, self._transport.write, whole[-4:])


async def asked(transport, url, number):
    tag = b"%06d" % number
    reply = await transport.send(outgoing(url, method="POST", body=tag), deadlines())
    try:
        assert await reply.read() == tag
    finally:
        await reply.aclose()


@BOTH_ON_ASYNCIO
def test_r41_of_thousands_of_tagged_requests_with_many_cancelled_none_gets_anothers_answer(runner):
    """No answer of a cancelled call may become the next one's on its connection."""
    opened, done, stopped = [], [], []

    async def worker(transport, url, numbers):
        for number in numbers:
            call = asyncio.ensure_future(asked(transport, url, number))
            if number % 4 == 0:
                await asyncio.sleep(number % 11 * 0.0004)
                call.cancel()
            try:
                await call
                done.append(number)
            except asyncio.CancelledError:
                stopped.append(number)

    async def story(transport):
        server = await asyncio.get_running_loop().create_server(lambda: Tagged(opened), "127.0.0.1", 0)
        url, numbers = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", iter(range(REQUESTS))
        await asyncio.gather(*(worker(transport, url, numbers) for _ in range(24)))
        server.close()
        for each in opened:
            each.abort()

    runner.play(story)
    assert sorted(done + stopped) == list(range(REQUESTS))
    assert len(done) >= REQUESTS * 3 // 4
    assert len(stopped) > REQUESTS // 50


def test_r41_nor_does_one_that_blocks_and_stops_reading():
    with Loopback(*([answer(b"%06d" % number)] for number in range(200))) as server:

        async def story(transport):
            for number in range(200):
                reply = await transport.send(outgoing(server.url), deadlines())
                if number % 3:
                    assert await reply.read() == b"%06d" % number
                await reply.aclose()

        BLOCKING.play(story)


# ---- Nobody waits any more ----

MOMENTS = {
    "shaking hands": ("https", [Stall()]),
    "waiting for an answer": ("http", [Drip(b"HTTP/1.1 200 Slow", 0.02)]),
    "reading one": ("http", [head(headers=CHUNKED), DRIP]),
}


@BOTH_ON_ASYNCIO
@pytest.mark.parametrize(("scheme", "script"), MOMENTS.values(), ids=MOMENTS)
def test_who_is_cancelled_leaves_no_connection_open(runner, scheme, script):
    async def story(url):
        transport = runner.transport(Route({}))
        task = asyncio.ensure_future(fetched(transport, url))
        await eventually(lambda: server.connections)
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.idle)
        await transport.aclose()

    with Loopback(script) as server:
        asyncio.run(story(f"{scheme}://127.0.0.1:{server.port}/"))
        assert server.connections == 1


@contextmanager
def full_queue(host, port=0):
    """A port where connecting takes for ever: the queue is full, and the system drops what knocks."""
    with socket.create_server((host, port), backlog=0) as full, ExitStack() as waiting:
        for _ in range(3):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        yield full.getsockname()[1]


@BOTH_ON_ASYNCIO
def test_who_is_cancelled_while_connecting_leaves_no_socket_open(runner):
    async def story(url):
        transport = runner.transport(Route({}))
        task = asyncio.ensure_future(fetched(transport, url))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await transport.aclose()

    with full_queue("127.0.0.1") as port:
        asyncio.run(story(f"http://127.0.0.1:{port}/"))
    gc.collect()  # an open socket would warn now, and a warning is an error


# ---- Hosts of several addresses ----


@pytest.fixture
def two_addresses(monkeypatch):
    """A name of two addresses: the first does not answer, at the second a server does."""
    with Loopback([answer(b"{}")]) as server, full_queue("127.0.0.2", server.port):
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, server.port))
            for host in ("127.0.0.2", "127.0.0.1")
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        yield f"http://far.example:{server.port}/"


@EVERY_TRANSPORT
def test_an_address_that_does_not_answer_leaves_time_for_the_next(runner, two_addresses):
    assert runner.play(lambda transport: fetched(transport, two_addresses, connect=6.0)) == (200, b"{}")


@BOTH_ON_ASYNCIO
def test_on_asyncio_it_costs_no_more_than_a_moment(runner, two_addresses):
    began = time.monotonic()
    assert runner.play(lambda transport: fetched(transport, two_addresses, connect=60.0)) == (200, b"{}")
    assert time.monotonic() - began < 30  # half of the time to connect
