"""What a request leaves out because a model or server refuses it, what goes back, and which prefixes are cached."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.model_rules import ADAPTIVE, HELLO, REASONS, TOOLS, body, losses

from arawn.adapters.anthropic.messages import AnthropicAdapter
from arawn.adapters.base import Quirks
from arawn.adapters.ollama import OllamaAdapter
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.adapters.openai.responses import OpenAIResponsesAdapter
from arawn.adapters.rules import ModelRules
from arawn.events import ResponseBuilder
from arawn.messages import (
    Caller,
    ChatRequest,
    LLMMessage,
    Message,
    OutputFormat,
    Reasoning,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)

# ---- parameters ----


def test_what_a_thinking_model_refuses_is_left_out_only_while_it_thinks() -> None:
    wanted: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "extra": {"logprobs": True}}
    assert not {"temperature", "top_p", "logprobs"} & body(OpenAIChatAdapter, REASONS, **wanted).keys()
    assert losses(OpenAIChatAdapter, REASONS, **wanted) == [
        'logprobs and temperature and top_p not sent to backend "mine": a thinking model takes none'
    ]
    off = body(OpenAIChatAdapter, REASONS, thinking=Thinking("none"), **wanted)
    assert (off["temperature"], off["top_p"], off["logprobs"]) == (0.5, 0.9, True)


@pytest.mark.parametrize(
    ("adapter", "key"),
    [(AnthropicAdapter, "stop_sequences"), (OpenAIChatAdapter, "stop"), (OllamaAdapter, "options")],
)
def test_a_refused_parameter_is_found_wherever_the_protocol_has_it(adapter: Any, key: str) -> None:
    rules = ModelRules(refused=frozenset({"stop", "prefill", "budget_tokens"}))
    assert key in body(adapter, ModelRules(), stop=("END",))
    assert key not in body(adapter, rules, stop=("END",))
    assert losses(adapter, rules) == []


def test_of_two_that_exclude_each_other_the_first_given_is_sent() -> None:
    rules = ModelRules(one_of=("temperature", "top_p"))
    both = {"temperature": 0.5, "top_p": 0.9}
    assert "top_p" not in body(AnthropicAdapter, rules, **both)
    assert losses(AnthropicAdapter, rules, **both) == [
        'top_p not sent to backend "mine": this model takes only one of temperature and top_p'
    ]
    assert body(AnthropicAdapter, rules, top_p=0.9)["top_p"] == 0.9


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("temperature", {"temperature": 0.5}),
        ("effort", {"thinking": Thinking("high")}),
        ("thinking", {"thinking": Thinking("high")}),
        ("thinking_text", {"thinking": Thinking("high")}),
        ("strict", {"tools": (Tool("look", strict=True),)}),
        ("parallel_tool_calls", {"tools": TOOLS, "parallel_tool_calls": False}),
        ("top_k", {"extra": {"top_k": 5, "options": {"top_k": 5}}}),
    ],
)
@pytest.mark.parametrize("adapter", [AnthropicAdapter, OpenAIChatAdapter, OpenAIResponsesAdapter, OllamaAdapter])
def test_what_the_server_refused_is_left_out_and_nothing_else_changes(adapter: Any, name: str, wanted: Any) -> None:
    rules = ADAPTIVE if adapter is AnthropicAdapter else ModelRules()
    before = body(adapter, rules, **wanted)
    after = body(adapter, rules, **wanted, without=frozenset({name}))
    assert set(after) <= set(before)
    assert "tools" not in before or len(after["tools"]) == len(before["tools"])
    assert after["model"] == before["model"]
    said = [text for text in losses(adapter, rules, **wanted, without=frozenset({name})) if "refuses" in text]
    assert len(said) == (after != before)


def test_what_is_left_out_is_never_a_message_a_tool_or_a_schema() -> None:
    everything = frozenset({"tools", "messages", "input", "response_format", "model", "output_config"})
    wanted: dict[str, Any] = {"tools": TOOLS, "output": OutputFormat({"type": "object"}), "max_tokens": 5}
    for adapter in (AnthropicAdapter, OpenAIChatAdapter, OpenAIResponsesAdapter, OllamaAdapter):
        assert body(adapter, ModelRules(), **wanted, without=everything) == body(adapter, ModelRules(), **wanted)


def test_a_property_of_a_tool_keeps_the_name_of_a_parameter() -> None:
    schema = {"type": "object", "properties": {"temperature": {"type": "number"}, "strict": {"type": "boolean"}}}
    rules = ModelRules(refused=frozenset({"temperature", "strict"}))
    written = body(OpenAIChatAdapter, rules, tools=(Tool("heat", parameters=schema, strict=True),), temperature=1.0)
    assert written["tools"] == [{"type": "function", "function": {"name": "heat", "parameters": schema}}]


# ---- thinking that goes back ----

USED = (
    LLMMessage("user", "Weather?"),
    Message(Role.ASSISTANT, (Reasoning("Hm.", owner="mine"), ToolCall("c1", "look", "{}"))),
    Message(Role.TOOL, (ToolResult("c1", (Text("rain"),)),)),
    Message(Role.ASSISTANT, (ToolCall("c2", "look", "{}"),)),
    Message(Role.TOOL, (ToolResult("c2", (Text("snow"),)),)),
    Message(Role.ASSISTANT, (Reasoning("So.", owner="mine"), Text("Snow."))),
)


def test_thinking_goes_back_with_each_message_that_called_a_tool_even_when_empty() -> None:
    rules = ModelRules(thinking_back="reasoning_content")
    first = body(OpenAIChatAdapter, rules, messages=USED)["messages"]
    later = body(OpenAIChatAdapter, rules, messages=(*USED, *HELLO))["messages"]
    assert [message.get("reasoning_content") for message in first] == [None, "Hm.", None, "", None, None]
    assert later[: len(first)] == first
    assert "reasoning_content" not in str(body(OpenAIChatAdapter, ModelRules(), messages=USED))


def test_another_backends_thinking_goes_back_as_empty() -> None:
    rules = ModelRules(thinking_back="reasoning_content")
    foreign = (Message(Role.ASSISTANT, (Reasoning("Secret.", owner="other"), ToolCall("c1", "look"))),)
    assert body(OpenAIChatAdapter, rules, messages=(*HELLO, *foreign))["messages"][1]["reasoning_content"] == ""


def test_what_one_endpoint_made_is_not_sent_to_the_other() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    detail = {"type": "reasoning.encrypted", "data": "x"}
    parts = (Reasoning("Hm.", item=item, owner="mine"), Reasoning("Ah.", item=detail, owner="mine"), Text("Hi"))
    messages = (*HELLO, Message(Role.ASSISTANT, parts), *HELLO)
    chat = body(OpenAIChatAdapter, ModelRules(), messages=messages)["messages"][1]
    responses = body(OpenAIResponsesAdapter, ModelRules(), messages=messages)["input"]
    assert chat["reasoning_details"] == [detail]
    assert [each for each in responses if each["type"] == "reasoning"] == [item]


# ---- prompt caching ----

MARKED = ModelRules(cache="marker")
WENT_ON = (*HELLO, LLMMessage("assistant", "Hi"), *HELLO)


@pytest.mark.parametrize("adapter", [AnthropicAdapter, OpenAIChatAdapter])
@pytest.mark.parametrize(
    ("wanted", "marked"),
    [
        ({}, False),
        ({"caller": Caller(session="s1")}, False),
        ({"caller": Caller(lasting=True)}, True),
        ({"messages": WENT_ON}, True),
        ({"tools": TOOLS}, True),
    ],
)
def test_a_prefix_is_cached_only_where_it_will_be_read(adapter: Any, wanted: Any, marked: bool) -> None:
    written = body(adapter, MARKED, **wanted)
    assert written.get("cache_control") == ({"type": "ephemeral"} if marked else None)
    for rules in (ModelRules(), ModelRules(cache="automatic")):
        assert "cache_control" not in body(adapter, rules, **wanted)


@pytest.mark.parametrize(
    ("lifetime", "rules", "marker"),
    [
        ("", MARKED, {"type": "ephemeral"}),
        ("5m", MARKED, {"type": "ephemeral"}),
        ("1h", MARKED, {"type": "ephemeral", "ttl": "1h"}),
        ("off", MARKED, None),
        ("5m", ModelRules(), {"type": "ephemeral"}),
        ("", ModelRules(), None),
    ],
)
def test_how_long_a_prefix_is_kept_can_be_set(lifetime: str, rules: ModelRules, marker: Any) -> None:
    written = body(AnthropicAdapter, rules, messages=WENT_ON, quirks={"prompt_cache": lifetime})
    assert written.get("cache_control") == marker


def test_a_conversation_has_a_key_of_its_own_that_says_nothing_of_it() -> None:
    def key(session: str, **quirks: Any) -> Any:
        quirks = {"cache_key": "prompt_cache_key", **quirks}
        return body(OpenAIResponsesAdapter, REASONS, caller=Caller(session=session), quirks=quirks).get(
            "prompt_cache_key"
        )

    assert key("s-1") == key("s-1") != key("s-2")
    assert len(key("s-1")) == 32
    assert "s-1" not in key("s-1")
    assert [key(""), key("s-1", cache_key=""), key("s-1", prompt_cache="off")] == [None, None, None]


# ---- thinking that one model alone takes back ----


@pytest.mark.parametrize(
    ("binds", "model", "kept"), [(True, "claude-b", False), (True, "claude-a", True), (False, "claude-b", True)]
)
def test_thinking_bound_to_a_model_goes_back_to_that_one_alone(binds: bool, model: str, kept: bool) -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    answer = {"type": "message", "model": "claude-a", "content": [thinking], "stop_reason": "end_turn"}
    made = AnthropicAdapter("mine", Quirks(rules=ModelRules(binds_model=binds)))
    builder = ResponseBuilder()
    for event in made.parse_chat(json.dumps(answer).encode()):
        builder.add(event)
    messages = (*HELLO, builder.response().message, *HELLO)
    written = json.loads(made.render_chat(ChatRequest(model, messages)).body)["messages"]
    assert thinking in written[1]["content"] if kept else len(written) == 1, written


def test_a_regional_name_of_the_model_is_still_its_own() -> None:
    bound = Message(Role.ASSISTANT, (Reasoning("Hm.", "c2ln", None, "mine", "claude-a"), Text("Hi")))
    for model, count in (("global.anthropic.claude-a", 2), ("claude-a-2", 1)):
        written = AnthropicAdapter("mine", Quirks()).render_chat(ChatRequest(model, (*HELLO, bound)))
        assert len(json.loads(written.body)["messages"][1]["content"]) == count
        assert len(written.notices) == 2 - count
