"""Every recorded answer goes through the adapter of its protocol, however the bytes were cut."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.expected_answers import adapter_for, check, kind_of
from support.optional_data import needs
from support.recordings import cut, events_of, one_by_one, promised, recordings

from arawn.errors import ArawnError, BackendError, StreamInterruptedError
from arawn.events import ResponseBuilder
from arawn.messages import FinishReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from support.recordings import Recording

    from arawn.adapters.base import StreamParser
    from arawn.events import StreamEvent
    from arawn.messages import Response

pytestmark = needs("ARAWN_RECORDINGS")

CHATS = ("openai-chat", "anthropic-messages", "openai-responses", "ollama-chat")
MODEL_APIS = ("openai-models", "anthropic-models", "ollama-tags")
OK, FAILED = 200, 400


def outcome(recording: Recording, pieces: Iterable[bytes]) -> tuple[Response, ArawnError | None]:
    """Return what arrived of a stream, and the error it ended with."""
    parser = adapter_for(recording).stream_parser()
    builder = ResponseBuilder()
    try:
        for event in itertools.chain(itertools.chain.from_iterable(map(parser.feed, pieces)), Closing(parser)):
            builder.add(event)
    except ArawnError as error:
        return builder.response(), error
    return builder.response(), None


class Closing:
    """Closes a parser only when the bytes have been read."""

    def __init__(self, parser: StreamParser) -> None:
        self._parser = parser

    def __iter__(self) -> Iterator[StreamEvent]:
        return iter(self._parser.close())


WHOLE = recordings(lambda line: line["api"] in CHATS and line["status"] == OK and not line["stream"])
STREAMS = recordings(lambda line: line["api"] in CHATS and line["status"] == OK and line["stream"])
GOOD_WHOLE = [case for case in WHOLE if "error" not in case.values[0].expected]
BAD_WHOLE = [case for case in WHOLE if "error" in case.values[0].expected]
GOOD_STREAMS = [case for case in STREAMS if "error" not in case.values[0].expected]
BAD_STREAMS = [case for case in STREAMS if "error" in case.values[0].expected]
FAILURES = recordings(lambda line: line["status"] >= FAILED)
MODEL_LISTS = recordings(
    lambda line: line["api"] in MODEL_APIS and line["status"] == OK and "{id}" not in line["shows"]
)
EMBEDDINGS = recordings(lambda line: line["api"] in {"openai-embeddings", "ollama-embed"})
places = st.lists(st.integers(0, 1 << 20), max_size=30)
a_few = settings(max_examples=15, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("recording", GOOD_WHOLE)
def test_it_reads_a_whole_answer(recording: Recording) -> None:
    check(recording, list(adapter_for(recording).parse_chat(recording.body)))


@pytest.mark.parametrize("recording", BAD_WHOLE)
def test_an_error_in_the_place_of_an_answer_is_raised(recording: Recording) -> None:
    with pytest.raises(BackendError, match=re.escape(recording.expected["error"]["message"][:100])):
        list(adapter_for(recording).parse_chat(recording.body))


@pytest.mark.parametrize("recording", GOOD_STREAMS)
def test_it_reads_a_stream_that_comes_byte_by_byte(recording: Recording) -> None:
    check(recording, events_of(adapter_for(recording).stream_parser(), one_by_one(recording.body)))


@a_few
@pytest.mark.parametrize("recording", GOOD_STREAMS)
@given(places=places)
def test_r27_it_reads_a_stream_however_it_was_cut(recording: Recording, places: list[int]) -> None:
    check(recording, events_of(adapter_for(recording).stream_parser(), cut(recording.body, places)))


@pytest.mark.parametrize("recording", GOOD_STREAMS)
def test_r27_a_stream_without_its_end_never_finishes(recording: Recording) -> None:
    lines = itertools.accumulate(len(line) for line in recording.body.splitlines(keepends=True))
    borders = [place for place in lines if place < recording.complete_at]
    for place in {0, *borders[:: max(1, len(borders) // 40)], *borders[-3:], recording.complete_at - 1}:
        _, error = outcome(recording, [recording.body[:place]])
        assert isinstance(error, StreamInterruptedError)


@a_few
@pytest.mark.parametrize("recording", GOOD_STREAMS)
@given(place=st.integers(0, 1 << 20))
def test_r27_a_stream_cut_anywhere_keeps_what_came(recording: Recording, place: int) -> None:
    place %= recording.complete_at
    response, error = outcome(recording, [recording.body[:place]])
    assert isinstance(error, StreamInterruptedError)
    wanted = promised(recording)
    assert wanted["text"].startswith(response.text)
    assert wanted["reasoning"].startswith(response.reasoning)


@pytest.mark.parametrize("recording", GOOD_STREAMS)
def test_a_stream_is_complete_with_its_end_mark_even_without_a_last_line_end(recording: Recording) -> None:
    response, error = outcome(recording, [recording.body.rstrip()])
    assert error is None
    assert response.finish_reason is not FinishReason.UNKNOWN


@a_few
@pytest.mark.parametrize("recording", BAD_STREAMS)
@given(places=places)
def test_an_error_inside_a_stream_is_raised_after_what_came_before_it(recording: Recording, places: list[int]) -> None:
    response, error = outcome(recording, cut(recording.body, places))
    assert isinstance(error, BackendError)
    assert recording.expected["error"]["message"][:100] in str(error)
    assert (response.text, response.reasoning) == (recording.expected["text"], recording.expected.get("reasoning", ""))


@pytest.mark.parametrize("recording", BAD_STREAMS)
def test_r27_a_stream_that_ends_in_an_error_never_finishes(recording: Recording) -> None:
    first = recording.body.index(b"error") - 1
    for place in range(0, first, max(1, first // 40)):
        response, error = outcome(recording, [recording.body[:place]])
        assert error is not None or response.raw_finish_reason == recording.expected["finish_reason"]


@pytest.mark.parametrize("recording", FAILURES)
def test_an_error_answer_becomes_our_error(recording: Recording) -> None:
    adapter = adapter_for(recording)
    error = adapter.parse_failure(recording.status, recording.headers, recording.body, "the-model")
    assert type(error) is kind_of(recording)
    assert error.status == recording.status
    assert not recording.error_codes or recording.error_codes & {error.code, str(error.status)}
    words = "\n".join((error.message, *error.hints))
    said = recording.expected["error"].get("message") or recording.expected["error"]["detail"]
    assert re.sub(r"(sk-fake-key|\*+-key).*", "", said).split("\n")[0][:200].strip() in words


@pytest.mark.parametrize("recording", MODEL_LISTS)
def test_it_reads_the_list_of_models(recording: Recording) -> None:
    cards = adapter_for(recording).parse_models(recording.body)
    known = recording.expected["models"]
    assert len(cards) == known["count"]
    assert [card.id for card in cards][:5] == known["first_ids"][:5]


@pytest.mark.parametrize("recording", EMBEDDINGS)
def test_it_reads_embeddings(recording: Recording) -> None:
    known = recording.expected["embeddings"]
    answer = adapter_for(recording).parse_embed(recording.body)
    assert len(answer.vectors) == known["count"]
    assert {len(vector) for vector in answer.vectors} == {known["dimensions"]}
    assert answer.vectors[0][:4] == pytest.approx(known["first_values"], rel=1e-5)
    assert answer.usage.input_tokens == recording.expected["usage"]["input_tokens"]
