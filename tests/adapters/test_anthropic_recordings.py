"""The Messages adapter against recorded traffic (folder in ARAWN_RECORDINGS): every answer read, follow-ups written."""

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.anthropic_answers import adapter, gather, read, response
from support.optional_data import needs

from arawn.errors import (
    AuthenticationError,
    ContextLengthError,
    ModelNotAvailableError,
    OverloadedError,
    RateLimitError,
    RequestError,
    StreamInterruptedError,
)
from arawn.messages import (
    ChatRequest,
    LLMMessage,
    Message,
    ProviderItem,
    Reasoning,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)

FOLDER = Path(os.environ.get("ARAWN_RECORDINGS", "none"), "anthropic")
CASES = {file.parent.name: json.loads(file.read_bytes()) for file in sorted(FOLDER.glob("*/meta.json"))}
ANSWERS = [name for name, case in CASES.items() if "finish_reason" in case["expected"] and case["status"] == 200]
WHOLE = [name for name in ANSWERS if "error" not in CASES[name]["expected"]]
STREAMS = [name for name in WHOLE if CASES[name]["stream"]]
FAILURES = {
    "error-400-prompt-too-long": ContextLengthError,
    "error-400-shape": RequestError,
    "error-401": AuthenticationError,
    "error-404-model": ModelNotAvailableError,
    "error-429": RateLimitError,
    "error-529": OverloadedError,
}
pytestmark = needs("ARAWN_RECORDINGS")


def recorded(name):
    return FOLDER.joinpath(name, CASES[name]["response_file"]).read_bytes()


def requested(name):
    return json.loads(FOLDER.joinpath(name, "request.json").read_bytes())


def answer(name):
    data = recorded(name)
    return response(read(data) if CASES[name]["stream"] else adapter().parse_chat(data))


def block_type(part):
    match part:
        case Reasoning(item=item):
            return "thinking" if item is None else item["type"]
        case ProviderItem(item):
            return item["type"]
        case ToolCall():
            return "tool_use"
        case _:
            return "text"


def one_text_each(kinds, text):
    """Return the kinds of blocks as parts show them: texts in a row are one, an empty one is none."""
    kinds = [kind for kind, before in zip(kinds, [None, *kinds], strict=False) if (kind, before) != ("text", "text")]
    return kinds if text else [kind for kind in kinds if kind != "text"]


@pytest.mark.parametrize("name", WHOLE)
def test_a_recorded_answer_has_the_parts_it_is_known_to_have(name):
    expected, got = CASES[name]["expected"], answer(name)

    assert got.text == expected["text"]
    assert got.reasoning == expected.get("reasoning", "")
    assert (got.raw_finish_reason, got.model, got.id) == (expected["finish_reason"], expected["model"], expected["id"])
    thoughts = [part for part in got.message.parts if isinstance(part, Reasoning)]
    assert [part.signature for part in thoughts if part.signature] == expected.get("reasoning_signatures", [])
    assert [part.item["data"] for part in thoughts if part.item] == expected.get("redacted_thinking", [])
    assert [part.item["type"] for part in got.message.parts if isinstance(part, ProviderItem)] == expected.get(
        "other_blocks", []
    )
    blocks = expected["block_types"] + ["tool_use"] * (len(got.tool_calls) - expected["block_types"].count("tool_use"))
    assert [block_type(part) for part in got.message.parts] == one_text_each(blocks, got.text)


@pytest.mark.parametrize("name", WHOLE)
def test_a_recorded_answer_has_the_tool_calls_it_is_known_to_have(name):
    expected, calls = CASES[name]["expected"]["tool_calls"], answer(name).tool_calls

    assert [(call.id, call.name) for call in calls] == [(call["id"], call["name"]) for call in expected]
    for call, known in zip(calls, expected, strict=True):
        assert call.arguments == known.get("arguments_raw", call.arguments)
        if known["arguments"] is not None:
            assert json.loads(call.arguments or "{}") == known["arguments"]


@pytest.mark.parametrize("name", WHOLE)
def test_a_recorded_answer_is_counted_with_what_the_cache_read_and_wrote(name):
    expected, usage = CASES[name]["expected"]["usage"], answer(name).usage
    read_tokens, written = expected.get("cache_read_tokens", 0), expected.get("cache_write_tokens", 0)

    assert usage.input_tokens == expected["input_tokens"] + read_tokens + written
    assert usage.output_tokens == expected["output_tokens"]
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (read_tokens, written)
    details = CASES[name]["expected"]["usage_raw"].get("output_tokens_details") or {}
    assert usage.reasoning_tokens == details.get("thinking_tokens", 0)


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_may_come_byte_by_byte(name):
    data, parser = recorded(name), adapter().stream_parser()

    events = [event for at in range(len(data)) for event in parser.feed(data[at : at + 1])]

    assert [*events, *parser.close()] == read(data)


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=15)
@given(st.sets(st.floats(0, 1), max_size=12))
def test_a_recorded_stream_may_be_cut_anywhere(name, places):
    data, parser = recorded(name), adapter().stream_parser()
    cuts = [0, *sorted(int(place * len(data)) for place in places), len(data)]

    events = [event for at, to in pairwise(cuts) for event in parser.feed(data[at:to])]

    assert [*events, *parser.close()] == read(data)


@pytest.mark.parametrize("name", STREAMS)
def test_r27_a_recorded_stream_that_stops_between_two_events_is_interrupted(name):
    events = [event for event in recorded(name).split(b"\n\n") if event.strip()]

    for kept in range(len(events)):
        parser = adapter().stream_parser()
        list(parser.feed(b"".join(event + b"\n\n" for event in events[:kept])))
        with pytest.raises(StreamInterruptedError):
            list(parser.close())


@pytest.mark.parametrize("name", STREAMS)
def test_an_error_in_the_middle_of_a_recorded_stream_keeps_what_came_before(name):
    head = recorded(name).partition(b"event: message_delta")[0]

    events, error = gather(head + recorded("error-event-in-stream"))

    assert isinstance(error, OverloadedError)
    assert events == read(recorded(name))[:-1]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["status"] >= 400])
def test_a_recorded_failure_is_read_into_its_error(name):
    case = CASES[name]

    error = adapter().parse_failure(case["status"], case["response_headers"], recorded(name), "m-1")

    assert type(error) is FAILURES[name]
    assert error.code == case["expected"]["error"]["type"]
    assert error.request_id == (case["expected"].get("request_id") or case["response_headers"].get("request-id", ""))


def test_an_error_in_a_recorded_200_answer_is_raised():
    with pytest.raises(OverloadedError):
        read(recorded("error-event-in-stream"))


def test_the_recorded_list_of_models_is_read():
    cards = adapter().parse_models(recorded("models-list"))

    known = CASES["models-list"]["expected"]["models"]
    assert len(cards) == known["count"]
    assert [card.id for card in cards][: len(known["first_ids"])] == known["first_ids"]


def follow_up(name):
    """Return the turn of the assistant that the request after a recorded answer carries."""
    got = answer(name)
    done = [Message(Role.TOOL, (ToolResult(call.id, (Text("ok"),)),)) for call in got.tool_calls]
    messages = (LLMMessage("user", "Go"), got.message, *(done or [LLMMessage("user", "Go on")]))
    call = adapter().render_chat(ChatRequest("m-1", messages))
    assert call.notices == ()
    return json.loads(call.body)["messages"][1]["content"]


@pytest.mark.parametrize("name", [name for name in WHOLE if not CASES[name]["stream"]])
def test_a_recorded_answer_goes_back_as_it_came(name):
    blocks = json.loads(recorded(name))["content"]
    came = [{key: value for key, value in block.items() if value is not None} for block in blocks]

    assert follow_up(name) == [block for block in came if block.get("text", "x").strip()]


@pytest.mark.parametrize("name", ["thinking-tool-stream", "redacted-thinking-stream", "server-tool-stream"])
def test_what_a_recorded_stream_signed_or_did_itself_goes_back_unchanged(name):
    expected = CASES[name]["expected"]

    blocks = follow_up(name)

    signed = [(block["thinking"], block["signature"]) for block in blocks if block["type"] == "thinking"]
    signatures = expected.get("reasoning_signatures", [])
    assert signed == [(expected["reasoning"], signature) for signature in signatures]
    redacted = [block["data"] for block in blocks if block["type"] == "redacted_thinking"]
    assert redacted == expected.get("redacted_thinking", [])
    calls = [(block["id"], block["input"]) for block in blocks if block["type"] == "tool_use"]
    assert calls == [(call["id"], call["arguments"]) for call in expected["tool_calls"]]


def test_the_input_of_a_recorded_server_tool_goes_back_parsed():
    used = next(block for block in follow_up("server-tool-stream") if block["type"] == "server_tool_use")

    assert used["input"] == {"pattern": "weather"}
    assert used["caller"] == {"type": "direct"}


def plain(content):
    """Return content as a list of blocks, without cache marks and defaults: the long form of the same thing."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    defaults = {"is_error": False}
    blocks = [
        {key: value for key, value in block.items() if key != "cache_control" and defaults.get(key, ...) is not value}
        for block in content
    ]
    return [block | {"content": plain(block["content"])} if "content" in block else block for block in blocks]


def test_a_tool_result_is_sent_as_it_was_recorded():
    sent = requested("tool-result-followup-stream")
    call = ToolCall("toolu_0123XuPthLWH62nQHDkYt8GN", "get_date")
    schema = sent["tools"][0]["input_schema"]
    request = ChatRequest(
        sent["model"],
        (
            LLMMessage("system", plain(sent["system"])[0]["text"]),
            LLMMessage("user", "What's the current date in YYYY-MM-DD format?"),
            Message(Role.ASSISTANT, (call,)),
            Message(Role.TOOL, (ToolResult(call.id, (Text("2024-01-01"),)),)),
        ),
        max_tokens=4096,
        tools=(Tool("get_date", "Gets the current date", schema),),
    )

    written = json.loads(adapter().render_chat(request).body)

    turns = [turn | {"content": plain(turn["content"])} for turn in sent["messages"]]
    assert written == sent | {"messages": turns, "system": written["system"]}
    assert plain(written["system"]) == plain(sent["system"])
