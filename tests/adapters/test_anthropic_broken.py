"""What the Messages adapter makes of answers that are cut, faulty or none."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.anthropic_answers import (
    HELLO,
    adapter,
    block,
    end,
    gather,
    json_deltas,
    message_start,
    read,
    response,
    sse,
    text,
)
from support.optional_data import folder_of

from arawn.errors import ArawnError, OverloadedError, ProtocolError, StreamInterruptedError
from arawn.events import Started, TextDelta, ToolCallDelta
from arawn.messages import Usage


@pytest.mark.parametrize("usage", [{}, {"input_tokens": "25"}, {"input_tokens": -1}, {"input_tokens": True}, [], "x"])
def test_r31_counts_that_are_none_are_not_reported_as_zero(usage):
    assert read(sse(message_start(usage), *end()))[-1].usage is None


@pytest.mark.parametrize("count", [None, -1, 1.5, 1e999, 10**400, True, "9", [9]], ids=range(8))
def test_r31_a_bad_count_leaves_the_good_one_before_it(count):
    assert read(sse(message_start(), *end(input_tokens=count)).replace(b"Infinity", b"1e999"))[-1].usage == Usage(
        725, 15, 600, 100
    )


def test_an_error_in_the_stream_is_raised_after_what_came_before_it():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

    events, raised = gather(sse(*HELLO[:3], error))

    assert events == [Started("mine", "m-1", "msg_1"), TextDelta("Good ")]
    assert isinstance(raised, OverloadedError)
    assert raised.backend == "mine"


def test_r31_events_before_a_bad_one_come_out_before_it_raises():
    events, raised = gather(sse(*HELLO[:3]) + b"data: nonsense\n\n")

    assert events == [Started("mine", "m-1", "msg_1"), TextDelta("Good ")]
    assert isinstance(raised, ProtocolError)
    assert "event 4 of the answer" in raised.message


def test_an_error_without_a_type_is_known_by_the_name_of_its_event():
    data = b'event: error\ndata: {"error": {"type": "overloaded_error", "message": "x"}}\n\n'

    with pytest.raises(OverloadedError):
        read(data)


@pytest.mark.parametrize("kept", range(len(HELLO)))
def test_r27_a_stream_cut_between_two_events_is_interrupted(kept):
    parser = adapter().stream_parser()
    list(parser.feed(sse(*HELLO[:kept])))

    with pytest.raises(StreamInterruptedError) as caught:
        list(parser.close())

    assert caught.value.backend == "mine"


def test_r27_a_stream_cut_at_any_byte_is_interrupted():
    data = sse(*HELLO).rstrip()

    for size in range(len(data)):
        parser = adapter().stream_parser()
        list(parser.feed(data[:size]))
        with pytest.raises(StreamInterruptedError):
            list(parser.close())


def test_r27_an_end_without_a_stop_reason_is_interrupted():
    with pytest.raises(StreamInterruptedError, match="without a stop reason"):
        read(sse(message_start(), *text(0, "Hi"), *end(None)))


BAD = {
    "no json": b"data: {\n\n",
    "nan": b'data: {"type": "message_start", "message": {"usage": {"input_tokens": NaN}}}\n\n',
    "deep": b"data: " + b"[" * 100_000 + b"\n\n",
    "a huge number": b"data: " + b"9" * 5_000 + b"\n\n",
    "invalid utf-8": b"data: \xff\n\n",
    "no message": b'data: {"type": "message_start"}\n\n',
    "null delta": b'data: {"type": "content_block_delta", "index": 0, "delta": null}\n\n',
    "no index": b'data: {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}}\n\n',
    "no block": sse({"type": "content_block_start", "index": 7}),
    "block without a type": sse({"type": "content_block_start", "index": 7, "content_block": {}}),
    "block twice": sse(*(block(7, "text", text="")[:1] * 2)),
    "stop without index": b'data: {"type": "content_block_stop", "index": "0"}\n\n',
    "delta of no block": sse(text(7, "x")[1]),
    "text is a number": sse(*text(7, 1)),
    "arguments of a text": sse(*block(7, "text", *json_deltas("{}"))),
    "call without a name": sse(*block(7, "tool_use", id="c1", input={})),
    "call twice": sse(*block(7, "tool_use", id="c", name="x"), *block(7, "tool_use", id="c", name="x")),
    "arguments are a list": sse(*block(7, "tool_use", id="c1", name="x", input=[1])),
    "arguments are infinite": b'data: {"type":"content_block_start","index":7,"content_block":'
    b'{"type":"tool_use","id":"c","name":"x","input":{"a":1e999}}}\n\n',
    "item input is no json": sse(*block(7, "server_tool_use", *json_deltas("{"))),
    "another start": sse({"type": "message_start", "message": {"id": "msg_2"}}),
    "null end": b'data: {"type": "message_delta", "delta": null}\n\n',
    "stop reason is a number": sse(*end(7)),
}


@pytest.mark.parametrize("name", BAD)
def test_r31_a_bad_event_is_a_protocol_error_with_backend_and_number(name):
    parser = adapter().stream_parser()
    list(parser.feed(sse(*HELLO[:2])))

    with pytest.raises(ProtocolError, match=r'^Backend "mine" .*event [3-5] of the answer') as caught:
        list(parser.feed(BAD[name]))

    assert caught.value.backend == "mine"


@pytest.mark.parametrize("events", [HELLO[1:], end()])
def test_r31_a_stream_without_its_beginning_is_a_protocol_error(events):
    with pytest.raises(ProtocolError, match="event 1"):
        list(adapter().stream_parser().feed(sse(*events)))


def test_r31_arguments_of_any_depth_end_in_arguments_or_our_error():
    for depth in range(800, 1000):
        nested = '{"a":' + "[" * depth + "]" * depth + "}"
        call = f'{{"type":"tool_use","id":"c","name":"x","input":{nested}}}'
        start = f'data: {{"type":"content_block_start","index":0,"content_block":{call}}}\n\n'

        events, error = gather(sse(message_start()) + start.encode())

        assert isinstance(error, ProtocolError) or events[-1] == ToolCallDelta(0, nested.replace(":", ": "))


EVENTS = st.sampled_from(sorted({event["type"] for event in HELLO} | {"error"}))
KINDS = st.sampled_from(["text", "tool_use", "thinking", "server_tool_use", "redacted_thinking"])
DELTAS = st.sampled_from(["text_delta", "input_json_delta", "thinking_delta", "signature_delta", "other_delta"])
KEYS = st.sampled_from(["type", "index", "text", "partial_json", "thinking", "id", "name", "input", "stop_reason"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=9,
)


def typed(kinds):
    return st.builds(lambda kind, rest: rest | {"type": kind}, kinds, st.dictionaries(KEYS, VALUES, max_size=5))


FIELDS = {"index": st.integers(0, 1), "delta": typed(DELTAS), "content_block": typed(KINDS), "message": VALUES}
SHAPES = st.fixed_dictionaries({"type": EVENTS, **FIELDS}, optional={"usage": VALUES, "error": VALUES})


@settings(max_examples=200)
@given(st.lists(SHAPES | typed(EVENTS) | VALUES, min_size=1, max_size=6), st.integers(0, len(HELLO)))
def test_r31_nothing_but_our_errors_comes_out_of_any_json(values, kept):
    data = sse(*HELLO[:kept]) + b"".join(f"data: {json.dumps(value)}\n\n".encode() for value in values)

    events, error = gather(data)

    assert error is None or error.backend == "mine"
    assert response(events).backend in {"", "mine"}


def test_an_error_as_an_unstreamed_answer_is_raised():
    with pytest.raises(OverloadedError):
        adapter().parse_chat(b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}')


NO_MESSAGES = (b"", b"<html>", b"[]", b"{}", b'{"type":"message","content":{}}', b"[" * 100_000)


@pytest.mark.parametrize("body", NO_MESSAGES, ids=range(len(NO_MESSAGES)))
def test_r31_an_unstreamed_answer_that_is_no_message_is_a_protocol_error(body):
    with pytest.raises(ProtocolError) as caught:
        adapter().parse_chat(body)

    assert caught.value.backend == "mine"


def test_r27_an_unstreamed_answer_without_a_stop_reason_is_interrupted():
    with pytest.raises(StreamInterruptedError):
        adapter().parse_chat(b'{"type":"message","id":"x","model":"m","content":[],"stop_reason":null}')


def suite():
    return sorted((folder_of("ARAWN_CORPORA") / "json-test-suite" / "test_parsing").glob("*.json"))


def as_event(body):
    return b"data: " + body.replace(b"\r", b"\n").replace(b"\n", b"\ndata: ") + b"\n\n"


@pytest.mark.parametrize("parse", [lambda body: adapter().parse_chat(body), lambda body: read(as_event(body))])
def test_r31_every_file_of_the_json_test_suite_ends_in_our_error(parse):
    for file in suite():
        with pytest.raises(ArawnError):
            parse(file.read_bytes())
