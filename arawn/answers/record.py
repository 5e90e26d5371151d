"""How an answer is written: as text while it comes, as text at the end, as one JSON object, or as JSON lines."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Protocol

from arawn.events import (
    Delta,
    Finished,
    Notice,
    ReasoningDelta,
    RefusalDelta,
    ResponseBuilder,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from arawn.cli.output import Output
    from arawn.errors import ArawnError
    from arawn.events import StreamEvent
    from arawn.messages import Response, Usage
    from arawn.store.calls import Call


class Printer(Protocol):
    """Shows the events of one answer."""

    def event(self, event: StreamEvent) -> None:
        """Show the next event."""
        ...

    def end(self, record: Record) -> None:
        """Show what is known at the end, also after a failure."""
        ...


class Record:
    """One call as it went: what came, how long it took, how it ended."""

    def __init__(self) -> None:
        self.error: ArawnError | None = None
        self.exit_code = 0
        self.cost: Decimal | None = None
        self.first_token_ms: float | None = None
        self._settled: Usage | None = None
        self._builder = ResponseBuilder()
        self._began = time.monotonic()

    def begin(self, backend: str, model: str) -> None:
        """Start the clock: this backend is asked now."""
        self._builder = ResponseBuilder(backend, model)
        self._began = time.monotonic()

    def event(self, event: StreamEvent) -> None:
        """Take in the next event."""
        self._builder.add(event)
        if self.first_token_ms is None and isinstance(event, Delta):
            self.first_token_ms = self._elapsed_ms()

    def settle(self, call: Call | None) -> None:
        """Take over what the ledger says of an answer that broke off: its provider told nothing of what it took."""
        if call is not None and call.outcome == "interrupted":
            self._settled = replace(call.usage, cost=call.cost)

    @property
    def response(self) -> Response:
        """The answer as far as it came."""
        response = self._builder.response()
        return response if self._settled is None else replace(response, usage=self._settled)

    def summary(self) -> dict[str, Any]:
        """Return the object ``ask --json`` prints; its keys are promised to scripts."""
        response = self.response
        return {
            "text": response.text,
            "reasoning": response.reasoning,
            "tool_calls": [
                {"id": call.id, "name": call.name, "arguments": parsed_arguments(call.arguments)}
                for call in response.tool_calls
            ],
            "finish_reason": response.finish_reason.value,
            "raw_finish_reason": response.raw_finish_reason,
            "model": response.model,
            "backend": response.backend,
            "usage": usage_fields(response.usage),
            "cost": None if self.cost is None else float(self.cost),
            "latency_ms": self._elapsed_ms(),
            "first_token_ms": self.first_token_ms,
            "id": response.id,
            "exit_code": self.exit_code,
            "error": None if self.error is None else error_fields(self.error),
        }

    def _elapsed_ms(self) -> float:
        return round((time.monotonic() - self._began) * 1000, 1)


class TextPrinter:
    """Writes visible text as it comes."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def event(self, event: StreamEvent) -> None:
        """Write text, tell notices."""
        match event:
            case TextDelta(text) | RefusalDelta(text):
                self._output.answer(text)
            case Notice(text=text):
                self._output.note(text)
            case _:
                pass

    def end(self, record: Record) -> None:
        """End the text with one line end."""
        self._output.end_answer()


class WholePrinter:
    """Writes text once, at the end: all of it, or the code or the JSON in it."""

    def __init__(self, output: Output, *, extract: bool = False, schema: bool = False) -> None:
        self._output = output
        self._extract = extract
        self._schema = schema

    def event(self, event: StreamEvent) -> None:
        """Tell notices."""
        if isinstance(event, Notice):
            self._output.note(event.text)

    def end(self, record: Record) -> None:
        """Write the answer, also a partial one."""
        text = record.response.text
        if self._extract:
            code = first_code_block(text)
            if code is None and text and record.error is None:
                self._output.warning("there is no code block in the answer; this is all of it")
            text = text if code is None else code
        elif self._schema and record.error is None:
            text = json_text(text)
        self._output.answer(text)
        self._output.end_answer()


class JsonPrinter:
    """Writes one JSON object at the end, also after a failure."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def event(self, event: StreamEvent) -> None:
        """Tell notices."""
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
        self._line(type="usage", **summary["usage"], cost=summary["cost"])
        if summary["error"]:
            self._line(type="error", **summary["error"])
        keys = ("finish_reason", "raw_finish_reason", "latency_ms", "first_token_ms", "exit_code")
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
        case ReasoningDelta() | ToolCallStarted() | ToolCallDelta() | Finished() | _:
            return {}


def code_blocks(text: str) -> Iterator[str]:
    """Yield the insides of the fenced code blocks; a fence that never closes runs to the end."""
    import re

    opening, at = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})[^\n]*\n", re.MULTILINE), 0
    while fence := opening.search(text, at):
        mark = fence[1]
        close = re.compile(rf"^[ ]{{0,3}}{re.escape(mark[0])}{{{len(mark)},}}[ \t]*$", re.MULTILINE)
        end = close.search(text, fence.end())
        yield text[fence.end() : end.start() if end else len(text)].removesuffix("\n")
        at = end.end() if end else len(text)


def first_code_block(text: str) -> str | None:
    """Return the inside of the first fenced code block, or None."""
    return next(code_blocks(text), None)


def json_text(text: str) -> str:
    """Return the JSON of an answer that was asked for JSON: its fenced block where the model wrapped it in one."""
    text = text.strip()
    return (first_code_block(text) or text) if text.startswith("```") else text


def parsed_arguments(arguments: str) -> Any:
    """Return a tool call's arguments as JSON; text that is not JSON (an answer cut short) comes back as it is."""
    try:
        return json.loads(arguments or "{}") or {}
    except ValueError:
        return arguments


def usage_fields(usage: Usage) -> dict[str, Any]:
    """Return usage with its promised keys."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "estimated": usage.estimated,
    }


def error_fields(error: ArawnError) -> dict[str, Any]:
    """Return a failure as JSON."""
    return {"kind": error.kind, "message": error.message, "hints": list(error.hints), "transient": error.transient}
