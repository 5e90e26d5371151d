from __future__ import annotations

import json
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arawn.messages import (
    Image,
    Message,
    ProviderItem,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from arawn.store.message_json import dumps, loads, usage_from_json, usage_to_json

TEXT = st.text(st.characters())  # any code point, halves of surrogate pairs too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
EXTRA = st.none() | OBJECT.filter(bool)
SEEN = st.builds(Text, TEXT, EXTRA, TEXT) | st.builds(Image, st.binary(max_size=40), TEXT, TEXT, EXTRA, TEXT)
PART = (
    SEEN
    | st.builds(Reasoning, TEXT, TEXT, st.none() | OBJECT, TEXT)
    | st.builds(Refusal, TEXT)
    | st.builds(ToolCall, TEXT, TEXT, TEXT, EXTRA, TEXT, st.booleans())
    | st.builds(ToolResult, TEXT, st.lists(SEEN, max_size=2).map(tuple), TEXT, st.booleans())
    | st.builds(ProviderItem, OBJECT, TEXT)
)
MESSAGE = st.builds(Message, st.sampled_from(Role), st.lists(PART, max_size=4).map(tuple), OBJECT)


@given(MESSAGE)
def test_every_message_comes_back_as_it_was(message):
    assert loads(dumps(message)) == message


@given(MESSAGE)
def test_what_is_written_can_be_stored_as_utf8(message):
    assert dumps(message).isascii()


def test_parts_without_fields_of_their_own_are_written_as_before():
    message = Message(Role.ASSISTANT, (Text("Hi"), ToolCall("c1", "f", "{}")))

    assert json.loads(dumps(message))["parts"] == [
        {"type": "text", "text": "Hi"},
        {"type": "tool_call", "id": "c1", "name": "f", "arguments": "{}"},
    ]


def test_an_item_that_is_a_read_only_mapping_is_written_too():
    item = MappingProxyType({"type": "server_tool", "inner": MappingProxyType({"a": 1})})

    back = loads(dumps(Message(Role.ASSISTANT, (ProviderItem(item, "anthropic"),))))

    assert back.parts == (ProviderItem({"type": "server_tool", "inner": {"a": 1}}, "anthropic"),)


def test_metadata_that_json_cannot_hold_is_refused_not_changed():
    with pytest.raises(TypeError, match="JSON cannot hold a set"):
        dumps(Message(Role.USER, (), {"seen": {1, 2}}))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        "null",
        '"words"',
        "not json",
        '{"v": 2, "role": "user", "parts": [], "metadata": {}}',
        '{"v": 1, "role": "king", "parts": [], "metadata": {}}',
        '{"v": 1, "role": "user", "parts": 7, "metadata": {}}',
        '{"v": 1, "role": "user", "parts": [{"type": "smell"}], "metadata": {}}',
        '{"v": 1, "role": "user", "parts": ["text"], "metadata": {}}',
        '{"v": 1, "role": "user", "parts": [{"type": "text"}], "metadata": {}}',
        '{"v": 1, "role": "user", "parts": [{"type": "text", "text": "a", "size": 1}], "metadata": {}}',
        '{"v": 1, "role": "user", "parts": [{"type": "image", "data": "?"}], "metadata": {}}',
    ],
)
def test_what_is_no_message_is_a_value_error(text):
    with pytest.raises(ValueError, match=r".+"):
        loads(text)


@given(st.decimals(allow_nan=False, allow_infinity=False) | st.none(), st.integers(0), st.booleans())
def test_usage_comes_back_with_its_exact_cost(cost, tokens, estimated):
    usage = Usage(tokens, 1, 2, 3, 4, estimated, cost)

    assert usage_from_json(json.loads(json.dumps(usage_to_json(usage)))) == usage


def test_a_cost_is_no_float():
    usage = usage_from_json(json.loads(json.dumps(usage_to_json(Usage(cost=Decimal("0.10000000000000000001"))))))

    assert usage.cost == Decimal("0.10000000000000000001")
