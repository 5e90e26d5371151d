"""Citations, pictures and tools that ran at the provider, in every protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.answers import (
    ANTHROPIC,
    CHAT,
    OLLAMA,
    RESPONSES,
    WIRES,
    chat_answer,
    message_start,
    whole_answer,
)

from arawn.events import Citation, Finished, ImageDone, Notice, ServerToolDone
from arawn.messages import Image

PNG = "iVBORw0KGgo="


def test_annotations_of_chat_are_citations_and_a_source_keeps_its_number():
    def cited(url: str, title: str, **more: Any) -> dict[str, Any]:
        return {"type": "url_citation", "url_citation": {"url": url, "title": title, "start_index": 0, **more}}

    first, second = cited("https://a.example", "A", content="said"), cited("https://b.example", "B")
    again = cited("https://a.example", "A", content="more")
    response = chat_answer({"content": "x", "annotations": [first]}, {"annotations": [second, first, again]})

    assert response.citations == (
        Citation(1, "A", "https://a.example", "said"),
        Citation(2, "B", "https://b.example"),
        Citation(1, "A", "https://a.example", "more"),
    )


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_list_beside_an_answer_numbers_the_sources_that_its_text_names(repeats):
    beside = {
        "citations": ["https://a.example", "https://b.example"],
        "search_results": [{"title": "B", "url": "https://b.example", "date": "2026-11-01"}],
    }
    events = [{"choices": [{"delta": {"content": "x"}}], **beside}] * repeats

    assert CHAT.response(*events).citations == (
        Citation(1, "", "https://a.example"),
        Citation(2, "B", "https://b.example"),
    )


def test_annotations_of_responses_come_once_from_events_and_items():
    note = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1}
    file = {"type": "file_citation", "file_id": "f1", "filename": "notes.txt", "index": 3}
    part = {"type": "output_text", "text": "x", "annotations": [note, file]}
    events = [
        {"type": "response.output_text.annotation.added", "annotation": note},
        {"type": "response.output_item.done", "item": {"type": "message", "content": [part]}, "output_index": 3},
    ]

    assert RESPONSES.response(*events).citations == (Citation(1, "A", "https://a.example"), Citation(2, "notes.txt"))


@pytest.mark.parametrize(
    "source",
    [
        {"type": "char_location", "document_title": "Doc", "document_index": 0, "cited_text": "57"},
        {"type": "search_result_location", "title": "Doc", "source": "internal:7", "cited_text": "57"},
        {"type": "web_search_result_location", "title": "Doc", "url": "javascript:alert(1)", "cited_text": "57"},
    ],
)
def test_a_source_without_an_address_of_the_web_has_none(source):
    blocks = [{"type": "text", "text": "57 F", "citations": [source]}]
    message = message_start(content=blocks)["message"] | {"stop_reason": "end_turn"}

    assert whole_answer(ANTHROPIC, **message).citations == (Citation(1, "Doc", "", "57"),)


@pytest.mark.parametrize("strange", [None, 7, {}, [None, 7, [], {}, {"url": 7}, {"url_citation": {}}]])
def test_strange_citations_are_none(strange):
    response = CHAT.response({"choices": [{"delta": {"content": "x", "annotations": strange}}], "citations": strange})

    assert (response.text, response.citations) == ("x", ())


def test_pictures_of_every_protocol_are_parts_of_the_message():
    data_url = f"data:image/png;base64,{PNG}"
    item = {"type": "image_generation_call", "id": "ig", "status": "completed", "result": PNG}
    found = [
        chat_answer({"content": "x", "images": [{"type": "image_url", "image_url": {"url": data_url}}]}),
        chat_answer(
            {"content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": data_url}}]}
        ),
        RESPONSES.response({"type": "response.output_item.done", "output_index": 3, "item": item}),
        OLLAMA.response({"message": {"content": "x", "images": [PNG]}}),
    ]

    assert {(image.data[:4], image.media_type) for each in found for image in each.message.images} == {
        (b"\x89PNG", "image/png")
    }
    assert [len(each.message.images) for each in found] == [1, 1, 1, 1]


def test_a_picture_that_is_an_address_is_not_fetched_but_named():
    response = chat_answer({"images": [{"image_url": {"url": "https://a.example/p.png"}}]})

    assert response.message.images == (Image(url="https://a.example/p.png"),)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:image/png;base64,%%%",
        "data:image/png;base64,AAA",
        "data:image/png;base64,",
        "data:image/png,AAAA",
        "data:image/svg+xml;base64,AAAA",
        "data:text/html;base64,AAAA",
        "data:",
        "AAAA%",
        pytest.param("data:image/png;base64," + "A" * (45 << 20), id="too large"),
    ],
)
def test_what_is_no_picture_is_left_out_with_a_notice(url):
    message = {"content": "x", "images": [{"image_url": {"url": url}}]}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()

    events = CHAT.adapter().parse_chat(body)

    assert not any(isinstance(event, ImageDone) for event in events)
    assert [event.kind for event in events if isinstance(event, Notice)] == ["dropped"]
    assert isinstance(events[-1], Finished)


def test_a_generated_picture_goes_back_whole_but_is_kept_once():
    item = {"type": "image_generation_call", "id": "ig", "status": "completed", "result": PNG, "size": "1x1"}
    events = [{"type": "response.output_item.done", "output_index": 3, "item": item}]

    image = RESPONSES.response(*events).message.images[0]

    assert image.extra == {key: value for key, value in item.items() if key != "result"}


@pytest.mark.parametrize(
    ("wire", "event", "wanted"),
    [
        (
            "responses",
            {"type": "web_search_call", "action": {"query": "weather"}, "results": [{"title": "T", "url": "u"}]},
            ServerToolDone("web_search", "weather\nT"),
        ),
        (
            "responses",
            {"type": "code_interpreter_call", "outputs": [{"type": "logs", "logs": "4\n"}]},
            ServerToolDone("code_interpreter", "4"),
        ),
        ("responses", {"type": "mcp_call", "name": "n", "output": "done"}, ServerToolDone("mcp", "done")),
    ],
)
def test_tools_that_ran_at_the_provider_are_events(wire, event, wanted):
    done = {"type": "response.output_item.done", "output_index": 3, "item": event}

    assert wanted in WIRES[wire].read(WIRES[wire].framed(*WIRES[wire].opening, done, *WIRES[wire].ending))


def test_tools_of_groq_and_anthropic_are_events_too_and_long_results_are_cut():
    ran = {"index": 0, "type": "python", "arguments": "{}", "output": "x" * 5000}
    block = {"type": "code_execution_tool_result", "content": {"stdout": "4\n", "stderr": "", "return_code": 0}}
    events = CHAT.read(CHAT.framed({"model": "m", "choices": [{"delta": {"executed_tools": [ran]}}]}, *CHAT.ending))
    shown = ANTHROPIC.read(
        ANTHROPIC.framed(
            *ANTHROPIC.opening,
            {"type": "content_block_start", "index": 7, "content_block": block},
            {"type": "content_block_stop", "index": 7},
            *ANTHROPIC.ending,
        )
    )

    [done] = [event for event in events if isinstance(event, ServerToolDone)]
    assert (done.name, len(done.text), done.text[-1]) == ("python", 2000, "…")
    assert ServerToolDone("code_execution", "4") in shown
