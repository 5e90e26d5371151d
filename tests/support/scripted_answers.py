"""Answers with all that must come back, one protocol each, and what a request of it holds, item by item.

``answers(adapter, count)`` are scripts for a ``Loopback``: reasoning that is signed or encrypted, a record only the
service reads, and text that ends in a blank. ``items(adapter, body)`` are system prompt, tools and messages of a
request as JSON, in the order in which a service reads them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support import anthropic_answers as anthropic
from support.loopback import answer

if TYPE_CHECKING:
    from support.loopback import Step

PATHS = {"openai_chat": "/v1", "openai_responses": "/v1", "anthropic": "", "ollama": ""}
"""What a base URL ends with, for each adapter."""


def answers(adapter: str, count: int) -> list[list[Step]]:
    """Return so many scripts."""
    kind = "application/x-ndjson" if adapter == "ollama" else "text/event-stream"
    return [[answer(_BODIES[adapter](number), content_type=kind)] for number in range(1, count + 1)]


def items(adapter: str, body: bytes) -> list[str]:
    """Return the items of a request."""
    request = json.loads(body)
    leading = [request[key] for key in ("system", "instructions", "tools") if key in request]
    spoken = request["input"] if adapter == "openai_responses" else request["messages"]
    if adapter == "anthropic":  # it joins what one role says in a row: the block is the item
        spoken = [[message["role"], block] for message in spoken for block in message["content"]]
    return [json.dumps(item) for item in [*leading, *spoken]]


def _chat(number: int) -> bytes:
    detail = {"type": "reasoning.text", "text": f"hm {number}", "signature": f"sig-{number}", "index": 0}
    deltas = [{"reasoning_details": [detail]}, {"content": _text(number)}]
    chunks: list[dict[str, Any]] = [
        {"id": "c", "model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    chunks.append({"id": "c", "model": "m-1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def _responses(number: int) -> bytes:
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": _text(number)}]}
    output = [
        {"type": "reasoning", "id": f"rs_{number}", "summary": [], "encrypted_content": f"enc-{number}"},
        {"type": "web_search_call", "id": f"ws_{number}", "status": "completed"},
        message,
    ]
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    whole = {"id": "r", "model": "m-1", "status": "completed", "output": output, "usage": usage}
    events = [
        *({"type": "response.output_item.done", "output_index": at, "item": item} for at, item in enumerate(output)),
        {"type": "response.completed", "response": whole},
    ]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def _anthropic(number: int) -> bytes:
    thought = [
        {"type": "thinking_delta", "thinking": f"hm {number}"},
        {"type": "signature_delta", "signature": f"sig-{number}"},
    ]
    return anthropic.sse(
        anthropic.message_start(),
        *anthropic.block(0, "thinking", *thought, thinking="", signature=""),
        *anthropic.block(1, "redacted_thinking", data=f"dark-{number}"),
        *anthropic.block(2, "server_tool_use", id=f"srv_{number}", name="web_search", input={"query": "tea"}),
        *anthropic.text(3, _text(number)),
        *anthropic.end(),
    )


def _ollama(number: int) -> bytes:
    lines = [
        {"model": "m-1", "message": {"role": "assistant", "content": "", "thinking": f"hm {number}"}, "done": False},
        {"model": "m-1", "message": {"role": "assistant", "content": _text(number)}, "done": False},
        {"model": "m-1", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"},
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _text(number: int) -> str:
    return f"answer-{number} 🙂 "


_BODIES = {"openai_chat": _chat, "openai_responses": _responses, "anthropic": _anthropic, "ollama": _ollama}
