"""The events of an answer as JSON and back, without loss: ``{"v": 1, "events": [["text", "Hi"], …]}``.

An event is its kind and its fields in their order. The JSON is ASCII, so it also holds halves of surrogate pairs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arawn.events import (
    Finished,
    Notice,
    ProviderItemDone,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from arawn.messages import FinishReason, Usage
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
        fields = [event.finish_reason.value, event.raw, None if event.usage is None else usage_to_json(event.usage)]
    return [_NAMES[type(event)], *fields]


def _event_from_json(name: str, *fields: Any) -> StreamEvent:
    if name == "finished":
        reason, raw, usage = fields
        fields = FinishReason(reason), raw, None if usage is None else usage_from_json(usage)
    return _checked(_KINDS[name](*fields))


def _checked(event: object) -> StreamEvent:
    """Return an event whose fields have the right types. Raises ValueError for another."""
    match event:
        case (
            Started(str(), str(), str())
            | TextDelta(str())
            | RefusalDelta(str())
            | ReasoningDelta(str(), str(), None | dict(), int(), str())
            | ToolCallStarted(int(), str(), str())
            | ToolCallDelta(int(), str())
            | ProviderItemDone(dict())
            | Notice(str(), str())
            | Finished(FinishReason(), str(), None | Usage())
        ):
            return event
        case _:
            raise ValueError(f"{type(event).__name__} does not hold what it must")
