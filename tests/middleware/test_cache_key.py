"""The key of an answer changes with everything that may change the answer, and with nothing else."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from arawn.adapters.base import Quirks
from arawn.messages import (
    Caller,
    ChatRequest,
    Image,
    Message,
    OutputFormat,
    ProviderItem,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from arawn.middleware.cache_key import AnswerKeys, canonical
from arawn.values import Value, as_dict, fields_of, replace

TEXT = st.text(st.characters(), max_size=5)  # any code point, halves of surrogate pairs too
NUMBER = st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
HEADERS = st.dictionaries(TEXT, TEXT, max_size=2)
SEEN = st.builds(Text, TEXT) | st.builds(Image, st.binary(max_size=4), TEXT, TEXT)
PART = (
    SEEN
    | st.builds(Reasoning, TEXT, TEXT, st.none() | OBJECT, TEXT)
    | st.builds(Refusal, TEXT)
    | st.builds(ToolCall, TEXT, TEXT, TEXT)
    | st.builds(ToolResult, TEXT, st.lists(SEEN, max_size=2).map(tuple), TEXT, st.booleans())
    | st.builds(ProviderItem, OBJECT, TEXT)
)
MESSAGE = st.builds(Message, st.sampled_from(Role), st.lists(PART, max_size=3).map(tuple), OBJECT)
FIELDS = {
    "model": TEXT,
    "messages": st.lists(MESSAGE, max_size=3).map(tuple),
    "max_tokens": st.none() | st.integers(0, 9),
    "temperature": st.none() | NUMBER,
    "top_p": st.none() | NUMBER,
    "stop": st.lists(TEXT, max_size=2).map(tuple),
    "seed": st.none() | st.integers(0, 9),
    "tools": st.lists(st.builds(Tool, TEXT, TEXT, OBJECT, st.booleans()), max_size=2).map(tuple),
    "tool_choice": st.builds(ToolChoice, st.sampled_from(["auto", "none", "required", "tool"]), TEXT),
    "parallel_tool_calls": st.none() | st.booleans(),
    "output": st.none() | st.builds(OutputFormat, st.none() | OBJECT, TEXT, st.booleans()),
    "thinking": st.none() | st.builds(Thinking, st.sampled_from([None, "low", "high"]), st.none() | st.integers(0, 9)),
    "extra": OBJECT,
    "without": st.frozensets(st.sampled_from(["temperature", "seed"])),
}
LEFT_OUT = {"stream", "caller"}
REQUEST = st.builds(ChatRequest, **FIELDS)
QUIRKS = {
    name: {
        "headers": HEADERS,
        "query": HEADERS,
        "extra": OBJECT,
        "default_max_tokens": st.none() | st.integers(0, 9),
    }.get(name, st.booleans() if isinstance(value, bool) else TEXT)
    for name, value in as_dict(Quirks()).items()
}
WHO = {"backend": "groq", "adapter": "openai_chat", "base_url": "https://a.example/v1", "credential": "$env:KEY"}


def key(request, quirks=None, **changes):
    return AnswerKeys(quirks=quirks or Quirks(), **{**WHO, **changes}).key(request)


def same(one, other):
    """Whether two values are equal and a server could not tell them apart either: True is not 1, a list is a tuple."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Value):
        return type(one) is type(other) and same(as_dict(one), as_dict(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[each], other[each]) for each in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_every_field_of_a_request_is_tried_below():
    assert set(FIELDS) | LEFT_OUT == set(fields_of(ChatRequest))


@pytest.mark.parametrize("field", FIELDS)
@given(st.data())
def test_r41_another_value_of_any_field_is_another_key(field, data):
    request, value = data.draw(REQUEST), data.draw(FIELDS[field])
    other = replace(request, **{field: value})
    assert (key(request) == key(other)) == same(request, other)


@given(PART, PART)
def test_r41_another_part_is_another_key(one, other):
    first, second = (ChatRequest("m", (Message(Role.USER, (part,)),)) for part in (one, other))
    assert (key(first) == key(second)) == same(one, other)


@pytest.mark.parametrize("field", fields_of(Quirks))
@settings(max_examples=20)
@given(st.data())
def test_r41_another_quirk_is_another_key(field, data):
    request, value = data.draw(REQUEST), data.draw(QUIRKS[field])
    assume(not same(value, getattr(Quirks(), field)))
    assert key(request) != key(request, replace(Quirks(), **{field: value}))


@pytest.mark.parametrize("field", WHO)
def test_r41_another_backend_address_or_reference_to_a_key_is_another_key(field):
    request = ChatRequest("m", ())
    assert key(request) != key(request, **{field: WHO[field] + "2"})


def test_r41_another_owner_is_another_key_and_nothing_else_of_the_caller_is():
    request = ChatRequest("m", (), caller=Caller(owner="ann"))
    changed = {"role": "indexing", "session": "s-1", "attempt": 3, "fresh": True, "lasting": True, "owner": "bob"}
    assert set(changed) == set(fields_of(Caller))
    others = {
        name: key(replace(request, caller=replace(request.caller, **{name: value}))) for name, value in changed.items()
    }
    assert [name for name, other in others.items() if other != key(request)] == ["owner"]


def test_whether_it_is_streamed_changes_no_answer():
    request = ChatRequest("m", ())
    assert key(request) == key(replace(request, stream=False))


def shuffled(value, dice):
    """The same value with its mappings in another order and its numbers spelled otherwise."""
    if isinstance(value, dict):
        pairs = [(name, shuffled(each, dice)) for name, each in value.items()]
        dice.shuffle(pairs)
        return dict(pairs)
    if isinstance(value, list | tuple):
        return [shuffled(each, dice) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return -0.0 if value == 0 and dice.random() < 0.5 else float(value)
    return value


@given(OBJECT, OBJECT, st.integers())
def test_the_order_of_mappings_and_the_spelling_of_numbers_change_no_key(extra, schema, seed):
    dice = random.Random(seed)
    one = ChatRequest("m", (), extra=extra, output=OutputFormat(schema))
    other = ChatRequest("m", (), extra=shuffled(extra, dice), output=OutputFormat(shuffled(schema, dice)))
    assert key(one) == key(other)


def test_numbers_are_compared_as_numbers():
    def spelled(text):
        return key(ChatRequest("m", (), extra=json.loads(f'{{"n": {text}}}')))

    assert len({spelled(text) for text in ("0", "0.0", "-0.0", "-0", "0e5")}) == 1
    assert len({spelled(text) for text in ("1", "1.0", "1e0", "10e-1")}) == 1
    assert len({spelled(text) for text in ("1", "true", '"1"', "[1]", "1.5", "null")}) == 6


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["a", "b"], ["ab"]),
        ([["a"], "b"], ["a", ["b"]]),
        ({"a": {"b": 1}}, {"a": {}, "b": 1}),
        (Text("x"), {"Text": {"text": "x"}}),
        (Text("x"), Refusal("x")),
        (b"x", {"sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}),
        (b"x", "x"),
        ("\ud83d\ude00", "😀"),
    ],
    ids=repr,
)
def test_what_is_built_otherwise_is_written_otherwise(one, other):
    assert canonical(one) != canonical(other)


def test_a_field_that_is_added_later_counts_without_anybody_remembering_it():
    annotations = dict.fromkeys((*fields_of(ChatRequest), "novelty"), "object")
    later = type(Value)("Later", (Value,), {"__annotations__": annotations, "__module__": __name__})
    given_so_far = as_dict(ChatRequest("m", ()))
    assert key(later(**given_so_far, novelty=1)) != key(later(**given_so_far, novelty=2))


def test_a_key_that_is_written_out_is_no_part_of_it():
    request = ChatRequest("m", ())
    assert key(request, credential="sk-one") == key(request, credential="sk-two") != key(request, credential="")
    assert len({key(request, credential=f"{kind}A") for kind in ("$env:", "$file:", "$keyring:")}) == 3


def deep():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "extra", [{"a": {1, 2}}, {1: "a"}, {"a": float("nan")}, {"a": deep()}], ids=["set", "key", "nan", "deep"]
)
def test_what_json_cannot_carry_has_no_key(extra):
    with pytest.raises(ValueError, match=r"JSON"):
        key(ChatRequest("m", (), extra=extra))
