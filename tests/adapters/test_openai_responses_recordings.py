"""The Responses adapter against recorded traffic (folder in ARAWN_RECORDINGS): every answer read, one sent back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.optional_data import needs
from support.protocols import RESPONSES
from support.recordings import cut, events_of, one, one_by_one, recordings, response_of

from arawn.errors import ContextLengthError, ModelNotAvailableError, QuotaExceededError, StreamInterruptedError
from arawn.messages import (
    ChatRequest,
    LLMMessage,
    Message,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

ADAPTER = RESPONSES.adapter()
ANSWERS = recordings(lambda case: case["api"] == "openai-responses" and case["status"] == 200)
STREAMS = [case for case in ANSWERS if case.values[0].stream and "error" not in case.values[0].expected]
WHOLE = [case for case in ANSWERS if not case.values[0].stream]
FAILURES = {
    "openai/error-429-insufficient-quota": QuotaExceededError,
    "openai/responses-error-400-context-length": ContextLengthError,
    "openai/responses-error-400-model": ModelNotAvailableError,
}

pytestmark = needs("ARAWN_RECORDINGS")


def understood(events: list) -> dict:
    """What our events say, in the words of ``expected``."""
    response, usage = response_of(events), events[-1].usage
    parts = response.message.parts
    return {
        "text": "".join(part.text for part in parts if isinstance(part, Text)),
        "reasoning": response.reasoning,
        "refusal": "".join(part.text for part in parts if isinstance(part, Refusal)),
        "calls": [(call.id, call.name, call.arguments) for call in response.tool_calls],
        "model": response.model,
        "id": response.id,
        "raw": response.raw_finish_reason,
        "usage": usage and (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.reasoning_tokens),
        "encrypted": sum("encrypted_content" in (part.item or {}) for part in parts if isinstance(part, Reasoning)),
    }


def wanted(expected: dict) -> dict:
    counts = tuple(expected["usage"][f"{key}_tokens"] for key in ("input", "output", "cache_read", "reasoning"))
    return {
        "text": expected["text"],
        "reasoning": expected.get("reasoning", ""),
        "refusal": expected.get("refusal", ""),
        "calls": [(call["id"], call["name"], call["arguments_raw"]) for call in expected["tool_calls"]],
        "model": expected["model"],
        "id": expected["id"],
        "raw": expected.get("incomplete_reason", expected["status"]),
        "usage": counts if any(counts) else None,
        "encrypted": expected.get("encrypted_reasoning_items", 0),
    }


@pytest.mark.parametrize("recording", STREAMS)
def test_a_recorded_stream_is_understood_byte_by_byte(recording):
    events = events_of(ADAPTER.stream_parser(), one_by_one(recording.body))

    assert understood(events) == wanted(recording.expected)


@pytest.mark.parametrize("recording", STREAMS)
@settings(max_examples=25)
@given(places=st.lists(st.integers(0, 1 << 20), max_size=30))
def test_a_recorded_stream_is_understood_however_it_is_cut(recording, places):
    events = events_of(ADAPTER.stream_parser(), cut(recording.body, places))

    assert events == events_of(ADAPTER.stream_parser(), [recording.body])


@pytest.mark.parametrize("recording", STREAMS)
def test_r27_a_recorded_stream_that_breaks_off_at_any_event_is_interrupted(recording):
    frames = recording.body[: recording.complete_at].split(b"\n\n")

    for kept in range(len(frames)):
        with pytest.raises(StreamInterruptedError):
            events_of(ADAPTER.stream_parser(), [frame + b"\n\n" for frame in frames[:kept]])


@pytest.mark.parametrize("recording", WHOLE)
def test_a_recorded_whole_answer_is_understood(recording):
    assert understood(list(ADAPTER.parse_chat(recording.body))) == wanted(recording.expected)


def test_a_recorded_error_inside_a_stream_is_raised():
    with pytest.raises(QuotaExceededError):
        events_of(ADAPTER.stream_parser(), [one("openai/responses-error-in-stream").body])


@pytest.mark.parametrize("name", FAILURES)
def test_recorded_error_answers_are_distinguished(name):
    recording = one(name)

    error = ADAPTER.parse_failure(recording.status, recording.headers, recording.body, "m1")

    assert type(error) is FAILURES[name]


def messages_of(items: list) -> list[Message]:
    """The conversation a recorded ``input`` was made of."""
    messages = [LLMMessage("user", items[0]["content"])]
    for item in items[1:]:
        match item["type"]:
            case "reasoning":
                messages.append(Message(Role.ASSISTANT, (Reasoning(item=item, owner="oai"),)))
            case "function_call":
                call = ToolCall(item["call_id"], item["name"], item["arguments"])
                messages[-1] = Message(Role.ASSISTANT, (*messages[-1].parts, call))
            case "function_call_output":
                messages.append(Message(Role.TOOL, (ToolResult(item["call_id"], (Text(item["output"]),)),)))
    return messages


def test_a_recorded_conversation_with_encrypted_reasoning_is_sent_back_as_it_was():
    asked = one("openai/responses-tools-five-msg").request
    request = ChatRequest("m1", tuple(messages_of(asked["input"])), thinking=Thinking("high"), stream=False)

    body = json.loads(ADAPTER.render_chat(request).body)

    assert body["input"][1:] == asked["input"][1:]
    assert (body["store"], body["include"]) == (asked["store"], asked["include"])
    assert body["reasoning"]["effort"] == asked["reasoning"]["effort"]


def test_recorded_encrypted_reasoning_comes_back_unchanged_before_its_calls():
    recording = one("openai/responses-tools-five-msg")
    (reasoning,) = (item for item in json.loads(recording.body)["output"] if item["type"] == "reasoning")
    answer = response_of(ADAPTER.parse_chat(recording.body)).message

    items = json.loads(ADAPTER.render_chat(ChatRequest("m1", (answer,))).body)["input"]

    assert items[0] == reasoning
    assert [item["type"] for item in items[1:]] == ["function_call"] * 5
