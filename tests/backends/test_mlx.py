"""What the MLX backend asks of mlx-lm, and the answer it streams."""

from __future__ import annotations

import subprocess
import sys

from support.mlx_stand_in import WEATHER, answer_to, called, events_of, request

from arawn.backends.mlx import MlxBackend
from arawn.engine.blocking import run
from arawn.events import Finished, Notice, Started, TextDelta, collect
from arawn.messages import (
    ChatRequest,
    FinishReason,
    Image,
    LLMMessage,
    Message,
    OutputFormat,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)


def test_it_streams_the_text_and_reports_the_tokens(mlx_lm):
    events = events_of(request())

    assert events == [
        Started("local", "mlx-community/tiny"),
        TextDelta("Hello"),
        TextDelta(", "),
        TextDelta("world"),
        Finished(FinishReason.STOP, "stop", Usage(len("<|user|>Say hello<|assistant|>"), 3)),
    ]


def test_it_says_when_the_token_limit_cut_the_answer(mlx_lm):
    mlx_lm.finish_reason = "length"

    response = answer_to(request(max_tokens=3))

    assert (response.finish_reason, response.raw_finish_reason) == (FinishReason.LENGTH, "length")
    assert called(mlx_lm, "stream_generate")[0]["max_tokens"] == 3


def test_it_sends_only_the_wishes_that_were_uttered(mlx_lm):
    answer_to(request())
    answer_to(request(temperature=0.7, top_p=0.9, extra={"max_kv_size": 512}))

    plain, tuned = called(mlx_lm, "stream_generate")
    assert plain["max_tokens"] == -1
    assert plain["options"] == {"sampler": ("sampler", 0.0, 0.0)}
    assert tuned["options"] == {"sampler": ("sampler", 0.7, 0.9), "max_kv_size": 512}


def test_a_model_is_loaded_once(mlx_lm):
    backend = MlxBackend("local")

    for _ in range(2):
        run(collect(backend.stream(request())))

    assert called(mlx_lm, "load") == [{"name": "mlx-community/tiny"}]


def test_the_conversation_reaches_the_chat_template_in_its_shape(mlx_lm):
    mlx_lm.tokenizer = mlx_lm.Tokenizer(**mlx_lm.calling)
    conversation = (
        LLMMessage("system", "Be brief"),
        LLMMessage("user", "Weather?"),
        Message(
            Role.ASSISTANT,
            (Text("Let me look"), ToolCall("c1", "weather", '{"city": "Bern"}'), ToolCall("c2", "x", "{")),
        ),
        Message(Role.TOOL, (ToolResult("c1", (Text("sunny"),), "weather"), ToolResult("c2", (Text("bad"),), "x"))),
    )

    answer_to(ChatRequest("tiny", conversation, tools=(WEATHER,), thinking=Thinking(effort="none")))

    (seen,) = called(mlx_lm, "apply_chat_template")
    function = {"name": "weather", "arguments": {"city": "Bern"}}
    assert seen["messages"] == [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": "Let me look",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": function},
                {"id": "c2", "type": "function", "function": {"name": "x", "arguments": "{"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": "sunny"},
        {"role": "tool", "tool_call_id": "c2", "name": "x", "content": "bad"},
    ]
    assert seen["options"]["enable_thinking"] is False
    assert seen["options"]["tools"] == [
        {
            "type": "function",
            "function": {"name": "weather", "description": "Tell the weather", "parameters": WEATHER.parameters},
        }
    ]


def test_tools_are_not_offered_where_none_may_be_chosen(mlx_lm):
    mlx_lm.tokenizer = mlx_lm.Tokenizer(**mlx_lm.calling)

    answer_to(request(tools=(WEATHER,), tool_choice=ToolChoice("none")))

    assert called(mlx_lm, "apply_chat_template")[0]["options"] == {}


def test_a_stop_word_ends_the_answer_and_is_not_part_of_it(mlx_lm):
    mlx_lm.pieces = ["one ST", "ill ", "two S", "TOP three", "never asked for"]

    events = events_of(request(stop=("STOP",)))

    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "one STill two "
    assert events[-1] == Finished(FinishReason.STOP, "stop", Usage(len("<|user|>Say hello<|assistant|>"), 4))
    assert len(called(mlx_lm, "step")) == 4


def test_it_says_what_it_had_to_leave_out(mlx_lm):
    message = Message(Role.USER, (Text("What is this?"), Image(url="https://example.org/cat.png")))
    asked = ChatRequest("tiny", (message,), tools=(WEATHER,), output=OutputFormat(), seed=7)

    notices = [event for event in events_of(asked) if isinstance(event, Notice)]

    assert [(notice.kind, notice.text.rpartition(": ")[2]) for notice in notices] == [
        ("dropped", "images"),
        ("dropped", "tools (not with this model)"),
        ("dropped", "a seed"),
    ]
    assert called(mlx_lm, "apply_chat_template")[0]["options"] == {}


def test_json_is_asked_for_in_the_last_message_of_the_user(mlx_lm):
    talk = (LLMMessage("user", "One"), LLMMessage("assistant", "Two"), LLMMessage("user", "Three"))
    events_of(ChatRequest("tiny", talk, output=OutputFormat({"type": "object"})))

    prompt = called(mlx_lm, "apply_chat_template")[0]["messages"]
    words = 'Answer with a single JSON object and nothing else.\n\nIt must fit this JSON Schema: {"type":"object"}'
    assert [entry["content"] for entry in prompt] == ["One", "Two", f"Three\n\n{words}"]


def test_a_forced_choice_is_left_out_with_a_word(mlx_lm):
    mlx_lm.tokenizer = mlx_lm.Tokenizer(**mlx_lm.calling)

    events = events_of(request(tools=(WEATHER,), tool_choice=ToolChoice("required")))

    assert Notice("dropped", "Left out, because mlx-lm cannot take it: the choice of a tool") in events


def test_importing_it_brings_neither_asyncio_nor_mlx():
    code = (
        "import sys, arawn.backends.mlx; print(sorted({'asyncio', 'mlx_lm', 'concurrent.futures'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
