"""Broken answers of Ollama: whatever comes, only our own errors leave the adapter."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.protocols import OLLAMA, json_with

from arawn.errors import ArawnError, ProtocolError

ADAPTER, read = OLLAMA.adapter(), OLLAMA.read
LINE = b'{"model":"m1","message":{"role":"assistant","content":"a"},"done":false}\n'
DONE = b'{"model":"m1","message":{"role":"assistant","content":""},"done":true}\n'


def test_r31_a_strange_line_is_a_protocol_error_with_its_number():
    strange = [
        b"{",
        b"NaN",
        b"data: {}",
        b'{"message":[]}',
        b'{"message":{"content":7}}',
        b'{"message":{"content":{"a":1}}}',
        b'{"message":{"thinking":[]}}',
        b'{"message":{"tool_calls":{}}}',
        b'{"message":{"tool_calls":[7]}}',
        b'{"message":{"tool_calls":[{"function":{"arguments":{"a":1}}}]}}',
        b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}',
        b'{"message":{"tool_calls":[{"id":7,"function":{"name":"f"}}]}}',
        b'{"message":{},"done":"yes"}',
        b'{"message":{},"done":true,"eval_count":NaN}',
        b'{"message":{},"done":true,"eval_count":-1}',
        b'{"message":{},"done":true,"eval_count":1.5}',
        b'{"message":{},"done":true,"eval_count":' + b"9" * 5000 + b"}",
        b'{"message":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":'
        + b'{"a":' * 9000
        + b"1"
        + b"}" * 9004
        + b"]}}",
    ]
    for payload in strange:
        with pytest.raises(
            ProtocolError, match=r'"local" does not keep to its protocol, event 2 of the answer'
        ) as error:
            read(LINE + payload + b"\n")
        assert error.value.backend == "local"
        assert len(error.value.message) < 300


@given(st.binary(max_size=200))
def test_r31_no_bytes_raise_anything_but_our_errors(noise):
    with suppress(ArawnError):
        read(noise + b"\n" + DONE)
    with suppress(ArawnError):
        ADAPTER.parse_chat(noise)


JSON = json_with("content", "thinking", "tool_calls", "function", "name", "arguments", "id")


@given(st.dictionaries(st.sampled_from(["model", "message", "done", "done_reason", "error", "eval_count"]), JSON))
def test_r31_lines_of_any_shape_raise_nothing_but_our_errors(fields):
    with suppress(ArawnError):
        read(json.dumps(fields).encode())
    with suppress(ArawnError):
        ADAPTER.parse_chat(json.dumps(fields).encode())
    with suppress(ArawnError):
        ADAPTER.parse_models(json.dumps({"models": [fields]}).encode())
