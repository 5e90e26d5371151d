"""A failure of the transport: what cannot be reached, bodies that stop, our words for each, and no key in any."""

from __future__ import annotations

import socket
import ssl
import traceback

import pytest
from support.loopback import CHUNKED, Fin, Loopback, Rst, Stall, answer, chunked, head
from support.transports import EVERY_TRANSPORT, deadlines, fetched, outgoing

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


# ---- What cannot be reached ----


@EVERY_TRANSPORT
def test_a_refused_connection_names_the_service_and_its_address(runner):
    port = free_port()
    with pytest.raises(ConnectionFailedError) as caught:
        runner.play(lambda transport: fetched(transport, f"http://127.0.0.1:{port}/api/chat"))
    assert caught.value.message == f"Cannot connect to Ollama at http://127.0.0.1:{port}"
    assert caught.value.hints == ("Connection refused: nothing listens there. Is it running?",)
    assert caught.value.transient
    assert caught.value.backend == "ollama"


@EVERY_TRANSPORT
def test_localhost_is_reached_though_it_listens_on_one_address_family_only(runner):
    with Loopback([answer(b"{}")]) as server:
        assert runner.play(lambda transport: fetched(transport, f"http://localhost:{server.port}/")) == (200, b"{}")


@EVERY_TRANSPORT
def test_an_unknown_name_is_not_worth_another_try(runner, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionFailedError, match=r"Cannot connect to Ollama at http://nowhere\.example") as caught:
        runner.play(lambda transport: fetched(transport, "http://nowhere.example/v1"))
    assert "not known" in caught.value.hints[0]
    assert not caught.value.transient


@EVERY_TRANSPORT
def test_a_resolver_without_network_is_worth_another_try(runner, monkeypatch):
    def unsure(*_, **__):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unsure)
    with pytest.raises(ConnectionFailedError) as caught:
        runner.play(lambda transport: fetched(transport, "http://nowhere.example/v1"))
    assert "Is the network up?" in caught.value.hints[0]
    assert caught.value.transient


@EVERY_TRANSPORT
def test_a_name_no_resolver_takes_is_an_unknown_name(runner):
    with pytest.raises(ConnectionFailedError) as caught:
        runner.play(lambda transport: fetched(transport, f"http://{'a' * 64}.example/v1"))
    assert "not known" in caught.value.hints[0]


@EVERY_TRANSPORT
def test_https_to_a_server_without_tls_says_so(runner):
    with (
        Loopback([], greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as server,
        pytest.raises(ConnectionFailedError, match="Cannot connect to Ollama at https://") as caught,
    ):
        runner.play(lambda transport: fetched(transport, f"https://127.0.0.1:{server.port}/"))
    assert "http://" in caught.value.hints[1]
    assert not caught.value.transient


@EVERY_TRANSPORT
@pytest.mark.parametrize("ending", [Fin(), Rst()], ids=["FIN", "RST"])
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Ty"], ids=["nothing", "half a header"])
def test_a_connection_that_ends_before_its_answer_is_a_failed_one(runner, ending, begun):
    with Loopback([begun, ending]) as server, pytest.raises(ConnectionFailedError) as caught:
        runner.play(lambda transport: fetched(transport, server.url))
    assert caught.value.message == f"Ollama at {server.url} closed the connection without an answer"
    assert caught.value.transient


@EVERY_TRANSPORT
@pytest.mark.parametrize(
    "sent", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\n" * 3, b"HTTP/9.9 banana\r\n\r\n"]
)
def test_what_is_not_http_is_named_so(runner, sent):
    with Loopback([sent, Fin()]) as server, pytest.raises(ProtocolError, match="did not answer in HTTP") as caught:
        runner.play(lambda transport: fetched(transport, server.url))
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


@EVERY_TRANSPORT
@pytest.mark.parametrize("script", CUTS.values(), ids=CUTS)
def test_r27_a_body_that_stops_before_its_end_is_interrupted(runner, script):
    with Loopback(script) as server, pytest.raises(StreamInterruptedError) as caught:
        runner.play(lambda transport: fetched(transport, server.url))
    assert caught.value.message == 'The answer of backend "ollama" stopped before its end'
    assert caught.value.hints


@EVERY_TRANSPORT
def test_what_arrived_before_the_cut_was_handed_on(runner):
    with Loopback(CUTS["FIN between chunks"]) as server:

        async def story(transport):
            reply = await transport.send(outgoing(server.url), deadlines())
            try:
                return await reply.beginning(100)
            finally:
                await reply.aclose()

        assert runner.play(story) == b"12345"


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


@EVERY_TRANSPORT
def test_r14_no_error_carries_what_the_request_said(runner):
    call = outgoing(f"http://127.0.0.1:{free_port()}/", headers={"Authorization": "Bearer canary-1"}, body=b"canary-2")

    with pytest.raises(ConnectionFailedError) as caught:
        runner.play(lambda transport: transport.send(call, deadlines()))
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


def shown(error):
    """All that an exception and those behind it say, with the locals of our own frames."""
    said, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        said += ["".join(traceback.format_exception(error, chain=False)), repr(error.args), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(said)


@EVERY_TRANSPORT
@pytest.mark.parametrize("headers", UNSENDABLE.values(), ids=UNSENDABLE)
def test_r14_a_header_that_cannot_be_written_is_not_repeated_in_the_error(runner, headers, caplog):
    caplog.set_level("DEBUG")
    with Loopback([answer()]) as server:
        call = outgoing(server.url, headers=headers)
        with pytest.raises(ProtocolError, match="cannot be written as HTTP") as caught:
            runner.play(lambda transport: transport.send(call, deadlines()))
        assert server.requests == []
    assert KEY not in f"{caught.value.message} {caught.value.hints}{shown(caught.value)}{caplog.text}"
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


@EVERY_TRANSPORT
@pytest.mark.parametrize("script", ENDS.values(), ids=ENDS)
def test_r14_no_failure_tells_the_key_in_a_traceback_a_context_or_a_log(runner, script, caplog):
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
            runner.play(story)
    assert KEY not in shown(caught.value)
    assert KEY not in caplog.text
    assert caught.value.__context__ is None


@EVERY_TRANSPORT
def test_httpx_logs_nothing_of_a_call_that_went_well(runner, caplog):
    caplog.set_level("DEBUG")
    with Loopback([answer(b"{}")]) as server:
        call = outgoing(f"{server.url}/v1?key={KEY}", headers={"Authorization": f"Bearer {KEY}"})

        async def story(transport):
            reply = await transport.send(call, deadlines())
            await reply.read()
            await reply.aclose()

        runner.play(story)
    assert KEY not in caplog.text
