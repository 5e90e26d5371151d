"""Requests and answers of Chat Completions, as a test writes and reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.recordings import events_of, one_by_one

from arawn.adapters.base import Quirks
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.messages import ChatRequest, LLMMessage

if TYPE_CHECKING:
    from arawn.adapters.base import HttpCall
    from arawn.events import StreamEvent
    from arawn.messages import Message

ADAPTER = OpenAIChatAdapter("here", Quirks())
HELLO = (LLMMessage("user", "hello"),)


def rendered(request: ChatRequest, **quirks: Any) -> HttpCall:
    return OpenAIChatAdapter("here", Quirks(**quirks)).render_chat(request)


def body_of(*messages: Message, quirks: dict[str, Any] | None = None, **wanted: Any) -> dict[str, Any]:
    return json.loads(rendered(ChatRequest("m", messages or HELLO, **wanted), **(quirks or {})).body)


def sent(*messages: Message, **quirks: Any) -> list[dict[str, Any]]:
    return body_of(*messages, quirks=quirks)["messages"]


def notices(*messages: Message, quirks: dict[str, Any] | None = None, **wanted: Any) -> list[str]:
    return [n.text for n in rendered(ChatRequest("m", messages or HELLO, **wanted), **(quirks or {})).notices]


def chunk(delta: Any = None, reason: str | None = None, **keys: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta if delta is not None else {}, "finish_reason": reason}
    return {"id": "a1", "model": "m-1", "created": 5, "choices": [choice]} | keys


def stream(*chunks: Any, done: bool = True) -> bytes:
    data = [json.dumps(item) for item in chunks] + ["[DONE]"] * done
    return "".join(f"data: {item}\n\n" for item in data).encode()


def read(data: bytes, **quirks: Any) -> list[StreamEvent]:
    """Read a stream, at once and byte by byte: the events must be the same."""
    adapter = OpenAIChatAdapter("here", Quirks(**quirks))
    events = events_of(adapter.stream_parser(), [data])
    assert events_of(adapter.stream_parser(), one_by_one(data)) == events
    return events
