"""The Responses API: nothing comes twice, however a service numbers parts and items."""

from __future__ import annotations

from typing import Any

import pytest
from support.answers import (
    RESPONSES,
)
from support.recordings import response_of


def delta(text: str, **place: Any) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "delta": text, **place}


def part_done(text: str, **place: Any) -> dict[str, Any]:
    return {"type": "response.output_text.done", "text": text, **place}


def item_done(*texts: str, item_id: str = "", **place: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text} for text in texts]
    item = {"type": "message", "content": content} | ({"id": item_id} if item_id else {})
    return {"type": "response.output_item.done", "item": item, **place}


@pytest.mark.parametrize(
    "events",
    [
        [delta("5 is", output_index=1, content_index=1), item_done("5 is", output_index=1)],
        [delta("5 is", output_index=1, content_index=1), part_done("5 is", output_index=1, content_index=0)],
        [delta("5", output_index=1, content_index=3), item_done("5 is", output_index=1)],
        [delta("5", output_index=1, content_index=1), part_done("5 is", output_index=1, content_index=1)],
        [delta("5", output_index=1), delta(" is", output_index=1, content_index=2), item_done("5 is", output_index=1)],
        [delta("5", output_index=1), delta(" is", output_index=1), item_done("5", " is", output_index=1)],
        [delta("5 is", output_index=4), item_done("5 is", output_index=0)],
        [delta("5 is", item_id="a"), item_done("5 is", item_id="b", output_index=0)],
        [delta("5", item_id="a", output_index=0), delta(" is", item_id="b", output_index=0), item_done("5 is")],
        [delta("5 is"), item_done("5 is")],
        [item_done("5", " is", output_index=2)],
        [part_done("5", content_index=0), part_done(" is", content_index=1), item_done("5", " is")],
    ],
)  # fmt: skip
def test_text_comes_once_however_parts_and_items_are_numbered(events):
    assert RESPONSES.response(*events).text == "5 is"


@pytest.mark.parametrize("numbered", [0, 7])
@pytest.mark.parametrize("item_id", ["", "msg_1"])
def test_items_of_the_completed_response_add_only_what_is_missing(numbered, item_id):
    message = item_done("5 is", item_id=item_id)["item"]
    call = {"type": "function_call", "id": "f2", "call_id": "c2", "name": "g", "arguments": "{}"}
    completed = {"type": "response.completed", "response": {"status": "completed", "output": [message, call]}}
    events = [{"type": "response.created", "response": {"model": "m"}}, delta("5 is", output_index=numbered)]

    for streamed in (events, [*events, item_done("5 is", item_id=item_id, output_index=numbered)]):
        response = response_of(RESPONSES.read(RESPONSES.framed(*streamed, completed)))
        assert (response.text, [each.id for each in response.tool_calls]) == ("5 is", ["c2"])


def test_refusals_summaries_and_arguments_come_once_too():
    parts = [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}]
    events = [
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 3, "delta": "one"},
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 4, "delta": "two"},
        {"type": "response.output_item.done", "output_index": 0, "item": {"type": "reasoning", "summary": parts}},
        {"type": "response.refusal.delta", "output_index": 1, "content_index": 2, "delta": "No."},
        {"type": "response.refusal.done", "output_index": 1, "content_index": 0, "refusal": "No."},
        {"type": "response.function_call_arguments.delta", "output_index": 9, "delta": '{"a":'},
        {"type": "response.function_call_arguments.done", "output_index": 9, "arguments": '{"a":1}'},
    ]

    response = RESPONSES.response(*events)

    assert (response.reasoning, response.text) == ("one\n\ntwo", "No.")
    assert response.tool_calls[0].arguments == '{"a":1}'


def test_a_paragraph_stands_between_two_messages_only_where_they_bring_none():
    def text(*messages: str) -> str:
        return RESPONSES.response(*(item_done(said, output_index=n) for n, said in enumerate(messages))).text

    assert text("One.") == "One."
    assert text("One.", "Two.", "Three.") == "One.\n\nTwo.\n\nThree."
    assert text("One.\n", "Two.") == "One.\nTwo."
    assert text("One.", "\nTwo.") == "One.\nTwo."
    assert text("", "Two.") == "Two."


def test_the_input_of_a_custom_tool_streams():
    added = {"type": "custom_tool_call", "id": "ct", "call_id": "c2", "name": "calc", "input": ""}
    events = [
        {"type": "response.output_item.added", "output_index": 3, "item": added},
        {"type": "response.custom_tool_call_input.delta", "output_index": 3, "item_id": "ct", "delta": "4 +"},
        {"type": "response.custom_tool_call_input.done", "output_index": 3, "item_id": "ct", "input": "4 + 4"},
        {"type": "response.output_item.done", "output_index": 3, "item": {**added, "input": "4 + 4"}},
    ]

    call = RESPONSES.response(*events).tool_calls[1]

    assert (call.id, call.name, call.arguments, call.custom) == ("c2", "calc", "4 + 4", True)
