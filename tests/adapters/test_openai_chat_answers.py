"""Chat Completions: how an answer begins, ends, breaks off or turns out to be an error."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.openai_messages import ADAPTER, chunk, read, stream
from support.optional_data import needs
from support.recordings import response_of

from arawn.errors import (
    ArawnError,
    OverloadedError,
    ProtocolError,
    RateLimitError,
    RequestError,
    ServerError,
    StreamInterruptedError,
)
from arawn.events import Finished, ReasoningDelta, RefusalDelta, Started, TextDelta
from arawn.messages import (
    FinishReason,
    Usage,
)


def test_a_stream_becomes_events() -> None:
    data = stream(chunk({"role": "assistant", "content": ""}), chunk({"content": "Hi"}), chunk(reason="stop"))
    assert read(data) == [Started("here", "m-1", "a1"), TextDelta("Hi"), Finished(FinishReason.STOP, "stop")]


def test_it_begins_once_it_is_known_who_answers() -> None:
    empty = {"id": "", "model": "", "choices": [], "prompt_filter_results": []}
    assert read(stream(empty, chunk({"content": "Hi"}, "stop")))[0] == Started("here", "m-1", "a1")


def test_a_whole_answer_gives_the_events_of_its_stream() -> None:
    answer = {
        "id": "a1",
        "model": "m-1",
        "choices": [{"message": {"content": "Hi", "reasoning": "hm"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    assert list(ADAPTER.parse_chat(b"\n\n  \n" + json.dumps(answer).encode())) == [
        Started("here", "m-1", "a1"),
        ReasoningDelta("hm"),
        TextDelta("Hi"),
        Finished(FinishReason.STOP, "stop", Usage(1, 2)),
    ]


def test_of_several_choices_only_the_first_is_read() -> None:
    other = {"index": 1, "delta": {"content": "no"}, "finish_reason": "length"}
    data = stream(
        chunk({"content": "yes"}), chunk() | {"choices": [other]}, chunk(reason="stop"), chunk() | {"choices": [other]}
    )
    response = response_of(read(data))
    assert (response.text, response.raw_finish_reason) == ("yes", "stop")


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": None},
        {"choices": []},
        {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},
        {"choices": [{"index": 0}]},
        {"choices": [{"delta": {"content": None, "tool_calls": None, "refusal": None}}]},
        {"model": "m-1"},
        {"x": 1},
    ],
)
def test_a_chunk_that_says_nothing_changes_nothing(odd: dict[str, Any]) -> None:
    data = stream(chunk({"content": "Hi"}), odd, chunk(reason="stop"))
    assert read(data)[1:] == [TextDelta("Hi"), Finished(FinishReason.STOP, "stop")]


def test_comments_and_empty_events_keep_the_connection_alive() -> None:
    data = b": PROCESSING\n\ndata: \n\n" + stream(chunk({"content": "Hi"}, "stop"))
    assert response_of(read(data)).text == "Hi"


def test_the_end_mark_may_lack_its_line_end() -> None:
    assert response_of(read(stream(chunk({"content": "Hi"}, "stop")).rstrip())).text == "Hi"


def test_nothing_counts_after_the_end_mark() -> None:
    data = stream(chunk({"content": "Hi"}, "stop")) + stream(chunk({"content": "more"}))
    assert response_of(read(data)).text == "Hi"


@pytest.mark.parametrize("ends", [b"", b": late\n\n", b"data: {", b"data: [DON"])
def test_a_finish_reason_ends_the_answer_without_an_end_mark(ends: bytes) -> None:
    assert read(stream(chunk({"content": "Hi"}, "length"), done=False) + ends)[-1] == Finished(
        FinishReason.LENGTH, "length"
    )


def test_an_end_mark_after_some_answer_ends_it_for_no_known_reason() -> None:
    assert read(stream(chunk({"content": "Hi"})))[-1] == Finished(FinishReason.UNKNOWN)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b": PROCESSING\n\n",
        b"data: [DONE]\n\n",
        stream(chunk({"content": ""})),
        stream(chunk({"content": "Hi"}), done=False),
        stream(chunk({"content": "Hi"}), done=False) + b'data: {"choices":[{"delta":{},"finish_reason":"stop"}',
    ],
)
def test_r27_without_a_reason_or_an_answer_it_was_broken_off(data: bytes) -> None:
    with pytest.raises(StreamInterruptedError, match="here"):
        read(data)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("eos_token", FinishReason.STOP),
        ("end_turn", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("something_new", FinishReason.UNKNOWN),
    ],
)
def test_the_reason_is_said_in_our_word_and_in_theirs(raw: str, reason: FinishReason) -> None:
    assert read(stream(chunk({"content": "Hi"}, raw)))[-1] == Finished(reason, raw)


def test_words_of_refusal_make_it_a_refusal() -> None:
    events = read(stream(chunk({"content": None, "refusal": "No"}), chunk({"refusal": "."}), chunk(reason="stop")))
    assert events[1:] == [RefusalDelta("No"), RefusalDelta("."), Finished(FinishReason.REFUSAL, "stop")]


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"error": {"code": 429, "message": "slow"}, "choices": [{"delta": {}, "index": 0}]}, RateLimitError),
        ({"error": {"type": "overloaded_error", "message": "x"}}, OverloadedError),
        ({"error": "the runner died", "error_type": "x"}, ServerError),
        ({"object": "error", "message": "bad", "type": "invalid_request_error", "code": 400}, RequestError),
        ({"detail": "bad"}, ServerError),
        ({"message": "bad"}, ServerError),
        (chunk(x_groq={"error": "died"}), ServerError),
        (chunk(reason="error"), ServerError),
        (chunk(reason="error") | {"choices": [{"finish_reason": "error", "error": {"code": 429}}]}, RateLimitError),
    ],
)
def test_an_error_in_the_stream_is_raised_first_or_later(event: dict[str, Any], kind: type[ArawnError]) -> None:
    for before in ((), (chunk({"content": "Hi"}),)):
        with pytest.raises(kind) as caught:
            read(stream(*before, event))
        assert type(caught.value) is kind


@pytest.mark.parametrize("data", [b'{"error":{"message":"words"}}', b'{"message":"words"}', b"words"])
def test_an_event_named_error_is_one_whatever_it_holds(data: bytes) -> None:
    with pytest.raises(ServerError, match="words"):
        read(b"event: error\ndata: " + data + b"\n\n")


def test_what_came_before_an_error_was_given_out() -> None:
    parser = ADAPTER.stream_parser()
    events = iter(parser.feed(stream(chunk({"content": "Hi"}), {"error": {"message": "died"}})))
    assert [next(events), next(events)] == [Started("here", "m-1", "a1"), TextDelta("Hi")]
    with pytest.raises(ServerError, match="died"):
        next(events)


def test_an_error_after_the_finish_reason_is_raised() -> None:
    with pytest.raises(RequestError, match="limit"):
        read(stream(chunk({"content": "Hi"}, "length"), {"error": {"code": 400, "message": "limit"}}))


def test_an_error_in_the_place_of_a_whole_answer_is_raised() -> None:
    with pytest.raises(RateLimitError, match="slow"):
        ADAPTER.parse_chat(b'{"choices":null,"error":{"code":429,"message":"slow"}}')


@pytest.mark.parametrize("body", [b'{"choices":null}', b'{"choices":[]}', b"{}"])
def test_a_whole_answer_without_choices_may_be_asked_for_again(body: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        ADAPTER.parse_chat(body)
    assert caught.value.transient


@pytest.mark.parametrize("data", [b"{", b"NaN", b'{"choices":[7]}', b'{"choices":{}}', b"\xff"])
def test_r31_a_bad_event_is_named_by_its_number(data: bytes) -> None:
    with pytest.raises(ProtocolError, match=r'"here".*event 2 '):
        read(stream(chunk({"content": "Hi"}), done=False) + b"data: " + data + b"\n\n")


def hostile_files(kinds: str) -> list[Any]:
    if "ARAWN_CORPORA" not in os.environ:
        return []
    folder = Path(os.environ["ARAWN_CORPORA"]) / "json-test-suite" / "test_parsing"
    return [pytest.param(file.read_bytes(), id=file.stem) for file in sorted(folder.glob(f"{kinds}_*.json"))]


@needs("ARAWN_CORPORA")
@pytest.mark.parametrize("data", hostile_files("[yni]"))
def test_r31_no_json_makes_it_crash(data: bytes) -> None:
    line = b" ".join(data.split(b"\n"))
    for text in (line, b'{"choices":[{"delta":' + line + b"}]}", b'{"choices":[],"usage":' + line + b"}"):
        for answer in (text, text.replace(b"delta", b"message")):
            with suppress(ArawnError):
                read(b"data: " + answer + b"\n\n" + stream(chunk({"content": "Hi"}, "stop")))
            with suppress(ArawnError):
                ADAPTER.parse_chat(answer)
            with suppress(ArawnError):
                ADAPTER.parse_models(b'{"data":[{"id":"m","context_length":' + answer + b"}]}")


@needs("ARAWN_CORPORA")
@pytest.mark.parametrize("data", hostile_files("n"))
def test_r31_what_is_not_json_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="here"):
        ADAPTER.parse_chat(data)
