"""Answers of Chat Completions become events: the chunks of a stream, and the whole answer, read as one chunk.

An answer is complete once its ``finish_reason`` came; usage may follow in later chunks, so Finished waits for
``[DONE]`` or for the end of the bytes (OpenAI API reference, "Chat Completions", "Streaming").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.adapters.answer_parser import AnswerParser
from arawn.adapters.openai.reasoning import ReasoningCollector
from arawn.adapters.openai.tool_calls import ToolCallCollector
from arawn.adapters.openai.usage import parse_usage
from arawn.adapters.payload import malformed, object_of, objects_of, parse_json, parse_object, text_of
from arawn.events import Finished, ReasoningDelta, RefusalDelta, Started, TextDelta
from arawn.messages import FinishReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arawn.adapters.base import Quirks
    from arawn.events import StreamEvent

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "eos_token": FinishReason.STOP,  # Text Generation Inference
    "stop_sequence": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,  # Mistral: the context window is full
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "refusal": FinishReason.REFUSAL,
}
_PLAIN = {"content", "role"}


class ChatParser(AnswerParser):
    """Reads one answer; of several choices only the first."""

    def __init__(self, backend: str, quirks: Quirks) -> None:
        super().__init__(backend, quirks)
        self._answered = False
        self._refused = False
        self._finish_reason = ""
        self._usage: Any = None
        self._reasoning = ReasoningCollector()
        self._calls = ToolCallCollector()

    def _read(self, name: str, text: str) -> Iterable[StreamEvent]:
        if name == "error":
            self._fail(_value_or_text(text))
        if text.startswith("[DONE]"):
            return self._end(complete=self._answered or bool(self._finish_reason))
        if not text.strip():  # an event without data keeps the connection alive
            return ()
        return self._chunk(parse_object(text), "delta")

    def _read_whole(self, answer: dict[str, Any]) -> Iterable[StreamEvent]:
        events = self._chunk(answer, "message")
        if not answer.get("choices"):
            empty = malformed(ValueError("there are no choices in it"), backend=self._backend)
            empty.transient = True  # a router whose provider gave nothing: the next one may
            raise empty
        return [*events, *self._end(complete=True)]

    def _chunk(self, chunk: dict[str, Any], key: str) -> list[StreamEvent]:
        choices = objects_of(chunk, "choices")
        if not choices or "error" in chunk:
            self._check(chunk)
        if usage := chunk.get("usage"):
            self._usage = usage
        if "x_groq" in chunk:
            self._groq_fields(object_of(chunk, "x_groq"))
        events: list[StreamEvent] = []
        if not self._started and (choices or chunk.get("model")):
            events.append(self._start(chunk))
        for choice in choices:
            if not choice.get("index"):
                self._choice(choice, key, events)
                break
        return events

    def _choice(self, choice: dict[str, Any], key: str, events: list[StreamEvent]) -> None:
        if delta := object_of(choice, key):
            before = len(events)
            content = delta.get("content")
            if type(content) is str and content and delta.keys() <= _PLAIN and not self._reasoning.is_open:
                events.append(TextDelta(content))
            else:
                self._parts(delta, events, whole=key == "message")
            self._answered = self._answered or len(events) > before
        if reason := text_of(choice, "finish_reason"):
            if reason == "error":
                self._fail(choice.get("error") or {"message": "it ended its answer with an error"})
            self._finish_reason = reason
            self._usage = choice.get("usage") or self._usage

    def _parts(self, delta: dict[str, Any], events: list[StreamEvent], *, whole: bool) -> None:
        events.extend(self._reasoning.take(delta))
        content = delta.get("content")
        if content and isinstance(content, str):
            events.extend((*self._reasoning.close(), TextDelta(content)))
        elif isinstance(content, list):
            events.extend(_pieces(content))
        if refusal := text_of(delta, "refusal"):
            self._refused = True
            events.extend((*self._reasoning.close(), RefusalDelta(refusal)))
        fragments = objects_of(delta, "tool_calls")
        if legacy := object_of(delta, "function_call"):
            fragments = [{"index": "function_call", "function": legacy}]
        if fragments:
            events.extend(self._reasoning.close(for_call=True))
        for fragment in fragments:
            events.extend(self._calls.take(fragment, whole=whole))

    def _start(self, chunk: dict[str, Any]) -> Started:
        self._started = True
        self._model, answer_id = text_of(chunk, "model"), text_of(chunk, "id")
        self._calls.seed = "".join(filter(str.isalnum, answer_id or str(chunk.get("created", ""))))[-12:]
        return Started(self._backend, self._model, answer_id)

    def _groq_fields(self, fields: dict[str, Any]) -> None:
        """Read what Groq sends beside the chunk: usage, also unasked, and why it stopped early."""
        if error := fields.get("error"):
            self._fail(error)
        self._usage = fields.get("usage") or self._usage

    def _check(self, chunk: dict[str, Any]) -> None:
        """Raise the error that stands in the place of, or beside, an answer."""
        instead = "choices" not in chunk and (chunk.get("message") or chunk.get("detail"))
        if chunk.get("error") or chunk.get("object") == "error" or instead:
            self._fail(chunk)

    def _end_without_terminator(self) -> Iterable[StreamEvent]:
        return self._end(complete=bool(self._finish_reason))

    def _end(self, *, complete: bool) -> Iterator[StreamEvent]:
        if not complete:
            raise self._interrupted("broke off its answer")
        self._finished = True
        yield from self._reasoning.close()
        reason = _FINISH_REASONS.get(self._finish_reason, FinishReason.UNKNOWN)
        if reason in {FinishReason.STOP, FinishReason.UNKNOWN}:
            if self._calls:  # a forced tool, and several servers, end with "stop"
                reason = FinishReason.TOOL_CALLS
            elif self._refused:
                reason = FinishReason.REFUSAL
        includes = self._quirks.output_includes_reasoning
        yield Finished(reason, self._finish_reason, parse_usage(self._usage, output_includes_reasoning=includes))


def _pieces(pieces: list[Any]) -> Iterator[StreamEvent]:
    """Yield the pieces of a content that is a list: text, and thinking with texts of its own (Mistral)."""
    for piece in objects_of({"content": pieces}, "content"):
        if piece.get("type") == "thinking":
            thoughts = objects_of(piece, "thinking")
            yield from (ReasoningDelta(text) for thought in thoughts if (text := text_of(thought, "text")))
        elif text := text_of(piece, "text"):
            yield TextDelta(text)


def _value_or_text(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return text
