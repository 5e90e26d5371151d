"""How many tokens something is, guessed: no provider's tokenizer is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.messages import Image, ProviderItem, Reasoning, Refusal, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from arawn.messages import ChatRequest, Message, Part

IMAGE_TOKENS = 1_500
_BYTES_PER_TOKEN = 4


def tokens(messages: Iterable[Message]) -> int:
    """Guess how many tokens messages are, at four bytes each: nearer than letters for scripts other than Latin."""
    return sum(_size(part) for message in messages for part in message.parts)


def tokens_of_texts(texts: Sequence[str]) -> int:
    """Guess how many tokens texts are that are to become vectors."""
    return sum(map(_of_text, texts))


def most_input(request: ChatRequest) -> int:
    """Return how many tokens a request may be at most: a third more than the guess, and what its tools are."""
    told = sum(_of_text(f"{tool.name}{tool.description}{tool.parameters}") for tool in request.tools)
    if request.output is not None:
        told += _of_text(str(request.output.schema))
    return (tokens(request.messages) + told) * 4 // 3 + 16


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
