"""What a service wants back with a message goes back to it unchanged, and to no other backend."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.answers import ANTHROPIC, CHAT, OLLAMA, RESPONSES, WIRES

from arawn.adapters.base import Quirks
from arawn.messages import ChatRequest, LLMMessage, Message, Role, Text, ToolCall, ToolResult
from arawn.store.message_json import dumps, loads
from arawn.values import replace

if TYPE_CHECKING:
    from support.answers import Wire

SIGNATURE = {"google": {"thought_signature": "Ep\u00e9=+/", "n": [1, 2.5, None, {"a": ""}]}}


def next_request(wire: Wire, answer: Message, backend: str = "here") -> tuple[dict[str, Any], tuple[Any, ...]]:
    """The next request of a conversation that was kept in the store, and its notices."""
    kept = loads(dumps(answer))
    results = [ToolResult(call.id, (Text("ok"),)) for call in kept.tool_calls]
    messages = (LLMMessage("user", "Go"), kept, *([Message(Role.TOOL, tuple(results))] if results else []))
    call = wire.kind(backend, Quirks()).render_chat(ChatRequest("m", messages))
    return json.loads(call.body), call.notices


def chat_answer(**delta: Any) -> Message:
    return CHAT.response({"id": "a1", "model": "m", "choices": [{"index": 0, "delta": delta}]}).message


def gemini_call(**more: Any) -> dict[str, Any]:
    return {"index": 1, "id": "g1", "type": "function", "function": {"name": "g", "arguments": "{}"}, **more}


@pytest.mark.parametrize("key", ["extra_content", "provider_specific_fields"])
def test_a_thought_signature_of_a_call_goes_back_with_the_call(key):
    body, notices = next_request(CHAT, chat_answer(tool_calls=[gemini_call(**{key: SIGNATURE})]))

    plain, signed = body["messages"][1]["tool_calls"]
    assert signed == {
        "id": "g1",
        "type": "function",
        "function": {"name": "g", "arguments": "{}"},
        key: SIGNATURE,
    }
    assert plain.keys() == {"id", "type", "function"}
    assert notices == ()


def test_a_signature_that_comes_after_the_arguments_belongs_to_its_call():
    late = {"index": 1, "extra_content": SIGNATURE}
    deltas = [{"choices": [{"delta": {"tool_calls": [call]}}]} for call in (gemini_call(), late)]

    body, _ = next_request(CHAT, CHAT.response(*deltas).message)

    assert body["messages"][1]["tool_calls"][1]["extra_content"] == SIGNATURE


def test_a_signature_of_the_message_goes_back_with_the_message_also_without_text():
    for delta in ({"content": "Hi", "extra_content": SIGNATURE}, {"content": "", "extra_content": SIGNATURE}):
        body, _ = next_request(CHAT, chat_answer(**delta))
        assert body["messages"][1]["extra_content"] == SIGNATURE


def test_the_mark_of_a_thought_does_not_go_back():
    marked = {"content": "<thought>hm", "extra_content": {"google": {"thought": True}}}

    body, _ = next_request(CHAT, chat_answer(**marked))

    assert "extra_content" not in body["messages"][1]


def test_fields_of_a_call_that_are_not_known_to_be_wanted_do_not_go_back():
    body, _ = next_request(CHAT, chat_answer(tool_calls=[gemini_call(extra_content=None, junk={"a": 1})]))

    assert body["messages"][1]["tool_calls"][1].keys() == {"id", "type", "function"}


def test_the_caller_of_an_anthropic_call_goes_back():
    caller = {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}
    block = {"type": "tool_use", "id": "c9", "name": "g", "input": {}, "caller": caller, "empty": None}
    events = [{"type": "content_block_start", "index": 7, "content_block": block}, stop(7)]

    body, notices = next_request(ANTHROPIC, ANTHROPIC.response(*events).message)

    assert body["messages"][1]["content"][-1] == {k: v for k, v in block.items() if k != "empty"}
    assert notices == ()


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


CITED = {
    "type": "web_search_result_location",
    "url": "https://e.example/",
    "title": "T",
    "encrypted_index": "EpA=",
    "cited_text": "57",
}


def cited_texts() -> list[dict[str, Any]]:
    def delta(index: int, **fields: Any) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": fields}

    def start(index: int) -> dict[str, Any]:
        return {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}

    return [
        *(start(7), delta(7, type="text_delta", text="It is "), stop(7)),
        *(
            start(8),
            delta(8, type="citations_delta", citation=CITED),
            delta(8, type="text_delta", text="57 F"),
            stop(8),
        ),
        *(start(9), delta(9, type="text_delta", text="."), stop(9)),
    ]


def test_citations_go_back_with_the_very_text_that_has_them():
    message = ANTHROPIC.response(*cited_texts()).message

    body, _ = next_request(ANTHROPIC, message)

    assert message.text == "It is 57 F."
    assert body["messages"][1]["content"][1:4] == [
        {"type": "text", "text": "It is "},
        {"type": "text", "text": "57 F", "citations": [CITED]},
        {"type": "text", "text": "."},
    ]


def test_fields_of_thinking_that_are_not_known_go_back_beside_its_signature():
    block = {"type": "thinking", "thinking": "", "signature": "", "scope": {"a": 1}}
    deltas = [{"type": "thinking_delta", "thinking": "hm"}, {"type": "signature_delta", "signature": "sig"}]
    events = [
        {"type": "content_block_start", "index": 7, "content_block": block},
        *({"type": "content_block_delta", "index": 7, "delta": delta} for delta in deltas),
        stop(7),
    ]

    body, _ = next_request(ANTHROPIC, ANTHROPIC.response(*events).message)

    assert body["messages"][1]["content"][1] == {**block, "thinking": "hm", "signature": "sig"}


def done(index: int, **item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def message_item(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "content": [{"type": "output_text", "text": text}], "status": "completed", **more}


def test_namespace_of_a_call_and_phases_of_messages_go_back():
    call = {"type": "function_call", "call_id": "c9", "name": "g", "arguments": "{}", "namespace": "crm"}
    events = [
        done(3, **message_item("Let me check.", id="msg_1", phase="commentary")),
        done(4, **call, id="fc_1", status="completed"),
        done(5, **message_item("Done.", id="msg_2", phase="final_answer")),
    ]

    body, notices = next_request(RESPONSES, RESPONSES.response(*events).message)

    assert body["input"][2:5] == [
        {"type": "message", "role": "assistant", "content": "Let me check.", "phase": "commentary"},
        call,
        {"type": "message", "role": "assistant", "content": "Done.", "phase": "final_answer"},
    ]
    assert notices == ()


def test_two_messages_of_one_answer_are_two_paragraphs_and_go_back_as_two_messages():
    message = RESPONSES.response(done(3, **message_item("Let me check.")), done(4, **message_item("Done."))).message

    body, _ = next_request(RESPONSES, message)

    assert message.text == "Let me check.\n\nDone."
    assert [item["content"] for item in body["input"] if item.get("role") == "assistant"] == ["Let me check.", "Done."]


def test_a_custom_call_goes_back_as_one_and_its_result_too():
    item = {"type": "custom_tool_call", "id": "ct_1", "call_id": "c9", "name": "calc", "input": "4 + 4"}

    answer = RESPONSES.response(done(3, **item)).message
    body, _ = next_request(RESPONSES, answer)

    assert (answer.tool_calls[1].arguments, answer.tool_calls[1].custom) == ("4 + 4", True)
    assert {k: v for k, v in item.items() if k != "id"} in body["input"]
    assert {"type": "custom_tool_call_output", "call_id": "c9", "output": "ok"} in body["input"]
    assert {"type": "function_call_output", "call_id": "c1", "output": "ok"} in body["input"]


def test_a_custom_call_of_chat_goes_back_as_one():
    call = {"index": 1, "id": "c9", "type": "custom", "custom": {"name": "calc", "input": "4 + 4"}}

    body, _ = next_request(CHAT, chat_answer(tool_calls=[call]))

    assert body["messages"][1]["tool_calls"][1] == {key: call[key] for key in ("id", "type", "custom")}


@pytest.mark.parametrize("name", WIRES)
def test_to_another_backend_a_custom_call_is_a_function_with_one_argument(name):
    call = ToolCall("c9", "calc", "4 + 4", owner="elsewhere", custom=True)

    written = json.dumps(next_request(WIRES[name], Message(Role.ASSISTANT, (call,)))[0])

    assert "custom" not in written
    assert '{"input": "4 + 4"}' in written.replace('\\"', '"').replace('":"', '": "')


@pytest.mark.parametrize("name", WIRES)
def test_no_other_backend_is_sent_what_one_wants_back(name):
    extra = {"extra_content" if name == "chat" else "secret_field": "opaque"}
    parts = (Text("Hi", extra, "elsewhere"), ToolCall("c9", "g", "{}", extra, "elsewhere"))

    body, notices = next_request(WIRES[name], Message(Role.ASSISTANT, parts))
    own, _ = next_request(WIRES[name], Message(Role.ASSISTANT, tuple(replace(part, owner="here") for part in parts)))

    assert "opaque" not in json.dumps(body)
    assert "Hi" in json.dumps(body)
    if name != "ollama":  # whose protocol has no such fields
        assert len(notices) == 1
        assert json.dumps(own).count("opaque") == 2


def test_a_conversation_kept_by_an_earlier_version_goes_on():
    old = '{"v":1,"role":"assistant","parts":[{"type":"text","text":"Hi"},{"type":"tool_call","id":"c1","name":"f","arguments":"{}"},{"type":"image","data":"","media_type":"","url":"https://e.example/a.png"}],"metadata":{}}'

    message = loads(old)

    assert (message.text, message.tool_calls[0], message.citations) == ("Hi", ToolCall("c1", "f", "{}"), ())
    assert next_request(OLLAMA, replace(message, parts=message.parts[:2]))[0]["messages"][1]["content"] == "Hi"
