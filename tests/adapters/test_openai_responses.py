"""What the Responses adapter sends."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from support.model_rules import NO_SAMPLING
from support.protocols import RESPONSES, WEATHER

from arawn.adapters.base import Quirks
from arawn.errors import ProtocolError, RequestError
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
from arawn.values import replace

ADAPTER, sent, notices = RESPONSES.adapter(), RESPONSES.sent, RESPONSES.notices
HELLO = ChatRequest("m1", (LLMMessage("user", "Hello"),))
ENCRYPTED = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAA="}


def sent_items(*messages: Message) -> list:
    return sent(replace(HELLO, messages=messages))["input"]


def test_a_plain_question_is_sent_without_the_servers_memory():
    call = ADAPTER.render_chat(HELLO)

    assert (call.method, call.path, call.stream, call.notices) == ("POST", "/responses", True, ())
    assert json.loads(call.body) == {
        "model": "m1",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
        "store": False,
        "stream": True,
    }


def test_system_messages_in_front_are_the_instructions_and_later_ones_keep_their_place():
    system, later = LLMMessage("system", "Be brief."), LLMMessage("system", "Now in verse.")

    body = sent(replace(HELLO, messages=(system, LLMMessage("system", "Be kind."), *HELLO.messages, later)))

    assert body["instructions"] == "Be brief.\n\nBe kind."
    assert [item["role"] for item in body["input"]] == ["user", "developer"]
    assert body["input"][1]["content"] == [{"type": "input_text", "text": "Now in verse."}]


def test_the_role_of_later_system_messages_is_a_quirk():
    request = replace(HELLO, messages=(*HELLO.messages, LLMMessage("system", "x")))

    assert sent(request, Quirks(system_role="system"))["input"][1]["role"] == "system"


def test_pictures_go_as_data_or_by_their_url():
    parts = (Text("Look:"), Image(b"\x89PNG", "image/png"), Image(url="https://example.org/a.png"))

    (item,) = sent_items(Message(Role.USER, parts))

    assert item["content"] == [
        {"type": "input_text", "text": "Look:"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw==", "detail": "auto"},
        {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto"},
    ]


def test_an_answer_goes_back_in_its_order():
    answer = Message(
        Role.ASSISTANT,
        (
            Reasoning("because", item=ENCRYPTED, owner="oai"),
            Text("Let me see."),
            ToolCall("call_1", "weather", '{"city":"Rome"}'),
            ToolCall("call_2", "clock"),
        ),
    )
    results = Message(
        Role.TOOL, (ToolResult("call_1", (Text("sunny"), Text(", hot"))), ToolResult("call_2", (Text("9"),)))
    )

    assert sent_items(*HELLO.messages, answer, results)[1:] == [
        ENCRYPTED,
        {"type": "message", "role": "assistant", "content": "Let me see."},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Rome"}'},
        {"type": "function_call", "call_id": "call_2", "name": "clock", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny, hot"},
        {"type": "function_call_output", "call_id": "call_2", "output": "9"},
    ]


def test_a_picture_from_a_tool_makes_its_output_a_list():
    result = ToolResult("c", (Text("a cat"), Image(b"GIF", "image/gif")))

    (item,) = sent_items(Message(Role.TOOL, (result,)))

    assert item["output"] == [
        {"type": "input_text", "text": "a cat"},
        {"type": "input_image", "image_url": "data:image/gif;base64,R0lG", "detail": "auto"},
    ]


def test_a_refusal_and_a_hosted_tools_record_go_back_as_they_came():
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}

    items = sent_items(Message(Role.ASSISTANT, (ProviderItem(search, "oai"), Refusal("No."), Text(""))))

    assert items == [
        search,
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    ]


def test_what_another_backend_signed_is_left_out_with_one_notice():
    answer = Message(
        Role.ASSISTANT,
        (
            Reasoning("a", signature="sig", owner="anthropic"),
            Reasoning("b", item={"type": "redacted_thinking"}, owner="anthropic"),
            Reasoning("c", owner="ollama"),
            ProviderItem({"type": "server_tool_use"}, "anthropic"),
            Text("Hi"),
        ),
    )
    request = replace(HELLO, messages=(answer,))

    assert [item["type"] for item in sent(request)["input"]] == ["message"]
    (notice,) = notices(request)
    assert "another backend" in notice


def test_thoughts_in_the_clear_of_another_backend_vanish_without_a_word():
    request = replace(HELLO, messages=(Message(Role.ASSISTANT, (Reasoning("c", owner="ollama"), Text("Hi"))),))

    assert notices(request) == []


def test_reasoning_that_led_to_nothing_is_not_sent_back():
    cut = Message(Role.ASSISTANT, (Text("Well"), Reasoning("hm", item=ENCRYPTED, owner="oai")))

    assert [item["type"] for item in sent_items(cut)] == ["message"]


def test_a_picture_in_an_answer_is_left_out_with_a_notice():
    request = replace(HELLO, messages=(Message(Role.ASSISTANT, (Image(b"x", "image/png"), Text("There."))),))

    assert sent(request)["input"][0]["content"] == "There."
    assert "picture" in notices(request)[0]


def test_limits_and_sampling_have_their_names_here():
    body = sent(replace(HELLO, max_tokens=50, temperature=0.5, top_p=0.9, stream=False))

    assert (body["max_output_tokens"], body["temperature"], body["top_p"]) == (50, 0.5, 0.9)
    assert "stream" not in body


def test_a_backends_own_limit_counts_where_the_request_has_none():
    quirks = Quirks(default_max_tokens=70)

    assert sent(HELLO, quirks)["max_output_tokens"] == 70
    assert sent(replace(HELLO, max_tokens=50), quirks)["max_output_tokens"] == 50


def test_sampling_is_dropped_with_a_notice_where_it_is_refused():
    request = replace(HELLO, temperature=0.5)

    assert "temperature" not in sent(request, NO_SAMPLING)
    assert "temperature" in notices(request, NO_SAMPLING)[0]


def test_stop_and_seed_are_dropped_with_a_notice():
    texts = notices(replace(HELLO, stop=("END",), seed=7))

    assert [text.split()[0] for text in texts] == ["stop", "seed"]


def test_tools_are_flat_and_always_say_whether_they_are_strict():
    body = sent(replace(HELLO, tools=(WEATHER, Tool("clock", strict=True)), parallel_tool_calls=False))

    assert body["tools"] == [
        {
            "type": "function",
            "name": "weather",
            "description": "Tells it",
            "parameters": WEATHER.parameters,
            "strict": False,
        },
        {
            "type": "function",
            "name": "clock",
            "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
            "strict": True,
        },
    ]
    assert body["parallel_tool_calls"] is False
    assert "tool_choice" not in body


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice("none"), "none"),
        (ToolChoice("required"), "required"),
        (ToolChoice("tool", "weather"), {"type": "function", "name": "weather"}),
    ],
)
def test_the_choice_of_a_tool(choice, written):
    assert sent(replace(HELLO, tools=(WEATHER,), tool_choice=choice))["tool_choice"] == written


def test_nothing_is_said_of_tools_where_there_are_none():
    body = sent(replace(HELLO, tool_choice=ToolChoice("none"), parallel_tool_calls=True))

    assert body.keys() == {"model", "input", "store", "stream"}


def test_json_answers_are_asked_for_in_the_text_format():
    schema = {"type": "object"}

    assert sent(replace(HELLO, output=OutputFormat()))["text"] == {"format": {"type": "json_object"}}
    assert sent(replace(HELLO, output=OutputFormat(schema, "city", strict=False)))["text"] == {
        "format": {"type": "json_schema", "name": "city", "schema": schema, "strict": False}
    }


def test_a_service_without_schemas_is_asked_for_some_json_and_for_the_schema_in_words():
    request = replace(HELLO, output=OutputFormat({"type": "object"}))

    written = sent(request, Quirks(json_schema=False))
    assert written["text"] == {"format": {"type": "json_object"}}
    assert written["instructions"].endswith('It must fit this JSON Schema: {"type":"object"}')


def test_thinking_asks_for_a_summary_and_for_reasoning_that_can_be_sent_back():
    body = sent(replace(HELLO, thinking=Thinking("high")))

    assert body["reasoning"] == {"effort": "high", "summary": "auto"}
    assert body["include"] == ["reasoning.encrypted_content"]


def test_models_that_do_not_think_are_not_asked_for_encrypted_reasoning():
    assert "include" not in sent(HELLO)
    for thinking in (Thinking("none"), Thinking(budget_tokens=0)):
        off = sent(replace(HELLO, thinking=thinking))
        assert (off["reasoning"], "include" in off) == ({"effort": "none"}, False)


def test_a_budget_for_thinking_is_dropped_with_a_notice():
    request = replace(HELLO, thinking=Thinking(budget_tokens=2000))

    assert sent(request)["reasoning"] == {"summary": "auto"}
    assert "budget" in notices(request)[0]


def test_extra_keys_come_last_and_the_requests_own_win():
    request = replace(HELLO, temperature=1.0, extra={"store": True, "service_tier": "flex"})

    body = sent(request, Quirks(extra={"service_tier": "default", "temperature": 0.1}))

    assert (body["store"], body["service_tier"], body["temperature"]) == (True, "flex", 0.1)


def test_paths_headers_and_query_are_quirks():
    quirks = Quirks(
        chat_path="/x/{model}/responses", models_path="/y", headers={"a": "b"}, query={"v": "1"}, max_tokens_key="limit"
    )
    adapter = RESPONSES.adapter(quirks)

    call = adapter.render_chat(replace(HELLO, model="org/m 1", max_tokens=3))

    assert (call.path, call.headers, call.query) == ("/x/org%2Fm%201/responses", {"a": "b"}, {"v": "1"})
    assert json.loads(call.body)["limit"] == 3
    assert (adapter.render_models().path, adapter.render_models().query) == ("/y", {"v": "1"})


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, Decimal(1)])
def test_what_json_cannot_say_is_a_request_error(value):
    with pytest.raises(RequestError, match="cannot be written as JSON"):
        ADAPTER.render_chat(replace(HELLO, extra={"x": value}))


def test_half_a_character_from_the_command_line_does_not_stop_the_request():
    assert "caf\ufffd".encode() in ADAPTER.render_chat(replace(HELLO, messages=(LLMMessage("user", "caf\udce9"),))).body


def test_models_are_listed():
    body = {"object": "list", "data": [{"id": "m1", "object": "model", "owned_by": "me"}, {"id": "org/m2:3"}]}

    assert ADAPTER.render_models().path == "/models"
    assert ADAPTER.parse_models(json.dumps(body).encode()) == [ModelCard("m1", owned_by="me"), ModelCard("org/m2:3")]
    with pytest.raises(ProtocolError):
        ADAPTER.parse_models(b"<html>")
