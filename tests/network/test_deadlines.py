"""The deadlines of a call: by themselves on a time we set, and in the transport against servers that let one wait."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import aclosing

import pytest
import trustme
from support.loopback import CHUNKED, Drip, Loopback, Pause, Stall, answer, chunked, head
from support.transports import EVERY_TRANSPORT, deadlines, fetched, outgoing

from arawn.errors import BackendTimeoutError
from arawn.network.deadlines import DeadlineExpired, Deadlines, Timeouts
from arawn.network.routes import Route

SOON = 0.3
MUCH_LATER = 20.0  # a test that waits for the wrong clock fails by this, not by a narrow margin


class Time:
    """A monotonic clock that moves when told."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def now():
    return Time()


def ticking(now, **timeouts):
    return Deadlines(Timeouts(**timeouts), now)


def test_the_defaults_are_those_of_the_documentation():
    assert Timeouts() == Timeouts(connect=10.0, first_event=60.0, idle=60.0, ping=300.0, total=None)


def test_a_clock_says_how_long_there_is_left(now):
    it = ticking(now, connect=10.0)
    now.now += 4
    assert it.remaining() == 6.0


def test_the_clock_that_ran_out_is_named_with_its_seconds(now):
    it = ticking(now, connect=10.0)
    now.now += 10
    with pytest.raises(DeadlineExpired) as caught:
        it.remaining()
    assert (caught.value.clock, caught.value.seconds) == ("connect", 10.0)


def test_the_search_for_a_key_does_not_eat_the_time_for_the_connection_but_that_of_the_call(now):
    it = ticking(now, connect=10.0, total=12.0)
    now.now += 9
    it.began()
    assert it.remaining() == 3.0

    it = ticking(now, connect=10.0)
    now.now += 11
    it.began()
    assert it.remaining() == 10.0


def test_the_wait_for_the_first_event_begins_with_the_connection(now):
    it = ticking(now, connect=10.0, first_event=60.0)
    now.now += 9
    it.connected()
    assert it.remaining() == 60.0
    assert it.expired().clock == "first event"


def test_a_request_that_takes_long_to_send_does_not_eat_the_time_of_its_answer(now):
    it = ticking(now, first_event=60.0)
    it.connected()
    now.now += 50
    it.sent()
    assert it.remaining() == 60.0


def test_what_is_sent_on_the_way_to_the_server_does_not_stretch_the_connect_clock(now):
    it = ticking(now, connect=10.0)
    now.now += 8
    it.sent()
    assert it.remaining() == 2.0


def test_r32_an_event_resets_the_wait_for_the_next(now):
    it = ticking(now, first_event=60.0, idle=30.0)
    it.connected()
    now.now += 50
    it.event()
    assert it.remaining() == 30.0
    assert it.expired().clock == "idle"


def test_r32_bytes_without_an_event_do_not_reset_it(now):
    it = ticking(now, first_event=60.0)
    it.connected()
    now.now += 50
    it.received()
    assert it.remaining() == 10.0


def test_r32_after_pings_a_long_silence_is_a_dead_connection_even_if_the_user_is_patient(now):
    it = ticking(now, first_event=3600.0, ping=300.0)
    it.connected()
    now.now += 1000
    it.received()
    now.now += 299
    assert it.remaining() == 1.0
    assert (it.expired().clock, it.expired().seconds) == ("ping", 300.0)


def test_a_server_that_never_pinged_may_be_silent_as_long_as_the_user_is_patient(now):
    it = ticking(now, first_event=3600.0, ping=300.0)
    it.connected()
    now.now += 1000
    assert it.remaining() == 2600.0


def test_an_event_ends_the_wait_for_pings(now):
    it = ticking(now, idle=3600.0, ping=300.0)
    it.received()
    it.event()
    assert it.remaining() == 3600.0


def test_nothing_resets_the_total(now):
    it = ticking(now, total=100.0, connect=30.0, first_event=60.0, idle=60.0)
    for step in (it.connected, it.sent, it.received, it.event):
        now.now += 20
        step()
    assert it.remaining() == 20.0
    assert (it.expired().clock, it.expired().seconds) == ("total", 100.0)


def test_after_the_end_of_the_answer_there_is_only_a_moment_left(now):
    it = ticking(now)
    it.finished()
    assert it.remaining() == 0.25


# ---- In the transport ----


def timed_out(runner, url, **timeouts):
    began = time.monotonic()
    with pytest.raises(BackendTimeoutError) as caught:
        runner.play(lambda transport: fetched(transport, url, **timeouts))
    assert time.monotonic() - began < MUCH_LATER / 2
    return caught.value


@EVERY_TRANSPORT
def test_r32_a_server_that_says_nothing_is_given_up(runner):
    with Loopback([Stall()]) as server:
        error = timed_out(runner, server.url, connect=MUCH_LATER, first_event=SOON)
        assert error.message == f"Ollama at {server.url} sent no answer within 0.3 s (clock: first event)"
    assert error.clock == "first event"
    assert "timeout" in error.hints[0]
    assert not error.transient


@EVERY_TRANSPORT
@pytest.mark.parametrize(
    "script",
    [
        [Drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 5000, 0.02)],
        [head(content_type="application/json", headers={"Content-Length": "100000"}), Drip(b" ", 0.02)],
        [head(headers=CHUNKED), Drip(chunked(b": ping\n\n", end=False), 0.002)],
    ],
    ids=["headers", "body", "pings"],
)
def test_r32_a_drip_does_not_stretch_the_clock(runner, script):
    with Loopback(script) as server:
        assert timed_out(runner, server.url, first_event=SOON, idle=MUCH_LATER).clock == "first event"


@EVERY_TRANSPORT
def test_r32_a_stall_after_an_event_is_the_idle_clock(runner):
    with Loopback([head(headers=CHUNKED), chunked(b"data: 1\n\n", end=False), Stall()]) as server:

        async def story(transport):
            ticking = deadlines(first_event=MUCH_LATER, idle=SOON)
            reply = await transport.send(outgoing(server.url), ticking)
            try:
                async with aclosing(reply.chunks()) as chunks:
                    async for _ in chunks:
                        ticking.event()
            finally:
                await reply.aclose()

        with pytest.raises(BackendTimeoutError, match=r"sent nothing new for 0\.3 s") as caught:
            runner.play(story)
    assert caught.value.clock == "idle"


@EVERY_TRANSPORT
def test_r32_a_server_that_pinged_and_fell_silent_is_dead(runner):
    with Loopback([head(headers=CHUNKED), chunked(b": ping\n\n", end=False), Stall()]) as server:
        assert timed_out(runner, server.url, first_event=MUCH_LATER, ping=SOON).clock == "ping"


@EVERY_TRANSPORT
def test_r32_the_total_ends_a_lively_stream_too(runner):
    with Loopback([head(headers=CHUNKED), Drip(chunked(b"data: 1\n\n", end=False), 0.002)]) as server:

        async def story(transport):
            ticking = deadlines(total=SOON)
            reply = await transport.send(outgoing(server.url), ticking)
            try:
                async with aclosing(reply.chunks()) as chunks:
                    async for _ in chunks:
                        ticking.event()
            finally:
                await reply.aclose()

        with pytest.raises(BackendTimeoutError) as caught:
            runner.play(story)
    assert caught.value.clock == "total"
    assert "total_timeout" in caught.value.hints[0]


@EVERY_TRANSPORT
def test_r32_a_connection_nobody_accepts_is_the_connect_clock(runner):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = []
        for _ in range(3):  # they fill the queue; from then on the system drops what knocks
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(full.getsockname())
            waiting.append(one)
        error = timed_out(runner, f"http://127.0.0.1:{full.getsockname()[1]}/", connect=SOON, first_event=MUCH_LATER)
        for one in waiting:
            one.close()
    assert error.clock == "connect"
    assert error.transient
    assert "connect_timeout" in error.hints[0]


@EVERY_TRANSPORT
def test_r32_a_tls_handshake_nobody_answers_is_the_connect_clock(runner):
    with Loopback([Stall()]) as server:
        url = f"https://127.0.0.1:{server.port}/"
        assert timed_out(runner, url, connect=SOON, first_event=MUCH_LATER).clock == "connect"


HANDSHAKE = [head(content_type=""), Pause(0.2), Drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc" + bytes(5000), 0.02)]


@EVERY_TRANSPORT
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_r32_a_tls_handshake_that_drips_through_a_tunnel_is_the_connect_clock(runner, scheme, tmp_path):
    authority, tls = trustme.CA(), None
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    if scheme == "https":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(tls)
    with Loopback(HANDSHAKE, tls=tls) as proxy, pytest.raises(BackendTimeoutError) as caught:
        runner.play(
            lambda transport: fetched(transport, "https://far.example/", connect=1.0, first_event=MUCH_LATER),
            Route({}, proxy=proxy.url, ca_bundle=str(tmp_path / "ca.pem")),
        )
    assert caught.value.clock == "connect"


@EVERY_TRANSPORT
def test_r32_a_proxy_that_does_not_open_its_tunnel_is_the_connect_clock(runner):
    with Loopback([Stall()]) as proxy, pytest.raises(BackendTimeoutError) as caught:
        runner.play(
            lambda transport: fetched(transport, "https://far.example/", connect=SOON, first_event=MUCH_LATER),
            Route({}, proxy=proxy.url),
        )
    assert caught.value.clock == "connect"


@EVERY_TRANSPORT
def test_r32_a_resolver_that_does_not_answer_is_the_connect_clock(runner, monkeypatch):
    def slow(*_, **__):
        time.sleep(1.0)
        raise socket.gaierror(socket.EAI_AGAIN, "late")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    assert timed_out(runner, "http://far.example/", connect=SOON, first_event=MUCH_LATER).clock == "connect"


@EVERY_TRANSPORT
def test_r32_a_server_that_takes_no_more_of_the_request_is_given_up(runner):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        call = outgoing(f"http://127.0.0.1:{deaf.getsockname()[1]}/", method="POST", body=bytes(64 << 20))
        with pytest.raises(BackendTimeoutError) as caught:
            runner.play(lambda transport: transport.send(call, deadlines(first_event=SOON)))
    assert caught.value.clock == "first event"


@EVERY_TRANSPORT
def test_the_time_a_reader_takes_over_an_event_is_not_the_servers(runner):
    with Loopback(
        [head(headers=CHUNKED), chunked(b"data: 1\n\n", end=False), Pause(0.6), chunked(b"data: 2\n\n")]
    ) as server:

        async def story(transport):
            ticking = deadlines(first_event=MUCH_LATER, idle=2.0)
            reply = await transport.send(outgoing(server.url), ticking)
            found = []
            async with aclosing(reply.chunks()) as chunks:
                async for chunk in chunks:
                    found.append(chunk)
                    if len(found) == 1:
                        time.sleep(2.5)  # noqa: ASYNC251 -- a reader who thinks
                    ticking.event()
            await reply.aclose()
            return found

        assert runner.play(story) == [b"data: 1\n\n", b"data: 2\n\n"]


@EVERY_TRANSPORT
def test_a_patient_call_gets_its_slow_answer(runner):
    with Loopback([Pause(0.2), answer(b"{}")]) as server:
        assert runner.play(lambda transport: fetched(transport, server.url)) == (200, b"{}")
