"""The events of an answer as JSON and back, without loss: ``{"v": 1, "events": [["text", "Hi"], …]}``.

An event is its kind and its fields in their order. The JSON is ASCII, so it also holds halves of surrogate pairs.
"""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, Any

from arawn.events import (
    Finished,
    ImageDone,
    Notice,
    PartExtra,
    ProviderItemDone,
    ReasoningDelta,
    RefusalDelta,
    ServerToolDone,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from arawn.messages import Citation, FinishReason, Usage
from arawn.store.message_json import usage_from_json, usage_to_json
from arawn.values import as_dict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from arawn.events import StreamEvent

VERSION = 1
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_KINDS: Mapping[str, type[StreamEvent]] = {
    "started": Started,
    "text": TextDelta,
    "refusal": RefusalDelta,
    "reasoning": ReasoningDelta,
    "call": ToolCallStarted,
    "arguments": ToolCallDelta,
    "item": ProviderItemDone,
    "extra": PartExtra,
    "citation": Citation,
    "image": ImageDone,
    "server_tool": ServerToolDone,
    "notice": Notice,
    "finished": Finished,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def dumps(events: Iterable[StreamEvent]) -> bytes:
    """Write events as JSON. Raises TypeError when an item holds what JSON cannot."""
    written = {"v": VERSION, "events": [_event_to_json(event) for event in events]}
    return _ENCODER.encode(written).encode("ascii")


def loads(text: bytes) -> tuple[StreamEvent, ...]:
    """Read events. Raises ValueError for what ``dumps`` never wrote, or a newer version of it."""
    try:
        written = json.loads(text)
        if written["v"] != VERSION:
            raise ValueError(f"version {written['v']!r}; this arawn reads {VERSION}")
        return tuple(_event_from_json(*each) for each in written["events"])
    except (KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"not the events of an answer: {error}") from error


def _event_to_json(event: StreamEvent) -> list[Any]:
    fields = list(as_dict(event).values())
    if isinstance(event, Finished):
        usage = None if event.usage is None else usage_to_json(event.usage)
        fields = [event.finish_reason.value, event.raw, usage, event.detail]
    elif isinstance(event, ImageDone):
        fields[0] = b2a_base64(event.data, newline=False).decode()
    return [_NAMES[type(event)], *fields]


def _event_from_json(name: str, *fields: Any) -> StreamEvent:
    if name == "finished":
        reason, raw, usage, *detail = fields
        fields = FinishReason(reason), raw, None if usage is None else usage_from_json(usage), *detail
    elif name == "image":
        fields = a2b_base64(fields[0], strict_mode=True), *fields[1:]
    return _checked(_KINDS[name](*fields))


def _checked(event: object) -> StreamEvent:
    """Return an event whose fields have the right types. Raises ValueError for another."""
    match event:
        case (
            Started(str(), str(), str())
            | TextDelta(str(), int())
            | RefusalDelta(str())
            | ReasoningDelta(str(), str(), None | dict(), int(), str())
            | ToolCallStarted(int(), str(), str(), bool())
            | ToolCallDelta(int(), str())
            | ProviderItemDone(dict())
            | PartExtra(dict(), None | int(), int())
            | Citation(int(), str(), str(), str())
            | ImageDone(bytes(), str(), str(), None | dict())
            | ServerToolDone(str(), str())
            | Notice(str(), str())
            | Finished(FinishReason(), str(), None | Usage(), str())
        ):
            return event
        case _:
            raise ValueError(f"{type(event).__name__} does not hold what it must")
