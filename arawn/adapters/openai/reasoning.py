"""Reasoning in Chat Completions: the keys that hold it, and what must be sent back.

``reasoning`` and ``reasoning_content`` are plain text. ``reasoning_details`` are typed blocks, some signed or
encrypted, which the service wants back unchanged and in order (OpenRouter documentation, "Reasoning tokens"). Services
with ``reasoning_content`` want it back with each message that called a tool, in every later request (DeepSeek API
documentation, "Thinking mode", "Tool calls"); so what was sent once never changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.adapters.payload import objects_of
from arawn.events import ReasoningDelta
from arawn.messages import Reasoning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from arawn.messages import Message

_MARKS = ("reasoning", "reasoning_content")
"""Types of an item of our own: it says under which key the text around it came, before a tool call."""


class ReasoningCollector:
    """Yields reasoning as it arrives; the fragments of one detail become one item."""

    def __init__(self) -> None:
        self.is_open = False
        self._detail: dict[str, Any] | None = None
        self._block = 0
        self._mark = ""

    def take(self, delta: Mapping[str, Any]) -> Iterator[ReasoningDelta]:
        """Yield the thinking of a delta, each text once although some services send it under two keys."""
        found = False
        for fragment in objects_of(delta, "reasoning_details") if "reasoning_details" in delta else ():
            yield from self._joined(fragment)
            if text := _text(fragment):
                found = True
                yield ReasoningDelta(text, block=self._block)
        for key in () if found else _MARKS:
            if text := _text(delta, key):
                self._mark = key
                yield ReasoningDelta(text, block=self._block)
                return
        if not found and delta.get("reasoning_content") == "":  # DeepSeek wants this back as well
            self._mark = self._mark or "reasoning_content"

    def close(self, *, for_call: bool = False) -> Iterator[ReasoningDelta]:
        """Yield the item of the current block, which ends because other content begins."""
        self.is_open = False
        if self._detail is not None:
            yield ReasoningDelta(item=self._detail, block=self._block)
            self._detail = None
            self._block += 1
        elif for_call and self._mark:
            yield ReasoningDelta(item={"type": self._mark}, block=self._block)
            self._mark = ""

    def _joined(self, fragment: dict[str, Any]) -> Iterator[ReasoningDelta]:
        if self._detail is None or not _continues(fragment, self._detail):
            yield from self.close()
            self._detail = dict(fragment)
        else:
            texts = {key: self._detail.get(key, "") + fragment[key] for key in _TEXT_KEYS if _text(fragment, key)}
            self._detail |= {key: value for key, value in fragment.items() if value} | texts
        self.is_open = True


_TEXT_KEYS = ("text", "summary")


def _text(fragment: Mapping[str, Any], *keys: str) -> str:
    found = (fragment.get(key) for key in keys or _TEXT_KEYS)
    return next((text for text in found if text and isinstance(text, str)), "")


def _continues(fragment: Mapping[str, Any], detail: Mapping[str, Any]) -> bool:
    """Return whether a fragment continues the detail: encrypted ones come whole, a signature ends a text."""
    same = all(fragment.get(key) == detail.get(key) for key in ("index", "type"))
    return same and "data" not in fragment and not (detail.get("signature") and _text(fragment))


def is_mark(item: Mapping[str, Any]) -> bool:
    """Return whether an item is our own mark; an item of the Responses API holds more than its type."""
    return item.keys() == {"type"} and item["type"] in _MARKS


def render_reasoning(message: Message, backend: str, *, back: str = "") -> dict[str, Any]:
    """Return the keys of an assistant message that carry its own thinking back to the backend that made it.

    ``back`` is the key under which a model wants its text with each message that called a tool, empty where none came.
    Items of the Responses API, which the same backend may speak to other models, are not for this protocol.
    """
    own = [part for part in message.parts if isinstance(part, Reasoning) and part.owner == backend]
    items = [part.item for part in own if part.item is not None]
    keys = [item["type"] for item in items if is_mark(item)]
    details = [dict(item) for item in items if not is_mark(item) and item.get("type") != "reasoning"]
    written: dict[str, Any] = {"reasoning_details": details} if details else {}
    if keys or (back and message.tool_calls):
        written[back or keys[0]] = "".join(part.text for part in own)
    return written
