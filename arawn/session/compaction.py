"""Compaction: which turns no longer fit a model's context window, and the requests for a summary and a title."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.messages import ChatRequest, Message, Role, Text
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from arawn.models.catalog import ModelFacts

_INSTRUCTION = (
    "Summarise this conversation for the assistant who goes on with it: what was asked, found and decided, with names, "
    "numbers and open questions. At most 300 words, in the language of the conversation, and nothing but the summary."
)
_TITLE = "Give this conversation a title of at most six words, in its language. Answer with nothing but the title."
_HEADING = "[What was said before, in summary]"


def input_limit(facts: ModelFacts | None, max_tokens: int | None) -> int | None:
    """Return how many tokens a request may have so that an answer fits too; None where the window is not known.

    The answer's share is ``max_tokens`` or the model's own limit, but never more than half the window.
    """
    if facts is None or facts.context_window is None:
        return None
    answer = max_tokens or facts.max_output or facts.context_window
    limit = facts.context_window - min(answer, facts.context_window // 2)
    return limit if facts.max_input is None else min(limit, facts.max_input)


def turns_to_drop(turns: Sequence[int], total: int, limit: int) -> int:
    """Return how many of the oldest turns must go for a request of ``total`` tokens to fit.

    ``turns`` are their sizes. Once some must go, the rest may fill half the limit: then it is not soon reached again.
    """
    if total <= limit:
        return 0
    count = 0
    while count < len(turns) and total > limit // 2:
        total -= turns[count]
        count += 1
    return count


def with_summary(messages: tuple[Message, ...], summary: str) -> tuple[Message, ...]:
    """Put a summary of what came before in front of the first message."""
    if not summary or not messages:
        return messages
    first, *others = messages
    return (replace(first, parts=(Text(f"{_HEADING}\n{summary}\n\n"), *first.parts)), *others)


def summary_request(model: str, summary: str, messages: Iterable[Message], limit: int | None) -> ChatRequest:
    """Return the request for a summary of messages and of what was summarised before them.

    What is longer than ``limit`` tokens loses its beginning.
    """
    earlier = [f"{_HEADING}\n{summary}"] if summary else []
    return _request(model, _INSTRUCTION, "\n\n".join([*earlier, _spoken(messages)]), limit)


def title_request(model: str, messages: Iterable[Message]) -> ChatRequest:
    """Return the request for a title."""
    return _request(model, _TITLE, _spoken(messages)[:4_000], None)


def _request(model: str, instruction: str, text: str, limit: int | None) -> ChatRequest:
    if limit is not None:
        text = text[-2 * limit :]  # two letters a token, so that other scripts than Latin fit too
    return ChatRequest(model, (Message(Role.SYSTEM, (Text(instruction),)), Message(Role.USER, (Text(text),))))


def _spoken(messages: Iterable[Message]) -> str:
    return "\n\n".join(f"{message.role.value}: {message.text}" for message in messages if message.text)
