"""The markers by which the MLX backend separates thinking and tool calls from the text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.mlx_stand_in import WEATHER, answer_to, events_of, request

from arawn.errors import ProtocolError
from arawn.events import ReasoningDelta, TextDelta
from arawn.messages import FinishReason


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


def test_thinking_is_separated_from_the_answer(mlx_lm):
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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(cuts=st.lists(st.integers(0, 60), max_size=8))
def test_the_same_answer_comes_out_however_the_text_was_cut(mlx_lm, cuts):
    text = '<think>a <b</think>\n\nSee<tool_call>{"name": "t", "arguments": {}}</tool_call>done<end'
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    mlx_lm.tokenizer = mlx_lm.Tokenizer(**mlx_lm.thinking, **mlx_lm.calling)
    mlx_lm.pieces = [text[start:end] for start, end in pairwise(places)]

    response = answer_to(request(tools=(WEATHER,), stop=("<end>",)))

    assert (response.reasoning, response.text) == ("a <b", "Seedone<end")
    assert [made.name for made in response.tool_calls] == ["t"]


def test_reasoning_arrives_as_it_is_made(mlx_lm):
    mlx_lm.tokenizer = mlx_lm.Tokenizer(**mlx_lm.thinking)
    mlx_lm.pieces = ["<think>", "one ", "two", "</think>", "three"]

    events = events_of(request())

    assert events[1:4] == [ReasoningDelta("one "), ReasoningDelta("two"), TextDelta("three")]
