"""The items of an answer of the Responses API while they stream: texts, tool calls, pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.adapters.payload import text_of, whole_text
from arawn.adapters.pictures import picture_of
from arawn.events import ImageDone, ProviderItemDone, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from arawn.events import StreamEvent

_GAP = {"summary": "\n\n", "thought": "\n\n"}
"""What stands between two parts of a kind; parts of a message go on where the one before ends."""
_READ = frozenset({"type", "id", "status", "role", "content", "call_id", "name", "arguments", "input"})
"""Fields of messages and calls that are read; the others (``phase``, ``namespace``) only the service understands."""


class Place:
    """Where an item stands, by its own id and its number in the answer: a server may leave out or change either."""

    __slots__ = ("done", "item_id", "number")

    def __init__(self, number: int | None, item_id: str) -> None:
        self.number = number
        self.item_id = item_id
        self.done = False


class TextItem(Place):
    """A message, or an item of reasoning: the text of it that has been yielded, by the kind of its parts."""

    __slots__ = ("_kinds", "_parts", "block")

    def __init__(self, number: int | None, item_id: str) -> None:
        super().__init__(number, item_id)
        self.block: int | None = None
        self._kinds: dict[str, list[str]] = {}
        self._parts: dict[tuple[str, int], list[str]] = {}

    def more(self, kind: str, number: int, text: str) -> str:
        """Return what to yield for more text of part ``number`` of a kind; parts of reasoning are paragraphs."""
        part = self._parts.get((kind, number))
        gap = ""
        if part is None:
            part = self._parts[kind, number] = []
            gap = _GAP.get(kind, "") if self._kinds else ""
        part.append(text)
        said = self._kinds.setdefault(kind, [])
        said.append(gap + text if said else text)
        return gap + text

    def rest_of_part(self, kind: str, number: int, text: str) -> str:
        """Return what is still to be yielded of a whole part, whose number its deltas may not have had."""
        if part := self._parts.get((kind, number)):
            rest = _rest(text, part)
            return self.more(kind, number, rest) if rest else ""
        said = self._kinds.get(kind)
        if not text or (said and whole_text("".join(said)).endswith(text)):
            return ""
        return self.more(kind, number, text)

    def rest_of_kind(self, kind: str, texts: Sequence[str]) -> str:
        """Return what is still to be yielded of all parts of a kind."""
        text = _GAP.get(kind, "").join(texts)
        said = self._kinds.get(kind)
        if not said:
            return self.more(kind, 0, text) if text else ""
        rest = _rest(text, said)
        said.append(rest)
        return rest

    def begins(self, kind: str, texts: Sequence[str]) -> bool:
        """Whether these whole texts go on from what was yielded."""
        said = "".join(self._kinds.get(kind, ()))
        return bool(said) and _GAP.get(kind, "").join(texts).startswith(whole_text(said))


class Call(Place):
    """A tool call; ``index`` is ours."""

    __slots__ = ("_said", "call_id", "index")

    def __init__(self, number: int | None, item_id: str, call_id: str, index: int) -> None:
        super().__init__(number, item_id)
        self.call_id = call_id
        self.index = index
        self._said: list[str] = []

    def more(self, arguments: str) -> Sequence[StreamEvent]:
        """Return the event for more arguments."""
        self._said.append(arguments)
        return (ToolCallDelta(self.index, arguments),) if arguments else ()

    def rest(self, arguments: str) -> Sequence[StreamEvent]:
        """Return the event for what is still to be yielded of the whole arguments."""
        return self.more(_rest(arguments, self._said))


def kept_fields(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a message or call that go back to the service unchanged."""
    return {key: value for key, value in item.items() if key not in _READ and value is not None}


def picture_item(item: dict[str, Any]) -> Iterator[StreamEvent]:
    """Yield the picture of an ``image_generation_call``; as it came where it holds none that can be read."""
    picture = picture_of(
        text_of(item, "result"),
        f"image/{text_of(item, 'output_format') or 'png'}",
        {key: value for key, value in item.items() if key != "result"},
    )
    yield picture
    if not isinstance(picture, ImageDone) or not picture.data:
        yield ProviderItemDone(item)


def _rest(text: str, said: Sequence[str]) -> str:
    """Return how a whole text goes on after what was said of it; nothing where it goes another way."""
    before = "".join(said)
    if not text.startswith(before):
        before = whole_text(before)
    return text[len(before) :] if text.startswith(before) else ""
