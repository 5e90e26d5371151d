"""Answers with calls of empty values, with a beginning that is repeated or complete, with odd ends."""

from __future__ import annotations

import pytest
from support.answers import (
    ANTHROPIC,
    OLLAMA,
    RESPONSES,
    anthropic_answer,
    chat_answer,
    message_start,
    whole_answer,
)

from arawn.adapters.finish_reasons import finish_reason
from arawn.errors import ProtocolError
from arawn.messages import FinishReason

# Calls of empty values


@pytest.mark.parametrize(
    "empty",
    [
        {"function_call": {"name": "", "arguments": ""}},
        {"tool_calls": [{"index": 0, "id": "", "type": "function", "function": {"name": "", "arguments": ""}}]},
        {"tool_calls": [{}]},
        {"tool_calls": [{"index": 0, "function": None}]},
        {"tool_calls": [{"index": 0, "custom": {"name": "", "input": ""}}]},
    ],
)
def test_a_call_of_empty_values_is_none(empty):
    response = chat_answer({"content": "4", **empty})

    assert (response.text, response.tool_calls, response.finish_reason) == ("4", (), FinishReason.STOP)


def test_a_call_of_empty_values_is_none_in_other_protocols():
    item = {"type": "function_call", "call_id": "", "name": "", "arguments": ""}
    assert (
        len(RESPONSES.response({"type": "response.output_item.done", "output_index": 3, "item": item}).tool_calls) == 1
    )
    line = {"message": {"content": "4", "tool_calls": [{"function": {"name": "", "arguments": {}}}]}}
    assert OLLAMA.response(line).tool_calls == ()


# The start and the end of a message


SAID = [
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "content_block_stop", "index": 0},
]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_message_may_begin_more_than_once(times):
    response = anthropic_answer(*[message_start()] * times, *SAID, *ANTHROPIC.ending)

    assert (response.text, response.usage.input_tokens) == ("hi", 5)


def test_another_message_in_the_middle_is_malformed():
    with pytest.raises(ProtocolError, match="second message"):
        anthropic_answer(message_start(), *SAID, message_start(id="m2"), *ANTHROPIC.ending)


@pytest.mark.parametrize("repeated", [[], SAID])
def test_a_message_may_come_whole_in_its_start_and_again_in_events(repeated):
    call = {"type": "tool_use", "id": "t1", "name": "roll", "input": {"player": "p1"}}
    content, counted = [{"type": "text", "text": "hi"}, call], {"input_tokens": 1, "output_tokens": 2}
    message = message_start(content=content, stop_reason="tool_use", usage=counted)

    response = anthropic_answer(message, *repeated, {"type": "message_stop"})

    assert (response.text, response.tool_calls[0].name) == ("hi", "roll")
    assert (response.finish_reason, response.usage.total_tokens) == (FinishReason.TOOL_CALLS, 3)


@pytest.mark.parametrize("words", ["declined by policy", ""])
def test_a_refusal_says_why(words):
    details = {"type": "refusal", "explanation": words}
    end = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}, "usage": {}}
    message = message_start()["message"] | {"stop_reason": "refusal", "stop_details": details}

    for response in (
        anthropic_answer(message_start(), end, {"type": "message_stop"}),
        whole_answer(ANTHROPIC, **message),
    ):
        assert (response.finish_reason, response.finish_detail) == (FinishReason.REFUSAL, words)


@pytest.mark.parametrize("details", [None, "no", [], {"explanation": 7}, {}])
def test_strange_details_of_an_end_are_no_details(details):
    end = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}}
    assert anthropic_answer(message_start(), end, {"type": "message_stop"}).finish_detail == ""


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        *((word, FinishReason.STOP) for word in ("stop", "STOP", "eos", "eos_token", "end", "completed", "COMPLETE")),
        *((word, FinishReason.LENGTH) for word in ("length", "MAX_TOKENS", "max_output_tokens", "model_length")),
        *((word, FinishReason.CONTENT_FILTER) for word in ("content_filter", "SAFETY", "sensitive")),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("pause_turn", FinishReason.PAUSE),
        ("", FinishReason.UNKNOWN),
        ("load", FinishReason.UNKNOWN),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", FinishReason.UNKNOWN),
    ],
)
def test_the_words_for_an_end_mean_the_same_in_every_protocol(word, reason):
    assert finish_reason(word) is reason
