"""Reads answers of the Messages API, streamed or whole, into events.

Protocol: https://platform.claude.com/docs/en/build-with-claude/streaming, which allows events and blocks of unknown
types: such an event is skipped, such a block is kept whole and sent back with the next turn.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arawn.adapters.answer_parser import AnswerParser
from arawn.adapters.payload import object_of, objects_of, parse_json, parse_object, text_of
from arawn.events import (
    Finished,
    ProviderItemDone,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from arawn.messages import FinishReason, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.adapters.base import Quirks
    from arawn.events import StreamEvent

_FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "pause_turn": FinishReason.PAUSE,
    "refusal": FinishReason.REFUSAL,
}
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_WRITTEN_FOR_AN_HOUR = "ephemeral_1h_input_tokens"
_COUNT_LIMIT = 1 << 53


class AnthropicParser(AnswerParser):
    """Reads one answer; a stream and a whole body both lead through the same steps."""

    def __init__(self, backend: str, quirks: Quirks) -> None:
        super().__init__(backend, quirks)
        self._open: dict[int, _Item | None] = {}
        self._calls: set[int] = set()
        self._counts: dict[str, int] = {}
        self._stop_reason = ""

    def _read(self, name: str, text: str) -> Sequence[StreamEvent]:
        event = parse_object(text)
        match event.get("type", name):
            case "content_block_delta":
                return self._delta(event.get("index"), event.get("delta"))
            case "content_block_start":
                return self._open_block(_index(event), _object(event, "content_block"))
            case "content_block_stop":
                return self._close_block(_index(event))
            case "message_start":
                return self._start(_object(event, "message"))
            case "message_delta":
                return self._end(_object(event, "delta"), event.get("usage"))
            case "message_stop":
                return self._finish()
            case "error":
                return self._fail(event)
            case _:
                return ()

    def _read_whole(self, answer: dict[str, Any]) -> Sequence[StreamEvent]:
        if answer.get("type") == "error":
            self._fail(answer)
        if answer.get("type") != "message":
            raise ValueError("it is not a message")
        events = [*self._start(answer)]
        for index, block in enumerate(objects_of(answer, "content")):
            events += self._open_block(index, block)
            events += self._close_block(index)
        return [*events, *self._end(answer, answer.get("usage")), *self._finish()]

    def _start(self, message: dict[str, Any]) -> Sequence[StreamEvent]:
        if self._started:
            raise ValueError("it is a second message_start")
        self._started = True
        self._model = text_of(message, "model")
        self._add_usage(message.get("usage"))
        return (Started(self._backend, self._model, text_of(message, "id")),)

    def _open_block(self, index: int, block: dict[str, Any]) -> Sequence[StreamEvent]:
        if not self._started or index in self._open:
            raise ValueError("a block begins before its message, or twice")
        self._open[index] = None
        match block.get("type"):
            case "text":
                text = text_of(block, "text")
                return (TextDelta(text),) if text else ()
            case "tool_use":
                return self._call(index, block)
            case "thinking":
                thought = text_of(block, "thinking")
                signature = text_of(block, "signature")
                if not thought and not signature:
                    return ()
                return (ReasoningDelta(thought, signature, block=index, bound_to=self._bound_to(signature)),)
            case "redacted_thinking":
                return (ReasoningDelta(item=block, block=index),)
            case str():
                self._open[index] = _Item(block)
                return ()
            case _:
                raise ValueError("a block has no type")

    def _delta(self, index: Any, delta: Any) -> Sequence[StreamEvent]:
        if type(index) is not int or index not in self._open or type(delta) is not dict:
            raise ValueError("it is not a delta of an open block")
        item = self._open[index]
        if item is not None:
            item.add(delta)
            return ()
        match delta.get("type"):
            case "text_delta":
                text = text_of(delta, "text")
                return (TextDelta(text),) if text else ()
            case "input_json_delta":
                return self._arguments(index, text_of(delta, "partial_json"))
            case "thinking_delta":
                text = text_of(delta, "thinking")
                return (ReasoningDelta(text, block=index),) if text else ()
            case "signature_delta":
                text = text_of(delta, "signature")
                bound_to = self._bound_to(text)
                return (ReasoningDelta(signature=text, block=index, bound_to=bound_to),) if text else ()
            case _:
                return ()

    def _bound_to(self, signature: str) -> str:
        """Return the only model that takes a signature back, empty where others do too."""
        return self._model if signature and self._quirks.rules.binds_model else ""

    def _close_block(self, index: int) -> Sequence[StreamEvent]:
        item = self._open.pop(index, None)
        return (ProviderItemDone(item.whole()),) if item is not None else ()

    def _end(self, delta: dict[str, Any], usage: Any) -> Sequence[StreamEvent]:
        """Take in how the answer ends; the counts are cumulative, so later ones replace earlier ones."""
        if not self._started:
            raise ValueError("a message ends before it begins")
        self._stop_reason = text_of(delta, "stop_reason") or self._stop_reason
        self._add_usage(usage)
        return ()

    def _finish(self) -> Sequence[StreamEvent]:
        if not self._stop_reason:
            raise self._interrupted("ended its answer without a stop reason")
        self._finished = True
        reason = _FINISH_REASONS.get(self._stop_reason, FinishReason.UNKNOWN)
        return (Finished(reason, self._stop_reason, self._usage()),)

    def _call(self, index: int, block: dict[str, Any]) -> Sequence[StreamEvent]:
        if index in self._calls:
            raise ValueError("two tool calls have one index")
        self._calls.add(index)
        call = ToolCallStarted(index, text_of(block, "id"), text_of(block, "name"))
        if not call.id or not call.name:
            raise ValueError("a tool call has no id or no name")
        arguments = object_of(block, "input")
        if not arguments:
            return (call,)
        return call, ToolCallDelta(index, json.dumps(arguments, ensure_ascii=False, allow_nan=False))

    def _arguments(self, index: int, text: str) -> Sequence[StreamEvent]:
        if index not in self._calls:
            raise ValueError("arguments come for a block that is no tool call")
        return (ToolCallDelta(index, text),) if text else ()

    def _add_usage(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        details = usage.get("output_tokens_details")
        thinking = details.get("thinking_tokens") if isinstance(details, dict) else None
        written = usage.get("cache_creation")
        hour = written.get(_WRITTEN_FOR_AN_HOUR) if isinstance(written, dict) else None
        more = (("thinking_tokens", thinking), (_WRITTEN_FOR_AN_HOUR, hour))
        for key, count in (*((key, usage.get(key)) for key in _COUNTS), *more):
            if type(count) is int and 0 <= count < _COUNT_LIMIT:
                self._counts[key] = count

    def _usage(self) -> Usage | None:
        """Return our count: their ``input_tokens`` leave out what the cache read and wrote."""
        if "input_tokens" not in self._counts or "output_tokens" not in self._counts:
            return None
        plain, output, read, written = (self._counts.get(key, 0) for key in _COUNTS)
        return Usage(
            plain + read + written,
            output,
            read,
            written,
            self._counts.get("thinking_tokens", 0),
            cache_write_1h_tokens=min(self._counts.get(_WRITTEN_FOR_AN_HOUR, 0), written),
        )


class _Item:
    """A block that only the provider understands, collected until it is whole."""

    def __init__(self, block: dict[str, Any]) -> None:
        self._block = dict(block)
        self._input: list[str] = []

    def add(self, delta: dict[str, Any]) -> None:
        for key, value in delta.items():
            before = self._block.get(key)
            if key == "partial_json":
                self._input.append(text_of(delta, key))
            elif key != "type" and value is not None:
                self._block[key] = before + value if type(before) is type(value) is str else value

    def whole(self) -> dict[str, Any]:
        if text := "".join(self._input):
            self._block["input"] = parse_json(text)
        return self._block


def _index(event: dict[str, Any]) -> int:
    index = event.get("index")
    if type(index) is not int:
        raise ValueError('"index" is not a number')
    return index


def _object(event: dict[str, Any], key: str) -> dict[str, Any]:
    value = event.get(key)
    if type(value) is not dict:
        raise ValueError(f'"{key}" is not an object')
    return value
