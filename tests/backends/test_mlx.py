"""The MLX backend, with a stand-in for the package ``mlx_lm``: the real one installs only on Apple Silicon.

The stand-in follows the documented API (github.com/ml-explore/mlx-lm): ``load(name)`` returns a model and a tokenizer,
``stream_generate(model, tokenizer, prompt, max_tokens, sampler=…)`` yields responses with text, token counts and a
finish reason in the last one, ``sample_utils.make_sampler(temp, top_p)``; a tokenizer has ``apply_chat_template``,
``encode`` and, where its model thinks or calls tools, the marks of both. It records its calls and their threads.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from contextlib import aclosing
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arawn.backends.blocking import iterate, run
from arawn.backends.mlx import MlxBackend
from arawn.errors import (
    ConfigError,
    ModelNotAvailableError,
    ProtocolError,
    RequestError,
    ServerError,
    StreamInterruptedError,
)
from arawn.events import Finished, Notice, ReasoningDelta, Started, TextDelta, collect
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
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)

PACKAGE = '''
    """Stand-in for mlx-lm."""
    import json, threading
    from dataclasses import dataclass

    pieces, finish_reason, prompt_end, calls, threads = ["Hello", ", ", "world"], "stop", "", [], set()
    failure, load_failure, template_failure = None, None, None
    gate, entered, closed = None, threading.Event(), threading.Event()

    @dataclass
    class GenerationResponse:
        text: str
        prompt_tokens: int
        generation_tokens: int
        finish_reason: str | None = None

    class Tokenizer:
        def __init__(self, **marks):
            vars(self).update(marks)

        def apply_chat_template(self, messages, tokenize=True, add_generation_prompt=False, **options):
            note("apply_chat_template", messages=messages, options=options)
            if template_failure:
                raise ValueError(template_failure)
            assert not tokenize and add_generation_prompt
            return "<|user|>" + messages[-1]["content"] + "<|assistant|>" + prompt_end

        def encode(self, text, add_special_tokens=True):
            assert not add_special_tokens
            return list(text.encode())

    thinking = {"think_start": "<think>", "think_end": "</think>"}
    calling = {
        "tool_call_start": "<tool_call>",
        "tool_call_end": "</tool_call>",
        "tool_parser": lambda text, tools=None: json.loads(text),
    }
    tokenizer = Tokenizer()

    def note(what, **values):
        threads.add(threading.current_thread())
        calls.append((what, values))

    def load(path_or_hf_repo):
        note("load", name=path_or_hf_repo)
        if load_failure:
            raise load_failure
        return "weights", tokenizer

    def stream_generate(model, tokenizer, prompt, max_tokens=256, **options):
        note("stream_generate", prompt=bytes(prompt).decode(), max_tokens=max_tokens, options=options)
        try:
            for count, text in enumerate(pieces, 1):
                entered.set()
                assert gate is None or gate.wait(20), "the event loop stood still"
                note("step")
                yield GenerationResponse(text, len(prompt), count, finish_reason if count == len(pieces) else None)
            if failure:
                raise RuntimeError(failure)
        finally:
            note("close")
            closed.set()
'''
SAMPLING = """
    def make_sampler(temp=0.0, top_p=0.0):
        return ("sampler", temp, top_p)
"""
WEATHER = Tool("weather", "Tell the weather", {"type": "object", "properties": {"city": {"type": "string"}}})


@pytest.fixture
def mlx_lm(tmp_path, monkeypatch):
    folder = tmp_path / "mlx_lm"
    folder.mkdir()
    (folder / "__init__.py").write_text(textwrap.dedent(PACKAGE), encoding="utf-8")
    (folder / "sample_utils.py").write_text(textwrap.dedent(SAMPLING), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import mlx_lm

    yield mlx_lm
    for name in ("mlx_lm", "mlx_lm.sample_utils"):
        sys.modules.pop(name, None)


def request(text="Say hello", **wishes):
    return ChatRequest("mlx-community/tiny", (LLMMessage("user", text),), **wishes)


def events_of(asked):
    return list(iterate(MlxBackend("local").stream(asked)))


def answer_to(asked):
    return run(collect(MlxBackend("local").stream(asked)))


def called(mlx_lm, what):
    return [values for name, values in mlx_lm.calls if name == what]


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

    plain, wished = called(mlx_lm, "stream_generate")
    assert plain["max_tokens"] == -1
    assert plain["options"] == {"sampler": ("sampler", 0.0, 0.0)}
    assert wished["options"] == {"sampler": ("sampler", 0.7, 0.9), "max_kv_size": 512}


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


def test_marked_tool_calls_become_tool_calls(mlx_lm):
    mlx_lm.tokenizer = mlx_lm.Tokenizer(**mlx_lm.calling)
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Zürich"}}\n</tool_call>'
    mlx_lm.pieces = ["Let me look.", f"{call}\n{call}"]

    response = answer_to(request(tools=(WEATHER,)))

    assert response.text == "Let me look."
    assert [(made.name, made.arguments) for made in response.tool_calls] == [("weather", '{"city": "Zürich"}')] * 2
    assert len({made.id for made in response.tool_calls}) == 2
    assert response.finish_reason is FinishReason.TOOL_CALLS


def test_a_call_without_an_end_mark_reaches_to_the_end(mlx_lm):
    marks = {
        "tool_call_start": "[TOOL_CALLS]",
        "tool_call_end": "",
        "tool_parser": lambda text, tools=None: [{"name": text.split("[")[0], "arguments": {}}],
    }
    mlx_lm.tokenizer = mlx_lm.Tokenizer(**marks)
    mlx_lm.pieces = ["[TOOL_", "CALLS]weath", "er[ARGS]{}"]

    response = answer_to(request(tools=(WEATHER,)))

    assert [(made.name, made.arguments) for made in response.tool_calls] == [("weather", "{}")]


def test_a_call_the_token_limit_cut_is_not_made(mlx_lm):
    mlx_lm.tokenizer = mlx_lm.Tokenizer(**mlx_lm.calling)
    mlx_lm.pieces, mlx_lm.finish_reason = ["Wait", '<tool_call>{"name": "wea'], "length"

    response = answer_to(request(tools=(WEATHER,)))

    assert (response.text, response.tool_calls) == ("Wait", ())
    assert response.finish_reason is FinishReason.LENGTH


def test_a_call_that_cannot_be_read_is_an_error(mlx_lm):
    mlx_lm.tokenizer = mlx_lm.Tokenizer(**mlx_lm.calling)
    mlx_lm.pieces = ["<tool_call>weather!</tool_call>"]

    with pytest.raises(ProtocolError, match=r'^Backend "local" wrote a tool call that cannot be read: '):
        answer_to(request(tools=(WEATHER,)))


def test_thinking_is_told_apart_from_the_answer(mlx_lm):
    mlx_lm.tokenizer = mlx_lm.Tokenizer(**mlx_lm.thinking)
    mlx_lm.pieces = ["<th", "ink>", "Hm. 2 < 3", "</think>\n", "\nYes, 2 <", " 3"]

    response = answer_to(request())

    assert (response.reasoning, response.text) == ("Hm. 2 < 3", "Yes, 2 < 3")


def test_thinking_the_template_has_opened_is_thinking(mlx_lm):
    mlx_lm.tokenizer = mlx_lm.Tokenizer(**mlx_lm.thinking)
    mlx_lm.prompt_end = "<think>\n"
    mlx_lm.pieces = ["Hm.", "</think>", "Yes"]

    response = answer_to(request())

    assert (response.reasoning, response.text) == ("Hm.", "Yes")


def test_a_stop_word_ends_the_answer_and_is_not_part_of_it(mlx_lm):
    mlx_lm.pieces = ["one ST", "ill ", "two S", "TOP three", "never asked for"]

    events = events_of(request(stop=("STOP",)))

    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "one STill two "
    assert events[-1] == Finished(FinishReason.STOP, "stop", Usage(len("<|user|>Say hello<|assistant|>"), 4))
    assert len(called(mlx_lm, "step")) == 4


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=8))
def test_the_same_answer_comes_out_however_the_text_was_cut(mlx_lm, cuts):
    text = '<think>a <b</think>\n\nSee<tool_call>{"name": "t", "arguments": {}}</tool_call>done<end'
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    mlx_lm.tokenizer = mlx_lm.Tokenizer(**mlx_lm.thinking, **mlx_lm.calling)
    mlx_lm.pieces = [text[start:end] for start, end in pairwise(places)]

    response = answer_to(request(tools=(WEATHER,), stop=("<end>",)))

    assert (response.reasoning, response.text) == ("a <b", "Seedone<end")
    assert [made.name for made in response.tool_calls] == ["t"]


def test_it_says_what_it_had_to_leave_out(mlx_lm):
    message = Message(Role.USER, (Text("What is this?"), Image(url="https://example.org/cat.png")))
    asked = ChatRequest("tiny", (message,), tools=(WEATHER,), output=OutputFormat(), seed=7)

    notices = [event for event in events_of(asked) if isinstance(event, Notice)]

    assert [(notice.kind, notice.text.rpartition(": ")[2]) for notice in notices] == [
        ("dropped", "images"),
        ("dropped", "tools (not with this model)"),
        ("dropped", "an output format"),
        ("dropped", "a seed"),
    ]
    assert called(mlx_lm, "apply_chat_template")[0]["options"] == {}


def test_a_forced_choice_is_left_out_with_a_word(mlx_lm):
    mlx_lm.tokenizer = mlx_lm.Tokenizer(**mlx_lm.calling)

    events = events_of(request(tools=(WEATHER,), tool_choice=ToolChoice("required")))

    assert Notice("dropped", "Left out, because mlx-lm cannot take it: the choice of a tool") in events


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlx_lm", None)

    with pytest.raises(ConfigError, match="Apple Silicon only") as caught:
        answer_to(request())

    assert "pip install 'arawn[mlx]'" in caught.value.hints[0]


def test_a_model_that_cannot_be_loaded_is_not_available(mlx_lm):
    mlx_lm.load_failure = FileNotFoundError("no safetensors found in tiny\nat all")

    with pytest.raises(ModelNotAvailableError) as caught:
        answer_to(request())

    assert caught.value.message == 'Model "mlx-community/tiny" not available'
    assert caught.value.hints[0] == "mlx-lm says: no safetensors found in tiny at all"


def test_a_conversation_the_template_refuses_is_a_bad_request(mlx_lm):
    mlx_lm.template_failure = "roles must alternate"

    with pytest.raises(RequestError, match="refused the conversation: roles must alternate"):
        answer_to(request())


def test_a_failure_while_generating_is_the_backends(mlx_lm):
    mlx_lm.failure = "[METAL] out of memory"

    with pytest.raises(ServerError) as caught:
        answer_to(request())

    assert caught.value.message == 'Backend "local" failed: [METAL] out of memory'


def test_an_answer_without_its_end_is_interrupted(mlx_lm):
    mlx_lm.finish_reason = None

    with pytest.raises(StreamInterruptedError):
        answer_to(request())


def test_a_reader_who_stops_early_ends_the_generation(mlx_lm):
    events = iterate(MlxBackend("local").stream(request()))

    next(event for event in events if isinstance(event, TextDelta))
    events.close()

    assert len(called(mlx_lm, "step")) == 1
    assert mlx_lm.closed.is_set()


def test_without_an_event_loop_it_works_in_the_callers_thread(mlx_lm):
    answer_to(request())

    assert mlx_lm.threads == {threading.current_thread()}


def test_under_asyncio_all_work_is_done_on_one_other_thread(mlx_lm):
    import asyncio

    async def ask_two_at_once():
        backend = MlxBackend("local")
        return await asyncio.gather(*(collect(backend.stream(request())) for _ in range(2)))

    responses = asyncio.run(ask_two_at_once())

    assert [response.text for response in responses] == ["Hello, world"] * 2
    assert len(mlx_lm.threads) == 1
    assert threading.current_thread() not in mlx_lm.threads


def test_the_event_loop_goes_on_while_a_token_is_made(mlx_lm):
    import asyncio

    mlx_lm.gate = threading.Event()

    async def ask_and_open_the_gate():
        answer = asyncio.create_task(collect(MlxBackend("local").stream(request())))
        await asyncio.to_thread(mlx_lm.entered.wait, 20)
        mlx_lm.gate.set()
        return await answer

    assert asyncio.run(ask_and_open_the_gate()).text == "Hello, world"


def test_a_cancelled_answer_ends_the_generation_after_its_step(mlx_lm):
    import asyncio

    mlx_lm.gate = threading.Event()

    async def ask_and_cancel():
        async def read():
            async with aclosing(MlxBackend("local").stream(request())) as stream:
                return [event async for event in stream]

        answer = asyncio.create_task(read())
        await asyncio.to_thread(mlx_lm.entered.wait, 20)
        answer.cancel()
        mlx_lm.gate.set()
        await answer

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ask_and_cancel())

    assert mlx_lm.closed.is_set()
    assert len(called(mlx_lm, "step")) == 1


def test_importing_it_brings_neither_asyncio_nor_mlx():
    code = (
        "import sys, arawn.backends.mlx; print(sorted({'asyncio', 'mlx_lm', 'concurrent.futures'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_reasoning_arrives_as_it_is_made(mlx_lm):
    mlx_lm.tokenizer = mlx_lm.Tokenizer(**mlx_lm.thinking)
    mlx_lm.pieces = ["<think>", "one ", "two", "</think>", "three"]

    events = events_of(request())

    assert events[1:4] == [ReasoningDelta("one "), ReasoningDelta("two"), TextDelta("three")]
