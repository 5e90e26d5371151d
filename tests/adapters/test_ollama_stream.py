"""What the Ollama adapter makes of what comes back."""

from __future__ import annotations

import json

import pytest
from support.protocols import OLLAMA

from arawn.errors import ContextLengthError, ModelNotAvailableError, ProtocolError, ServerError, StreamInterruptedError
from arawn.events import Finished, ReasoningDelta, Started, TextDelta, ToolCallDelta, ToolCallStarted
from arawn.messages import FinishReason, Usage

ADAPTER, read = OLLAMA.adapter(), OLLAMA.read


def line(message: dict | None = None, **more: object) -> dict:
    named = {"model": "qwen3:4b", "created_at": "2026-08-04T19:59:20.4Z"}
    return {**named, "message": {"role": "assistant", "content": "", **(message or {})}, "done": False, **more}


def ndjson(*lines: dict) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


DONE = line(done=True, done_reason="stop", prompt_eval_count=13, eval_count=4, total_duration=9)


def said(*lines: dict) -> list:
    """What stands between Started and Finished."""
    first, *middle, last = read(ndjson(*lines, DONE))
    assert isinstance(first, Started)
    assert isinstance(last, Finished)
    return middle


def test_lines_of_text_begin_with_started_and_end_with_the_counts():
    assert read(ndjson(line({"content": "He"}), line({"content": "llo"}), DONE)) == [
        Started("local", "qwen3:4b"),
        TextDelta("He"),
        TextDelta("llo"),
        Finished(FinishReason.STOP, "stop", Usage(13, 4)),
    ]


def test_thoughts_come_before_the_text_of_their_line():
    thinking = line({"thinking": "Hm.", "content": "Yes"})

    assert said(thinking) == [ReasoningDelta("Hm."), TextDelta("Yes")]


def test_empty_lines_and_a_missing_last_line_end_do_no_harm():
    data = b"\n" + ndjson(line({"content": "a"})) + b"\r\n \n" + ndjson(DONE).rstrip(b"\n")

    assert read(data) == read(ndjson(line({"content": "a"}), DONE))


def test_lines_after_the_end_are_not_looked_at():
    assert read(ndjson(DONE) + b"{broken") == read(ndjson(DONE))


def tool_line(*calls: dict, **more: object) -> dict:
    return line({"tool_calls": list(calls)}, **more)


def call(name: str, arguments: dict | None = None, **more: str) -> dict:
    return {"function": {"name": name, "arguments": arguments or {}}, **more}


def test_calls_on_several_lines_are_kept_apart_and_end_the_answer():
    events = read(
        ndjson(tool_line(call("add", {"a": 1}, id="x"), call("mul", id="y")), tool_line(call("add", id="z")), DONE)
    )

    assert events[1:-1] == [
        ToolCallStarted(0, "x", "add"),
        ToolCallDelta(0, '{"a":1}'),
        ToolCallStarted(1, "y", "mul"),
        ToolCallDelta(1, "{}"),
        ToolCallStarted(2, "z", "add"),
        ToolCallDelta(2, "{}"),
    ]
    assert events[-1] == Finished(FinishReason.TOOL_CALLS, "stop", Usage(13, 4))


def test_calls_without_an_id_get_one_that_is_always_the_same_and_nowhere_else():
    def ids(created_at: str) -> list[str]:
        lines = [tool_line(call("a"), call("b", id="x"), call("c", id="x"), created_at=created_at)]
        return [event.id for event in said(*lines) if isinstance(event, ToolCallStarted)]

    one, other = ids("2026-08-04T19:59:20.4Z"), ids("2026-08-04T19:59:21.4Z")

    assert one == ["call_0_20260804T1959204Z", "x", "call_2_20260804T1959204Z"] == ids("2026-08-04T19:59:20.4Z")
    assert set(one) & set(other) == {"x"}
    assert ids("")[0] == "call_0"


def ended(**last: object) -> Finished:
    return read(ndjson(line({"content": "a"}), line(done=True, **last)))[-1]


def test_the_word_for_the_end_is_kept():
    assert ended(done_reason="length") == Finished(FinishReason.LENGTH, "length")
    assert ended(done_reason="load") == Finished(FinishReason.UNKNOWN, "load")
    assert ended(done_reason="unload") == Finished(FinishReason.UNKNOWN, "unload")
    assert ended() == Finished(FinishReason.STOP)


def test_missing_counts_are_marked_as_a_guess():
    assert ended(eval_count=4).usage == Usage(0, 4, estimated=True)
    assert ended(prompt_eval_count=3).usage == Usage(3, 0, estimated=True)
    assert ended().usage is None


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("model runner has unexpectedly stopped", ServerError),
        ("the input length exceeds the context length", ContextLengthError),
        ('model "qwen3:4b" not found, try pulling it first', ModelNotAvailableError),
    ],
)
def test_an_error_line_is_raised_after_what_came_before_it(words, kind):
    parser = ADAPTER.stream_parser()
    got = []

    with pytest.raises(kind):
        got.extend(parser.feed(ndjson(line({"content": "a"}), {"error": words})))

    assert got == [Started("local", "qwen3:4b"), TextDelta("a")]


def test_r27_a_stream_without_its_last_line_is_interrupted_at_every_border():
    lines = [line({"content": "a"}), tool_line(call("add")), DONE]

    for kept in range(len(lines)):
        with pytest.raises(StreamInterruptedError, match='"local" broke off'):
            read(ndjson(*lines[:kept]))


def test_r27_a_stream_cut_anywhere_keeps_what_came_and_reports_the_break():
    data = ndjson(line({"content": "a"}), line({"content": "b"}), DONE)
    complete = read(data)

    for length in range(len(data) - 1):
        parser, got = ADAPTER.stream_parser(), []
        got.extend(parser.feed(data[:length]))
        with pytest.raises(StreamInterruptedError):
            got.extend(parser.close())
        assert got == complete[: len(got)]
    assert read(data[:-1]) == complete


def test_a_whole_answer_gives_the_events_of_its_stream():
    message = {"role": "assistant", "content": "Hello", "thinking": "Hm.", "tool_calls": [call("add", id="x")]}

    assert list(ADAPTER.parse_chat(json.dumps({**DONE, "message": message}).encode())) == [
        Started("local", "qwen3:4b"),
        ReasoningDelta("Hm."),
        TextDelta("Hello"),
        ToolCallStarted(0, "x", "add"),
        ToolCallDelta(0, "{}"),
        Finished(FinishReason.TOOL_CALLS, "stop", Usage(13, 4)),
    ]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message":{"content":"a"}}', b'{"choices":[]}'])
def test_a_whole_answer_that_is_none_is_a_protocol_error(body):
    with pytest.raises(ProtocolError):
        ADAPTER.parse_chat(body)


def test_an_error_in_the_place_of_a_whole_answer_is_raised():
    with pytest.raises(ServerError):
        ADAPTER.parse_chat(b'{"error":"llama runner process has terminated"}')
