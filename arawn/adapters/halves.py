"""Characters beyond U+FFFF that arrive in two events of a stream, one half of their surrogate pair in each.

JSON may escape such a character as two halves, and some servers cut their text between them (RFC 8259, section 7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.adapters.payload import without_halves
from arawn.events import Finished, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from arawn.values import as_dict, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from arawn.events import StreamEvent

    _Piece: TypeAlias = TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta
    _Key: TypeAlias = tuple[type[StreamEvent], int]


class HalfJoiner:
    """Holds back the first half of a pair until its part goes on; at the end of the part it becomes U+FFFD."""

    def __init__(self) -> None:
        self._held: dict[_Key, _Piece] = {}

    def join(self, events: Iterable[StreamEvent]) -> Iterator[StreamEvent]:
        """Yield the events with whole texts."""
        for event in events:
            key = _key(event)
            if self._held and type(event) is not ToolCallDelta:
                yield from self.flush(besides=key, calls=type(event) is Finished)
            match event:
                case TextDelta(text) | RefusalDelta(text) | ReasoningDelta(text):
                    yield from self._piece(event, "text", text, key)
                case ToolCallDelta(_, text):
                    yield from self._piece(event, "arguments", text, key)
                case _:
                    yield _made_whole(event)

    def flush(self, *, besides: _Key | None = None, calls: bool = True) -> Iterator[StreamEvent]:
        """Yield what is still held, but for the part that goes on; tool calls may arrive by turns."""
        for key in [key for key in self._held if key != besides and (calls or key[0] is not ToolCallDelta)]:
            yield _made_whole(self._held.pop(key))

    def _piece(self, event: _Piece, field: str, text: str, key: _Key) -> Iterator[StreamEvent]:
        if held := self._held.pop(key, None):
            text = getattr(held, field) + text
        if text and "\ud800" <= text[-1] <= "\udbff" and not _closes(event):
            self._held[key] = replace(event, **{field: text[-1]})
            text = text[:-1]
            if not text:
                return
        yield _made_whole(replace(event, **{field: text}))


def _key(event: StreamEvent) -> _Key:
    match event:
        case ToolCallDelta(index):
            return type(event), index
        case TextDelta(block=block) | ReasoningDelta(block=block):
            return type(event), block
        case _:
            return type(event), 0


def _closes(event: _Piece) -> bool:
    return isinstance(event, ReasoningDelta) and bool(event.signature or event.item)


def _made_whole(event: StreamEvent) -> StreamEvent:
    """Return an event without halves, in its texts and in the JSON it carries."""
    changes: dict[str, Any] = {
        name: without_halves(value) for name, value in as_dict(event).items() if type(value) in (str, dict)
    }
    return replace(event, **changes)
