"""One answer as it went: what came, how long it took, what it cost, how it ended; and the JSON that says so."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from arawn.events import Delta, ResponseBuilder
from arawn.values import as_dict, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from arawn.batch.runner import Answer
    from arawn.config.roles import Choice
    from arawn.errors import ArawnError
    from arawn.events import StreamEvent
    from arawn.messages import Response, Usage
    from arawn.store.calls import Call


class Record:
    """One call as it went. ``image_paths`` are where its pictures were written, None for one that was not."""

    def __init__(self) -> None:
        self.error: ArawnError | None = None
        self.exit_code = 0
        self.cost: Decimal | None = None
        self.first_token_ms: float | None = None
        self.image_paths: Sequence[str | None] = ()
        self._settled: Usage | None = None
        self._unfit: Response | None = None
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

    def fail(self, error: ArawnError) -> None:
        """Say why it is no answer, or no whole one; what had arrived and was not passed on counts as the answer."""
        self.error, self.exit_code, self._unfit = error, error.exit_code, error.partial

    def settle(self, call: Call | None) -> None:
        """Take the usage of an interrupted answer from the ledger: its provider did not report any."""
        if call is not None and call.outcome == "interrupted":
            self._settled = replace(call.usage, cost=call.cost)

    @property
    def response(self) -> Response:
        """The answer as far as it came."""
        response = self._unfit or self._builder.response()
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
            "citations": [as_dict(citation) for citation in response.citations],
            "images": self._images(response),
            "finish_reason": response.finish_reason.value,
            "raw_finish_reason": response.raw_finish_reason,
            "finish_detail": response.finish_detail,
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

    def _images(self, response: Response) -> list[dict[str, Any]]:
        images = response.message.images
        paths = self.image_paths or (None,) * len(images)
        return [
            {"type": image.media_type, "bytes": len(image.data), "path": path, "url": image.url or None}
            for image, path in zip(images, paths, strict=True)
        ]

    def _elapsed_ms(self) -> float:
        return round((time.monotonic() - self._began) * 1000, 1)


class FinishedRecord(Record):
    """The record of an answer that is there already, of a batch; ``choice`` is None where no backend was asked.

    ``cost_of`` says what a response of that choice cost, in USD.
    """

    def __init__(
        self, answer: Answer[Any], choice: Choice | None, cost_of: Callable[[Response, Choice], Decimal | None]
    ) -> None:
        super().__init__()
        self.first_token_ms = answer.first_token_ms
        self._response = answer.response
        self._latency_ms = answer.latency_ms
        if choice is not None and not answer.response.backend:
            self._response = replace(answer.response, backend=choice.backend, model=choice.model)
        self.cost = answer.response.usage.cost
        if answer.error is not None:
            self.cost = None if choice is None else cost_of(self._response, choice)
            self.fail(answer.error)

    @property
    def response(self) -> Response:
        """The answer as far as it came."""
        return self._response

    def _elapsed_ms(self) -> float:
        return self._latency_ms


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
