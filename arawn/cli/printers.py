"""How the answer of ``ask`` is written: as text while it comes or at the end, as a JSON object, as JSON lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, Protocol

from arawn.answers.extract import first_code_block, json_lines
from arawn.errors import NotSavedError
from arawn.events import (
    Notice,
    ReasoningDelta,
    RefusalDelta,
    ServerToolDone,
    Started,
    TextDelta,
)
from arawn.messages import Citation
from arawn.values import as_dict

if TYPE_CHECKING:
    from arawn.answers.record import Record
    from arawn.cli.output import Output
    from arawn.events import StreamEvent

_IMAGE_KEYS = ("bytes", "path", "url")


class Printer(Protocol):
    """Shows the events of one answer."""

    def event(self, event: StreamEvent) -> None:
        """Show the next event."""
        ...

    def end(self, record: Record) -> None:
        """Show what is known at the end, also after a failure."""
        ...


class TextPrinter:
    """Writes visible text as it comes."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def event(self, event: StreamEvent) -> None:
        """Write text, show notices."""
        match event:
            case TextDelta(text) | RefusalDelta(text):
                self._output.answer(text)
            case Notice(text=text):
                self._output.note(text)
            case _:
                pass

    def end(self, record: Record) -> None:
        """End the text with one line end; on a terminal its sources follow."""
        self._output.end_answer()
        self._output.sources(record.response.citations)


class WholePrinter:
    """Writes text once, at the end: all of it, the code in it, JSON, or a list of JSON as a line for each item."""

    def __init__(self, output: Output, shape: Literal["text", "code", "json", "lines"]) -> None:
        self._output = output
        self._shape = shape

    def event(self, event: StreamEvent) -> None:
        """Show notices."""
        if isinstance(event, Notice):
            self._output.note(event.text)

    def end(self, record: Record) -> None:
        """Write the answer, also a partial one; JSON only where it is what was asked for."""
        text = record.response.text
        if self._shape in ("json", "lines") and not isinstance(record.error, NotSavedError | None):
            return
        if self._shape == "code":
            code = first_code_block(text)
            if code is None and text and record.error is None:
                self._output.warning("there is no code block in the answer; this is all of it")
            text = text if code is None else code
        if self._shape == "lines":
            text = json_lines(text)
        self._output.answer(text)
        self._output.end_answer()
        if self._shape == "text":
            self._output.sources(record.response.citations)


class JsonPrinter:
    """Writes one JSON object at the end, also after a failure."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def event(self, event: StreamEvent) -> None:
        """Show notices."""
        if isinstance(event, Notice):
            self._output.note(event.text)

    def end(self, record: Record) -> None:
        """Write the object."""
        self._output.data(json.dumps(record.summary(), ensure_ascii=False))


class JsonLinesPrinter:
    """Writes each event as a JSON object on a line of its own; ``v`` is the version of their shape."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def event(self, event: StreamEvent) -> None:
        """Write the event."""
        fields = _line_fields(event)
        if fields:
            self._output.data(json.dumps({"v": 1, **fields}, ensure_ascii=False))

    def end(self, record: Record) -> None:
        """Write what the whole came to."""
        summary = record.summary()
        for call in summary["tool_calls"]:
            self._line(type="tool_call", **call)
        for image in summary["images"]:
            self._line(**{"type": "image", "media_type": image["type"], **{key: image[key] for key in _IMAGE_KEYS}})
        self._line(type="usage", **summary["usage"], cost=summary["cost"])
        if summary["error"]:
            self._line(type="error", **summary["error"])
        keys = ("finish_reason", "raw_finish_reason", "finish_detail", "latency_ms", "first_token_ms", "exit_code")
        self._line(type="end", **{key: summary[key] for key in keys})

    def _line(self, **fields: Any) -> None:
        self._output.data(json.dumps({"v": 1, **fields}, ensure_ascii=False))


def _line_fields(event: StreamEvent) -> dict[str, Any]:
    match event:
        case TextDelta(text) | RefusalDelta(text):
            return {"type": "delta", "text": text}
        case ReasoningDelta(text=text) if text:
            return {"type": "reasoning", "text": text}
        case Started(backend, model, answer_id):
            return {"type": "start", "backend": backend, "model": model, "id": answer_id}
        case Notice(kind, text):
            return {"type": "notice", "kind": kind, "text": text}
        case Citation():
            return {"type": "citation", **as_dict(event)}
        case ServerToolDone(name, text):
            return {"type": "server_tool", "name": name, "text": text}
        case _:  # calls and pictures follow at the end, whole
            return {}
