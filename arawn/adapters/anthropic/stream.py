"""Reads answers of the Messages API, streamed or whole, into events.

Protocol: https://platform.claude.com/docs/en/build-with-claude/streaming, which allows events and blocks of unknown
types: such an event is skipped, such a block is kept whole and sent back with the next turn.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arawn.adapters.answer_parser import AnswerParser
from arawn.adapters.anthropic.blocks import ForeignBlock, TextBlock, Texts, ThinkingBlock, unread_fields
from arawn.adapters.finish_reasons import finish_reason
from arawn.adapters.payload import object_of, objects_of, text_of
from arawn.events import (
    Finished,
    PartExtra,
    ReasoningDelta,
    Started,
    ToolCallDelta,
    ToolCallStarted,
)
from arawn.messages import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.adapters.anthropic.blocks import Block
    from arawn.adapters.base import Quirks
    from arawn.events import StreamEvent

_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_WRITTEN_FOR_AN_HOUR = "ephemeral_1h_input_tokens"
_COUNT_LIMIT = 1 << 53


class AnthropicParser(AnswerParser):
    """Reads one answer; a stream and a whole body both lead through the same steps."""

    def __init__(self, backend: str, quirks: Quirks) -> None:
        super().__init__(backend, quirks)
        self._open: dict[int, Block | None] = {}  # of a tool call nothing is kept
        self._complete: set[int] = set()  # blocks that came with the start of the message
        self._texts = Texts()
        self._calls: set[int] = set()
        self._counts: dict[str, int] = {}
        self._id = ""
        self._stop_reason = ""
        self._stop_detail = ""

    def _read(self, name: str, event: dict[str, Any]) -> Sequence[StreamEvent]:
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
            case kind:
                self._refuse_event(kind, event)
                return ()

    def _read_whole(self, answer: dict[str, Any]) -> Sequence[StreamEvent]:
        if answer.get("type") == "error":
            self._fail(answer)
        if answer.get("type") != "message":
            self._refuse(answer)
            raise ValueError("it is not a message")
        return [*self._start(answer), *self._end(answer, answer.get("usage")), *self._finish()]

    def _start(self, message: dict[str, Any]) -> Sequence[StreamEvent]:
        """Begin the message; some services begin it twice, or send all of it in its beginning."""
        answer_id = text_of(message, "id")
        if self._started and answer_id != self._id:
            raise ValueError("it is the message_start of a second message")
        self._add_usage(message.get("usage"))
        if self._started:
            return ()
        self._started, self._id, self._model = True, answer_id, text_of(message, "model")
        events: list[StreamEvent] = [Started(self._backend, self._model, answer_id)]
        for index, block in enumerate(objects_of(message, "content")):
            events += self._open_block(index, block)
            events += self._close_block(index)
            self._complete.add(index)
        self._take_reason(message)
        return events

    def _open_block(self, index: int, block: dict[str, Any]) -> Sequence[StreamEvent]:
        if index in self._complete:
            return ()
        if not self._started or index in self._open:
            raise ValueError("a block begins before its message, or twice")
        self._open[index] = None
        match block.get("type"):
            case "text":
                self._open[index] = text = TextBlock(self._texts, block)
                return text.begin()
            case "tool_use":
                return self._call(index, block)
            case "thinking":
                bound_to = self._model if self._quirks.rules.binds_model else ""
                self._open[index] = thought = ThinkingBlock(index, block, bound_to)
                return thought.begin()
            case "redacted_thinking":
                return (ReasoningDelta(item=block, block=index),)
            case str():
                self._open[index] = ForeignBlock(block)
                return ()
            case _:
                raise ValueError("a block has no type")

    def _delta(self, index: Any, delta: Any) -> Sequence[StreamEvent]:
        if type(index) is int and index in self._complete:
            return ()
        if type(index) is not int or index not in self._open or type(delta) is not dict:
            raise ValueError("it is not a delta of an open block")
        block = self._open[index]
        if block is not None:
            return block.add(delta)
        return self._arguments(index, text_of(delta, "partial_json")) if "partial_json" in delta else ()

    def _close_block(self, index: int) -> Sequence[StreamEvent]:
        block = self._open.pop(index, None)
        return block.close() if block is not None else ()

    def _end(self, delta: dict[str, Any], usage: Any) -> Sequence[StreamEvent]:
        """Take in how the answer ends; the counts are cumulative, so later ones replace earlier ones."""
        if not self._started:
            raise ValueError("a message ends before it begins")
        self._take_reason(delta)
        self._add_usage(usage)
        return ()

    def _take_reason(self, fields: dict[str, Any]) -> None:
        """Take in why the answer ends, and what a refusal says of itself in ``stop_details``."""
        self._stop_reason = text_of(fields, "stop_reason") or self._stop_reason
        details = fields.get("stop_details")
        if type(details) is dict and type(explanation := details.get("explanation")) is str:
            self._stop_detail = explanation

    def _finish(self) -> Sequence[StreamEvent]:
        if not self._stop_reason:
            raise self._interrupted("ended its answer without a stop reason")
        self._finished = True
        return (Finished(finish_reason(self._stop_reason), self._stop_reason, self._usage(), self._stop_detail),)

    def _call(self, index: int, block: dict[str, Any]) -> Sequence[StreamEvent]:
        if index in self._calls:
            raise ValueError("two tool calls have one index")
        self._calls.add(index)
        call = ToolCallStarted(index, text_of(block, "id"), text_of(block, "name"))
        if not call.id or not call.name:
            raise ValueError("a tool call has no id or no name")
        events: list[StreamEvent] = [call]
        if arguments := object_of(block, "input"):
            events.append(ToolCallDelta(index, json.dumps(arguments, ensure_ascii=False, allow_nan=False)))
        if extra := unread_fields(block, "id", "name", "input"):
            events.append(PartExtra(extra, index))
        return events

    def _arguments(self, index: int, text: str) -> Sequence[StreamEvent]:
        if index not in self._calls:
            raise ValueError("arguments come for a block that is no tool call")
        return (ToolCallDelta(index, text),) if text else ()

    def _add_usage(self, usage: Any) -> None:
        """Take in counts; where a request ran in several iterations, they bill what stands there, all of it.

        Compaction and the advisor tool run so (platform.claude.com/docs/en/build-with-claude/compaction).
        """
        if not isinstance(usage, dict):
            return
        iterations = usage.get("iterations")
        if type(iterations) is list and iterations and all(type(each) is dict for each in iterations):
            usage = usage | {key: sum(_count(each.get(key)) for each in iterations) for key in _COUNTS}
        details = usage.get("output_tokens_details")
        thinking = details.get("thinking_tokens") if isinstance(details, dict) else None
        written = usage.get("cache_creation")
        hour = written.get(_WRITTEN_FOR_AN_HOUR) if isinstance(written, dict) else None
        more = (("thinking_tokens", thinking), (_WRITTEN_FOR_AN_HOUR, hour))
        for key, count in (*((key, usage.get(key)) for key in _COUNTS), *more):
            if count == _count(count):
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


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < _COUNT_LIMIT else 0


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
