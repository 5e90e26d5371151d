"""The transport against a server on loopback: requests, replies, caps, and our words for every failure."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import traceback
import tracemalloc
from contextlib import aclosing

import pytest
from support.loopback import CHUNKED, Fin, Flood, Loopback, Rst, Stall, WaitFor, answer, chunked, head
from support.transports import EVERY_WAY, deadlines, fetched, outgoing

from arawn.errors import (
    ArawnError,
    BackendTimeoutError,
    ConnectionFailedError,
    ProtocolError,
    StreamInterruptedError,
)
from arawn.network.deadlines import DeadlineExpired
from arawn.network.routes import Peer
from arawn.network.transport import FOREIGN_ERRORS, MAX_HEADERS, failure_of

PEER = Peer("ollama", "Ollama", "http://localhost:11434")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@EVERY_WAY
def test_it_sends_the_request_as_described(engine):
    with Loopback([answer(b"{}")]) as server:

        async def story(transport):
            call = outgoing(f"{server.url}/v1/chat?a=1", method="POST", headers={"X-Api-Key": "k"}, body=b'{"e": 1}')
            reply = await transport.send(call, deadlines())
            await reply.aclose()

        engine.play(story)
    [request] = server.requests
    assert (request.method, request.target, request.body) == ("POST", "/v1/chat?a=1", b'{"e": 1}')
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "x-api-key": "k",
        "accept-encoding": "identity",
        "content-length": "8",
    }


@EVERY_WAY
def test_it_hands_in_status_headers_and_body(engine):
    sent = answer(b'{"a": 1}', 418, headers={"X-One": "1", "Set-Cookie": "a", "set-cookie": "b"})
    with Loopback([sent]) as server:

        async def story(transport):
            reply = await transport.send(outgoing(server.url), deadlines())
            try:
                return reply.status, reply.headers, reply.content_type, await reply.read()
            finally:
                await reply.aclose()

        status, headers, content_type, body = engine.play(story)
    assert (status, content_type, body) == (418, "application/json", b'{"a": 1}')
    assert headers["x-one"] == "1"
    assert headers["set-cookie"] == "a, b"


@EVERY_WAY
def test_it_yields_chunks_as_they_arrive(engine):
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

        assert engine.play(story) == parts


@EVERY_WAY
def test_it_uses_a_connection_again_once_its_answer_was_read(engine):
    with Loopback([answer(b"{}")]) as server:

        async def story(transport):
            for _ in range(3):
                await fetched(transport, server.url)

        engine.play(story)
        assert (len(server.requests), server.connections) == (3, 1)


@EVERY_WAY
def test_it_drops_a_connection_whose_answer_was_left_unread(engine):
    with Loopback(
        [head(headers=CHUNKED), chunked(b"begun", end=False), Flood(chunked(b"x" * 1000, end=False))]
    ) as server:

        async def story(transport):
            for _ in range(2):
                reply = await transport.send(outgoing(server.url), deadlines())
                async with aclosing(reply.chunks()) as chunks:
                    assert (await anext(chunks)).startswith(b"begun")
                await reply.aclose()

        engine.play(story)
        assert (len(server.requests), server.connections) == (2, 2)


@EVERY_WAY
def test_it_asks_again_on_a_new_connection_when_the_kept_one_was_closed_meanwhile(engine):
    with Loopback([answer(b"{}"), Fin()]) as server:

        async def story(transport):
            for _ in range(2):
                await fetched(transport, server.url)
                server.idle()

        engine.play(story)
        assert server.connections == 2


# ---- What cannot be reached ----


@EVERY_WAY
def test_a_refused_connection_names_the_service_and_its_address(engine):
    port = free_port()
    with pytest.raises(ConnectionFailedError) as caught:
        engine.play(lambda transport: fetched(transport, f"http://127.0.0.1:{port}/api/chat"))
    assert caught.value.message == f"Cannot connect to Ollama at http://127.0.0.1:{port}"
    assert caught.value.hints == ("Connection refused: nothing listens there. Is it running?",)
    assert caught.value.transient
    assert caught.value.backend == "ollama"


@EVERY_WAY
def test_localhost_is_reached_though_it_listens_on_one_address_family_only(engine):
    with Loopback([answer(b"{}")]) as server:
        assert engine.play(lambda transport: fetched(transport, f"http://localhost:{server.port}/")) == (200, b"{}")


@EVERY_WAY
def test_an_unknown_name_is_not_worth_another_try(engine, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionFailedError, match=r"Cannot connect to Ollama at http://nowhere\.example") as caught:
        engine.play(lambda transport: fetched(transport, "http://nowhere.example/v1"))
    assert "not known" in caught.value.hints[0]
    assert not caught.value.transient


@EVERY_WAY
def test_a_resolver_without_network_is_worth_another_try(engine, monkeypatch):
    def unsure(*_, **__):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unsure)
    with pytest.raises(ConnectionFailedError) as caught:
        engine.play(lambda transport: fetched(transport, "http://nowhere.example/v1"))
    assert "Is the network up?" in caught.value.hints[0]
    assert caught.value.transient


@EVERY_WAY
def test_a_name_no_resolver_takes_is_an_unknown_name(engine):
    with pytest.raises(ConnectionFailedError) as caught:
        engine.play(lambda transport: fetched(transport, f"http://{'a' * 64}.example/v1"))
    assert "not known" in caught.value.hints[0]


@EVERY_WAY
def test_https_to_a_server_without_tls_says_so(engine):
    with (
        Loopback([], greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as server,
        pytest.raises(ConnectionFailedError, match="Cannot connect to Ollama at https://") as caught,
    ):
        engine.play(lambda transport: fetched(transport, f"https://127.0.0.1:{server.port}/"))
    assert "http://" in caught.value.hints[1]
    assert not caught.value.transient


@EVERY_WAY
@pytest.mark.parametrize("ending", [Fin(), Rst()], ids=["FIN", "RST"])
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Ty"], ids=["nothing", "half a header"])
def test_a_connection_that_ends_before_its_answer_is_a_failed_one(engine, ending, begun):
    with Loopback([begun, ending]) as server, pytest.raises(ConnectionFailedError) as caught:
        engine.play(lambda transport: fetched(transport, server.url))
    assert caught.value.message == f"Ollama at {server.url} closed the connection without an answer"
    assert caught.value.transient


@EVERY_WAY
@pytest.mark.parametrize(
    "sent", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\n" * 3, b"HTTP/9.9 banana\r\n\r\n"]
)
def test_what_is_not_http_is_told_so(engine, sent):
    with Loopback([sent, Fin()]) as server, pytest.raises(ProtocolError, match="did not answer in HTTP") as caught:
        engine.play(lambda transport: fetched(transport, server.url))
    assert any("base_url" in hint for hint in caught.value.hints)


# ---- Bodies that stop ----

CUTS = {
    "FIN before the length": [head(headers={"Content-Length": "10"}), b"12345", Fin()],
    "RST before the length": [head(headers={"Content-Length": "10"}), b"12345", Rst()],
    "FIN between chunks": [head(headers=CHUNKED), chunked(b"12345", end=False), Fin()],
    "FIN inside a chunk": [head(headers=CHUNKED), b"a\r\n12345", Fin()],
    "RST inside a chunk": [head(headers=CHUNKED), b"a\r\n12345", Rst()],
    "broken chunked coding": [head(headers=CHUNKED), b"5\r\n12345\r\nbanana\r\n"],
}


@EVERY_WAY
@pytest.mark.parametrize("script", CUTS.values(), ids=CUTS)
def test_r27_a_body_that_stops_before_its_end_is_interrupted(engine, script):
    with Loopback(script) as server, pytest.raises(StreamInterruptedError) as caught:
        engine.play(lambda transport: fetched(transport, server.url))
    assert caught.value.message == 'The answer of backend "ollama" stopped before its end'
    assert caught.value.hints


@EVERY_WAY
def test_what_arrived_before_the_cut_was_handed_on(engine):
    with Loopback(CUTS["FIN between chunks"]) as server:

        async def story(transport):
            reply = await transport.send(outgoing(server.url), deadlines())
            try:
                return await reply.beginning(100)
            finally:
                await reply.aclose()

        assert engine.play(story) == b"12345"


# ---- Caps ----


@EVERY_WAY
def test_r33_a_compressed_answer_is_refused_without_being_unpacked(engine):
    bomb = gzip.compress(bytes(64 << 20))
    sent = answer(bomb, headers={"Content-Encoding": "gzip"})
    with Loopback([sent]) as server, pytest.raises(ProtocolError, match=r"compressed its answer \(gzip\)"):
        engine.play(lambda transport: fetched(transport, server.url))


@EVERY_WAY
def test_r33_an_endless_body_is_an_error_and_takes_no_more_memory_than_its_cap(engine):
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
                engine.play(story)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 24 << 20


@EVERY_WAY
def test_r33_reading_a_stream_piece_by_piece_holds_no_more_than_a_piece(engine):
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
            engine.play(story)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 12 << 20


@EVERY_WAY
@pytest.mark.parametrize("size", [MAX_HEADERS + 1, 1 << 20], ids=["just over", "1 MiB"])
def test_r33_headers_over_their_cap_are_an_error(engine, size):
    sent = answer(b"{}", headers={"X-Long": "x" * size})
    with Loopback([sent]) as server, pytest.raises(ProtocolError):
        engine.play(lambda transport: fetched(transport, server.url))


@EVERY_WAY
def test_a_cap_met_exactly_is_no_error(engine):
    with Loopback([answer(b"x" * 1000)]) as server:

        async def story(transport):
            reply = await transport.send(outgoing(server.url), deadlines())
            try:
                return await reply.read(cap=1000)
            finally:
                await reply.aclose()

        assert len(engine.play(story)) == 1000


# ---- Our words for foreign errors ----


@pytest.mark.parametrize("foreign", FOREIGN_ERRORS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("answering", [False, True], ids=["before the answer", "in the answer"])
def test_no_exception_of_a_connection_is_without_our_words(foreign, answering):
    error = failure_of(foreign("idle", 1.0) if foreign is DeadlineExpired else foreign("x"), PEER, answering=answering)
    assert isinstance(error, ArawnError)
    assert error.message
    if foreign is DeadlineExpired:
        assert isinstance(error, BackendTimeoutError)
    elif answering:
        assert isinstance(error, StreamInterruptedError)


@pytest.mark.parametrize("foreign", [OSError(5, "Input/output error"), ssl.SSLError(1, "odd"), UnicodeError("x")])
def test_the_systems_exceptions_are_connection_failures(foreign):
    assert isinstance(failure_of(foreign, PEER), ConnectionFailedError)


@EVERY_WAY
def test_r14_no_error_carries_what_the_request_said(engine):
    call = outgoing(f"http://127.0.0.1:{free_port()}/", headers={"Authorization": "Bearer canary-1"}, body=b"canary-2")

    with pytest.raises(ConnectionFailedError) as caught:
        engine.play(lambda transport: transport.send(call, deadlines()))
    error: BaseException | None = caught.value
    while error is not None:
        assert "canary" not in repr((error, error.args, vars(error)))
        error = error.__cause__ or error.__context__


KEY = "cAnary-0123456789"
UNSENDABLE = {
    "a line end": {"Authorization": f"Bearer {KEY}\n"},
    "a NUL": {"Authorization": f"Bearer {KEY}\0"},
    "a letter beyond ASCII": {"Authorization": f"Bearer {KEY}\N{LATIN SMALL LETTER E WITH ACUTE}"},
    "a surrogate": {"Authorization": f"Bearer {KEY}\udc80"},
    "a bad name": {f"X {KEY}": "1"},
}


def told(error):
    """All that an exception and those behind it say, with the locals of our own frames."""
    said, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        said += ["".join(traceback.format_exception(error, chain=False)), repr(error.args), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(said)


@EVERY_WAY
@pytest.mark.parametrize("headers", UNSENDABLE.values(), ids=UNSENDABLE)
def test_r14_a_header_that_cannot_be_written_is_not_repeated_in_the_error(engine, headers, caplog):
    caplog.set_level("DEBUG")
    with Loopback([answer()]) as server:
        call = outgoing(server.url, headers=headers)
        with pytest.raises(ProtocolError, match="cannot be written as HTTP") as caught:
            engine.play(lambda transport: transport.send(call, deadlines()))
        assert server.requests == []
    assert KEY not in f"{caught.value.message} {caught.value.hints}{told(caught.value)}{caplog.text}"
    assert caught.value.__context__ is None


ENDS = {
    "a refused connection": None,
    "no answer": [Fin()],
    "a reset": [Rst()],
    "no HTTP": [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Fin()],
    "headers over the cap": [answer(b"{}", headers={"X-Long": "x" * (MAX_HEADERS + 1)})],
    "silence": [Stall()],
    "half a body": [head(headers={"Content-Length": "10"}), b"12345", Fin()],
    "broken chunks": [head(headers=CHUNKED), b"banana\r\n"],
}


@EVERY_WAY
@pytest.mark.parametrize("script", ENDS.values(), ids=ENDS)
def test_r14_no_failure_tells_the_key_in_a_traceback_a_context_or_a_log(engine, script, caplog):
    caplog.set_level("DEBUG")

    async def story(transport):
        headers = {"Authorization": f"Bearer {KEY}"}
        call = outgoing(f"{url}/v1?q={KEY}", method="POST", headers=headers, body=KEY.encode())
        reply = await transport.send(call, deadlines(first_event=0.5))
        try:
            await reply.read()
        finally:
            await reply.aclose()

    with Loopback(script or []) as server:
        url = server.url if script else f"http://127.0.0.1:{free_port()}"
        with pytest.raises(ArawnError) as caught:
            engine.play(story)
    assert KEY not in told(caught.value)
    assert KEY not in caplog.text
    assert caught.value.__context__ is None


@EVERY_WAY
def test_httpx_logs_nothing_of_a_call_that_went_well(engine, caplog):
    caplog.set_level("DEBUG")
    with Loopback([answer(b"{}")]) as server:
        call = outgoing(f"{server.url}/v1?key={KEY}", headers={"Authorization": f"Bearer {KEY}"})

        async def story(transport):
            reply = await transport.send(call, deadlines())
            await reply.read()
            await reply.aclose()

        engine.play(story)
    assert KEY not in caplog.text


@EVERY_WAY
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["http://other.example/v1", "/v2", "http://[bad", "//", "\u00e9", ""])
def test_r24_a_redirect_is_an_answer_like_any_other(engine, status, location):
    sent = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 2\r\n\r\n{{}}".encode("latin-1")
    with Loopback([sent]) as server:
        assert engine.play(lambda transport: fetched(transport, server.url)) == (status, b"{}")
        assert len(server.requests) == 1


@EVERY_WAY
def test_no_cookie_is_kept(engine):
    with Loopback([answer(b"{}", headers={"Set-Cookie": "a=1; Path=/"})]) as server:

        async def story(transport):
            for _ in range(2):
                await fetched(transport, server.url)

        engine.play(story)
    assert [request.headers.get("cookie") for request in server.requests] == [None, None]


@EVERY_WAY
@pytest.mark.parametrize("size", [64 << 10, (64 << 10) + 1, 3 << 20])
def test_a_long_body_goes_out_whole(engine, size):
    with Loopback([answer(b"{}")]) as server:
        call = outgoing(server.url, method="POST", body=b"x" * size)

        async def story(transport):
            reply = await transport.send(call, deadlines())
            await reply.aclose()

        engine.play(story)
    assert server.requests[0].headers["content-length"] == str(size)
    assert len(server.requests[0].body) == size


@EVERY_WAY
def test_a_get_is_not_sent_a_second_time_when_its_kept_connection_ended(engine):
    with Loopback([answer(b"{}")], [Fin()], [answer(b"{}")]) as server:

        async def story(transport):
            await fetched(transport, server.url)
            with pytest.raises(ConnectionFailedError):
                await fetched(transport, server.url)

        engine.play(story)
        assert len(server.requests) == 2
