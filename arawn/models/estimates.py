"""Estimates of token counts, from the number of bytes: arawn has no provider's tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.messages import Image, ProviderItem, Reasoning, Refusal, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from arawn.messages import ChatRequest, Message, Part

IMAGE_TOKENS = 1_500
_BYTES_PER_TOKEN = 4


def tokens(messages: Iterable[Message]) -> int:
    """Estimate the tokens of messages at four bytes each, which suits non-Latin scripts better than characters do."""
    return sum(_size(part) for message in messages for part in message.parts)


def tokens_of_texts(texts: Sequence[str]) -> int:
    """Estimate the tokens of texts to be embedded."""
    return sum(map(_of_text, texts))


def most_input(request: ChatRequest) -> int:
    """Return an upper estimate of a request's input tokens: a third above the estimate of its messages and tools."""
    extra = sum(_of_text(f"{tool.name}{tool.description}{tool.parameters}") for tool in request.tools)
    if request.output is not None:
        extra += _of_text(str(request.output.schema))
    return (tokens(request.messages) + extra) * 4 // 3 + 16


def _size(part: Part) -> int:
    match part:
        case Image():
            return IMAGE_TOKENS
        case ToolResult(_, content):
            return sum(map(_size, content))
        case ToolCall(_, name, arguments):
            return _of_text(name + arguments)
        case ProviderItem(item):
            return _of_text(str(item))
        case Reasoning(text):
            return _of_text(f"{text}{part.item or ''}")
        case Text(text) | Refusal(text):
            return _of_text(text)


def _of_text(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN + 1
