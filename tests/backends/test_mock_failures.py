"""The ways in which the mock backend fails."""

from __future__ import annotations

import pytest
from support.mock_backend import RecordedSleep, answer, hello_request

from arawn import MockBackend, MockResponse, errors
from arawn.backends.mock import ERROR_KINDS
from arawn.engine.blocking import iterate
from arawn.errors import ArawnError, BackendError, ServerError, StreamInterruptedError
from arawn.events import Started, TextDelta

BACKEND_KINDS = sorted(
    {cls.kind for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, BackendError)} - {"error"}
)


def test_a_failure_may_take_its_time():
    clock = RecordedSleep()
    backend = MockBackend(sleep=clock.sleep).with_response(MockResponse.error("timeout").with_latency(2000))

    with pytest.raises(ArawnError):
        answer(backend)

    assert clock.waits == [2.0]


def test_it_can_fail_in_every_way_a_backend_can():
    assert sorted(ERROR_KINDS) == BACKEND_KINDS


@pytest.mark.parametrize("kind", ERROR_KINDS)
def test_a_failure_is_of_its_kind_and_names_its_backend(kind):
    backend = MockBackend("m").with_response(MockResponse.error(kind, text="some words"))

    with pytest.raises(BackendError) as caught:
        answer(backend)

    assert caught.value.kind == kind
    assert caught.value.backend == "m"
    assert caught.value.message


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("authentication", 'Authentication failed for backend "m"'),
        ("model", 'Model "tiny" not available'),
        ("connection", "Cannot connect to mock at mock://m"),
    ],
)
def test_the_fixed_first_lines_are_those_of_real_backends(kind, line):
    with pytest.raises(BackendError) as caught:
        answer(MockBackend("m").with_response(MockResponse.error(kind)))

    assert caught.value.message == line


def test_an_error_in_words_is_a_server_that_says_them():
    with pytest.raises(ServerError, match="API rate limit exceeded"):
        answer(MockBackend().with_response(MockResponse.error("API rate limit exceeded")))


def test_failures_come_in_order_like_other_replies():
    backend = MockBackend().with_response(MockResponse.error("overloaded")).with_response(MockResponse.text("back"))

    with pytest.raises(ServerError):
        answer(backend)

    assert answer(backend).text == "back"


def test_an_interrupted_answer_sends_half_of_its_text():
    backend = MockBackend("m").with_response(MockResponse.error("interrupted", text="one two three four"))
    seen = []

    with pytest.raises(StreamInterruptedError):
        seen.extend(iterate(backend.stream(hello_request())))

    assert seen == [Started("m", "tiny", "mock-1"), TextDelta("one "), TextDelta("two "), TextDelta("t")]


def test_an_interruption_without_a_text_has_nothing_to_keep():
    with pytest.raises(StreamInterruptedError) as caught:
        answer(MockBackend().with_response(MockResponse.error("interrupted")))

    assert caught.value.partial is None
