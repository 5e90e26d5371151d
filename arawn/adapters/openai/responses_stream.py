"""Answers of the Responses API become events: the typed stream, and the ``response`` object it ends with.

Deltas, ``*.done`` events and finished items repeat each other. The characters already yielded are counted per part of
each item, so nothing is lost where a server sends only one of them, and nothing is doubled where it sends all
(OpenAI API reference, "Responses", "Streaming events").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.adapters.answer_parser import AnswerParser
from arawn.adapters.openai.usage import charged
from arawn.adapters.payload import count_of, object_of, objects_of, parse_object, text_of
from arawn.events import (
    Finished,
    ProviderItemDone,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from arawn.messages import FinishReason, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arawn.adapters.base import Quirks
    from arawn.events import StreamEvent

# Event type: what it carries, the key that numbers its parts, the key of the text, and whether that is the whole text.
_PIECES = {
    "response.output_text.delta": ("text", "content_index", "delta", False),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", "delta", False),
    "response.reasoning_text.delta": ("thought", "content_index", "delta", False),
    "response.refusal.delta": ("refusal", "content_index", "delta", False),
    "response.output_text.done": ("text", "content_index", "text", True),
    "response.reasoning_summary_text.done": ("summary", "summary_index", "text", True),
    "response.reasoning_text.done": ("thought", "content_index", "text", True),
    "response.refusal.done": ("refusal", "content_index", "refusal", True),
}
_PARTS = {
    "output_text": ("text", "text"),
    "refusal": ("refusal", "refusal"),
    "summary_text": ("summary", "text"),
    "reasoning_text": ("thought", "text"),
}
_ENDS = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
}
_NOWHERE = -1
_INCOMPLETE = {"max_output_tokens": FinishReason.LENGTH, "content_filter": FinishReason.CONTENT_FILTER}


class ResponsesParser(AnswerParser):
    """Reads one answer. Other events (keepalive, queued, progress of hosted tools) are skipped."""

    def __init__(self, backend: str, quirks: Quirks) -> None:
        super().__init__(backend, quirks)
        self._yielded: dict[tuple[int, str, int], int] = {}
        self._thinking: set[int] = set()
        self._calls: list[_Call] = []
        self._items_seen = False
        self._refused = False

    def _read(self, name: str, text: str) -> Sequence[StreamEvent]:
        if text == "[DONE]":
            return ()
        event = parse_object(text)
        return self._with_start(self._events(text_of(event, "type") or name, event))

    def _read_whole(self, answer: dict[str, Any]) -> Sequence[StreamEvent]:
        if answer.get("error") and not answer.get("status"):
            self._fail(answer["error"])
        if "output" not in answer:
            raise ValueError('there is no "output"')
        return self._end(text_of(answer, "status") or "completed", answer)

    def _with_start(self, events: Sequence[StreamEvent]) -> Sequence[StreamEvent]:
        """Yield Started first where the server did not open the answer itself."""
        if self._started or not events:
            return events
        self._started = True
        return (Started(self._backend, ""), *events)

    def _events(self, kind: str, event: dict[str, Any]) -> Sequence[StreamEvent]:
        if kind in _PIECES:
            part, number, key, is_whole = _PIECES[kind]
            take = self._rest if is_whole else self._more
            return take(count_of(event, "output_index"), part, count_of(event, number), text_of(event, key))
        match kind:
            case "response.function_call_arguments.delta":
                call = self._call(event, text_of(event, "item_id"))
                return call.more(text_of(event, "delta")) if call else ()
            case "response.function_call_arguments.done":
                call = self._call(event, text_of(event, "item_id"))
                return call.rest(text_of(event, "arguments")) if call else ()
            case "response.output_item.added":
                item = object_of(event, "item")
                begins_call = item.get("type") == "function_call" and item.get("name")  # else it comes when it is done
                return self._call_started(event, item) if begins_call else ()
            case "response.output_item.done":
                return self._item(event, object_of(event, "item"))
            case _:
                return self._change_of_state(kind, event)

    def _change_of_state(self, kind: str, event: dict[str, Any]) -> Sequence[StreamEvent]:
        if kind in _ENDS:
            response = object_of(event, "response")
            status = text_of(response, "status")
            return self._end(status if status in _ENDS.values() else _ENDS[kind], response)
        if kind in {"response.created", "response.in_progress"}:
            return self._start(object_of(event, "response"))
        if kind == "error" or (not kind and "error" in event):
            self._fail(event)
        return ()

    def _start(self, response: dict[str, Any]) -> Sequence[StreamEvent]:
        if self._started:
            return ()
        self._started = True
        self._model = text_of(response, "model")
        return (Started(self._backend, self._model, text_of(response, "id")),)

    def _more(self, index: int, part: str, number: int, text: str) -> Sequence[StreamEvent]:
        """Yield more text of part ``number`` of item ``index``."""
        if not text:
            return ()
        key = (index, part, number)
        before = self._yielded.get(key, 0)
        self._yielded[key] = before + len(text)
        if part == "text":
            return (TextDelta(text),)
        if part == "refusal":
            self._refused = True
            return (RefusalDelta(text),)
        gap = "\n\n" if not before and index in self._thinking else ""
        self._thinking.add(index)
        return (ReasoningDelta(gap + text, block=index),)

    def _rest(self, index: int, part: str, number: int, text: str) -> Sequence[StreamEvent]:
        """Yield the rest of a whole text."""
        return self._more(index, part, number, text[self._yielded.get((index, part, number), 0) :])

    def _call(self, event: dict[str, Any], item_id: str) -> _Call | None:
        """Find the call an event is about: by its item, or by its place where the server renames items as it goes."""
        place = _place(event)
        by_item = next((call for call in self._calls if item_id and call.item_id == item_id), None)
        return by_item or next((call for call in reversed(self._calls) if call.place == place != _NOWHERE), None)

    def _call_started(self, event: dict[str, Any], item: dict[str, Any]) -> Sequence[StreamEvent]:
        index, item_id, name = len(self._calls), text_of(item, "id"), text_of(item, "name")
        if not name:
            raise ValueError("a function call has no name")
        self._calls.append(_Call(index, _place(event), item_id))
        return (ToolCallStarted(index, text_of(item, "call_id") or item_id or f"call_{index}", name),)

    def _item(self, event: dict[str, Any], item: dict[str, Any]) -> Sequence[StreamEvent]:
        """Yield what a finished item holds beyond its deltas."""
        self._items_seen = True
        match item.get("type"):
            case "message":
                return self._parts(event, item, "content")
            case "reasoning":
                parts = [*self._parts(event, item, "summary"), *self._parts(event, item, "content")]
                # With nothing but a summary it points at an item the server did not store: sent back, it is an error.
                if item.get("encrypted_content") or item.get("content"):
                    parts.append(ReasoningDelta(item=item, block=count_of(event, "output_index")))
                return parts
            case "function_call":
                call = self._call(event, text_of(item, "id"))
                started = () if call else self._call_started(event, item)
                return [*started, *(call or self._calls[-1]).rest(text_of(item, "arguments"))]
            case None:
                return ()
            case _:
                return (ProviderItemDone(item),)

    def _parts(self, event: dict[str, Any], item: dict[str, Any], key: str) -> list[StreamEvent]:
        index = count_of(event, "output_index")
        events: list[StreamEvent] = []
        for number, part in enumerate(objects_of(item, key)):
            if (kind := text_of(part, "type")) in _PARTS:
                name, field = _PARTS[kind]
                events.extend(self._rest(index, name, number, text_of(part, field)))
        return events

    def _end(self, status: str, response: dict[str, Any]) -> Sequence[StreamEvent]:
        events = [*self._start(response)]
        if status == "failed":
            self._fail(response.get("error"))
        if status not in {"completed", "incomplete"}:
            raise self._interrupted(f"gave up its answer (status {status[:40]})")
        if not self._items_seen and not self._yielded:
            for index, item in enumerate(objects_of(response, "output")):
                events.extend(self._item({"output_index": index}, item))
        self._finished = True
        return [*events, self._finish(status, response)]

    def _finish(self, status: str, response: dict[str, Any]) -> Finished:
        usage = _usage(object_of(response, "usage"), self._quirks)
        if status == "incomplete":
            reason = text_of(object_of(response, "incomplete_details"), "reason")
            return Finished(_INCOMPLETE.get(reason, FinishReason.UNKNOWN), reason or status, usage)
        if self._calls:
            return Finished(FinishReason.TOOL_CALLS, status, usage)
        return Finished(FinishReason.REFUSAL if self._refused else FinishReason.STOP, status, usage)


class _Call:
    """A tool call that is not complete yet."""

    __slots__ = ("_index", "_yielded", "item_id", "place")

    def __init__(self, index: int, place: int, item_id: str) -> None:
        self._index = index
        self.place = place
        self.item_id = item_id
        self._yielded = 0

    def more(self, arguments: str) -> Sequence[StreamEvent]:
        self._yielded += len(arguments)
        return (ToolCallDelta(self._index, arguments),) if arguments else ()

    def rest(self, arguments: str) -> Sequence[StreamEvent]:
        return self.more(arguments[self._yielded :])


def _place(event: dict[str, Any]) -> int:
    return count_of(event, "output_index") if "output_index" in event else _NOWHERE


def _usage(fields: Mapping[str, Any], quirks: Quirks) -> Usage | None:
    """Read the usage; None where it is missing or all zero, as in an answer cut at its limit."""
    reasoning = count_of(object_of(fields, "output_tokens_details"), "reasoning_tokens")
    beside = 0 if quirks.output_includes_reasoning else reasoning
    details = object_of(fields, "input_tokens_details")
    usage = Usage(
        input_tokens=count_of(fields, "input_tokens"),
        output_tokens=count_of(fields, "output_tokens") + beside,
        cache_read_tokens=min(count_of(details, "cached_tokens"), count_of(fields, "input_tokens")),
        cache_write_tokens=count_of(details, "cache_write_tokens"),
        reasoning_tokens=reasoning,
        cost=charged(fields),
    )
    return usage if usage.total_tokens else None
