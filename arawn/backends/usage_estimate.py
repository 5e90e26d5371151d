"""Counts characters, for the usage of answers whose server reported none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.events import Finished, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from arawn.messages import Reasoning, ToolCall, ToolResult, Usage, joined_text
from arawn.values import replace

if TYPE_CHECKING:
    from arawn.events import StreamEvent
    from arawn.messages import ChatRequest, Part


class UsageEstimate:
    """Counts what an answer says while it passes by."""

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._said = 0

    def complete(self, event: StreamEvent) -> StreamEvent:
        """Return the event as it is; only a Finished without usage gets an estimate."""
        match event:
            case TextDelta(text) | RefusalDelta(text) | ReasoningDelta(text):
                self._said += len(text)
            case ToolCallDelta(_, arguments):
                self._said += len(arguments)
            case Finished(usage=None):
                return replace(event, usage=Usage.estimate(_asked(self._request), self._said))
            case _:
                pass
        return event


def _asked(request: ChatRequest) -> int:
    return sum(size_of(part) for message in request.messages for part in message.parts)


def size_of(part: Part) -> int:
    """Return the characters of a part that a model reads or writes."""
    match part:
        case ToolCall(_, name, arguments):
            return len(name) + len(arguments)
        case ToolResult(_, content):
            return len(joined_text(content))
        case Reasoning(text):
            return len(text)
        case _:
            return len(joined_text([part]))
