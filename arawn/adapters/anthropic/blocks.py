"""The blocks of an answer of the Messages API while they stream.

What of a block is not read goes back to the service with it unchanged: the ``citations`` of a text, the ``caller`` of a
tool call (platform.claude.com/docs/en/build-with-claude/citations, …/agents-and-tools/tool-use).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from arawn.adapters.citations import CitationCollector
from arawn.adapters.payload import parse_json, text_of
from arawn.adapters.server_tools import server_tool_done
from arawn.events import PartExtra, ProviderItemDone, ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.events import StreamEvent

_RESULT = "_tool_result"


class Block(ABC):
    """A block that is open."""

    @abstractmethod
    def add(self, delta: dict[str, Any]) -> Sequence[StreamEvent]:
        """Take in a delta."""

    @abstractmethod
    def close(self) -> Sequence[StreamEvent]:
        """Return what only the end of the block makes clear."""


class Texts:
    """What the texts of an answer share: their numbers, and the sources they cite."""

    def __init__(self) -> None:
        self.citations = CitationCollector()
        self._count = 0

    def number(self) -> int:
        """Return the number of the next text."""
        self._count += 1
        return self._count - 1


class TextBlock(Block):
    """Text with its citations."""

    def __init__(self, texts: Texts, block: dict[str, Any]) -> None:
        self._texts = texts
        self._first = text_of(block, "text")
        self._number: int | None = None
        self._extra = unread_fields(block, "text")
        self._citations: list[Any] = []

    def begin(self) -> Sequence[StreamEvent]:
        """Return what came with the beginning."""
        found = self._extra.pop("citations", None)
        return [*self._text(self._first), *self._cited(found if type(found) is list else [])]

    def add(self, delta: dict[str, Any]) -> Sequence[StreamEvent]:
        """Yield text, and the sources it cites."""
        match delta.get("type"):
            case "text_delta":
                return self._text(text_of(delta, "text"))
            case "citations_delta":
                return self._cited([delta.get("citation")])
            case "input_json_delta":
                raise ValueError("arguments come for a block that is no tool call")
            case _:
                return ()

    def close(self) -> Sequence[StreamEvent]:
        """Return the fields that go back with the text."""
        extra = self._extra | ({"citations": self._citations} if self._citations else {})
        return (PartExtra(extra, block=self._number),) if extra and self._number is not None else ()

    def _text(self, text: str) -> Sequence[StreamEvent]:
        if not text:
            return ()
        if self._number is None:
            self._number = self._texts.number()
        return (TextDelta(text, block=self._number),)

    def _cited(self, citations: list[Any]) -> Sequence[StreamEvent]:
        self._citations += citations
        return [*self._texts.citations.take(citations)]


class ThinkingBlock(Block):
    """Thinking; its signature closes it, and only the model ``bound_to`` takes that back, where one is named."""

    def __init__(self, index: int, block: dict[str, Any], bound_to: str) -> None:
        self._index, self._bound_to = index, bound_to
        self._thought, self._signature = text_of(block, "thinking"), text_of(block, "signature")
        self._extra = unread_fields(block, "thinking", "signature") or None

    def begin(self) -> Sequence[StreamEvent]:
        """Return what came with the beginning."""
        if self._signature:
            return (self._signed(self._thought, self._signature),)
        return (ReasoningDelta(self._thought, block=self._index),) if self._thought else ()

    def add(self, delta: dict[str, Any]) -> Sequence[StreamEvent]:
        """Yield the text of thinking, or its signature."""
        if text := text_of(delta, "thinking"):
            return (ReasoningDelta(text, block=self._index),)
        if signature := text_of(delta, "signature"):
            return (self._signed("", signature),)
        return ()

    def close(self) -> Sequence[StreamEvent]:
        """Return nothing."""
        return ()

    def _signed(self, text: str, signature: str) -> ReasoningDelta:
        return ReasoningDelta(text, signature, self._extra, self._index, self._bound_to)


class ForeignBlock(Block):
    """A block that only the provider understands, collected until it is whole."""

    def __init__(self, block: dict[str, Any]) -> None:
        self._block = dict(block)
        self._input: list[str] = []

    def add(self, delta: dict[str, Any]) -> Sequence[StreamEvent]:
        """Collect a delta."""
        for key, value in delta.items():
            before = self._block.get(key)
            if key == "partial_json":
                self._input.append(text_of(delta, key))
            elif key != "type" and value is not None:
                self._block[key] = before + value if type(before) is type(value) is str else value
        return ()

    def close(self) -> Sequence[StreamEvent]:
        """Return the whole block, and what people are shown of a tool's result."""
        if text := "".join(self._input):
            self._block["input"] = parse_json(text)
        kind = text_of(self._block, "type")
        shown = (server_tool_done(kind.removesuffix(_RESULT), self._block),) if kind.endswith(_RESULT) else ()
        return (ProviderItemDone(self._block), *shown)


def unread_fields(block: dict[str, Any], *read: str) -> dict[str, Any]:
    """Return the fields of a block besides its type and those that are read; what is null or empty is none."""
    return {key: value for key, value in block.items() if value and key != "type" and key not in read}
