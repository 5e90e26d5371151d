"""Answers of the Responses API become events: the typed stream, and the ``response`` object it ends with.

Deltas, ``*.done`` events and finished items repeat each other, and servers number parts and items differently in each.
So the text already yielded of an item is kept, and of a whole text only what goes on from there is yielded: nothing is
lost where a server sends only one of them, and nothing is doubled where it sends all
(OpenAI API reference, "Responses", "Streaming events").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from arawn.adapters.answer_parser import AnswerParser
from arawn.adapters.citations import CitationCollector
from arawn.adapters.openai.responses_items import Call, Place, TextItem, kept_fields, picture_item
from arawn.adapters.openai.usage import beside_output, charged
from arawn.adapters.payload import count_of, object_of, objects_of, text_of
from arawn.adapters.server_tools import server_tool_done
from arawn.events import (
    Finished,
    PartExtra,
    ProviderItemDone,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallStarted,
)
from arawn.messages import FinishReason, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arawn.adapters.base import Quirks
    from arawn.events import StreamEvent

Item = TypeVar("Item", bound=Place)

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
_VISIBLE = frozenset({"text", "refusal"})
_ENDS = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
}
_INCOMPLETE = {"max_output_tokens": FinishReason.LENGTH, "content_filter": FinishReason.CONTENT_FILTER}
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""Types of items that call a tool, and where their arguments stand."""
_SERVER_TOOLS = frozenset({"web_search_call", "file_search_call", "code_interpreter_call", "mcp_call"})
_BREAK = "\n\n"
"""Stands between two messages of one answer."""


class ResponsesParser(AnswerParser):
    """Reads one answer. Other events (keepalive, queued, progress of hosted tools) are skipped."""

    def __init__(self, backend: str, quirks: Quirks) -> None:
        super().__init__(backend, quirks)
        self._texts: dict[str, list[TextItem]] = {"message": [], "reasoning": []}
        self._latest_key: tuple[Any, ...] = ()
        self._latest = TextItem(None, "")
        self._calls: list[Call] = []
        self._others: list[Place] = []
        self._citations = CitationCollector()
        self._blocks = 0
        self._text_end = ""
        self._refused = False

    def _read(self, name: str, event: dict[str, Any]) -> Sequence[StreamEvent]:
        return self._with_start(self._events(text_of(event, "type") or name, event))

    def _read_whole(self, answer: dict[str, Any]) -> Sequence[StreamEvent]:
        if answer.get("error") and not answer.get("status"):
            self._fail(answer["error"])
        if "output" not in answer:
            self._refuse(answer)
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
            text = text_of(event, key)
            if not text:
                return ()
            item = self._text_item(part, event)
            return self._shown(
                item, part, (item.rest_of_part if is_whole else item.more)(part, count_of(event, number), text)
            )
        match kind:
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                call = self._call(event, text_of(event, "item_id"))
                return call.more(text_of(event, "delta")) if call else ()
            case "response.function_call_arguments.done" | "response.custom_tool_call_input.done":
                call = self._call(event, text_of(event, "item_id"))
                return call.rest(text_of(event, "arguments") or text_of(event, "input")) if call else ()
            case "response.output_text.annotation.added":
                return [*self._citations.take([event.get("annotation")])]
            case "response.output_item.added":
                added = object_of(event, "item")
                begins_call = added.get("type") in _CALLS and added.get("name")  # else it comes when it is done
                return self._call_started(event, added) if begins_call else ()
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
        self._refuse_event(kind, event)
        return ()

    def _start(self, response: dict[str, Any]) -> Sequence[StreamEvent]:
        if self._started:
            return ()
        self._started = True
        self._model = text_of(response, "model")
        return (Started(self._backend, self._model, text_of(response, "id")),)

    def _text_item(self, part: str, event: dict[str, Any]) -> TextItem:
        """Find the item that a piece of text belongs to, or begin it."""
        key = (part, event.get("output_index"), event.get("item_id"))
        if key != self._latest_key or self._latest.done:
            number, item_id = _number(event), text_of(event, "item_id")
            items = self._texts["message" if part in _VISIBLE else "reasoning"]
            found = _found(items, number, item_id)
            if found is None:
                found = TextItem(number, item_id)
                items.append(found)
            self._latest_key, self._latest = key, found
        return self._latest

    def _shown(self, item: TextItem, part: str, text: str) -> Sequence[StreamEvent]:
        """Return the events for a piece of text; two messages are two paragraphs."""
        if not text:
            return ()
        if part not in _VISIBLE:
            return (ReasoningDelta(text, block=item.number or 0),)
        events: list[StreamEvent] = []
        if item.block is None:
            if self._text_end and "\n" not in self._text_end[-1] + text[0]:
                events.append(TextDelta(_BREAK, block=self._blocks))
                self._blocks += 1
            item.block = self._blocks
            self._blocks += 1
        self._text_end = text
        if part == "refusal":
            self._refused = True
            return (*events, RefusalDelta(text))
        return (*events, TextDelta(text, block=item.block))

    def _call(self, event: dict[str, Any], item_id: str, call_id: str = "") -> Call | None:
        """Find the call an event is about: by its own id, by its item, or by its place in the answer."""
        by_call = next((call for call in self._calls if call_id and call.call_id == call_id), None)
        return by_call or _found(self._calls, _number(event), item_id)

    def _call_started(self, event: dict[str, Any], item: dict[str, Any]) -> Sequence[StreamEvent]:
        index, item_id, name = len(self._calls), text_of(item, "id"), text_of(item, "name")
        if not name:
            raise ValueError("a function call has no name")
        call_id = text_of(item, "call_id") or item_id or f"call_{index}"
        self._calls.append(Call(_number(event), item_id, call_id, index))
        return (ToolCallStarted(index, call_id, name, item.get("type") == "custom_tool_call"),)

    def _item(self, event: dict[str, Any], item: dict[str, Any]) -> Sequence[StreamEvent]:
        """Yield what a finished item holds beyond its deltas."""
        match item.get("type"):
            case "message":
                return self._message(event, item)
            case "reasoning":
                return self._reasoning(event, item)
            case "function_call" | "custom_tool_call" as kind:
                return self._whole_call(event, item, text_of(item, _CALLS[kind]))
            case None:
                return ()
            case kind:
                return self._other(event, item, str(kind))

    def _message(self, event: dict[str, Any], item: dict[str, Any]) -> Sequence[StreamEvent]:
        parts = objects_of(item, "content")
        message = self._finished_text("message", event, item, _texts_of(parts))
        events = [*self._rest_of(message, parts)]
        for part in parts:
            annotations = part.get("annotations")
            events += self._citations.take(annotations if type(annotations) is list else ())
        extra = kept_fields(item)
        return [*events, PartExtra(extra, block=message.block)] if extra and message.block is not None else events

    def _reasoning(self, event: dict[str, Any], item: dict[str, Any]) -> Sequence[StreamEvent]:
        parts = [*objects_of(item, "summary"), *objects_of(item, "content")]
        reasoning = self._finished_text("reasoning", event, item, _texts_of(parts))
        events = [*self._rest_of(reasoning, parts)]
        # With nothing but a summary it points at an item the server did not store: sent back, it is an error.
        if item.get("encrypted_content") or item.get("content"):
            events.append(ReasoningDelta(item=item, block=reasoning.number or 0))
        return events

    def _finished_text(
        self, family: str, event: dict[str, Any], item: dict[str, Any], texts: Mapping[str, list[str]]
    ) -> TextItem:
        """Find the item that is finished, or begin it: by its id, its place, or by what was yielded of it."""
        items, number, item_id = self._texts[family], _number(event), text_of(item, "id")
        found = _found(items, number, item_id)
        if found is None:
            going_on = (each for each in items if not each.done and any(each.begins(*kind) for kind in texts.items()))
            found = next(going_on, None)
        if found is None:
            found = TextItem(number, item_id)
            items.append(found)
        found.item_id, found.done = item_id or found.item_id, True
        return found

    def _rest_of(self, item: TextItem, parts: Sequence[Mapping[str, Any]]) -> Sequence[StreamEvent]:
        rests = ((kind, item.rest_of_kind(kind, texts)) for kind, texts in _texts_of(parts).items())
        return [event for kind, rest in rests for event in self._shown(item, kind, rest)]

    def _whole_call(self, event: dict[str, Any], item: dict[str, Any], arguments: str) -> Sequence[StreamEvent]:
        if not (item.get("name") or item.get("call_id") or arguments):
            return ()
        call = self._call(event, text_of(item, "id"), text_of(item, "call_id"))
        started = () if call else self._call_started(event, item)
        call = call or self._calls[-1]
        call.item_id, call.done = text_of(item, "id") or call.item_id, True
        extra = kept_fields(item)
        return [*started, *call.rest(arguments), *([PartExtra(extra, call.index)] if extra else [])]

    def _other(self, event: dict[str, Any], item: dict[str, Any], kind: str) -> Sequence[StreamEvent]:
        """Keep what only the service understands, and show the result of a tool that it ran."""
        self._others.append(Place(_number(event), text_of(item, "id")))
        self._others[-1].done = True
        if kind == "image_generation_call" and item.get("result"):
            return [*picture_item(item)]
        shown = [server_tool_done(kind.removesuffix("_call"), item)] if kind in _SERVER_TOOLS else []
        return [ProviderItemDone(item), *shown]

    def _end(self, status: str, response: dict[str, Any]) -> Sequence[StreamEvent]:
        events = [*self._start(response)]
        if status == "failed":
            self._fail(response.get("error"))
        if status not in {"completed", "incomplete"}:
            raise self._interrupted(f"gave up its answer (status {status[:40]})")
        output = objects_of(response, "output")
        places: list[Place] = [*self._texts["message"], *self._texts["reasoning"], *self._calls, *self._others]
        done = [each for each in places if each.done]
        if len(done) < len(output):
            ids = {text_of(item, "id") for item in output}
            known = {each.item_id for each in done if each.item_id}
            renamed = {each.number for each in done if not each.item_id or each.item_id not in ids}
            for number, item in enumerate(output):
                if text_of(item, "id") not in known and number not in renamed and not self._was_said(item):
                    events.extend(self._item({"output_index": number}, item))
        self._finished = True
        return [*events, self._finish(status, response)]

    def _was_said(self, item: dict[str, Any]) -> bool:
        """Whether an item without an id repeats a message that had none either, and stood at another place."""
        if item.get("type") != "message" or item.get("id"):
            return False
        texts = _texts_of(objects_of(item, "content"))
        nameless = (each for each in self._texts["message"] if each.done and not each.item_id)
        return any(each.begins(*kind) for each in nameless for kind in texts.items())

    def _finish(self, status: str, response: dict[str, Any]) -> Finished:
        usage = _usage(object_of(response, "usage"), self._quirks)
        if status == "incomplete":
            reason = text_of(object_of(response, "incomplete_details"), "reason")
            return Finished(_INCOMPLETE.get(reason, FinishReason.UNKNOWN), reason or status, usage)
        if self._calls:
            return Finished(FinishReason.TOOL_CALLS, status, usage)
        return Finished(FinishReason.REFUSAL if self._refused else FinishReason.STOP, status, usage)


def _found(items: Sequence[Item], number: int | None, item_id: str) -> Item | None:
    """Return the item of that id, or the one still open at that place where a server renames items as it goes."""
    for item in reversed(items):
        if item_id and item.item_id == item_id:
            return item
    for item in reversed(items):
        if not item.done and item.number == number and (number is not None or not item_id or not item.item_id):
            return item
    return None


def _number(event: Mapping[str, Any]) -> int | None:
    return count_of(event, "output_index") if "output_index" in event else None


def _texts_of(parts: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the texts of a finished item by their kind."""
    found: dict[str, list[str]] = {}
    for part in parts:
        if (kind := text_of(part, "type")) in _PARTS:
            name, field = _PARTS[kind]
            found.setdefault(name, []).append(text_of(part, field))
    return found


def _usage(fields: Mapping[str, Any], quirks: Quirks) -> Usage | None:
    """Read the usage; None where it is missing or all zero, as in an answer cut at its limit."""
    reasoning = count_of(object_of(fields, "output_tokens_details"), "reasoning_tokens")
    given, made, total = (count_of(fields, key) for key in ("input_tokens", "output_tokens", "total_tokens"))
    details = object_of(fields, "input_tokens_details")
    usage = Usage(
        input_tokens=given,
        output_tokens=made + beside_output(given, made, total, 0 if quirks.output_includes_reasoning else reasoning),
        cache_read_tokens=min(count_of(details, "cached_tokens"), given),
        cache_write_tokens=count_of(details, "cache_write_tokens"),
        reasoning_tokens=reasoning,
        cost=charged(fields),
    )
    return usage if usage.total_tokens else None
