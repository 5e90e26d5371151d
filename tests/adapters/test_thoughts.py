"""Thoughts that stand in the text of an answer, where its service marks them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from support.answers import (
    CHAT,
    chat_answer,
)
from support.recordings import response_of

from arawn.messages import Reasoning, Text


def marked(content: str) -> dict[str, Any]:
    return {"content": content, "extra_content": {"google": {"thought": True}}}


@pytest.mark.parametrize(
    ("deltas", "reasoning", "text"),
    [
        ([marked("<thought>plan"), {"content": "</thought>Hi"}], "plan", "Hi"),
        ([marked("<thought>plan"), marked(" more"), {"content": "</thought>Hi"}, {"content": "!"}], "plan more", "Hi!"),
        ([marked("<thought>plan</thought>"), {"content": "Hi"}], "plan", "Hi"),
        ([marked("plan"), {"content": "Hi </b> <thought>"}], "plan", "Hi </b> <thought>"),
        ([marked("<thought>plan</thought>Hi")], "plan", "Hi"),
        ([marked("<thought>plan"), {"content": ""}, {"content": "</thought>"}, {"content": "Hi"}], "plan", "Hi"),
        ([{"content": "<thought>plan</thought>Hi"}], "", "<thought>plan</thought>Hi"),
        ([{"content": "<think>plan</think>Hi"}], "", "<think>plan</think>Hi"),
        ([{"content": "a", "extra_content": {"google": {"thought": False}}}], "", "a"),
        ([{"content": "a", "extra_content": {"google": None}}], "", "a"),
    ],
)
def test_thoughts_are_taken_out_of_the_text_only_where_the_service_marks_them(deltas, reasoning, text):
    response = chat_answer(*deltas)

    assert (response.reasoning, response.text) == (reasoning, text)


@pytest.mark.parametrize(
    ("content", "reasoning", "text"),
    [
        ("<think>plan</think>Hi", "plan", "Hi"),
        ("\n <think>plan</think>Hi </think>", "plan", "Hi </think>"),
        ("<think></think>Hi", "", "Hi"),
        ("<think>never ends </thin", "never ends </thin", ""),
        ("<thinker>Hi", "", "<thinker>Hi"),
        ("Hi <think>no</think>", "", "Hi <think>no</think>"),
        ("<th", "", "<th"),
        ("  ", "", "  "),
    ],
)
def test_a_tag_of_the_configuration_opens_the_thoughts_however_it_is_cut(content, reasoning, text):
    for places in [(), *itertools.combinations(range(1, len(content)), 2)]:
        pieces = [content[a:b] for a, b in itertools.pairwise((0, *places, len(content)))]
        response = chat_answer(*({"content": piece} for piece in pieces), reasoning_tag="think")
        assert (response.reasoning, response.text) == (reasoning, text)


def test_the_tag_counts_in_an_unstreamed_answer_too():
    message = {"role": "assistant", "content": "<reasoning>plan</reasoning>Hi"}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()

    parts = response_of(CHAT.adapter(reasoning_tag="reasoning").parse_chat(body)).message.parts

    assert parts == (Reasoning("plan", owner="here"), Text("Hi"))
