"""Answers of Chat Completions become events: the chunks of a stream, and the whole answer, read as one chunk.

An answer is complete once its ``finish_reason`` came; usage may follow in later chunks, so Finished waits for
``[DONE]`` or for the end of the bytes (OpenAI API reference, "Chat Completions", "Streaming").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.adapters.answer_parser import AnswerParser
from arawn.adapters.citations import CitationCollector, listed_sources
from arawn.adapters.finish_reasons import FAILURES, finish_reason
from arawn.adapters.openai.reasoning import ReasoningCollector
from arawn.adapters.openai.thoughts import ContentThoughts, is_marked
from arawn.adapters.openai.tool_calls import ToolCallCollector
from arawn.adapters.openai.usage import parse_usage
from arawn.adapters.payload import malformed, object_of, objects_of, text_of
from arawn.adapters.pictures import picture_of
from arawn.adapters.server_tools import executed_tools
from arawn.events import Finished, PartExtra, ReasoningDelta, RefusalDelta, Started, TextDelta
from arawn.messages import FinishReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arawn.adapters.base import Quirks
    from arawn.events import StreamEvent

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
        self._thoughts = ContentThoughts(quirks.reasoning_tag)
        self._calls = ToolCallCollector()
        self._citations = CitationCollector()

    def _read(self, _name: str, event: dict[str, Any]) -> Iterable[StreamEvent]:
        return self._chunk(event, "delta")

    def _read_done(self) -> Iterable[StreamEvent]:
        return self._end(complete=self._answered or bool(self._finish_reason))

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
        if self._started and ("citations" in chunk or "search_results" in chunk):
            events.extend(self._citations.take(listed_sources(chunk)))
        for choice in choices:
            if not choice.get("index"):
                self._choice(choice, key, events)
                break
        return events

    def _choice(self, choice: dict[str, Any], key: str, events: list[StreamEvent]) -> None:
        if delta := object_of(choice, key):
            before = len(events)
            content = delta.get("content")
            is_open = self._reasoning.is_open or self._thoughts.is_open
            if type(content) is str and content and not is_open and delta.keys() <= _PLAIN:
                events.append(TextDelta(content))
            else:
                self._parts(delta, events, whole=key == "message")
            self._answered = self._answered or len(events) > before
        if reason := text_of(choice, "finish_reason"):
            if reason in FAILURES:
                self._fail(choice.get("error") or {"message": f"it ended its answer with {reason}"})
            self._finish_reason = reason
            self._usage = choice.get("usage") or self._usage

    def _parts(self, delta: dict[str, Any], events: list[StreamEvent], *, whole: bool) -> None:
        events.extend(self._reasoning.take(delta))
        marked, content = is_marked(delta), delta.get("content")
        if content and isinstance(content, str):
            events.extend((*self._reasoning.close(), *self._thoughts.take(content, marked=marked)))
        elif isinstance(content, list):
            events.extend(_pieces(content))
        if refusal := text_of(delta, "refusal"):
            self._refused = True
            events.extend((*self._reasoning.close(), RefusalDelta(refusal)))
        if not marked and (extra := object_of(delta, "extra_content")):  # Gemini: the signature of the text
            events.append(PartExtra({"extra_content": extra}))
        self._extras(delta, events)
        fragments = objects_of(delta, "tool_calls")
        if legacy := object_of(delta, "function_call"):
            fragments = [{"index": "function_call", "function": legacy}]
        for fragment in fragments:
            if calls := [*self._calls.take(fragment, whole=whole)]:
                events.extend((*self._reasoning.close(for_call=True), *calls))

    def _extras(self, delta: dict[str, Any], events: list[StreamEvent]) -> None:
        """Read what some services send beside the text: sources, pictures (OpenRouter), tools that ran (Groq)."""
        if type(annotations := delta.get("annotations")) is list:
            events.extend(self._citations.take(annotations))
        if "images" in delta:
            events.extend(_pictures(objects_of(delta, "images")))
        if "executed_tools" in delta:
            events.extend(executed_tools(objects_of(delta, "executed_tools")))

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
        yield from self._thoughts.close()
        reason = finish_reason(self._finish_reason)
        if reason in {FinishReason.STOP, FinishReason.UNKNOWN}:
            if self._calls:  # a forced tool, and several servers, end with "stop"
                reason = FinishReason.TOOL_CALLS
            elif self._refused:
                reason = FinishReason.REFUSAL
        includes = self._quirks.output_includes_reasoning
        yield Finished(reason, self._finish_reason, parse_usage(self._usage, output_includes_reasoning=includes))


def _pieces(pieces: list[Any]) -> Iterator[StreamEvent]:
    """Yield the pieces of a content that is a list: text, pictures, and thinking with texts of its own (Mistral)."""
    for piece in objects_of({"content": pieces}, "content"):
        if piece.get("type") == "thinking":
            thoughts = objects_of(piece, "thinking")
            yield from (ReasoningDelta(text) for thought in thoughts if (text := text_of(thought, "text")))
        elif text := text_of(piece, "text"):
            yield TextDelta(text)
        elif piece.get("image_url"):
            yield from _pictures([piece])


def _pictures(images: list[dict[str, Any]]) -> Iterator[StreamEvent]:
    for image in images:
        written = image.get("image_url")
        url = written if type(written) is str else text_of(object_of(image, "image_url"), "url")
        if url:
            yield picture_of(url)
