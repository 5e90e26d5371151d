"""Retry in front of a real HttpBackend: attempts are counted at the upstream, waits by the sleep that was handed in."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from support.http_backend import ASK, DONE, delta, endpoint, streamed
from support.loopback import CHUNKED, Fin, Loopback, Rst, Stall, answer, chunked, head
from support.model_rules import NO_SAMPLING
from support.transports import EVERY_TRANSPORT
from support.waiting import wait_until

from arawn.adapters.base import Quirks
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.backends.http import HttpBackend
from arawn.backends.mock import MockBackend, MockResponse
from arawn.engine.blocking import iterate, run
from arawn.errors import (
    AuthenticationError,
    BackendTimeoutError,
    ConnectionFailedError,
    OverloadedError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    RequestError,
    ServerError,
    StreamInterruptedError,
)
from arawn.events import Finished, Notice, Started, TextDelta
from arawn.messages import ChatRequest
from arawn.middleware.retry import Retry, RetryEmbedder, RetryPolicy
from arawn.network.deadlines import Timeouts

GOOD = streamed(delta("Hi"), delta("!"), delta(finish_reason="stop"), DONE)
SILENT = [head(headers=CHUNKED), chunked(delta(answer_id="a0"), end=False)]  # an answer begun, and no word of it
SPOKEN = [head(headers=CHUNKED), chunked(delta("Hi"), end=False)]
BUSY = [answer(b"{}", 503)]


class Asked:
    """One conversation with a server through Retry: what came out, and how long was waited."""

    def __init__(self, url, *, request=ASK, timeouts=None, quirks=None, **options):
        self.waits = []
        self.events = []
        self._url = url
        self._request = request
        self._timeouts = timeouts or Timeouts()
        self._quirks = quirks or Quirks()
        self._options = {"random": lambda: 1.0, **options}

    async def sleep(self, seconds):
        self.waits.append(seconds)

    def _policy(self):
        return RetryPolicy(sleep=self.sleep, **self._options)

    async def __call__(self, transport):
        there = endpoint(transport, self._url, key=None, timeouts=self._timeouts)
        inner = HttpBackend(there, OpenAIChatAdapter("local", self._quirks))
        async with aclosing(Retry(inner, self._policy()).stream(self._request)) as events:
            async for event in events:
                self.events.append(event)

    @property
    def notices(self):
        return [event.text for event in self.events if isinstance(event, Notice)]

    @property
    def text(self):
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))


@EVERY_TRANSPORT
def test_an_answer_that_comes_at_once_passes_unchanged(runner):
    with Loopback(GOOD) as server:
        asked = Asked(server.url)
        runner.play(asked)
    assert [type(event) for event in asked.events] == [Started, TextDelta, TextDelta, Finished]
    assert asked.waits == []


@EVERY_TRANSPORT
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_r34_a_passing_failure_is_asked_again(runner, status):
    with Loopback([answer(b"{}", status)], GOOD) as server:
        asked = Asked(server.url)
        runner.play(asked)
    assert asked.text == "Hi!"
    assert (len(server.requests), len(asked.waits)) == (2, 1)


@EVERY_TRANSPORT
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestError),
        (401, AuthenticationError),
        (402, QuotaExceededError),
        (403, AuthenticationError),
        (404, RequestError),
        (422, RequestError),
    ],
)
def test_r34_a_refusal_is_not_asked_again(runner, status, kind):
    with Loopback([answer(b"{}", status)]) as server:
        asked = Asked(server.url)
        with pytest.raises(kind):
            runner.play(asked)
    assert len(server.requests) == 1
    assert asked.events == []


@EVERY_TRANSPORT
@pytest.mark.parametrize("ending", [Fin(), Rst()], ids=["FIN", "RST"])
def test_r34_a_connection_that_ends_without_an_answer_is_asked_again(runner, ending):
    with Loopback([ending], GOOD) as server:
        asked = Asked(server.url)
        runner.play(asked)
    assert asked.text == "Hi!"
    assert len(server.requests) == 2


@EVERY_TRANSPORT
@pytest.mark.parametrize("ending", [[Fin()], [Rst()], [b"0\r\n\r\n"]], ids=["FIN", "RST", "clean"])
def test_r34_a_stream_that_ends_before_its_first_word_is_asked_again_and_begins_once(runner, ending):
    with Loopback([*SILENT, *ending], GOOD) as server:
        asked = Asked(server.url)
        runner.play(asked)
    assert asked.text == "Hi!"
    assert [event.id for event in asked.events if isinstance(event, Started)] == ["a1"]


@EVERY_TRANSPORT
@pytest.mark.parametrize("ending", [[Fin()], [Rst()], [b"0\r\n\r\n"]], ids=["FIN", "RST", "clean"])
def test_r34_after_the_first_word_nothing_is_asked_again(runner, ending):
    with Loopback([*SPOKEN, *ending], GOOD) as server:
        asked = Asked(server.url)
        with pytest.raises(StreamInterruptedError):
            runner.play(asked)
    assert len(server.requests) == 1
    assert asked.text == "Hi"
    assert asked.waits == []


@EVERY_TRANSPORT
def test_r34_an_overload_told_in_the_stream_is_asked_again_before_the_first_word_only(runner):
    overloaded = b'data: {"error": {"code": 503, "type": "overloaded_error", "message": "busy"}}\n\n'
    with Loopback([*SILENT, chunked(overloaded)], [*SPOKEN, chunked(overloaded)]) as server:
        asked = Asked(server.url)
        with pytest.raises(OverloadedError):
            runner.play(asked)
    assert len(server.requests) == 2
    assert asked.text == "Hi"


@EVERY_TRANSPORT
def test_r34_a_quota_that_calls_itself_a_rate_limit_is_not_asked_again(runner):
    body = b'{"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}'
    with Loopback([answer(body, 429, headers={"x-should-retry": "true"})]) as server, pytest.raises(QuotaExceededError):
        runner.play(Asked(server.url))
    assert len(server.requests) == 1


@EVERY_TRANSPORT
@pytest.mark.parametrize(("ambiguous", "attempts"), [(False, 1), (True, 2)])
def test_r34_an_answer_that_did_not_come_in_time_may_have_been_paid_already(runner, ambiguous, attempts):
    with Loopback([Stall()]) as server:
        asked = Asked(server.url, timeouts=Timeouts(first_event=0.2), retry_ambiguous=ambiguous, max_retries=1)
        with pytest.raises(BackendTimeoutError):
            runner.play(asked)
        wait_until(lambda: len(server.requests) == attempts)  # it may read after the client has left


@EVERY_TRANSPORT
def test_r34_a_connect_timeout_is_asked_again(runner):
    with Loopback([]) as server:
        url = f"https://127.0.0.1:{server.port}"
        asked = Asked(url, timeouts=Timeouts(connect=1.5), max_retries=1)
        with pytest.raises(BackendTimeoutError) as caught:
            runner.play(asked)
        wait_until(lambda: server.connections == 2)  # it may accept after the client has left
    assert caught.value.clock == "connect"


@EVERY_TRANSPORT
def test_a_redirect_and_a_wrong_protocol_are_not_asked_again(runner):
    for sent, kind in (
        (answer(status=307, headers={"Location": "https://other.example"}), ConnectionFailedError),
        (answer(b"<html>", content_type="text/html"), ProtocolError),
    ):
        with Loopback([sent]) as server, pytest.raises(kind):
            runner.play(Asked(server.url))
        assert len(server.requests) == 1


@EVERY_TRANSPORT
@pytest.mark.parametrize(
    ("status", "word", "attempts"), [(400, "true", 2), (503, "false", 1), (503, "true", 2), (400, "false", 1)]
)
def test_the_servers_own_word_on_trying_again_is_obeyed(runner, status, word, attempts):
    with Loopback([answer(b"{}", status, headers={"x-should-retry": word})], GOOD) as server:
        asked = Asked(server.url)
        try:
            runner.play(asked)
        except (RequestError, ServerError):
            assert attempts == 1
    assert len(server.requests) == attempts


# ---- R35: how often, how long ----


@EVERY_TRANSPORT
def test_r35_it_asks_four_times_in_all_and_waits_twice_as_long_each_time(runner):
    with Loopback(BUSY) as server:
        asked = Asked(server.url)
        with pytest.raises(OverloadedError) as caught:
            runner.play(asked)
    assert len(server.requests) == 4
    assert asked.waits == [1.0, 2.0, 4.0]
    assert caught.value.hints[-1] == "Tried 4 times."


@EVERY_TRANSPORT
def test_r35_no_wait_is_longer_than_the_cap(runner):
    with Loopback(BUSY) as server:
        asked = Asked(server.url, max_retries=7)
        with pytest.raises(OverloadedError):
            runner.play(asked)
    assert asked.waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


@EVERY_TRANSPORT
def test_r35_the_wait_is_drawn_from_its_whole_length(runner):
    dice = iter([0.0, 0.5, 0.25])
    with Loopback(BUSY) as server:
        asked = Asked(server.url, random=lambda: next(dice))
        with pytest.raises(OverloadedError):
            runner.play(asked)
    assert asked.waits == [0.0, 1.0, 1.0]


@EVERY_TRANSPORT
@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "Retry-After": "7"}, 0.25),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:09 GMT", "Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 9.0),
        ({"Retry-After": "60"}, 60.0),
    ],
)
def test_it_waits_as_long_as_the_server_asked(runner, headers, wait):
    with Loopback([answer(b"{}", 429, headers=headers)], GOOD) as server:
        asked = Asked(server.url, random=lambda: 0.0)
        runner.play(asked)
    assert asked.waits == [wait]


@EVERY_TRANSPORT
def test_r35_a_server_that_asks_for_more_than_a_minute_is_not_asked_again(runner):
    with (
        Loopback([answer(b"{}", 429, headers={"Retry-After": "3725"})]) as server,
        pytest.raises(RateLimitError) as caught,
    ):
        runner.play(Asked(server.url))
    assert len(server.requests) == 1
    assert caught.value.hints[-1] == "The server asks to wait 1 h 2 min 5 s."


@EVERY_TRANSPORT
def test_r35_no_attempt_begins_after_the_total_time(runner):
    time = [100.0]
    with Loopback(BUSY) as server:
        asked = Asked(server.url, total=10.0, monotonic=lambda: time[0])

        async def sleep(seconds):
            asked.waits.append(seconds)
            time[0] += 4.0

        asked.sleep = sleep
        with pytest.raises(OverloadedError):
            runner.play(asked)
    assert asked.waits == [1.0, 2.0]
    assert len(server.requests) == 3


@EVERY_TRANSPORT
def test_each_attempt_is_announced_before_its_wait(runner):
    with Loopback([answer(b'{"error": {"message": "try later"}}', 500)], [Fin()], GOOD) as server:
        asked = Asked(server.url)
        runner.play(asked)
    first, second = asked.notices
    assert first.startswith('attempt 2 of 4 in 1.0 s: Backend "local" failed')
    assert second.startswith(f"attempt 3 of 4 in 2.0 s: Local at {server.url}/v1 closed the connection")


@EVERY_TRANSPORT
def test_without_retries_there_is_one_attempt_and_no_count(runner):
    with Loopback(BUSY) as server, pytest.raises(OverloadedError) as caught:
        runner.play(Asked(server.url, max_retries=0))
    assert len(server.requests) == 1
    assert not any("Tried" in hint for hint in caught.value.hints)


@EVERY_TRANSPORT
def test_what_could_not_be_sent_is_told_once_however_often_it_is_asked(runner):
    request = ChatRequest("m-1", ASK.messages, temperature=1.0)
    with Loopback(BUSY, BUSY, GOOD) as server:
        asked = Asked(server.url, request=request, quirks=NO_SAMPLING)
        runner.play(asked)
    assert [event.kind for event in asked.events if isinstance(event, Notice)] == ["dropped", "retrying", "retrying"]


def test_an_embedding_is_asked_for_again_too():
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    class Busy:
        calls = 0

        async def embed(self, texts):
            self.calls += 1
            if self.calls < 3:
                raise OverloadedError("busy", backend="m")
            return await MockBackend("m").embed(texts)

    embedder = Busy()
    embeddings = run(RetryEmbedder(embedder, RetryPolicy(sleep=sleep, random=lambda: 0.5)).embed(["a", "b"]))

    assert len(embeddings.vectors) == 2
    assert waits == [0.5, 1.0]
    with pytest.raises(OverloadedError, match="busy") as caught:
        run(RetryEmbedder(Busy(), RetryPolicy(sleep=sleep, random=lambda: 0.5, max_retries=1)).embed(["a"]))
    assert "Tried 2 times." in caught.value.hints


def test_a_backend_in_this_process_is_served_as_well():
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    inner = MockBackend("m").with_response(MockResponse.error("overloaded")).with_response(MockResponse.text("Hi"))
    events = list(iterate(Retry(inner, RetryPolicy(sleep=sleep, random=lambda: 0.5)).stream(ASK)))
    assert [type(event) for event in events] == [Notice, Started, TextDelta, Finished]
    assert waits == [0.5]
