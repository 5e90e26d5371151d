"""Recorded requests to many services, said in our words, go out as they were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.optional_data import needs
from support.recordings import recordings

from arawn.adapters.base import Quirks
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.messages import (
    ChatRequest,
    Image,
    Message,
    OutputFormat,
    Reasoning,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

if TYPE_CHECKING:
    from support.recordings import Recording


def request_from(body: dict[str, Any]) -> tuple[ChatRequest, Quirks]:
    """Say a recorded body in our words; what we have no word for goes into ``extra``."""
    body = dict(body)
    roles = {message["role"] for message in body["messages"]}
    messages = tuple(message_from(message) for message in body.pop("messages"))
    limit_key = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
    wanted: dict[str, Any] = {
        "max_tokens": body.pop(limit_key, None),
        "temperature": body.pop("temperature", None),
        "seed": body.pop("seed", None),
        "stop": tuple(body.pop("stop", ())),
        "parallel_tool_calls": body.pop("parallel_tool_calls", None),
        "stream": body.pop("stream", False),
        "tools": tuple(tool_from(tool["function"]) for tool in body.pop("tools", ())),
        "tool_choice": choice_from(body.pop("tool_choice", "auto")),
        "output": format_from(body.pop("response_format", None)),
    }
    effort_key = "reasoning" if "reasoning" in body else "reasoning_effort"
    wanted["thinking"] = thinking_from(body.pop(effort_key, None))
    quirks = Quirks(
        max_tokens_key=limit_key,
        stream_usage=body.pop("stream_options", {}).get("include_usage", False),
        effort_key=effort_key,
        system_role="developer" if "developer" in roles else "",
    )
    return ChatRequest(body.pop("model", "m"), messages, **wanted, extra=body), quirks


def message_from(message: dict[str, Any]) -> Message:
    role = "system" if message["role"] == "developer" else message["role"]
    content = message["content"] or ""
    pieces = [{"type": "text", "text": content}] if isinstance(content, str) else content
    parts: list[Any] = [
        Image(url=piece["image_url"]["url"]) if piece["type"] == "image_url" else Text(piece["text"])
        for piece in pieces
    ]
    if role == "tool":
        return Message(Role.TOOL, (ToolResult(message["tool_call_id"], tuple(parts)),))
    parts += [Reasoning(item=item, owner="here") for item in message.get("reasoning_details") or ()]
    parts += [
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    ]
    return Message(Role(role), tuple(parts))


def tool_from(function: dict[str, Any]) -> Tool:
    return Tool(function["name"], function.get("description", ""), function["parameters"], bool(function.get("strict")))


def choice_from(choice: Any) -> ToolChoice:
    return ToolChoice(choice) if isinstance(choice, str) else ToolChoice("tool", choice["function"]["name"])


def format_from(written: dict[str, Any] | None) -> OutputFormat | None:
    if written is None:
        return None
    schema = written.get("json_schema", {})
    return OutputFormat(schema.get("schema"), schema.get("name", "answer"), bool(schema.get("strict")))


def thinking_from(written: Any) -> Thinking | None:
    match written:
        case None:
            return None
        case {"effort": effort} | str(effort):
            return Thinking(effort)
        case {"max_tokens": tokens}:
            return Thinking(budget_tokens=tokens)
        case _:
            return Thinking()


def without_the_obvious(body: dict[str, Any]) -> dict[str, Any]:
    """Return a recorded body without what means the same when it is left out."""
    plain = {
        "stream": False,
        "tool_choice": "auto",
        "stop": [],
        "tools": [],
        "stream_options": {"include_usage": False},
    }
    body = {"model": "m"} | {key: value for key, value in body.items() if plain.get(key, body) != value}
    body["messages"] = [plain_message(message) for message in body["messages"]]
    for tool in body.get("tools", ()):
        for key in ("strict", "description"):
            if not tool["function"].get(key):
                tool["function"].pop(key, None)
    if schema := body.get("response_format", {}).get("json_schema"):
        schema.pop("description", None)
        schema.setdefault("name", "answer")
        schema.setdefault("strict", False)
    return body


def plain_message(message: dict[str, Any]) -> dict[str, Any]:
    message = {key: value for key, value in message.items() if value is not None and key != "name"}
    content = message.get("content")
    if isinstance(content, list):
        content = [{key: value for key, value in piece.items() if value is not None} for piece in content]
        for piece in content:
            piece.get("image_url", {}).pop("detail", None)
        is_text = all(piece["type"] == "text" for piece in content)
        message["content"] = "".join(piece["text"] for piece in content) if is_text else content
    return message


REQUESTS = [
    case
    for case in recordings(lambda line: line["api"] == "openai-chat")
    if "messages" in (case.values[0].request or {}) and case.values[0].request.get("tool_choice") != "any"
]


@needs("ARAWN_RECORDINGS")
@pytest.mark.parametrize("recording", REQUESTS)
def test_a_request_said_in_our_words_is_the_request_others_sent(recording: Recording) -> None:
    assert recording.request is not None
    request, quirks = request_from(recording.request)
    call = OpenAIChatAdapter("here", quirks).render_chat(request)
    assert json.loads(call.body) == without_the_obvious(recording.request)
    assert call.notices == ()
