"""The Ollama adapter against recorded traffic (folder in ARAWN_RECORDINGS)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.optional_data import needs
from support.protocols import OLLAMA
from support.recordings import cut, events_of, one, one_by_one, recordings, response_of

from arawn.errors import ModelNotAvailableError, StreamInterruptedError
from arawn.messages import Usage

ADAPTER = OLLAMA.adapter()
ANSWERS = recordings(lambda case: case["api"] == "ollama-chat" and case["status"] == 200)
STREAMS = [case for case in ANSWERS if case.values[0].stream]
WHOLE = [case for case in ANSWERS if not case.values[0].stream]

pytestmark = needs("ARAWN_RECORDINGS")


def understood(events: list) -> dict:
    """What our events say, in the words of ``expected``."""
    response = response_of(events)
    return {
        "text": response.text,
        "reasoning": response.reasoning,
        "calls": [(call.id, call.name, json.loads(call.arguments)) for call in response.tool_calls],
        "model": response.model,
        "raw": response.raw_finish_reason,
        "usage": response.usage,
    }


def wanted(expected: dict) -> dict:
    return {
        "text": expected["text"],
        "reasoning": expected.get("reasoning", ""),
        "calls": [(call["id"], call["name"], call["arguments"]) for call in expected["tool_calls"]],
        "model": expected["model"],
        "raw": expected["finish_reason"],
        "usage": Usage(expected["usage"]["input_tokens"], expected["usage"]["output_tokens"]),
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
def test_r27_a_recorded_stream_that_breaks_off_at_any_line_is_interrupted(recording):
    lines = recording.body.rstrip(b"\n").split(b"\n")

    for kept in {*range(0, len(lines), 25), len(lines) - 1}:
        with pytest.raises(StreamInterruptedError):
            events_of(ADAPTER.stream_parser(), [line + b"\n" for line in lines[:kept]])


@pytest.mark.parametrize("recording", WHOLE)
def test_a_recorded_whole_answer_is_understood(recording):
    assert understood(list(ADAPTER.parse_chat(recording.body))) == wanted(recording.expected)


def test_a_recorded_unknown_model_is_reported_by_its_name():
    error = ADAPTER.parse_failure(404, {}, one("ollama/error-404-model").body, "nonexistent-model:latest")

    assert type(error) is ModelNotAvailableError
    assert "nonexistent-model:latest" in error.message


def test_the_recorded_list_of_models_is_read():
    recording = one("ollama/tags")

    models = ADAPTER.parse_models(recording.body)

    assert len(models) == recording.expected["models"]["count"]
    assert [model.id for model in models[:5]] == recording.expected["models"]["first_ids"]
