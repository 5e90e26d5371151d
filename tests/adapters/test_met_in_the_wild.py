"""Answers as services really send them: odd numbering, odd ends, thoughts in the text, sources, pictures, usage."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from support.answers import ANTHROPIC, CHAT, OLLAMA, RESPONSES, WIRES
from support.recordings import response_of

from arawn.adapters.finish_reasons import finish_reason
from arawn.errors import ProtocolError
from arawn.events import Citation, Finished, ImageDone, Notice, ServerToolDone
from arawn.messages import FinishReason, Image, Reasoning, Text

PNG = "iVBORw0KGgo="


def chat(*deltas: dict[str, Any], **quirks: Any):
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return response_of(CHAT.read(CHAT.framed({"model": "m", "choices": []}, *events, *CHAT.ending), **quirks))


def whole(wire, **answer: Any):
    return response_of(wire.adapter().parse_chat(json.dumps(answer).encode()))


# The Responses API: numbers of parts and items


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


# Calls of empty values


@pytest.mark.parametrize(
    "empty",
    [
        {"function_call": {"name": "", "arguments": ""}},
        {"tool_calls": [{"index": 0, "id": "", "type": "function", "function": {"name": "", "arguments": ""}}]},
        {"tool_calls": [{}]},
        {"tool_calls": [{"index": 0, "function": None}]},
        {"tool_calls": [{"index": 0, "custom": {"name": "", "input": ""}}]},
    ],
)
def test_a_call_of_empty_values_is_none(empty):
    response = chat({"content": "4", **empty})

    assert (response.text, response.tool_calls, response.finish_reason) == ("4", (), FinishReason.STOP)


def test_a_call_of_empty_values_is_none_in_other_protocols():
    item = {"type": "function_call", "call_id": "", "name": "", "arguments": ""}
    assert (
        len(RESPONSES.response({"type": "response.output_item.done", "output_index": 3, "item": item}).tool_calls) == 1
    )
    line = {"message": {"content": "4", "tool_calls": [{"function": {"name": "", "arguments": {}}}]}}
    assert OLLAMA.response(line).tool_calls == ()


# The start and the end of a message


def start(**fields: Any) -> dict[str, Any]:
    message = {"id": "m1", "type": "message", "model": "m", "content": [], "usage": {"input_tokens": 5}, **fields}
    return {"type": "message_start", "message": message}


def anthropic(*events: Any):
    return response_of(ANTHROPIC.read(ANTHROPIC.framed(*events)))


SAID = [
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "content_block_stop", "index": 0},
]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_message_may_begin_more_than_once(times):
    response = anthropic(*[start()] * times, *SAID, *ANTHROPIC.ending)

    assert (response.text, response.usage.input_tokens) == ("hi", 5)


def test_another_message_in_the_middle_is_malformed():
    with pytest.raises(ProtocolError, match="second message"):
        anthropic(start(), *SAID, start(id="m2"), *ANTHROPIC.ending)


@pytest.mark.parametrize("repeated", [[], SAID])
def test_a_message_may_come_whole_in_its_start_and_again_in_events(repeated):
    call = {"type": "tool_use", "id": "t1", "name": "roll", "input": {"player": "p1"}}
    content, counted = [{"type": "text", "text": "hi"}, call], {"input_tokens": 1, "output_tokens": 2}
    message = start(content=content, stop_reason="tool_use", usage=counted)

    response = anthropic(message, *repeated, {"type": "message_stop"})

    assert (response.text, response.tool_calls[0].name) == ("hi", "roll")
    assert (response.finish_reason, response.usage.total_tokens) == (FinishReason.TOOL_CALLS, 3)


@pytest.mark.parametrize("words", ["declined by policy", ""])
def test_a_refusal_says_why(words):
    details = {"type": "refusal", "explanation": words}
    end = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}, "usage": {}}
    message = start()["message"] | {"stop_reason": "refusal", "stop_details": details}

    for response in (anthropic(start(), end, {"type": "message_stop"}), whole(ANTHROPIC, **message)):
        assert (response.finish_reason, response.finish_detail) == (FinishReason.REFUSAL, words)


@pytest.mark.parametrize("details", [None, "no", [], {"explanation": 7}, {}])
def test_strange_details_of_an_end_are_no_details(details):
    end = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}}
    assert anthropic(start(), end, {"type": "message_stop"}).finish_detail == ""


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        *((word, FinishReason.STOP) for word in ("stop", "STOP", "eos", "eos_token", "end", "completed", "COMPLETE")),
        *((word, FinishReason.LENGTH) for word in ("length", "MAX_TOKENS", "max_output_tokens", "model_length")),
        *((word, FinishReason.CONTENT_FILTER) for word in ("content_filter", "SAFETY", "sensitive")),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("pause_turn", FinishReason.PAUSE),
        ("", FinishReason.UNKNOWN),
        ("load", FinishReason.UNKNOWN),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", FinishReason.UNKNOWN),
    ],
)
def test_the_words_for_an_end_mean_the_same_in_every_protocol(word, reason):
    assert finish_reason(word) is reason


# Thoughts in the text


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
    response = chat(*deltas)

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
        response = chat(*({"content": piece} for piece in pieces), reasoning_tag="think")
        assert (response.reasoning, response.text) == (reasoning, text)


def test_the_tag_counts_in_an_unstreamed_answer_too():
    message = {"role": "assistant", "content": "<reasoning>plan</reasoning>Hi"}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()

    parts = response_of(CHAT.adapter(reasoning_tag="reasoning").parse_chat(body)).message.parts

    assert parts == (Reasoning("plan", owner="here"), Text("Hi"))


# Usage


def usage(wire, counts: dict[str, Any], **quirks: Any):
    if wire is CHAT:
        answer = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": counts}
    else:
        answer = {"status": "completed", "output": [], "usage": counts}
    return wire.adapter(**quirks).parse_chat(json.dumps(answer).encode())[-1].usage


def counts(wire, given: int, made: int, reasoning: int, total: int | None) -> dict[str, Any]:
    words = ("prompt", "completion") if wire is CHAT else ("input", "output")
    found: dict[str, Any] = {f"{words[0]}_tokens": given, f"{words[1]}_tokens": made}
    found[f"{words[1]}_tokens_details"] = {"reasoning_tokens": reasoning}
    return found if total is None else {**found, "total_tokens": total}


@pytest.mark.parametrize("wire", [CHAT, RESPONSES], ids=["chat", "responses"])
@pytest.mark.parametrize("separate", [True, False])
def test_a_total_says_whether_the_output_includes_reasoning(wire, separate):
    quirks = {"output_includes_reasoning": not separate}

    def output(total: int | None) -> int:
        return usage(wire, counts(wire, 160, 249, 186, total), **quirks).output_tokens

    assert output(409) == 249
    assert output(409 + 186) == 249 + 186
    assert output(None) == output(0) == (249 + 186 if separate else 249)


def iterations(*rows: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"type": "message", "input_tokens": given, "output_tokens": made} for given, made in rows]


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [([], (612, 19)), ([(612, 19)], (612, 19)), ([(60385, 522), (612, 19)], (60997, 541))],
)
def test_all_iterations_count_streamed_or_not(rows, wanted):
    found = {"input_tokens": 612, "output_tokens": 19, "iterations": iterations(*rows)}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": found}
    message = start(usage=found)["message"] | {"stop_reason": "end_turn"}

    for response in (anthropic(start(), end, {"type": "message_stop"}), whole(ANTHROPIC, **message)):
        assert (response.usage.input_tokens, response.usage.output_tokens) == wanted


@pytest.mark.parametrize("strange", [None, 7, [7], [{"input_tokens": "x"}]])
def test_strange_iterations_do_no_harm(strange):
    found = {"input_tokens": 612, "output_tokens": 19, "iterations": strange}
    message = start(usage=found)["message"] | {"stop_reason": "end_turn"}

    assert whole(ANTHROPIC, **message).usage.output_tokens in {0, 19}


# Sources, pictures, tools at the provider


def test_annotations_of_chat_are_citations_and_a_source_keeps_its_number():
    def cited(url: str, title: str, **more: Any) -> dict[str, Any]:
        return {"type": "url_citation", "url_citation": {"url": url, "title": title, "start_index": 0, **more}}

    first, second = cited("https://a.example", "A", content="said"), cited("https://b.example", "B")
    again = cited("https://a.example", "A", content="more")
    response = chat({"content": "x", "annotations": [first]}, {"annotations": [second, first, again]})

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
    message = start(content=blocks)["message"] | {"stop_reason": "end_turn"}

    assert whole(ANTHROPIC, **message).citations == (Citation(1, "Doc", "", "57"),)


@pytest.mark.parametrize("strange", [None, 7, {}, [None, 7, [], {}, {"url": 7}, {"url_citation": {}}]])
def test_strange_citations_are_none(strange):
    response = CHAT.response({"choices": [{"delta": {"content": "x", "annotations": strange}}], "citations": strange})

    assert (response.text, response.citations) == ("x", ())


def test_pictures_of_every_protocol_are_parts_of_the_message():
    data_url = f"data:image/png;base64,{PNG}"
    item = {"type": "image_generation_call", "id": "ig", "status": "completed", "result": PNG}
    found = [
        chat({"content": "x", "images": [{"type": "image_url", "image_url": {"url": data_url}}]}),
        chat({"content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": data_url}}]}),
        RESPONSES.response({"type": "response.output_item.done", "output_index": 3, "item": item}),
        OLLAMA.response({"message": {"content": "x", "images": [PNG]}}),
    ]

    assert {(image.data[:4], image.media_type) for each in found for image in each.message.images} == {
        (b"\x89PNG", "image/png")
    }
    assert [len(each.message.images) for each in found] == [1, 1, 1, 1]


def test_a_picture_that_is_an_address_is_not_fetched_but_named():
    response = chat({"images": [{"image_url": {"url": "https://a.example/p.png"}}]})

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
