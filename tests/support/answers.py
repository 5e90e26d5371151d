"""One small answer in each protocol, as a stream of text pieces: for what must hold in all of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.recordings import events_of, one_by_one, response_of

from arawn.adapters.anthropic.messages import AnthropicAdapter
from arawn.adapters.base import Quirks
from arawn.adapters.ollama import OllamaAdapter
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.adapters.openai.responses import OpenAIResponsesAdapter
from arawn.errors import ArawnError
from arawn.events import TextDelta

if TYPE_CHECKING:
    from collections.abc import Callable

    from arawn.events import StreamEvent
    from arawn.messages import Response

PIECE = "@"
"""Stands in a template for the JSON text of a piece."""


@dataclass(frozen=True)
class Wire:
    """A protocol: what opens an answer, a piece of each kind, and what ends it; each is one event's JSON."""

    kind: Callable[[str, Quirks], Any]
    opening: tuple[dict[str, Any], ...]
    pieces: dict[str, dict[str, Any]]
    ending: tuple[Any, ...]
    lines: bool = False

    def adapter(self, **quirks: Any) -> Any:
        return self.kind("here", Quirks(**quirks))

    def framed(self, *events: Any) -> bytes:
        """Events as bytes: JSON values, or JSON text as it is."""
        texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
        return "".join(f"{text}\n" if self.lines else f"data: {text}\n\n" for text in texts).encode()

    def piece(self, kind: str, written: str) -> str:
        """A piece as JSON text; ``written`` is a text as JSON writes it between its quotes."""
        return json.dumps(self.pieces[kind]).replace(PIECE, written)

    def read(self, data: bytes, **quirks: Any) -> list[StreamEvent]:
        """Read a stream, at once and byte by byte: the events must be the same."""
        events = events_of(self.adapter(**quirks).stream_parser(), [data])
        assert events_of(self.adapter(**quirks).stream_parser(), one_by_one(data)) == events
        return events

    def gather(self, data: bytes) -> tuple[str, ArawnError | None]:
        """The text that came of a stream, and the error it ended with."""
        parser, texts = self.adapter().stream_parser(), []
        try:
            for source in (lambda: parser.feed(data), parser.close):
                texts.extend(event.text for event in source() if isinstance(event, TextDelta))
        except ArawnError as error:
            return "".join(texts), error
        return "".join(texts), None

    def response(self, *events: Any, **quirks: Any) -> Response:
        """What comes of these events between an opening and an ending."""
        return response_of(self.read(self.framed(*self.opening, *events, *self.ending), **quirks))


def _delta(**fields: Any) -> dict[str, Any]:
    return {"id": "a1", "model": "m-1", "choices": [{"index": 0, "delta": fields}]}


def _block(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}}


def _block_delta(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def _line(**message: Any) -> dict[str, Any]:
    return {"model": "m-1", "message": {"role": "assistant", "content": "", **message}, "done": False}


CHAT = Wire(
    OpenAIChatAdapter,
    (_delta(role="assistant", tool_calls=[{"index": 0, "id": "c1", "function": {"name": "f"}}]),),
    {
        "text": _delta(content=PIECE),
        "reasoning": _delta(reasoning=PIECE),
        "refusal": _delta(refusal=PIECE),
        "arguments": _delta(tool_calls=[{"index": 0, "function": {"arguments": PIECE}}]),
    },
    ({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "[DONE]"),
)
_CALL = {"type": "function_call", "id": "f1", "call_id": "c1", "name": "f"}
RESPONSES = Wire(
    OpenAIResponsesAdapter,
    (
        {"type": "response.created", "response": {"id": "a1", "model": "m-1"}},
        {"type": "response.output_item.added", "output_index": 9, "item": _CALL},
    ),
    {
        "text": {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": PIECE},
        "reasoning": {"type": "response.reasoning_text.delta", "output_index": 1, "content_index": 0, "delta": PIECE},
        "refusal": {"type": "response.refusal.delta", "output_index": 2, "content_index": 0, "delta": PIECE},
        "arguments": {"type": "response.function_call_arguments.delta", "output_index": 9, "delta": PIECE},
    },
    ({"type": "response.completed", "response": {"status": "completed", "output": []}},),
)
ANTHROPIC = Wire(
    AnthropicAdapter,
    (
        {"type": "message_start", "message": {"id": "a1", "model": "m-1", "usage": {"input_tokens": 1}}},
        _block(0, "text", text=""),
        _block(1, "thinking", thinking="", signature=""),
        _block(2, "tool_use", id="c1", name="f", input={}),
    ),
    {
        "text": _block_delta(0, "text_delta", text=PIECE),
        "reasoning": _block_delta(1, "thinking_delta", thinking=PIECE),
        "arguments": _block_delta(2, "input_json_delta", partial_json=PIECE),
    },
    (
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ),
)
OLLAMA = Wire(
    OllamaAdapter,
    (_line(),),
    {"text": _line(content=PIECE), "reasoning": _line(thinking=PIECE)},
    ({"model": "m-1", "message": {"content": ""}, "done": True, "done_reason": "stop"},),
    lines=True,
)
WIRES = {"chat": CHAT, "responses": RESPONSES, "anthropic": ANTHROPIC, "ollama": OLLAMA}
EVERY_KIND = [(name, kind) for name, wire in WIRES.items() for kind in wire.pieces]


def chat_answer(*deltas: dict[str, Any], **quirks: Any):
    """The answer that these deltas of Chat Completions add up to."""
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return response_of(CHAT.read(CHAT.framed({"model": "m", "choices": []}, *events, *CHAT.ending), **quirks))


def whole_answer(wire, **answer: Any):
    """The answer of an unstreamed body."""
    return response_of(wire.adapter().parse_chat(json.dumps(answer).encode()))


def message_start(**fields: Any) -> dict[str, Any]:
    """The event that begins a message of Anthropic's."""
    message = {"id": "m1", "type": "message", "model": "m", "content": [], "usage": {"input_tokens": 5}, **fields}
    return {"type": "message_start", "message": message}


def anthropic_answer(*events: Any):
    """The answer that these events of Anthropic's add up to."""
    return response_of(ANTHROPIC.read(ANTHROPIC.framed(*events)))
