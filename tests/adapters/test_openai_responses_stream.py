"""What the Responses adapter makes of what comes back."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from support.protocols import RESPONSES

from arawn.adapters.base import Quirks
from arawn.errors import ProtocolError, QuotaExceededError, ServerError, StreamInterruptedError
from arawn.events import (
    Finished,
    ProviderItemDone,
    ReasoningDelta,
    RefusalDelta,
    ResponseBuilder,
    ServerToolDone,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from arawn.messages import ChatRequest, FinishReason, Usage

ADAPTER, read = RESPONSES.adapter(), RESPONSES.read
ENCRYPTED = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAA="}


def sse(*events: dict) -> bytes:
    return b"".join(f"event: {event.get('type')}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


CREATED = {
    "type": "response.created",
    "response": {"id": "resp_1", "model": "m1", "status": "in_progress", "output": []},
}
USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 8},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 4},
}
COMPLETED = {
    "type": "response.completed",
    "response": {"id": "resp_1", "model": "m1", "status": "completed", "output": [], "usage": USAGE},
}


def delta(text: str, index: int = 0, **more: object) -> dict:
    return {"type": "response.output_text.delta", "output_index": index, "content_index": 0, "delta": text, **more}


def done(item: dict, index: int = 0) -> dict:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def said(*events: dict) -> list:
    """What stands between Started and Finished."""
    first, *middle, last = read(sse(CREATED, *events, COMPLETED))
    assert isinstance(first, Started)
    assert isinstance(last, Finished)
    return middle


def test_text_begins_with_started_and_ends_with_the_counts():
    assert read(sse(CREATED, delta("He"), delta("llo"), COMPLETED)) == [
        Started("oai", "m1", "resp_1"),
        TextDelta("He"),
        TextDelta("llo"),
        Finished(FinishReason.STOP, "completed", Usage(20, 9, cache_read_tokens=8, reasoning_tokens=4)),
    ]


def test_event_names_may_be_missing_and_types_may_be_missing_where_there_are_names():
    unnamed = b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in (CREATED, delta("a"), COMPLETED))
    untyped = sse(CREATED) + b'event: response.output_text.delta\ndata: {"delta":"a"}\n\n' + sse(COMPLETED)

    assert read(unnamed) == read(untyped) == read(sse(CREATED, delta("a"), COMPLETED))


def test_other_events_and_the_done_mark_are_skipped():
    noise = sse({"type": "response.queued"}, {"type": "keepalive"}, {"type": "response.web_search_call.searching"})

    events = read(noise + sse(CREATED) + noise + sse(delta("a"), COMPLETED) + b"data: [DONE]\n\n" + sse(delta("late")))

    assert events == read(sse(CREATED, delta("a"), COMPLETED))


def test_an_answer_without_a_start_event_still_begins_with_started():
    assert read(sse(delta("a"), COMPLETED))[:2] == [Started("oai", ""), TextDelta("a")]


def test_text_that_comes_only_when_it_is_done_is_not_lost():
    text = {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "Hello"}
    message = {"type": "message", "content": [{"type": "output_text", "text": "Hello"}, {"type": "audio"}]}

    assert said(text, done(message)) == [TextDelta("Hello")]
    assert said(done(message)) == [TextDelta("Hello")]
    assert said(delta("He"), text, done(message)) == [TextDelta("He"), TextDelta("llo")]


def test_an_answer_that_comes_only_at_the_end_is_not_lost():
    message = {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}
    end = {**COMPLETED, "response": {**COMPLETED["response"], "output": [message]}}

    assert read(sse(CREATED, end))[1] == TextDelta("Hello")
    assert read(sse(CREATED, delta("Hello"), end))[1:-1] == [TextDelta("Hello")]


def test_a_refusal_is_distinguished_from_an_answer():
    refusal = {"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": "I can't."}
    whole = {"type": "message", "content": [{"type": "refusal", "refusal": "I can't."}]}

    events = read(sse(CREATED, refusal, done(whole), COMPLETED))

    assert events[1:-1] == [RefusalDelta("I can't.")]
    assert events[-1].finish_reason is FinishReason.REFUSAL


def thought(text: str, part: int = 0, kind: str = "reasoning_summary_text") -> dict:
    number = "summary_index" if kind == "reasoning_summary_text" else "content_index"
    return {"type": f"response.{kind}.delta", "output_index": 2, number: part, "delta": text}


def test_parts_of_a_summary_are_paragraphs():
    summary = [{"type": "summary_text", "text": text} for text in ("One.", "Two.", "Three.")]
    item = {"type": "reasoning", "summary": summary, "encrypted_content": "gA"}

    assert said(thought("One", 0), thought(".", 0), thought("Two.", 1), done(item, 2)) == [
        ReasoningDelta("One", block=2),
        ReasoningDelta(".", block=2),
        ReasoningDelta("\n\nTwo.", block=2),
        ReasoningDelta("\n\nThree.", block=2),
        ReasoningDelta(item=item, block=2),
    ]


def test_reasoning_in_the_clear_is_kept_with_its_item():
    item = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}

    events = said(thought("H", kind="reasoning_text"), done(item, 2))

    assert events == [
        ReasoningDelta("H", block=2),
        ReasoningDelta("m.", block=2),
        ReasoningDelta(item=item, block=2),
    ]


def test_reasoning_without_content_is_not_kept_because_the_server_did_not_store_it():
    empty = {"type": "reasoning", "id": "rs_1", "summary": [], "content": []}
    summary = {**empty, "summary": [{"type": "summary_text", "text": "Short."}]}

    assert said(done(empty)) == []
    assert said(done(summary)) == [ReasoningDelta("Short.")]


def call_item(number: int = 1, arguments: str = '{"a":1}', **more: str) -> dict:
    name = {"name": "add", "call_id": f"call_{number}"}
    return {"type": "function_call", "id": f"fc_{number}", "arguments": arguments, **name, **more}


def added(item: dict, index: int = 0) -> dict:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def arguments(text: str, number: int = 1, index: int = 0, kind: str = "delta") -> dict:
    key = "delta" if kind == "delta" else "arguments"
    named = {"type": f"response.function_call_arguments.{kind}", "item_id": f"fc_{number}", "output_index": index}
    return {**named, key: text}


def test_a_tool_call_comes_in_pieces_and_ends_the_answer():
    events = read(sse(CREATED, added(call_item(arguments="")), arguments('{"a"'), arguments(":1}"), COMPLETED))

    assert events[1:-1] == [ToolCallStarted(0, "call_1", "add"), ToolCallDelta(0, '{"a"'), ToolCallDelta(0, ":1}")]
    assert events[-1].finish_reason is FinishReason.TOOL_CALLS


@pytest.mark.parametrize(
    "events",
    [
        (added(call_item(arguments="")), arguments('{"a":1}', kind="done"), done(call_item())),
        (added(call_item(arguments="")), done(call_item())),
        (added(call_item(arguments="", name="")), arguments('{"a":1}'), done(call_item())),
        (done(call_item()),),
    ],
    ids=["arguments done", "item done", "named when done", "never added"],
)
def test_arguments_that_come_only_when_they_are_done_are_not_lost(events):
    assert said(*events) == [ToolCallStarted(0, "call_1", "add"), ToolCallDelta(0, '{"a":1}')]


def test_two_calls_that_come_woven_together_are_kept_apart():
    events = said(
        added(call_item(1, ""), 3),
        added(call_item(2, ""), 4),
        arguments("x", 2, 4),
        arguments("y", 1, 3),
        done(call_item(1, "yY"), 3),
        done(call_item(2, "xX"), 4),
    )

    assert events[2:] == [ToolCallDelta(1, "x"), ToolCallDelta(0, "y"), ToolCallDelta(0, "Y"), ToolCallDelta(1, "X")]


def test_a_server_that_renames_its_items_is_followed_by_their_place():
    events = said(added(call_item(1, ""), 3), arguments("{", 77, 3), done(call_item(88, "{}"), 3))

    assert events == [ToolCallStarted(0, "call_1", "add"), ToolCallDelta(0, "{"), ToolCallDelta(0, "}")]


def test_a_server_that_numbers_nothing_is_followed_by_its_names():
    bare = [{"type": "response.output_item.done", "item": call_item(number)} for number in (1, 2)]

    started = [event.id for event in said(*bare) if isinstance(event, ToolCallStarted)]

    assert started == ["call_1", "call_2"]


def test_items_of_hosted_tools_are_kept_whole():
    search = {"type": "web_search_call", "id": "ws_1", "action": {"query": "x"}}

    assert said(done(search)) == [ProviderItemDone(search), ServerToolDone("web_search", "x")]


def ended(status: str, **response: object) -> Finished:
    end = {"type": f"response.{status}", "response": {"model": "m1", "status": status, **response}}
    return read(sse(CREATED, delta("a"), end))[-1]


def test_an_answer_cut_at_its_limit_says_so_and_counts_of_zero_are_no_counts():
    zero = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}

    finished = ended("incomplete", incomplete_details={"reason": "max_output_tokens"}, usage=zero)

    assert finished == Finished(FinishReason.LENGTH, "max_output_tokens")


def test_other_ways_to_stay_incomplete():
    assert (
        ended("incomplete", incomplete_details={"reason": "content_filter"}).finish_reason
        is FinishReason.CONTENT_FILTER
    )
    assert ended("incomplete") == Finished(FinishReason.UNKNOWN, "incomplete")


def test_a_price_and_written_cache_are_read_where_a_gateway_reports_them():
    usage = {"input_tokens": 9, "output_tokens": 1, "cost": 8.25e-05, "input_tokens_details": {"cache_write_tokens": 5}}

    assert ended("completed", usage=usage).usage == Usage(9, 1, cache_write_tokens=5, cost=Decimal("0.0000825"))


def test_a_cost_that_is_no_amount_counts_as_unknown():
    assert ended("completed", usage={"input_tokens": 1, "cost": "much"}).usage == Usage(1, 0)


def test_reasoning_counted_beside_the_output_is_added_to_it():
    quirks = Quirks(output_includes_reasoning=False)

    assert read(sse(CREATED, COMPLETED), quirks=quirks)[-1].usage.output_tokens == 13


QUOTA = {"type": "insufficient_quota", "code": "insufficient_quota", "message": "You exceeded your quota"}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "error": QUOTA}, QuotaExceededError),
        ({"type": "error", "code": "insufficient_quota", "message": "You exceeded your quota"}, QuotaExceededError),
        ({"error": QUOTA}, QuotaExceededError),
        ({"type": "response.failed", "response": {"status": "failed", "error": QUOTA}}, QuotaExceededError),
        ({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "?"}}}, ServerError),
        ({"type": "response.failed"}, ServerError),
        ({"type": "response.cancelled", "response": {"status": "cancelled"}}, StreamInterruptedError),
    ],
)
def test_an_error_in_the_stream_is_raised_after_what_came_before_it(event, kind):
    parser = ADAPTER.stream_parser()
    got = []

    with pytest.raises(kind):
        got.extend(parser.feed(sse(CREATED, delta("a")) + sse(event).replace(b"event: None\n", b"")))

    assert got == [Started("oai", "m1", "resp_1"), TextDelta("a")]


def test_r27_a_stream_without_its_last_event_is_interrupted_at_every_border():
    frames = sse(CREATED, delta("a"), added(call_item(arguments="")), arguments("{}"), COMPLETED).split(b"\n\n")[:-1]

    for kept in range(len(frames)):
        with pytest.raises(StreamInterruptedError, match='"oai" broke off'):
            read(b"".join(frame + b"\n\n" for frame in frames[:kept]))


def test_r27_a_last_event_may_lack_its_blank_line_but_not_its_end():
    data = sse(CREATED, delta("a"), COMPLETED)

    assert read(data[:-2]) == read(data)
    with pytest.raises(StreamInterruptedError):
        read(data[:-4])


def test_a_whole_answer_gives_the_events_of_its_stream():
    output = [
        {**ENCRYPTED, "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]},
        call_item(),
    ]
    body = {"id": "resp_1", "model": "m1", "status": "completed", "error": None, "output": output, "usage": USAGE}

    events = ADAPTER.parse_chat(json.dumps(body).encode())

    assert list(events) == [
        Started("oai", "m1", "resp_1"),
        ReasoningDelta("Hm."),
        ReasoningDelta(item=output[0]),
        TextDelta("Hello"),
        ToolCallStarted(0, "call_1", "add"),
        ToolCallDelta(0, '{"a":1}'),
        Finished(FinishReason.TOOL_CALLS, "completed", Usage(20, 9, cache_read_tokens=8, reasoning_tokens=4)),
    ]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"status": "failed", "output": [], "error": {"code": "server_error", "message": "?"}}, ServerError),
        ({"error": QUOTA}, QuotaExceededError),
        ({"status": "cancelled", "output": []}, StreamInterruptedError),
        ({"status": "queued", "output": []}, StreamInterruptedError),
        ({"choices": []}, ProtocolError),
        ({"output": "x"}, ProtocolError),
        ([], ProtocolError),
    ],
)
def test_a_whole_answer_that_is_none_is_an_error(body, kind):
    with pytest.raises(kind):
        ADAPTER.parse_chat(json.dumps(body).encode())


def test_an_encrypted_item_comes_back_exactly_as_it_came():
    builder = ResponseBuilder()
    for event in read(sse(CREATED, done(ENCRYPTED, 0), added(call_item(), 1), done(call_item(), 1), COMPLETED)):
        builder.add(event)

    items = json.loads(ADAPTER.render_chat(ChatRequest("m1", (builder.response().message,))).body)["input"]

    assert items == [
        ENCRYPTED,
        {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": '{"a":1}'},
    ]
