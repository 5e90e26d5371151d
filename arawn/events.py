"""The events of an answer, and the response they add up to.

Renderer, recorder, ledger and gateway all read the same events. Errors are raised, never yielded.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from arawn.errors import StreamInterruptedError
from arawn.messages import (
    CITATIONS,
    Citation,
    FinishReason,
    Image,
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
from arawn.values import EMPTY, Value, as_dict

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
    """More visible text; ``block`` tells apart the texts of an answer that its provider keeps apart."""

    text: str
    block: int = 0


class RefusalDelta(Value):
    """More of the text with which the model refuses."""

    text: str


class ReasoningDelta(Value):
    """More thinking. A ``signature`` or an ``item`` closes the block it belongs to; ``block`` tells blocks apart."""

    text: str = ""
    signature: str = ""
    item: Mapping[str, Any] | None = None
    block: int = 0
    bound_to: str = ""  # the only model that takes the signature


class ToolCallStarted(Value):
    """A tool call begins; ``index`` names it in the deltas that follow and is unique within the answer."""

    index: int
    id: str
    name: str
    custom: bool = False


class ToolCallDelta(Value):
    """More of the JSON text of a tool call's arguments, or of the plain text that a custom tool takes."""

    index: int
    arguments: str


class ProviderItemDone(Value):
    """A complete block that only this backend understands; it is kept for the next turn."""

    item: Mapping[str, Any]


class PartExtra(Value):
    """Fields the backend wants back unchanged with the tool call of the index ``call``, or else a ``block`` of text.

    They close that block.
    """

    fields: Mapping[str, Any]
    call: int | None = None
    block: int = 0


class ImageDone(Value):
    """A picture the model made: its bytes with their media type, or an https URL; ``extra`` is as in ``PartExtra``."""

    data: bytes = b""
    media_type: str = ""
    url: str = ""
    extra: Mapping[str, Any] | None = None


class ServerToolDone(Value):
    """A tool that ran at the provider (a web search, code) has a result; ``text`` is for people, and may be cut."""

    name: str
    text: str = ""


class Notice(Value):
    """Something the user should know now: retrying, fell back, from cache, a part was dropped."""

    kind: NoticeKind
    text: str


class Finished(Value):
    """The answer is complete. ``raw`` is the provider's own finish reason; ``usage`` is None where it reported none.

    ``detail`` says more of the reason, in the provider's words: why it refused.
    """

    finish_reason: FinishReason
    raw: str = ""
    usage: Usage | None = None
    detail: str = ""


StreamEvent: TypeAlias = (
    Started
    | TextDelta
    | RefusalDelta
    | ReasoningDelta
    | ToolCallStarted
    | ToolCallDelta
    | ProviderItemDone
    | PartExtra
    | Citation
    | ImageDone
    | ServerToolDone
    | Notice
    | Finished
)

Delta = (
    TextDelta,
    RefusalDelta,
    ReasoningDelta,
    ToolCallStarted,
    ToolCallDelta,
    ProviderItemDone,
    PartExtra,
    Citation,
    ImageDone,
    ServerToolDone,
)
"""The events that carry a part of the answer: after one was delivered, a repeated call would print it twice."""


class ResponseBuilder:
    """Builds a response from events; ``response()`` may be called at any time and returns what has come so far."""

    def __init__(self, backend: str = "", model: str = "") -> None:
        self._started = Started(backend, model)
        self._finished = Finished(FinishReason.UNKNOWN)
        self._slots: list[_Slot] = []
        self._calls: dict[int, _Slot] = {}
        self._citations: list[Citation] = []

    def add(self, event: StreamEvent) -> None:  # noqa: C901 -- one case an event kind
        """Add the next event."""
        match event:
            case TextDelta(text, block):
                self._append("text", block, text)
            case ReasoningDelta():
                self._reasoning(event)
            case ToolCallStarted(index):
                self._slots.append(_Slot("call", index, started=event))
                self._calls[index] = self._slots[-1]
            case ToolCallDelta(index, arguments):
                self._calls[index].texts.append(arguments)
            case RefusalDelta(text):
                self._append("refusal", 0, text)
            case ProviderItemDone(item):
                self._slots.append(_Slot("item", 0, item=item))
            case ImageDone():
                self._slots.append(_Slot("image", 0, started=event))
            case PartExtra():
                self._extra(event)
            case Citation():
                self._citations.append(event)
            case Started():
                self._started = event
            case Finished():
                self._finished = event
            case Notice() | ServerToolDone():
                pass

    def response(self) -> Response:
        """Return the answer as far as it came."""
        parts = tuple(slot.part(self._started.backend) for slot in self._slots)
        metadata = {CITATIONS: [as_dict(citation) for citation in self._citations]} if self._citations else EMPTY
        return Response(
            message=Message(Role.ASSISTANT, parts, metadata),
            finish_reason=self._finished.finish_reason,
            raw_finish_reason=self._finished.raw,
            usage=self._finished.usage or Usage(estimated=True),
            model=self._started.model,
            backend=self._started.backend,
            id=self._started.id,
            finish_detail=self._finished.detail,
        )

    def _append(self, kind: str, block: int, text: str) -> _Slot:
        last = self._slots[-1] if self._slots else None
        if last is None or last.kind != kind or last.block != block or last.closed:
            last = _Slot(kind, block)
            self._slots.append(last)
        last.texts.append(text)
        return last

    def _extra(self, event: PartExtra) -> None:
        if event.call is not None:
            slot = self._calls[event.call]
        else:
            texts = (slot for slot in reversed(self._slots) if slot.kind == "text" and slot.block == event.block)
            slot = next(texts, None) or self._append("text", event.block, "")
        slot.item, slot.closed = {**(slot.item or {}), **event.fields}, True

    def _reasoning(self, event: ReasoningDelta) -> None:
        slot = self._append("reasoning", event.block, event.text)
        if event.signature or event.item is not None:
            slot.signature, slot.item, slot.closed = event.signature, event.item, True
            slot.bound_to = event.bound_to


class _Slot:
    """One part while it streams; ``started`` is the event that began a call, or was a picture."""

    __slots__ = ("block", "bound_to", "closed", "item", "kind", "signature", "started", "texts")

    def __init__(
        self,
        kind: str,
        block: int,
        started: ToolCallStarted | ImageDone | None = None,
        item: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind, self.block, self.started, self.item = kind, block, started, item
        self.texts: list[str] = []
        self.signature = self.bound_to = ""
        self.closed = False

    def part(self, owner: str) -> Part:
        text = "".join(self.texts)
        owned = owner if self.item is not None else ""
        match self.kind, self.started:
            case "text", _:
                return Text(text, self.item, owned)
            case "reasoning", _:
                return Reasoning(text, self.signature, self.item, owner, self.bound_to)
            case _, ToolCallStarted(_, call_id, name, custom):
                return ToolCall(call_id, name, text, self.item, owner if custom else owned, custom)
            case _, ImageDone(data, media_type, url, extra):
                return Image(data, media_type, url, extra, owner if extra is not None else "")
            case "refusal", _:
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
