"""Messages as JSON and back, without loss: for the store, for export, for another program.

``{"v": 1, "role": "user", "parts": [{"type": "text", "text": "…"}], "metadata": {}}``. A part has the fields of its
class by name; an image's bytes are base64. The JSON is ASCII, so it also holds halves of surrogate pairs.
"""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from arawn.messages import Image, Message, ProviderItem, Reasoning, Refusal, Role, Text, ToolCall, ToolResult, Usage
from arawn.values import as_dict, replace

if TYPE_CHECKING:
    from arawn.messages import Part

VERSION = 1
_KINDS: Mapping[str, type[Part]] = {
    "text": Text,
    "image": Image,
    "reasoning": Reasoning,
    "refusal": Refusal,
    "tool_call": ToolCall,
    "tool_result": ToolResult,
    "provider_item": ProviderItem,
}
_OPTIONAL = frozenset({"extra", "owner", "custom"})
"""Fields that most parts do not have: they are written where there is something in them."""
_NAMES = {kind: name for name, kind in _KINDS.items()}


def dumps(message: Message) -> str:
    """Write a message as JSON. Raises TypeError when its metadata or an item holds what JSON cannot."""
    return json.dumps(message_to_json(message), separators=(",", ":"), default=_plain)


def loads(text: str) -> Message:
    """Read a message. Raises ValueError for what ``dumps`` never wrote, or a newer version of it."""
    return message_from_json(json.loads(text))


def message_to_json(message: Message) -> dict[str, Any]:
    """Return a message as an object of JSON."""
    return {
        "v": VERSION,
        "role": message.role.value,
        "parts": [_part_to_json(part) for part in message.parts],
        "metadata": dict(message.metadata),
    }


def message_from_json(written: Any) -> Message:
    """Return the message an object of JSON says. Raises ValueError when it says none."""
    try:
        if written["v"] != VERSION:
            raise ValueError(f"version {written['v']!r}; this arawn reads {VERSION}")
        parts = tuple(_part_from_json(part) for part in written["parts"])
        return Message(Role(written["role"]), parts, written["metadata"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a message: {error}") from error


def usage_to_json(usage: Usage) -> dict[str, Any]:
    """Return usage as an object of JSON, its cost as text: it is exact."""
    return {**as_dict(usage), "cost": None if usage.cost is None else str(usage.cost)}


def usage_from_json(written: Mapping[str, Any]) -> Usage:
    """Return the usage an object of JSON says."""
    usage = Usage(**written)
    if usage.cost is None:
        return usage
    from decimal import Decimal

    return replace(usage, cost=Decimal(usage.cost))


def _part_to_json(part: Part) -> dict[str, Any]:
    fields = {key: value for key, value in as_dict(part).items() if value or key not in _OPTIONAL}
    match part:
        case Image(data):
            fields["data"] = b2a_base64(data, newline=False).decode()
        case ToolResult(_, content):
            fields["content"] = [_part_to_json(each) for each in content]
        case _:
            pass
    return {"type": _NAMES[type(part)], **fields}


def _part_from_json(written: Mapping[str, Any]) -> Any:
    fields = {key: value for key, value in written.items() if key != "type"}
    kind = _KINDS[written["type"]]
    if kind is Image:
        fields["data"] = a2b_base64(fields["data"], strict_mode=True)
    elif kind is ToolResult:
        fields["content"] = tuple(_part_from_json(each) for each in fields["content"])
    return kind(**fields)


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"JSON cannot hold a {type(value).__name__}")
