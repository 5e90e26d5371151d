"""What the Messages adapter writes: each part of a request, to the byte that matters."""

import json

import pytest
from support.model_rules import ADAPTIVE, NO_SAMPLING

from arawn.adapters.anthropic.messages import AnthropicAdapter
from arawn.adapters.base import Quirks
from arawn.errors import RequestError
from arawn.messages import (
    ChatRequest,
    Image,
    LLMMessage,
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

PNG = b"\x89PNG\r\n"
ADD = Tool("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
PAUSE = Tool("pause", parameters={}, strict=True)


def user(*parts):
    return Message(Role.USER, tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts):
    return Message(Role.ASSISTANT, tuple(Text(part) if isinstance(part, str) else part for part in parts))


def result(call_id, *content, is_error=False):
    return Message(Role.TOOL, (ToolResult(call_id, content, is_error=is_error),))


def render(*messages, quirks=None, **fields):
    fields.setdefault("stream", False)
    request = ChatRequest("m-1", messages or (user("Hi"),), **fields)
    return AnthropicAdapter("mine", quirks or Quirks()).render_chat(request)


def body(*messages, **fields):
    return json.loads(render(*messages, **fields).body)


def turns(*messages, **fields):
    return body(*messages, **fields)["messages"]


def text(words):
    return {"type": "text", "text": words}


def test_the_least_request_names_model_limit_and_message_and_nothing_else():
    call = render(user("Grüß dich"))

    assert (call.method, call.path, call.query, call.stream, call.notices) == ("POST", "/v1/messages", {}, False, ())
    assert call.headers == {"anthropic-version": "2023-06-01"}
    message = '{"role":"user","content":[{"type":"text","text":"Grüß dich"}]}'
    assert call.body.decode() == f'{{"model":"m-1","max_tokens":8192,"messages":[{message}]}}'


def test_a_stream_is_asked_for_in_the_body_and_in_the_call():
    call = render(stream=True)

    assert call.stream
    assert json.loads(call.body)["stream"] is True


def test_quirks_move_the_path_and_add_headers_and_query():
    headers = {"Anthropic-Beta": "x-1", "Anthropic-Version": "v"}
    quirks = Quirks(chat_path="/models/{model}:stream", headers=headers, query={"k": "1"})

    call = AnthropicAdapter("mine", quirks).render_chat(ChatRequest("a/b", (user("Hi"),)))

    assert call.path == "/models/a%2Fb:stream"
    assert call.headers == {"anthropic-version": "v", "anthropic-beta": "x-1"}
    assert call.query == {"k": "1"}


def test_system_messages_become_one_system_prompt_in_their_order():
    written = body(LLMMessage("system", "Be brief."), user("Hi"), LLMMessage("system", "Be kind."), user("Again"))

    assert written["system"] == "Be brief.\n\nBe kind."
    assert written["messages"] == [{"role": "user", "content": [text("Hi"), text("Again")]}]


def test_an_empty_system_message_is_left_out():
    assert "system" not in body(LLMMessage("system", ""), user("Hi"))


def test_messages_of_one_role_in_a_row_become_one_turn():
    written = turns(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))

    assert [turn["role"] for turn in written] == ["user", "assistant", "user"]
    assert written[1]["content"] == [text("c"), text("d")]


def test_blank_texts_and_the_messages_they_leave_empty_are_dropped():
    written = turns(user("a", ""), assistant("\n\n"), user(" ", "b"))

    assert written == [{"role": "user", "content": [text("a"), text("b")]}]


def test_the_white_space_at_the_end_of_a_prefill_is_stripped_but_only_there():
    written = turns(user("a \n"), assistant("b \n"), user("c"), assistant("d", " e \n"))

    assert written[0]["content"] == [text("a \n")]
    assert written[1]["content"] == [text("b \n")]
    assert written[3]["content"] == [text("d"), text(" e")]


def test_a_refusal_of_another_protocol_goes_back_as_text():
    assert turns(user("a"), assistant(Refusal("No.")), user("b"))[1]["content"] == [text("No.")]


def test_pictures_are_sent_as_base64_or_as_their_address():
    written = turns(user(Image(PNG, "image/png"), Image(url="https://a.example/b.png"), "What is it?"))

    assert written[0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"}},
        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
        text("What is it?"),
    ]


def test_tool_results_stand_first_in_the_turn_of_the_user_in_their_order():
    written = turns(
        user("Go"),
        assistant(ToolCall("c1", "add", '{"a": 1}'), ToolCall("c2", "pause")),
        user("And tell me why"),
        result("c1", Text("1"), Image(PNG, "image/png")),
        result("c2", Text("No time"), is_error=True),
    )

    assert written[1]["content"] == [
        {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}},
        {"type": "tool_use", "id": "c2", "name": "pause", "input": {}},
    ]
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"}}
    assert written[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": [text("1"), picture]},
        {"type": "tool_result", "tool_use_id": "c2", "content": [text("No time")], "is_error": True},
        text("And tell me why"),
    ]


def test_an_empty_tool_result_has_no_content():
    written = turns(user("Go"), assistant(ToolCall("c1", "pause", "null")), result("c1", Text("")))

    assert written[1]["content"][0]["input"] == {}
    assert written[2]["content"] == [{"type": "tool_result", "tool_use_id": "c1"}]


@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", '"x"', '{"a": NaN}', "[" * 100_000], ids=range(5))
def test_tool_arguments_that_are_no_object_are_refused_by_the_name_of_the_tool(arguments):
    with pytest.raises(RequestError, match='tool call "add"') as caught:
        render(user("Go"), assistant(ToolCall("c1", "add", arguments)))

    assert caught.value.backend == "mine"
    assert caught.value.hints


def test_own_reasoning_and_own_items_go_back_unchanged_and_in_order():
    redacted = {"type": "redacted_thinking", "data": "abc"}
    search = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"q": "x"}}
    call = render(
        user("Go"),
        assistant(
            Reasoning("Hm.", "sig-1", owner="mine"),
            Reasoning(item=redacted, owner="mine"),
            Reasoning("", "sig-2", owner="mine"),
            ProviderItem(search, "mine"),
            "Done",
        ),
        user("Thanks"),
    )

    assert call.notices == ()
    assert json.loads(call.body)["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig-1"},
        redacted,
        {"type": "thinking", "thinking": "", "signature": "sig-2"},
        search,
        text("Done"),
    ]


def test_what_another_backend_signed_is_dropped_with_one_notice():
    call = render(
        user("Go"),
        assistant(
            Reasoning("Hm.", "sig", owner="other"),
            Reasoning(item={"type": "reasoning"}, owner="other"),
            ProviderItem({"type": "web_search_call"}, "other"),
            "Done",
        ),
        user("Thanks"),
    )

    assert [notice.kind for notice in call.notices] == ["dropped"]
    assert json.loads(call.body)["messages"][1]["content"] == [text("Done")]


@pytest.mark.parametrize("owner", ["mine", "other"])
def test_unsigned_reasoning_is_dropped_silently(owner):
    call = render(user("Go"), assistant(Reasoning("Hm.", owner=owner), "Done"), user("Thanks"))

    assert call.notices == ()
    assert json.loads(call.body)["messages"][1]["content"] == [text("Done")]


def test_the_limit_is_the_requests_then_the_backends_then_ours():
    quirks = Quirks(default_max_tokens=4096)

    assert body(max_tokens=10, quirks=quirks)["max_tokens"] == 10
    assert body(quirks=quirks)["max_tokens"] == 4096
    assert body()["max_tokens"] == 8192


def test_sampling_and_stop_sequences_are_written():
    written = body(temperature=0.0, top_p=0.5, stop=("END", "STOP"))

    assert (written["temperature"], written["top_p"]) == (0.0, 0.5)
    assert written["stop_sequences"] == ["END", "STOP"]


def test_sampling_that_a_service_refuses_is_dropped_with_a_notice():
    call = render(temperature=0.2, top_p=0.9, quirks=NO_SAMPLING)

    assert not {"temperature", "top_p"} & json.loads(call.body).keys()
    assert [(notice.kind, notice.text) for notice in call.notices] == [
        ("dropped", 'temperature and top_p not sent to backend "mine": this model takes none')
    ]


def test_a_seed_is_dropped_with_a_notice():
    call = render(seed=7)

    assert "seed" not in json.loads(call.body)
    assert [notice.text.split()[0] for notice in call.notices] == ["seed"]


def test_tools_are_written_with_their_schema():
    assert body(tools=(ADD, PAUSE))["tools"] == [
        {"name": "add", "description": "Adds.", "input_schema": ADD.parameters},
        {
            "name": "pause",
            "input_schema": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
            "strict": True,
        },
    ]


@pytest.mark.parametrize(
    ("choice", "parallel", "written"),
    [
        (ToolChoice(), None, None),
        (ToolChoice(), True, None),
        (ToolChoice(), False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("none"), False, {"type": "none"}),
        (ToolChoice("required"), None, {"type": "any"}),
        (ToolChoice("tool", "add"), False, {"type": "tool", "name": "add", "disable_parallel_tool_use": True}),
    ],
)
def test_tool_choices_have_their_own_words(choice, parallel, written):
    assert body(tools=(ADD,), tool_choice=choice, parallel_tool_calls=parallel).get("tool_choice") == written


def test_a_tool_choice_without_tools_is_not_sent():
    assert "tool_choice" not in body(tool_choice=ToolChoice("required"))


def test_a_schema_for_the_answer_becomes_an_output_format():
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}

    written = body(output=OutputFormat(schema))

    assert written["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert "system" not in written


def test_json_without_a_schema_is_asked_for_in_words():
    call = render(LLMMessage("system", "Be brief."), user("Hi"), output=OutputFormat())

    written = json.loads(call.body)
    assert written["system"] == "Be brief.\n\nAnswer with a single JSON object and nothing else."
    assert "output_config" not in written
    assert call.notices == ()


def test_a_service_without_schemas_gets_the_schema_in_the_system_prompt():
    written = body(output=OutputFormat({"type": "object"}), quirks=Quirks(json_schema=False))

    assert written["system"].endswith('It must fit this JSON Schema: {"type":"object"}')
    assert "output_config" not in written


@pytest.mark.parametrize(
    ("thinking", "max_tokens", "limit", "budget"),
    [
        (Thinking("low"), None, 10240, 2048),
        (Thinking("high"), None, 24576, 16384),
        (Thinking("high"), 10000, 10000, 5000),
        (Thinking("medium"), 500, 1524, 1024),
        (Thinking("medium"), 0, 1025, 1024),
        (Thinking(budget_tokens=5000), 10000, 10000, 5000),
        (Thinking(budget_tokens=4000), 4096, 4096, 4000),
        (Thinking(budget_tokens=9000), 4096, 4096, 4095),
        (Thinking(budget_tokens=10), None, 9216, 1024),
        (Thinking("high", 3000), None, 11192, 3000),
    ],
)
def test_a_thinking_budget_is_at_least_1024_and_below_the_limit(thinking, max_tokens, limit, budget):
    written = body(thinking=thinking, max_tokens=max_tokens)

    assert written["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert written["max_tokens"] == limit
    assert 1024 <= budget < limit


def test_every_effort_has_a_budget_an_answer_still_fits_under():
    efforts = ("minimal", "low", "medium", "high", "xhigh", "max")

    bodies = [body(thinking=Thinking(effort)) for effort in efforts]

    budgets = [written["thinking"]["budget_tokens"] for written in bodies]
    assert budgets == sorted(set(budgets))
    assert all(written["max_tokens"] - written["thinking"]["budget_tokens"] >= 8192 for written in bodies)


@pytest.mark.parametrize("thinking", [None, Thinking(), Thinking("none"), Thinking(budget_tokens=0)])
def test_without_an_effort_there_is_no_thinking_and_sampling_stays(thinking):
    written = body(thinking=thinking, temperature=0.5)

    assert "thinking" not in written
    assert written["temperature"] == 0.5


def test_an_adaptive_service_takes_the_effort_beside_the_output_format():
    quirks = Quirks(rules=ADAPTIVE)

    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": False}

    written = body(thinking=Thinking("xhigh"), output=OutputFormat(schema), quirks=quirks)

    assert written["thinking"] == {"type": "adaptive"}
    assert written["output_config"] == {
        "effort": "xhigh",
        "format": {"type": "json_schema", "schema": schema},
    }
    assert written["max_tokens"] == 8192 + 32768


def test_an_adaptive_service_is_spared_words_and_numbers_it_does_not_know():
    quirks = Quirks(rules=ADAPTIVE)

    counted = render(thinking=Thinking(budget_tokens=2000), quirks=quirks)

    assert body(thinking=Thinking("minimal"), quirks=quirks)["output_config"] == {"effort": "low"}
    assert json.loads(counted.body)["thinking"] == {"type": "adaptive"}
    assert [notice.kind for notice in counted.notices] == ["dropped"]


def test_thinking_is_disabled_for_an_adaptive_service_and_then_it_takes_a_temperature():
    written = body(thinking=Thinking("none"), temperature=0.5, quirks=Quirks(rules=ADAPTIVE))

    assert written["thinking"] == {"type": "disabled"}
    assert written["temperature"] == 0.5


@pytest.mark.parametrize("quirks", [Quirks(), Quirks(rules=ADAPTIVE)], ids=["budget", "effort"])
def test_a_thinking_model_gets_no_temperature(quirks):
    call = render(thinking=Thinking("low"), temperature=0.5, quirks=quirks)

    assert "temperature" not in json.loads(call.body)
    assert [notice.text for notice in call.notices] == [
        'temperature not sent to backend "mine": a thinking model takes none'
    ]


def test_extra_keys_are_merged_last_the_requests_over_the_backends():
    quirks = Quirks(extra={"top_k": 5, "service_tier": "auto"})

    written = body(max_tokens=10, extra={"max_tokens": 20, "top_k": 7}, quirks=quirks)

    assert (written["max_tokens"], written["top_k"], written["service_tier"]) == (20, 7, "auto")


def test_what_json_cannot_say_is_a_refused_request():
    with pytest.raises(RequestError):
        render(temperature=float("nan"))


def test_half_a_character_does_not_stop_a_request():
    assert turns(user("a\ud800b"))[0]["content"] == [text("a\ufffdb")]
