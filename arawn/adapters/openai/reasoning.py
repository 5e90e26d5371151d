"""Reasoning in Chat Completions: the keys that hold it, and what must be sent back.

``reasoning`` and ``reasoning_content`` are plain text. ``reasoning_details`` are typed blocks, some signed or
encrypted, which the service wants back unchanged and in order (OpenRouter documentation, "Reasoning tokens"). Services
with ``reasoning_content`` want it back with the answers that called a tool, in all later requests, and with no others
(DeepSeek API documentation, "Thinking mode", "Tool calls").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.adapters.payload import objects_of
from arawn.events import ReasoningDelta
from arawn.messages import Reasoning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from arawn.messages import Message

_MARK = {"type": "reasoning_content"}
"""An item of our own: it says that the text around it came as ``reasoning_content``, before a tool call."""


class ReasoningCollector:
    """Yields reasoning as it arrives; the fragments of one detail become one item."""

    def __init__(self) -> None:
        self.is_open = False
        self._detail: dict[str, Any] | None = None
        self._block = 0
        self._marked = False

    def take(self, delta: Mapping[str, Any]) -> Iterator[ReasoningDelta]:
        """Yield the thinking of a delta, each text once although some services send it under two keys."""
        found = False
        for fragment in objects_of(delta, "reasoning_details") if "reasoning_details" in delta else ():
            yield from self._joined(fragment)
            if text := _text(fragment):
                found = True
                yield ReasoningDelta(text, block=self._block)
        for key in () if found else ("reasoning", "reasoning_content"):
            if text := _text(delta, key):
                self._marked = key == "reasoning_content"
                yield ReasoningDelta(text, block=self._block)
                return

    def close(self, *, for_call: bool = False) -> Iterator[ReasoningDelta]:
        """Yield the item of the current block, which ends because other content begins."""
        self.is_open = False
        if self._detail is not None:
            yield ReasoningDelta(item=self._detail, block=self._block)
            self._detail = None
            self._block += 1
        elif for_call and self._marked:
            self._marked = False
            yield ReasoningDelta(item=_MARK, block=self._block)

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


def render_reasoning(message: Message, backend: str) -> dict[str, Any]:
    """Return the keys of an assistant message that carry its own thinking back to the backend that made it."""
    own = [part for part in message.parts if isinstance(part, Reasoning) and part.owner == backend]
    details = [dict(part.item) for part in own if part.item is not None and part.item != _MARK]
    written: dict[str, Any] = {"reasoning_details": details} if details else {}
    if any(part.item == _MARK for part in own):
        written["reasoning_content"] = "".join(part.text for part in own)
    return written
