"""What the Ollama adapter sends."""

from __future__ import annotations

import json

import pytest
from support.model_rules import NO_SAMPLING
from support.protocols import OLLAMA, WEATHER

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
    ToolCall,
    ToolChoice,
    ToolResult,
)
from arawn.values import replace

ADAPTER, sent, notices = OLLAMA.adapter(), OLLAMA.sent, OLLAMA.notices
HELLO = ChatRequest("qwen3:4b", (LLMMessage("user", "Hello"),))


def sent_messages(*messages: Message) -> list:
    return sent(replace(HELLO, messages=messages))["messages"]


def test_a_plain_question_forbids_to_drop_old_messages():
    call = ADAPTER.render_chat(HELLO)

    assert (call.method, call.path, call.stream, call.notices) == ("POST", "/api/chat", True, ())
    assert json.loads(call.body) == {
        "model": "qwen3:4b",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "truncate": False,
        "shift": False,
    }


def test_an_unstreamed_answer_must_be_asked_for():
    call = ADAPTER.render_chat(replace(HELLO, stream=False))

    assert (call.stream, json.loads(call.body)["stream"]) == (False, False)


def test_limits_and_sampling_are_options():
    request = replace(HELLO, max_tokens=50, temperature=0.0, top_p=0.9, stop=("END",), seed=0)

    options = {"num_predict": 50, "temperature": 0.0, "top_p": 0.9, "stop": ["END"], "seed": 0}
    assert sent(request)["options"] == options


def test_a_backends_own_limit_counts_where_the_request_has_none():
    quirks = Quirks(default_max_tokens=70)

    assert sent(HELLO, quirks)["options"]["num_predict"] == 70
    assert sent(replace(HELLO, max_tokens=50), quirks)["options"]["num_predict"] == 50


def test_sampling_is_dropped_with_a_notice_where_it_is_refused():
    request = replace(HELLO, temperature=0.5, seed=1)

    assert sent(request, NO_SAMPLING)["options"] == {"seed": 1}
    assert "temperature" in notices(request, NO_SAMPLING)[0]


def test_extra_options_join_the_options_and_other_extra_keys_stand_beside_them():
    quirks = Quirks(extra={"keep_alive": "10m", "options": {"num_ctx": 4096, "top_k": 5}})
    request = replace(HELLO, seed=1, extra={"options": {"num_ctx": 8192}, "truncate": True})

    body = sent(request, quirks)

    assert body["options"] == {"seed": 1, "num_ctx": 8192, "top_k": 5}
    assert (body["keep_alive"], body["truncate"], body["shift"]) == ("10m", True, False)


def test_extra_options_that_are_no_table_are_refused():
    with pytest.raises(RequestError, match="options"):
        sent(replace(HELLO, extra={"options": 8192}))


@pytest.mark.parametrize(
    ("thinking", "written"),
    [
        (Thinking("none"), False),
        (Thinking("minimal"), True),
        (Thinking("low"), "low"),
        (Thinking("medium"), "medium"),
        (Thinking("high"), "high"),
        (Thinking("xhigh"), True),
        (Thinking("max"), "max"),
        (Thinking(), True),
        (Thinking(budget_tokens=0), False),
        (Thinking(budget_tokens=900), True),
    ],
)
def test_thinking_is_a_level_or_on_or_off(thinking, written):
    assert sent(replace(HELLO, thinking=thinking))["think"] == written


def test_a_budget_for_thinking_is_dropped_with_a_notice():
    assert "budget" in notices(replace(HELLO, thinking=Thinking(budget_tokens=900)))[0]
    assert notices(replace(HELLO, thinking=Thinking("low"))) == []


def test_json_answers_are_asked_for_by_word_or_by_schema():
    schema = {"type": "object"}

    assert sent(replace(HELLO, output=OutputFormat()))["format"] == "json"
    assert sent(replace(HELLO, output=OutputFormat(schema)))["format"] == schema


def test_a_service_without_schemas_is_asked_for_some_json_and_for_the_schema_in_words():
    request = replace(HELLO, output=OutputFormat({"type": "object"}))

    written = sent(request, Quirks(json_schema=False))
    assert written["format"] == "json"
    assert written["messages"][0]["content"].endswith('It must fit this JSON Schema: {"type":"object"}')


def test_a_pattern_that_no_grammar_knows_is_left_to_the_check_of_the_answer():
    texts = {"whole": "^[a-z]+$", "open": "[a-z]", "ahead": "^(?=a).*$", "half": "^a"}
    schema = {
        "type": "object",
        "properties": {name: {"type": "string", "pattern": text} for name, text in texts.items()},
    }

    written = sent(replace(HELLO, output=OutputFormat(schema)))["format"]["properties"]

    assert {name for name, part in written.items() if "pattern" in part} == {"whole"}


def test_pictures_are_bare_base64_beside_the_text():
    parts = (Text("Look: "), Image(b"\x89PNG", "image/png"), Text("nice?"))

    assert sent_messages(Message(Role.USER, parts)) == [
        {"role": "user", "content": "Look: nice?", "images": ["iVBORw=="]}
    ]


def test_a_picture_by_url_is_refused_with_what_to_do():
    picture = Message(Role.USER, (Image(url="https://example.org/a.png"),))

    with pytest.raises(RequestError, match="by URL") as error:
        ADAPTER.render_chat(replace(HELLO, messages=(picture,)))

    assert error.value.hints


def test_tools_have_the_shape_of_openai():
    assert sent(replace(HELLO, tools=(WEATHER,)))["tools"] == [
        {
            "type": "function",
            "function": {"name": "weather", "description": "Tells it", "parameters": WEATHER.parameters},
        }
    ]


def test_no_tools_means_none_are_offered():
    request = replace(HELLO, tools=(WEATHER,), tool_choice=ToolChoice("none"))

    assert "tools" not in sent(request)
    assert notices(request) == []


@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("tool", "weather")])
def test_a_forced_tool_is_dropped_with_a_notice(choice):
    request = replace(HELLO, tools=(WEATHER,), tool_choice=choice)

    assert "tool_choice" not in sent(request)
    assert "choice of a tool" in notices(request)[0]


def test_one_call_at_a_time_and_strictness_cannot_be_promised():
    request = replace(HELLO, tools=(replace(WEATHER, strict=True),), parallel_tool_calls=False)

    assert ["one tool call" in notices(request)[0], "strict" in notices(request)[1]] == [True, True]


def test_calls_go_back_as_objects_and_results_by_the_name_of_their_tool():
    calls = (ToolCall("call_1", "weather", '{"city":"Rome"}'), ToolCall("call_2", "clock"))
    answer = Message(Role.ASSISTANT, (Reasoning("Hm.", owner="local"), Text("Let me see."), *calls))
    results = (ToolResult("call_1", (Text("sunny"), Image(b"GIF", "image/gif"))), ToolResult("call_2", (), name="time"))

    assert sent_messages(*HELLO.messages, answer, Message(Role.TOOL, results))[1:] == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "thinking": "Hm.",
            "tool_calls": [
                {"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Rome"}}},
                {"id": "call_2", "function": {"name": "clock", "arguments": {}}},
            ],
        },
        {
            "role": "tool",
            "content": "sunny",
            "tool_call_id": "call_1",
            "tool_name": "weather",
            "images": ["R0lG"],
        },
        {"role": "tool", "content": "", "tool_call_id": "call_2", "tool_name": "time"},
    ]


@pytest.mark.parametrize("arguments", ['{"city":"Ro', "[1]", "7"])
def test_arguments_that_are_no_object_are_refused_with_the_name_of_the_tool(arguments):
    call = Message(Role.ASSISTANT, (ToolCall("c", "weather", arguments),))

    with pytest.raises(RequestError, match='"weather"'):
        sent_messages(call)


def test_a_refusal_is_text_here():
    assert sent_messages(Message(Role.ASSISTANT, (Refusal("No."),))) == [{"role": "assistant", "content": "No."}]


def test_what_another_backend_made_is_left_out_with_one_notice_where_it_was_sealed():
    sealed = (
        Reasoning("a", signature="sig", owner="anthropic"),
        Reasoning("b", item={"x": 1}, owner="oai"),
        ProviderItem({"y": 2}, "oai"),
    )
    request = replace(HELLO, messages=(Message(Role.ASSISTANT, (*sealed, Text("Hi"))),))

    assert sent(request)["messages"] == [{"role": "assistant", "content": "Hi"}]
    (notice,) = notices(request)
    assert "another backend" in notice
    assert notices(replace(HELLO, messages=(Message(Role.ASSISTANT, (Reasoning("c", owner="oai"), Text("Hi"))),))) == []


def test_paths_headers_and_query_are_quirks():
    quirks = Quirks(chat_path="/x", models_path="/y", headers={"a": "b"}, query={"v": "1"})
    adapter = OLLAMA.adapter(quirks)

    call = adapter.render_chat(HELLO)

    assert (call.path, call.headers, call.query) == ("/x", {"a": "b"}, {"v": "1"})
    assert (adapter.render_models().path, adapter.render_models().headers) == ("/y", {"a": "b"})


def test_models_are_listed():
    body = {"models": [{"name": "qwen3:4b", "model": "qwen3:4b", "size": 1}, {"name": "hf.co/org/m:Q4"}]}

    assert ADAPTER.render_models().path == "/api/tags"
    assert ADAPTER.parse_models(json.dumps(body).encode()) == [ModelCard("qwen3:4b"), ModelCard("hf.co/org/m:Q4")]
    assert ADAPTER.parse_models(b'{"models":null}') == []
    for body in (b'{"models":7}', b'{"data":[]}', b"<html>"):
        with pytest.raises(ProtocolError):
            ADAPTER.parse_models(body)
