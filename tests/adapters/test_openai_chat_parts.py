"""Chat Completions: tool calls, thinking and usage, in all the ways servers send them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from support.openai_messages import ADAPTER, HELLO, chunk, notices, read, sent, stream
from support.recordings import response_of

from arawn.adapters.base import Quirks
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.adapters.rules import ModelRules
from arawn.events import Finished, ToolCallDelta, ToolCallStarted
from arawn.messages import (
    ChatRequest,
    FinishReason,
    Message,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)


def calls_of(*fragments: Any) -> list[tuple[str, str, str]]:
    """Stream these tool call fragments, one a chunk (a list: all in one) and return the calls that come of them."""
    deltas = [chunk({"tool_calls": part if isinstance(part, list) else [part]}) for part in fragments]
    response = response_of(read(stream(*deltas, chunk(reason="tool_calls"))))
    assert response.finish_reason is FinishReason.TOOL_CALLS
    return [(call.id, call.name, call.arguments) for call in response.tool_calls]


def fragment(arguments: Any = None, *, name: str | None = None, **keys: Any) -> dict[str, Any]:
    named = {} if name is None else {"name": name}
    return {"type": "function", "function": {"arguments": arguments, **named}, **keys}


# Tool calls


def test_fragments_are_distinguished_by_their_index() -> None:
    assert calls_of(
        fragment("", index=0, id="a", name="f"),
        fragment('{"x"', index=0),
        fragment("", index=1, id="b", name="g"),
        fragment("{}", index=1),
        fragment(":1}", index=0),
    ) == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


def test_a_new_id_is_a_new_call_although_the_index_repeats() -> None:
    assert calls_of(fragment('{"x":1}', index=0, id="a", name="f"), fragment('{"y":2}', index=0, id="b", name="f")) == [
        ("a", "f", '{"x":1}'),
        ("b", "f", '{"y":2}'),
    ]


def test_an_id_and_a_name_may_be_repeated() -> None:
    assert calls_of(
        fragment("", index=0, id="a", name="f"),
        fragment("{", index=0, id="a", name="f"),
        fragment("}", index=0, id="a", name=""),
    ) == [("a", "f", "{}")]


def test_an_id_that_changes_without_a_name_goes_by_the_index() -> None:
    assert calls_of(fragment("{", index=0, id="a", name="f"), fragment("}", index=0, id="b")) == [("a", "f", "{}")]


def test_without_id_and_index_it_is_the_latest_call() -> None:
    assert calls_of(fragment("{", id="a", name="f"), fragment("}")) == [("a", "f", "{}")]


def test_a_name_after_whole_arguments_begins_the_next_call() -> None:
    whole = [fragment('{"x":1}', id="", name="f"), fragment('{"x":2}', id="", name="f"), fragment("{}", name="g")]
    assert calls_of(whole) == [
        ("call_a1_0", "f", '{"x":1}'),
        ("call_a1_1", "f", '{"x":2}'),
        ("call_a1_2", "g", "{}"),
    ]


def test_another_name_begins_the_next_call_of_tools_without_arguments() -> None:
    assert [name for _, name, _ in calls_of(fragment("", index=0, name="f"), fragment("", index=0, name="g"))] == [
        "f",
        "g",
    ]


def test_a_name_inside_unfinished_arguments_is_only_repeated() -> None:
    assert calls_of(fragment("{", index=0, id="a", name="f"), fragment("}", index=0, name="f")) == [("a", "f", "{}")]


@pytest.mark.parametrize("missing", [None, "", "null"])
def test_a_missing_id_is_made_and_differs_within_the_answer(missing: Any) -> None:
    calls = calls_of(
        fragment("{}", index=0, id=missing, name="f"),
        fragment("{}", index=1, id="call_a1_2", name="f"),
        fragment("{}", index=2, id=missing, name="f"),
    )
    assert [call_id for call_id, _, _ in calls] == ["call_a1_0", "call_a1_2", "call_a1_3"]


@pytest.mark.parametrize(("arguments", "text"), [(None, ""), ("null", ""), ({"x": 1}, '{"x": 1}'), (7, ""), ("", "")])
def test_arguments_may_be_null_or_an_object(arguments: Any, text: str) -> None:
    assert calls_of(fragment(arguments, index=0, id="a", name="f")) == [("a", "f", text)]


def test_a_call_without_a_function_does_no_harm() -> None:
    assert calls_of({"index": 0, "id": "a", "function": None}) == [("a", "", "")]


def test_calls_are_numbered_by_us_whatever_the_server_counts() -> None:
    events = read(stream(chunk({"tool_calls": [fragment("{}", index=7, id="a", name="f")]}), chunk(reason="stop")))
    assert events[1:] == [
        ToolCallStarted(0, "a", "f"),
        ToolCallDelta(0, "{}"),
        Finished(FinishReason.TOOL_CALLS, "stop"),
    ]


def test_calls_of_a_whole_answer_are_never_joined() -> None:
    calls = [fragment("{}", id="a", name="f"), fragment("{}", id="a", name="f"), fragment("{}", name="g")]
    answer = {"choices": [{"message": {"content": "", "tool_calls": calls}, "finish_reason": "tool_calls"}]}
    response = response_of(ADAPTER.parse_chat(json.dumps(answer).encode()))
    assert [(call.id, call.name) for call in response.tool_calls] == [("a", "f"), ("call_1", "f"), ("call_2", "g")]


def test_the_old_kind_of_function_call_is_a_tool_call() -> None:
    data = stream(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk(reason="function_call"),
    )
    response = response_of(read(data))
    assert response.tool_calls == (ToolCall("call_a1_0", "f", "{}"),)
    assert response.finish_reason is FinishReason.TOOL_CALLS


# Thinking


def thinking_of(*deltas: dict[str, Any]) -> tuple[Any, ...]:
    return response_of(read(stream(*map(chunk, deltas), chunk(reason="stop")))).message.parts


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_thinking_is_read_under_either_key(key: str) -> None:
    parts = thinking_of({key: "h", "content": None}, {key: "m"}, {"content": "ok", key: None})
    assert parts == (Reasoning("hm", owner="here"), Text("ok"))


def test_thinking_under_both_keys_is_read_once() -> None:
    assert thinking_of({"reasoning": "hm", "reasoning_content": "hm"}) == (Reasoning("hm", owner="here"),)


def test_thinking_as_a_list_is_read_with_its_text() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True}
    source = {"type": "reference", "reference_ids": [1]}
    parts = thinking_of({"content": [thought, {"type": "text", "text": "o"}, source]}, {"content": "k"})
    assert parts == (Reasoning("hm", owner="here"), Text("ok"))


def test_details_are_joined_and_kept_to_be_sent_back() -> None:
    head = {"type": "reasoning.text", "index": 0, "format": "f"}
    parts = thinking_of(
        {"reasoning": "h", "reasoning_details": [head | {"text": "h", "signature": ""}]},
        {"reasoning": "m", "reasoning_details": [head | {"text": "m"}]},
        {"reasoning": None, "reasoning_details": [head | {"signature": "s"}]},
        {"content": "ok"},
    )
    assert parts == (Reasoning("hm", item=head | {"text": "hm", "signature": "s"}, owner="here"), Text("ok"))


def test_details_of_another_kind_are_kept_apart() -> None:
    text = {"type": "reasoning.summary", "summary": "hm", "index": 0}
    secret = {"type": "reasoning.encrypted", "data": "x", "index": 0}
    parts = thinking_of(
        {"reasoning": "hm", "reasoning_details": [text, secret]},
        {"reasoning_details": [secret]},
    )
    assert parts == (
        Reasoning("hm", item=text, owner="here"),
        Reasoning(item=secret, owner="here"),
        Reasoning(item=secret, owner="here"),
    )
    assert sent(Message(Role.ASSISTANT, parts))[0]["reasoning_details"] == [text, secret, secret]


def test_a_signature_ends_its_detail() -> None:
    signed = {"type": "reasoning.text", "text": "a", "signature": "s"}
    other = {"type": "reasoning.text", "text": "b", "signature": "t"}
    parts = thinking_of({"reasoning": "ab", "reasoning_details": [signed, other]})
    assert parts == (Reasoning("a", item=signed, owner="here"), Reasoning("b", item=other, owner="here"))


def test_thinking_before_a_tool_call_goes_back_with_it_in_every_later_request() -> None:
    call = fragment("{}", index=0, id="a", name="f")
    parts = thinking_of({"reasoning_content": "hm"}, {"content": "ok"}, {"tool_calls": [call]})
    answer = Message(Role.ASSISTANT, parts)
    result = Message(Role.TOOL, (ToolResult("a", (Text("1"),)),))
    assert sent(*HELLO, answer, result)[1]["reasoning_content"] == "hm"
    assert sent(*HELLO, answer, result, *HELLO)[:3] == sent(*HELLO, answer, result)
    assert "reasoning_details" not in sent(*HELLO, answer, result)[1]
    assert notices(*HELLO, answer, result, *HELLO) == []


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_thinking_goes_back_before_a_tool_call_under_the_key_it_came_with(key: str) -> None:
    call = fragment("{}", index=0, id="a", name="f")
    answer = Message(Role.ASSISTANT, thinking_of({key: "hm"}, {"tool_calls": [call]}))
    assert {name: value for name, value in sent(*HELLO, answer)[1].items() if "reasoning" in name} == {key: "hm"}


def test_empty_thinking_before_a_tool_call_goes_back_empty() -> None:
    call = fragment("{}", index=0, id="a", name="f")
    answer = Message(Role.ASSISTANT, thinking_of({"reasoning_content": "", "tool_calls": [call]}))
    assert sent(*HELLO, answer)[1]["reasoning_content"] == ""


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_thinking_without_a_tool_call_does_not_go_back(key: str) -> None:
    answer = Message(Role.ASSISTANT, thinking_of({key: "hm"}, {"content": "ok"}))
    assert not any(key.startswith("reasoning") for key in sent(*HELLO, answer)[1])


# Usage


def usage_of(*chunks: Any, **quirks: Any) -> Usage | None:
    last = read(stream(chunk({"content": "Hi"}, "stop"), *chunks), **quirks)[-1]
    assert isinstance(last, Finished)
    return last.usage


def counted(**keys: Any) -> dict[str, Any]:
    return {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 10} | keys}


def test_usage_is_read_with_its_details() -> None:
    assert usage_of(
        counted(
            total_tokens=110,
            prompt_tokens_details={"cached_tokens": 80, "cache_write_tokens": 5},
            completion_tokens_details={"reasoning_tokens": 4},
            cost=0.00125,
        )
    ) == Usage(100, 10, 80, 5, 4, cost=Decimal("0.00125"))


def test_usage_that_comes_again_replaces_the_former() -> None:
    assert usage_of(counted(), counted(completion_tokens=20), {"choices": [], "usage": None}) == Usage(100, 20)


@pytest.mark.parametrize(
    "last",
    [
        chunk(usage={"prompt_tokens": 1, "completion_tokens": 2}),
        chunk(x_groq={"usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
        {"choices": [{"index": 0, "finish_reason": "stop", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}]},
    ],
)
def test_usage_is_found_wherever_it_stands(last: dict[str, Any]) -> None:
    assert usage_of(last) == Usage(1, 2)


def test_hits_of_the_cache_have_several_names() -> None:
    assert usage_of(counted(prompt_cache_hit_tokens=64)) == Usage(100, 10, 64)
    assert usage_of(counted(cached_tokens=64)) == Usage(100, 10, 64)


def test_more_hits_than_input_are_all_of_it() -> None:
    assert usage_of(counted(prompt_tokens_details={"cached_tokens": 163})) == Usage(100, 10, 100)


def test_hidden_reasoning_belongs_to_the_output() -> None:
    beside = counted(total_tokens=139, completion_tokens_details={"reasoning_tokens": 29})
    assert usage_of(beside) == Usage(100, 39, reasoning_tokens=29)
    assert usage_of(counted(total_tokens=139)) == Usage(100, 39, reasoning_tokens=29)


def test_reasoning_beside_the_output_is_added_where_the_quirk_says_so() -> None:
    reported = counted(completion_tokens_details={"reasoning_tokens": 29})
    assert usage_of(reported, output_includes_reasoning=False) == Usage(100, 39, reasoning_tokens=29)
    both = counted(total_tokens=139, completion_tokens_details={"reasoning_tokens": 29})
    assert usage_of(both, output_includes_reasoning=False) == Usage(100, 39, reasoning_tokens=29)


@pytest.mark.parametrize("raw", [None, {}, [], "x", {"total_tokens": 5}, {"prompt_tokens": -1}, {"prompt_tokens": "9"}])
def test_usage_that_says_nothing_is_none(raw: Any) -> None:
    assert usage_of({"choices": [], "usage": raw}) is None


@pytest.mark.parametrize("bad", [-1, 10**40, 1.5, True, "7", [], {}, 1e300])
def test_r31_a_broken_number_is_left_out(bad: Any) -> None:
    details = {"cached_tokens": bad, "cache_write_tokens": bad}
    broken = counted(
        total_tokens=bad,
        prompt_tokens_details=details,
        completion_tokens_details={"reasoning_tokens": bad},
        prompt_cache_hit_tokens=bad,
    )
    assert usage_of(broken) == Usage(100, 10)
    assert usage_of(counted(completion_tokens=bad)) == Usage(100, 0)


@pytest.mark.parametrize("bad", [-1, True, "7", None, 1e300])
def test_r31_a_broken_cost_is_none(bad: Any) -> None:
    assert usage_of(counted(cost=bad)) == Usage(100, 10)


def test_a_charge_in_ticks_is_converted_to_dollars() -> None:
    assert usage_of(counted(cost_in_usd_ticks=10_742_000)) == Usage(100, 10, cost=Decimal("0.0010742"))
    assert usage_of(counted(cost_in_usd_ticks=-1)) == Usage(100, 10)


def test_what_the_users_own_key_was_charged_comes_on_top() -> None:
    details = {"upstream_inference_cost": 0.5}
    assert usage_of(counted(cost=0.02, is_byok=True, cost_details=details)) == Usage(100, 10, cost=Decimal("0.52"))
    assert usage_of(counted(cost=0.02, is_byok=False, cost_details=details)) == Usage(100, 10, cost=Decimal("0.02"))


@pytest.mark.parametrize("details", [None, {}, [], {"upstream_inference_cost": None}])
def test_an_unreported_charge_of_the_users_own_key_is_not_known(details: Any) -> None:
    assert usage_of(counted(cost=0, is_byok=True, cost_details=details)) == Usage(100, 10)


# ---- Tool calls that another backend made ----

SENTINEL = {"extra_content": {"google": {"thought_signature": "none-of-ours"}}}


def calls_sent(*calls: ToolCall, **quirks: Any) -> list[dict[str, Any]]:
    """Send a message with these calls and their results, and return all that is written of it but the question."""
    results = Message(Role.TOOL, tuple(ToolResult(call.id, (Text("1"),)) for call in calls))
    request = ChatRequest("m", (*HELLO, Message(Role.ASSISTANT, calls), results))
    body = json.loads(OpenAIChatAdapter("here", Quirks(**quirks)).render_chat(request).body)
    return list(body["messages"][1:])


def test_the_first_call_of_a_message_that_another_backend_made_gets_what_the_model_wants_there() -> None:
    foreign = (ToolCall("a", "f"), ToolCall("b", "f"))
    first, second = calls_sent(*foreign, rules=ModelRules(foreign_call=SENTINEL))[0]["tool_calls"]
    assert first["extra_content"] == SENTINEL["extra_content"]
    assert "extra_content" not in second


def test_a_call_with_a_signature_of_its_own_keeps_that() -> None:
    own = ToolCall("a", "f", "{}", {"extra_content": {"google": {"thought_signature": "ours"}}}, "here")
    (call,) = calls_sent(own, rules=ModelRules(foreign_call=SENTINEL))[0]["tool_calls"]
    assert call["extra_content"] == {"google": {"thought_signature": "ours"}}


@pytest.mark.parametrize("call_id", ["call_1", "12345678", "1234567890", "12345678-", "12345678é"])
def test_an_id_that_a_service_refuses_becomes_one_of_its_length_in_call_and_result(call_id: str) -> None:
    answer, result = calls_sent(ToolCall(call_id, "f"), tool_call_id_length=9)
    (call,) = answer["tool_calls"]
    assert len(call["id"]) == 9
    assert call["id"].isascii()
    assert call["id"].isalnum()
    assert result["tool_call_id"] == call["id"]


def test_an_id_of_the_right_length_stays_as_it_is() -> None:
    answer, result = calls_sent(ToolCall("aB3456789", "f"), tool_call_id_length=9)
    assert answer["tool_calls"][0]["id"] == result["tool_call_id"] == "aB3456789"


def test_what_responses_of_the_same_backend_wants_back_is_not_sent_here() -> None:
    call = ToolCall("a", "f", "{}", {"namespace": "n"}, "here")
    text = Text("hi", {"phase": "commentary"}, "here")
    body = json.loads(ADAPTER.render_chat(ChatRequest("m", (*HELLO, Message(Role.ASSISTANT, (text, call))))).body)
    assert set(body["messages"][1]) == {"role", "content", "tool_calls"}
    assert set(body["messages"][1]["tool_calls"][0]) == {"id", "type", "function"}
