"""Chat Completions: what goes out, key by key, and the list of models."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.model_rules import NO_SAMPLING
from support.openai_messages import ADAPTER, HELLO, body_of, notices, rendered, sent
from support.protocols import WEATHER

from arawn.adapters.base import Quirks
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.errors import (
    ProtocolError,
    RateLimitError,
    RequestError,
)
from arawn.messages import (
    ChatRequest,
    Image,
    LLMMessage,
    Message,
    ModelCard,
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

PIXEL = Image(b"\x89PNG", "image/png")


def test_the_smallest_request_holds_nothing_that_was_not_asked_for() -> None:
    call = rendered(ChatRequest("m", HELLO))
    assert (call.method, call.path, call.stream, call.notices) == ("POST", "/chat/completions", True, ())
    assert json.loads(call.body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_an_unstreamed_request_does_not_mention_streaming() -> None:
    call = rendered(ChatRequest("m", HELLO, stream=False))
    assert not call.stream
    assert set(json.loads(call.body)) == {"model", "messages"}


def test_everything_that_can_be_asked_for_is_written() -> None:
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    assert body_of(
        max_tokens=9,
        temperature=0.0,
        top_p=0.5,
        stop=("END",),
        seed=7,
        tools=(WEATHER, Tool("strict", strict=True)),
        tool_choice=ToolChoice("tool", "weather"),
        parallel_tool_calls=False,
        output=OutputFormat(schema),
        thinking=Thinking("high"),
        stream=False,
    ) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 9,
        "temperature": 0.0,
        "top_p": 0.5,
        "stop": ["END"],
        "seed": 7,
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "weather",
                    "description": "Tells it",
                    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
                },
            },
            {"type": "function", "function": {"name": "strict", "parameters": schema, "strict": True}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True},
        },
        "reasoning_effort": "high",
    }


@pytest.mark.parametrize(("mode", "written"), [("auto", None), ("none", "none"), ("required", "required")])
def test_the_choice_of_tools_is_written_only_where_it_says_something(mode: Any, written: str | None) -> None:
    assert body_of(tools=(WEATHER,), tool_choice=ToolChoice(mode)).get("tool_choice") == written


def test_without_tools_nothing_is_said_about_them() -> None:
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(
        body_of(tool_choice=ToolChoice("required"), parallel_tool_calls=True)
    )


def test_json_without_a_schema_is_any_object() -> None:
    assert body_of(output=OutputFormat())["response_format"] == {"type": "json_object"}


def test_a_service_without_schemas_is_asked_for_any_object_and_for_the_schema_in_words() -> None:
    wanted: dict[str, Any] = {"output": OutputFormat({"type": "object"}), "quirks": {"json_schema": False}}
    written = body_of(**wanted)
    words = 'Answer with a single JSON object and nothing else.\n\nIt must fit this JSON Schema: {"type":"object"}'
    assert written["response_format"] == {"type": "json_object"}
    assert written["messages"][0] == {"role": "system", "content": words}
    assert notices(**wanted) == []


def test_the_schema_in_words_follows_a_system_prompt_and_stands_nowhere_else() -> None:
    words = body_of(output=OutputFormat({"type": "object"}), quirks={"json_schema": False})["messages"][0]["content"]
    briefed = (LLMMessage("system", "Be brief."), LLMMessage("user", "hello"))
    written = body_of(*briefed, output=OutputFormat({"type": "object"}), quirks={"json_schema": False})
    assert [message["content"] for message in written["messages"]] == [f"Be brief.\n\n{words}", "hello"]
    assert body_of(output=OutputFormat(), quirks={"json_schema": False})["messages"][0]["role"] == "user"


def test_the_limit_goes_under_the_key_the_service_knows() -> None:
    quirks = {"max_tokens_key": "max_completion_tokens", "default_max_tokens": 100}
    assert body_of(quirks=quirks, max_tokens=9)["max_completion_tokens"] == 9
    assert body_of(quirks=quirks)["max_completion_tokens"] == 100


def test_sampling_that_a_service_refuses_is_dropped_with_a_notice() -> None:
    wanted: dict[str, Any] = {"temperature": 0.5, "top_p": 0.1, "quirks": {"rules": NO_SAMPLING.rules}}
    assert not {"temperature", "top_p"} & set(body_of(**wanted))
    assert notices(**wanted) == ['temperature and top_p not sent to backend "here": this model takes none']
    assert notices(quirks={"rules": NO_SAMPLING.rules}) == []


@pytest.mark.parametrize(
    ("thinking", "key", "written"),
    [
        (Thinking("low"), "", {"reasoning_effort": "low"}),
        (Thinking("none"), "reasoning", {"reasoning": {"effort": "none"}}),
        (Thinking(budget_tokens=500), "reasoning", {"reasoning": {"max_tokens": 500}}),
        (Thinking("low", 500), "reasoning", {"reasoning": {"effort": "low"}}),
        (Thinking(), "reasoning", {"reasoning": {"enabled": True}}),
        (Thinking(budget_tokens=500), "", {}),
        (Thinking(), "", {}),
    ],
)
def test_thinking_is_asked_for_as_the_service_takes_it(thinking: Thinking, key: str, written: dict[str, Any]) -> None:
    body = body_of(thinking=thinking, quirks={"effort_key": key})
    assert {key: body[key] for key in body if key.startswith("reasoning")} == written


def test_a_budget_that_cannot_be_sent_is_dropped_with_a_notice() -> None:
    assert notices(thinking=Thinking(budget_tokens=500)) == [
        'the budget for thinking not sent to backend "here": it takes an effort, no number of tokens'
    ]


def test_a_service_that_refuses_stream_options_is_not_sent_any() -> None:
    assert "stream_options" not in body_of(quirks={"stream_usage": False})


def test_extra_keys_are_merged_last_and_the_request_wins() -> None:
    body = body_of(quirks={"extra": {"a": 1, "b": 1, "seed": 1}}, seed=7, extra={"b": 2})
    assert (body["a"], body["b"], body["seed"]) == (1, 2, 1)


def test_headers_query_and_a_path_with_the_model_come_from_the_quirks() -> None:
    call = rendered(
        ChatRequest("gpt 4/x", HELLO),
        chat_path="/openai/deployments/{model}/chat/completions",
        query={"api-version": "1"},
        headers={"X-Title": "arawn"},
    )
    assert call.path == "/openai/deployments/gpt%204%2Fx/chat/completions"
    assert (call.query, call.headers) == ({"api-version": "1"}, {"X-Title": "arawn"})
    assert json.loads(call.body)["model"] == "gpt 4/x"


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, b"x"])
def test_r31_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(RequestError, match="here"):
        rendered(ChatRequest("m", HELLO, extra={"x": value}))


def test_the_system_speaks_in_the_role_the_service_knows() -> None:
    system = LLMMessage("system", "Be brief.")
    assert sent(system) == [{"role": "system", "content": "Be brief."}]
    assert sent(system, system_role="developer") == [{"role": "developer", "content": "Be brief."}]


def test_pictures_go_as_data_or_as_an_address() -> None:
    message = Message(Role.USER, (Text("what?"), PIXEL, Image(url="https://x.example/a.png")))
    assert sent(message) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
                {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
            ],
        }
    ]


def test_an_answer_with_tool_calls_goes_back_as_it_was() -> None:
    answer = Message(Role.ASSISTANT, (Text("Let me see."), ToolCall("c1", "a", '{"x":1}'), ToolCall("c2", "b", "")))
    assert sent(answer) == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "a", "arguments": '{"x":1}'}},
                {"id": "c2", "type": "function", "function": {"name": "b", "arguments": "{}"}},
            ],
        }
    ]


@pytest.mark.parametrize("arguments", ["", " ", "null"])
def test_no_arguments_are_an_empty_object_and_no_text_is_null(arguments: str) -> None:
    [answer] = sent(Message(Role.ASSISTANT, (ToolCall("c1", "a", arguments),)))
    assert answer["content"] is None
    assert answer["tool_calls"][0]["function"]["arguments"] == "{}"


def test_a_refusal_goes_back_as_text() -> None:
    assert sent(Message(Role.ASSISTANT, (Refusal("I cannot."),))) == [{"role": "assistant", "content": "I cannot."}]


def test_pictures_of_tools_follow_all_results_of_the_turn() -> None:
    first = Message(Role.TOOL, (ToolResult("c1", (Text("a"), PIXEL)),))
    second = Message(Role.TOOL, (ToolResult("c2", (PIXEL,)),))
    written = sent(first, second, LLMMessage("user", "go on"))
    assert [message["role"] for message in written] == ["tool", "tool", "user", "user"]
    assert written[0] == {"role": "tool", "tool_call_id": "c1", "content": "a"}
    assert written[1]["content"]
    assert [part["type"] for part in written[2]["content"]] == ["image_url", "image_url"]
    assert [message["role"] for message in sent(first)] == ["tool", "user"]


def test_details_of_thinking_go_back_unchanged_to_their_owner() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s"}, {"type": "reasoning.encrypted", "data": "x"}]
    parts = (Reasoning("hm", item=details[0], owner="here"), Reasoning(item=details[1], owner="here"), Text("ok"))
    message = Message(Role.ASSISTANT, parts)
    assert sent(message) == [{"role": "assistant", "content": "ok", "reasoning_details": details}]
    assert notices(message) == []


@pytest.mark.parametrize(
    "part",
    [
        Reasoning("hm", item={"type": "x"}, owner="there"),
        Reasoning("hm", signature="s", owner="there"),
        ProviderItem({"type": "x"}, "here"),
    ],
)
def test_what_only_another_backend_can_read_is_dropped_with_one_notice(part: Any) -> None:
    message = Message(Role.ASSISTANT, (part, Text("ok")))
    assert sent(message) == [{"role": "assistant", "content": "ok"}]
    [notice] = notices(message, message)
    assert notice.startswith('the reasoning and tool records of another backend not sent to backend "here": ')


def test_plain_thinking_is_dropped_without_a_notice() -> None:
    message = Message(Role.ASSISTANT, (Reasoning("hm", owner="there"), Reasoning("hm", owner="here"), Text("ok")))
    assert sent(message) == [{"role": "assistant", "content": "ok"}]
    assert notices(message) == []


def test_a_picture_in_an_answer_is_dropped_with_a_notice() -> None:
    assert notices(Message(Role.ASSISTANT, (PIXEL, Text("ok")))) == [
        'a picture in a message of the assistant not sent to backend "here": it takes pictures only from the user'
    ]


def test_the_list_of_models_is_asked_for() -> None:
    call = ADAPTER.render_models()
    assert (call.method, call.path, call.body) == ("GET", "/models", b"")
    quirky = OpenAIChatAdapter("here", Quirks(models_path="/v2/models", query={"a": "1"}, headers={"b": "2"}))
    call = quirky.render_models()
    assert (call.path, call.query, call.headers) == ("/v2/models", {"a": "1"}, {"b": "2"})


@pytest.mark.parametrize("key", ["context_length", "context_window", "max_model_len", "max_context_length"])
def test_the_context_window_of_a_model_has_many_names(key: str) -> None:
    body = {"data": [{"id": "m", key: 4096, "max_completion_tokens": 512, "owned_by": "us"}]}
    assert ADAPTER.parse_models(json.dumps(body).encode()) == [ModelCard("m", 4096, 512, "us")]


@pytest.mark.parametrize("body", [b'[{"id":"m"}]', b'{"data":[{"id":"m","context_length":null,"owned_by":null}]}'])
def test_a_list_may_be_bare_and_a_model_may_say_little(body: bytes) -> None:
    assert ADAPTER.parse_models(body) == [ModelCard("m")]


def test_an_empty_list_is_a_list() -> None:
    assert ADAPTER.parse_models(b'{"data":[]}') == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data":7}', b'{"data":["m"]}', b"7"])
def test_r29_what_is_no_list_of_models_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="here"):
        ADAPTER.parse_models(body)


def test_an_error_answer_becomes_our_error() -> None:
    error = ADAPTER.parse_failure(429, {"retry-after": "3"}, b"{}", "m")
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 3.0
