"""The events of an answer, and the response they add up to.

Renderer, recorder, ledger and gateway all read the same events. Errors are raised, never yielded.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from arawn.errors import StreamInterruptedError
from arawn.messages import (
    FinishReason,
    Message,
    ProviderItem,
    Reasoning,
    Refusal,
    Response,
    Role,
    Text,
    ToolCall,
    Usage,
)
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from arawn.messages import Part

    Events: TypeAlias = AsyncGenerator["StreamEvent", None]

NoticeKind: TypeAlias = Literal[
    "retrying", "limited", "fallback", "budget", "cached", "dropped", "finish", "config", "schema"
]


class Started(Value):
    """The backend has begun to answer; ``model`` and ``id`` are the provider's own."""

    backend: str
    model: str
    id: str = ""


class TextDelta(Value):
    """More visible text."""

    text: str


class RefusalDelta(Value):
    """More of the text with which the model refuses."""

    text: str


class ReasoningDelta(Value):
    """More thinking. A ``signature`` or an ``item`` closes the block it belongs to; ``block`` tells blocks apart."""

    text: str = ""
    signature: str = ""
    item: Mapping[str, Any] | None = None
    block: int = 0


class ToolCallStarted(Value):
    """A tool call begins; ``index`` names it in the deltas that follow and is unique within the answer."""

    index: int
    id: str
    name: str


class ToolCallDelta(Value):
    """More of the JSON text of a tool call's arguments."""

    index: int
    arguments: str


class ProviderItemDone(Value):
    """A complete block that only this backend understands; it is kept for the next turn."""

    item: Mapping[str, Any]


class Notice(Value):
    """Something the user should know now: retrying, fell back, from cache, a part was dropped."""

    kind: NoticeKind
    text: str


class Finished(Value):
    """The answer is complete. ``raw`` is the provider's own finish reason; ``usage`` is None where it reported none."""

    finish_reason: FinishReason
    raw: str = ""
    usage: Usage | None = None


StreamEvent: TypeAlias = (
    Started
    | TextDelta
    | RefusalDelta
    | ReasoningDelta
    | ToolCallStarted
    | ToolCallDelta
    | ProviderItemDone
    | Notice
    | Finished
)

Delta = (TextDelta, RefusalDelta, ReasoningDelta, ToolCallStarted, ToolCallDelta, ProviderItemDone)
"""The events that carry a part of the answer: after one was delivered, a repeated call would print it twice."""


class ResponseBuilder:
    """Builds a response from events; ``response()`` may be called at any time and returns what has come so far."""

    def __init__(self, backend: str = "", model: str = "") -> None:
        self._started = Started(backend, model)
        self._finished = Finished(FinishReason.UNKNOWN)
        self._slots: list[_Slot] = []
        self._calls: dict[int, _Slot] = {}

    def add(self, event: StreamEvent) -> None:  # noqa: C901 -- one case an event kind
        """Add the next event."""
        match event:
            case TextDelta(text):
                self._append("text", 0, text)
            case ReasoningDelta():
                self._reasoning(event)
            case ToolCallStarted(index, call_id, name):
                self._slots.append(_Slot("call", index, call_id, name))
                self._calls[index] = self._slots[-1]
            case ToolCallDelta(index, arguments):
                self._calls[index].texts.append(arguments)
            case RefusalDelta(text):
                self._append("refusal", 0, text)
            case ProviderItemDone(item):
                self._slots.append(_Slot("item", 0, item=item))
            case Started():
                self._started = event
            case Finished():
                self._finished = event
            case Notice():
                pass

    def response(self) -> Response:
        """Return the answer as far as it came."""
        return Response(
            message=Message(Role.ASSISTANT, tuple(slot.part(self._started.backend) for slot in self._slots)),
            finish_reason=self._finished.finish_reason,
            raw_finish_reason=self._finished.raw,
            usage=self._finished.usage or Usage(estimated=True),
            model=self._started.model,
            backend=self._started.backend,
            id=self._started.id,
        )

    def _append(self, kind: str, block: int, text: str) -> _Slot:
        last = self._slots[-1] if self._slots else None
        if last is None or last.kind != kind or last.block != block or last.closed:
            last = _Slot(kind, block)
            self._slots.append(last)
        last.texts.append(text)
        return last

    def _reasoning(self, event: ReasoningDelta) -> None:
        slot = self._append("reasoning", event.block, event.text)
        if event.signature or event.item is not None:
            slot.signature, slot.item, slot.closed = event.signature, event.item, True


class _Slot:
    """One part while it streams."""

    __slots__ = ("block", "call_id", "closed", "item", "kind", "name", "signature", "texts")

    def __init__(
        self, kind: str, block: int, call_id: str = "", name: str = "", item: Mapping[str, Any] | None = None
    ) -> None:
        self.kind, self.block, self.call_id, self.name, self.item = kind, block, call_id, name, item
        self.texts: list[str] = []
        self.signature = ""
        self.closed = False

    def part(self, owner: str) -> Part:
        text = "".join(self.texts)
        match self.kind:
            case "text":
                return Text(text)
            case "reasoning":
                return Reasoning(text, self.signature, self.item, owner)
            case "call":
                return ToolCall(self.call_id, self.name, text)
            case "refusal":
                return Refusal(text)
            case _:
                return ProviderItem(self.item or {}, owner)


async def collect(events: Events) -> Response:
    """Read a whole stream into a response.

    Whatever the stream raises comes through; an interrupted one with what had arrived as its ``partial``.
    """
    builder = ResponseBuilder()
    try:
        async with aclosing(events) as stream:
            async for event in stream:
                builder.add(event)
    except StreamInterruptedError as error:
        partial = builder.response()
        error.partial = partial if partial.message.parts else None
        raise
    return builder.response()
