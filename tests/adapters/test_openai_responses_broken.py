"""Broken answers of the Responses API: whatever comes, only our own errors leave the adapter."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.protocols import RESPONSES, json_with

from arawn.errors import ArawnError, ProtocolError
from arawn.events import TextDelta

ADAPTER, read = RESPONSES.adapter(), RESPONSES.read
CREATED = {"type": "response.created", "response": {"id": "resp_1", "model": "m1"}}


def sse(*events: dict) -> bytes:
    return b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in events)


def test_r31_a_deep_recursion_or_a_strange_value_is_a_protocol_error_with_the_number_of_its_event():
    strange = [
        b"{",
        b"NaN",
        b'{"type":[]}',
        b'{"type":"response.output_text.delta","delta":7}',
        b'{"type":"response.output_text.delta","delta":"x","output_index":"0"}',
        b'{"type":"response.output_text.delta","delta":"x","output_index":-1}',
        b'{"type":"response.output_item.done","item":[]}',
        b'{"type":"response.output_item.done","item":{"type":"message","content":[7]}}',
        b'{"type":"response.output_item.done","item":{"type":"function_call","arguments":"{}"}}',
        b'{"type":"response.completed","response":"x"}',
        b'{"type":"response.completed","response":{"usage":{"input_tokens":NaN}}}',
        b'{"type":"response.completed","response":{"usage":{"input_tokens":1.5}}}',
        b'{"type":"response.completed","response":{"usage":{"input_tokens":' + b"9" * 5000 + b"}}}",
        b'{"type":"keepalive","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ]
    for payload in strange:
        with pytest.raises(ProtocolError, match=r'"oai" does not keep to its protocol, event 2 of the answer') as error:
            read(sse(CREATED) + b"data: " + payload + b"\n\n")
        assert error.value.backend == "oai"
        assert len(error.value.message) < 300


@given(st.binary(max_size=200), st.integers(0, 3))
def test_r31_no_bytes_raise_anything_but_our_errors(noise, kind):
    frame = (b"data: " + noise + b"\n\n", b'data: {"type":' + noise + b"}\n\n", noise, b"event: error\ndata: " + noise)[
        kind
    ]
    with suppress(ArawnError):
        read(sse(CREATED) + frame + b"\n\n")
    with suppress(ArawnError):
        ADAPTER.parse_chat(noise)


JSON = json_with("type", "delta", "text", "item", "content", "summary", "response", "status", "error", "usage")
KINDS = [
    "response.created",
    "response.output_text.delta",
    "response.output_text.done",
    "response.reasoning_summary_text.delta",
    "response.refusal.done",
    "response.output_item.added",
    "response.output_item.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "error",
]


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(["delta", "text", "item", "response", "error"]), JSON))
def test_r31_events_of_any_shape_raise_nothing_but_our_errors(kind, fields):
    with suppress(ArawnError):
        read(sse(CREATED, {**fields, "type": kind}))
    with suppress(ArawnError):
        ADAPTER.parse_chat(json.dumps(fields.get("response")).encode())
    with suppress(ArawnError):
        ADAPTER.parse_models(json.dumps({"data": [fields]}).encode())


def test_half_of_a_surrogate_pair_cannot_reach_the_terminal():
    data = sse(CREATED) + b'data: {"type":"response.output_text.delta","delta":"\\ud83d and \\ud83d\\ude00"}\n\n'

    events = list(ADAPTER.stream_parser().feed(data))

    assert events[1] == TextDelta("\ufffd and \N{GRINNING FACE}")
