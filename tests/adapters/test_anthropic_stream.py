"""What the Messages adapter reads: whole answers, streamed and unstreamed."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.anthropic_answers import (
    HELLO,
    adapter,
    answer,
    block,
    end,
    json_deltas,
    message_start,
    read,
    response,
    sse,
    text,
)

from arawn.events import (
    Finished,
    PartExtra,
    ProviderItemDone,
    ReasoningDelta,
    ServerToolDone,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from arawn.messages import FinishReason, Reasoning, Text, ToolCall, Usage


def test_a_text_is_read_from_its_start_to_its_end():
    assert read(sse(*HELLO)) == [
        Started("mine", "m-1", "msg_1"),
        TextDelta("Good "),
        TextDelta("day"),
        Finished(FinishReason.STOP, "end_turn", Usage(725, 15, 600, 100)),
    ]


@settings(max_examples=50)
@given(st.sets(st.integers(0, len(sse(*HELLO)))))
def test_the_events_do_not_depend_on_how_the_bytes_were_cut(cuts):
    data = sse(*HELLO)
    places = [0, *sorted(cuts), len(data)]
    parser = adapter().stream_parser()

    events = [event for at, to in pairwise(places) for event in parser.feed(data[at:to])]

    assert [*events, *parser.close()] == read(data)


def test_pings_and_events_of_unknown_types_are_skipped():
    strange = [{"type": "ping"}, {"type": "brand_new", "index": [], "delta": None}]

    assert read(sse(*strange, HELLO[0], *strange, *HELLO[1:])) == read(sse(*HELLO))


def test_a_last_event_without_its_blank_line_counts():
    assert read(sse(*HELLO).rstrip()) == read(sse(*HELLO))


def test_what_follows_the_end_is_not_read():
    assert read(sse(*HELLO) + b"data: [DONE]\n\n" + sse(*HELLO)) == read(sse(*HELLO))


def test_citations_do_not_disturb_the_text():
    cited = {"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "x"}}

    assert answer(block(0, "text", cited, {"type": "text_delta", "text": "Hi"}, text="", citations=[])) == [
        TextDelta("Hi"),
        PartExtra({"citations": [cited["citation"]]}),
    ]


def test_thinking_carries_its_signature_and_its_block():
    thinking = [{"type": "thinking_delta", "thinking": "Hm"}, {"type": "signature_delta", "signature": "sig"}]

    events = answer(block(0, "thinking", *thinking, thinking="", signature=""), text(1, "Hi"))

    assert events == [ReasoningDelta("Hm", block=0), ReasoningDelta(signature="sig", block=0), TextDelta("Hi")]
    assert response([Started("mine", "m-1"), *events]).message.parts == (
        Reasoning("Hm", "sig", owner="mine"),
        Text("Hi"),
    )


def test_a_signature_without_any_text_is_kept():
    signed = block(0, "thinking", {"type": "signature_delta", "signature": "sig"}, thinking="", signature="")

    assert answer(signed) == [ReasoningDelta(signature="sig", block=0)]


def test_redacted_thinking_is_kept_whole():
    assert answer(block(2, "redacted_thinking", data="abc")) == [
        ReasoningDelta(item={"type": "redacted_thinking", "data": "abc"}, block=2)
    ]


def test_tool_calls_keep_apart_by_the_index_of_their_blocks():
    first = block(1, "tool_use", *json_deltas("", '{"a":', "1}"), id="c1", name="add", input={})
    second = block(2, "tool_use", *json_deltas(""), id="c2", name="now", input={})

    events = answer(first, second)

    assert events == [
        ToolCallStarted(1, "c1", "add"),
        ToolCallDelta(1, '{"a":'),
        ToolCallDelta(1, "1}"),
        ToolCallStarted(2, "c2", "now"),
    ]
    assert response(events).tool_calls == (ToolCall("c1", "add", '{"a":1}'), ToolCall("c2", "now", ""))


def test_arguments_that_come_with_the_start_of_a_call_are_read():
    assert answer(block(0, "tool_use", id="c1", name="add", input={"a": "ü"})) == [
        ToolCallStarted(0, "c1", "add"),
        ToolCallDelta(0, '{"a": "ü"}'),
    ]


def test_blocks_of_the_providers_own_tools_are_gathered_whole():
    use = {"id": "s1", "name": "web_search", "caller": {"type": "direct"}}
    found = {"tool_use_id": "s1", "content": [{"type": "web_search_result", "url": "https://a.example"}]}

    events = answer(
        block(0, "server_tool_use", *json_deltas("", '{"q":', '"x"}'), input={}, **use),
        block(1, "web_search_tool_result", **found),
        block(2, "mcp_tool_use", *json_deltas(""), id="m1", input={}),
        block(3, "compaction", {"type": "compaction_delta", "content": "So far: x"}, content=None),
        block(4, "brand_new", {"type": "brand_new_delta", "note": "b"}, note="a"),
    )

    assert events == [
        ProviderItemDone({"type": "server_tool_use", **use, "input": {"q": "x"}}),
        ProviderItemDone({"type": "web_search_tool_result", **found}),
        ServerToolDone("web_search", "https://a.example"),
        ProviderItemDone({"type": "mcp_tool_use", "id": "m1", "input": {}}),
        ProviderItemDone({"type": "compaction", "content": "So far: x"}),
        ProviderItemDone({"type": "brand_new", "note": "ab"}),
    ]


def test_a_block_that_was_cut_at_the_limit_is_kept_only_as_far_as_it_can_be_used():
    call = block(0, "tool_use", *json_deltas('{"a": "b'), id="c1", name="add", input={})[:-1]
    item = block(1, "server_tool_use", *json_deltas('{"q'), id="s1", name="search", input={})[:-1]

    events = read(sse(message_start(), *call, *item, *end("max_tokens")))

    assert response(events).message.parts == (ToolCall("c1", "add", '{"a": "b'),)
    assert events[-1].finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("pause_turn", FinishReason.PAUSE),
        ("refusal", FinishReason.REFUSAL),
        ("brand_new", FinishReason.UNKNOWN),
    ],
)
def test_every_stop_reason_has_our_word_beside_it(word, reason):
    finished = read(sse(message_start(), *end(word)))[-1]

    assert (finished.finish_reason, finished.raw) == (reason, word)


def test_later_counts_replace_earlier_ones_and_are_not_added():
    later = {"input_tokens": 30, "cache_read_input_tokens": 0, "output_tokens_details": {"thinking_tokens": 9}}

    finished = read(sse(message_start(), *end(**later)))[-1]

    assert finished.usage == Usage(130, 15, 0, 100, 9)


def test_an_unstreamed_answer_gives_the_events_of_its_stream():
    blocks = [
        {"type": "thinking", "thinking": "Hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "abc"},
        {"type": "text", "text": "Hi", "citations": []},
        {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}},
        {"type": "tool_use", "id": "c2", "name": "now", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
    ]
    message = HELLO[0]["message"] | {"content": blocks, "stop_reason": "tool_use"}

    assert list(adapter().parse_chat(b"\xef\xbb\xbf\n" + json.dumps(message).encode())) == [
        Started("mine", "m-1", "msg_1"),
        ReasoningDelta("Hm", "sig", block=0),
        ReasoningDelta(item=blocks[1], block=1),
        TextDelta("Hi"),
        ToolCallStarted(3, "c1", "add"),
        ToolCallDelta(3, '{"a": 1}'),
        ToolCallStarted(4, "c2", "now"),
        ProviderItemDone(blocks[5]),
        ServerToolDone("web_search"),
        Finished(FinishReason.TOOL_CALLS, "tool_use", Usage(725, 1, 600, 100)),
    ]


@pytest.mark.parametrize(("written", "hour"), [(None, 0), ({}, 0), ({"ephemeral_1h_input_tokens": 70}, 70), ("no", 0)])
def test_what_is_kept_for_an_hour_is_counted_by_itself(written, hour):
    usage = {"input_tokens": 5, "cache_creation_input_tokens": 100, "output_tokens": 1, "cache_creation": written}
    answer = {"type": "message", "content": [], "stop_reason": "end_turn", "usage": usage}
    *_, finished = adapter().parse_chat(json.dumps(answer).encode())
    assert (finished.usage.cache_write_tokens, finished.usage.cache_write_1h_tokens) == (100, hour)
