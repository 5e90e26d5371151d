"""HttpBackend against answers that stop, stall, lead elsewhere, or are none: each is one typed error, in time."""

from __future__ import annotations

import tracemalloc

import pytest
from support.http_backend import ANSWER, STREAM, WHOLE, asking, streamed
from support.loopback import CHUNKED, Drip, Fin, Flood, Loopback, Rst, answer, chunked, head
from support.transports import EVERY_TRANSPORT

from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.errors import BackendTimeoutError, ConnectionFailedError, ProtocolError, StreamInterruptedError
from arawn.events import Finished, TextDelta
from arawn.network.deadlines import Timeouts

AUTH = [("Authorization", "Bearer "), ("x-api-key", ""), ("api-key", ""), ("X-Auth-Token", "Token ")]


# ---- R27: cut streams ----

BODY = b"".join(STREAM)
COMPLETE_AT = BODY.index(b'"stop"}]}') + len(b'"stop"}]}')
ENDS = {
    "clean chunk end": lambda part: [head(headers=CHUNKED), chunked(part)],
    "FIN": lambda part: [head(headers=CHUNKED), chunked(part, end=False), Fin()],
    "FIN without a length": lambda part: [head(headers={"Connection": "close"}), part, Fin()],
    "RST": lambda part: [head(headers=CHUNKED), chunked(part, end=False), Rst()],
}


@EVERY_TRANSPORT
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_r27_a_stream_cut_at_any_byte_before_its_stop_reason_is_incomplete(runner, end):
    cuts = range(COMPLETE_AT)
    with Loopback(*(end(BODY[:cut]) for cut in cuts)) as server:

        async def story(transport):
            for _ in cuts:
                one = asking(server.url)
                with pytest.raises((StreamInterruptedError, ConnectionFailedError)) as caught:
                    await one(transport)
                # a reset may overtake the headers, and then there was no answer at all
                assert isinstance(caught.value, StreamInterruptedError) or (end is ENDS["RST"] and not one.found)
                text = "".join(it.text for it in one.found if isinstance(it, TextDelta))
                assert "Good day".startswith(text)
                assert not any(isinstance(it, Finished) for it in one.found)

        runner.play(story)
    assert len(server.requests) == len(cuts)


@EVERY_TRANSPORT
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_r27_after_its_stop_reason_an_answer_is_complete_however_the_connection_ends(runner, end):
    with Loopback(end(BODY[:COMPLETE_AT])) as server:
        assert isinstance(runner.play(asking(server.url))[-1], Finished)


@EVERY_TRANSPORT
def test_r27_a_cut_says_what_became_of_the_connection(runner):
    with Loopback(ENDS["FIN"](BODY[:200])) as server:
        story = asking(server.url)
        with pytest.raises(StreamInterruptedError) as caught:
            runner.play(story)
    assert story.found == ANSWER[:2]
    assert caught.value.partial is None
    assert "incomplete chunked read" in caught.value.hints[0]


@EVERY_TRANSPORT
def test_r27_an_unstreamed_answer_cut_short_is_incomplete(runner):
    sent = head(content_type="application/json", headers={"Content-Length": str(len(WHOLE))}) + WHOLE[:-5]
    with Loopback([sent, Fin()]) as server, pytest.raises(StreamInterruptedError):
        runner.play(asking(server.url))


class Credulous(OpenAIChatAdapter):
    """An adapter whose parser takes any end for a good one."""

    def stream_parser(self):
        parser = super().stream_parser()
        parser.close = lambda: ()
        return parser


@EVERY_TRANSPORT
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_r27_an_answer_without_its_finish_is_incomplete_whatever_its_parser_thinks(runner, end):
    with Loopback(end(BODY[:200])) as server, pytest.raises(StreamInterruptedError):
        runner.play(asking(server.url, adapter=Credulous))


# ---- R24: redirects ----


@EVERY_TRANSPORT
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("header", "prefix"), AUTH)
def test_r24_a_redirect_is_not_followed_and_nothing_reaches_the_other_port(runner, status, header, prefix):
    with Loopback([answer(b"{}")]) as sink:
        location = {"Location": f"{sink.url}/v1/chat/completions"}
        with (
            Loopback([answer(status=status, headers=location)]) as server,
            pytest.raises(ConnectionFailedError) as caught,
        ):
            runner.play(asking(server.url, auth_header=header, auth_prefix=prefix))
    assert not sink.connections
    assert sink.url in caught.value.message
    assert "base_url" in caught.value.hints[0]
    assert not caught.value.transient


# ---- R29, R31, R33: answers that are none ----

HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>"
STRANGE = {
    "HTML": (answer(HTML, content_type="text/html"), "text/html", "Sign in"),
    "HTML called JSON": (answer(HTML), "application/json", "Sign in"),
    "HTML called a stream": (answer(HTML, content_type="text/event-stream"), "text/event-stream", "Sign in"),
    "HTML without a type": (answer(HTML, content_type=""), "content type", "Sign in"),
    "JSON called a stream": (answer(b'{"oops": 1}', content_type="text/event-stream"), "text/event-stream", "oops"),
    "text": (answer(b"upstream is warming up", content_type="text/plain"), "text/plain", "warming up"),
    "nothing": (answer(b"", content_type=""), "content type", "nothing"),
    "nothing called JSON": (answer(b""), "application/json", "nothing"),
    "a number": (answer(b"42"), "application/json", "42"),
    "a picture": (answer(b"\x89PNG\r\n\x1a\n\x1b[31m", content_type="image/png"), "image/png", "PNG"),
    "no content": (head(204, content_type=""), "content type", "nothing"),
}


@EVERY_TRANSPORT
@pytest.mark.parametrize(("sent", "kind", "shown"), STRANGE.values(), ids=STRANGE)
def test_r29_a_success_in_another_protocol_shows_status_type_and_what_came(runner, sent, kind, shown):
    with Loopback([sent]) as server, pytest.raises(ProtocolError) as caught:
        runner.play(asking(server.url))
    assert caught.value.message.startswith(f'Backend "local" answered HTTP {sent[9:12].decode()}, but')
    assert kind in caught.value.message
    assert shown in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


@EVERY_TRANSPORT
@pytest.mark.parametrize("payload", [b"{not json", b"[" * 100_000, b'{"choices": [NaN]}', b"\xff\xfe", b"7x"])
def test_r31_a_bad_event_is_a_typed_protocol_error_that_names_backend_and_event(runner, payload):
    with Loopback(streamed(STREAM[0], b"data: " + payload + b"\n\n")) as server, pytest.raises(ProtocolError) as caught:
        runner.play(asking(server.url))
    assert caught.value.backend == "local"
    assert "2" in caught.value.message


@EVERY_TRANSPORT
@pytest.mark.parametrize("endless", [b"data: " + b"x" * 65536, b"x" * 65536], ids=["line", "junk"])
def test_r33_an_endless_line_is_an_error_that_takes_little_memory(runner, endless):
    with Loopback([head(headers=CHUNKED), Flood(chunked(endless, end=False))]) as server:
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError, match="sent a line of more than 8,388,608 bytes"):
                runner.play(asking(server.url))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 16 << 20


# ---- R32: deadlines ----


@EVERY_TRANSPORT
def test_r32_comments_alone_do_not_keep_a_call_alive(runner):
    script = [head(headers=CHUNKED), Drip(chunked(b": ping\n\n", end=False), 0.001)]
    with Loopback(script) as server, pytest.raises(BackendTimeoutError) as caught:
        runner.play(asking(server.url, timeouts=Timeouts(first_event=0.3)))
    assert caught.value.clock == "first event"


@EVERY_TRANSPORT
def test_r32_after_an_event_comments_alone_do_not_keep_a_call_alive(runner):
    script = [head(headers=CHUNKED), chunked(STREAM[0], end=False), Drip(chunked(b": ping\n\n", end=False), 0.001)]
    with Loopback(script) as server:
        story = asking(server.url, timeouts=Timeouts(idle=0.3))
        with pytest.raises(BackendTimeoutError) as caught:
            runner.play(story)
    assert caught.value.clock == "idle"
    assert story.found == ANSWER[:2]
