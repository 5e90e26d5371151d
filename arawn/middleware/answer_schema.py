"""Answers that were given a JSON Schema fit it: each is checked, and one that does not fit is asked for once more.

The text is held back until it is checked, and is then the JSON alone. The second call carries the answer and what is
wrong with it; it is a call like any other, with a row in the ledger and a reservation of its own. There is no second
call where another answer would end like the first (cut at its limit, filtered, refused) or the budget is reached.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from arawn.errors import ArawnError, BudgetError, IncompleteAnswerError
from arawn.events import (
    Delta,
    Finished,
    Notice,
    ProviderItemDone,
    ReasoningDelta,
    ResponseBuilder,
    TextDelta,
)
from arawn.messages import FinishReason, Message, Refusal, Role, Text, Usage
from arawn.values import as_dict, replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arawn.answers.schema import AnswerSchema, UnfitAnswerError
    from arawn.backends.base import Backend
    from arawn.events import Events, StreamEvent
    from arawn.messages import ChatRequest, Response

_MOST_PROBLEMS = 10
_LONGEST_PROBLEM = 200
_FINAL = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.REFUSAL, FinishReason.PAUSE)
"""Ends that a second call would come to as well."""


class SchemaCheck:
    """A backend around a backend; requests without a schema pass by.

    What does not fit raises IncompleteAnswerError, with the answer as its ``partial`` and the usage of both calls. A
    schema that is none raises UsageError, before anything is sent.
    """

    def __init__(self, inner: Backend) -> None:
        self.name = inner.name
        self._inner = inner

    def stream(self, request: ChatRequest) -> Events:
        """Answer with JSON that fits the schema of the request."""
        if request.output is None or request.output.schema is None:
            return self._inner.stream(request)
        return self._checked(request)

    async def _checked(self, request: ChatRequest) -> Events:
        schema, sent = _schema_of(request), as_sent(request)
        held = _HeldAnswer()
        async with aclosing(self._held(sent, held)) as events:
            async for event in events:
                yield event
        failure = _failure(schema, held.response)
        if failure is not None:
            _require_repeatable(held.response, failure)
            yield Notice("schema", f"{failure.message}: asking once more")
            first, held = held.response, _HeldAnswer(before=held.response.usage)
            async with aclosing(self._again(_repeated(sent, first, failure), held, first, failure)) as events:
                async for event in events:
                    yield event
            if (still := _failure(schema, held.response)) is not None:
                raise _incomplete(still, held.response, "asked twice: try an easier schema or another model")
        for event in held.fitting(schema):
            yield event

    async def _again(
        self, request: ChatRequest, held: _HeldAnswer, first: Response, failure: UnfitAnswerError
    ) -> Events:
        try:
            async with aclosing(self._held(request, held)) as events:
                async for event in events:
                    yield event
        except BudgetError as error:
            raise _incomplete(failure, first, f"not asked again: {error.message}") from None

    async def _held(self, request: ChatRequest, held: _HeldAnswer) -> Events:
        """Yield what comes before an answer, and hold the answer."""
        try:
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    if not held.takes(event):
                        yield event
        except ArawnError as error:
            if error.partial is None and held.response.message.parts:
                error.partial = held.response
            raise


class _HeldAnswer:
    """An answer that waits for its check; ``before`` is the usage of the call before it."""

    def __init__(self, before: Usage | None = None) -> None:
        self._before = before
        self._events: list[StreamEvent] = []
        self._builder = ResponseBuilder()

    def takes(self, event: StreamEvent) -> bool:
        """Take in the next event; say whether it is held."""
        self._builder.add(event)
        is_held = isinstance(event, (*Delta, Finished))
        if is_held:
            self._events.append(event)
        return is_held

    @property
    def response(self) -> Response:
        """The answer, with the usage of both calls where it is the second."""
        response = self._builder.response()
        return response if self._before is None else replace(response, usage=_sum(self._before, response.usage))

    def fitting(self, schema: AnswerSchema) -> Iterator[StreamEvent]:
        """Yield the events of an answer that fits: its text is the JSON alone."""
        response = self.response
        text = response.text if response.tool_calls else schema.read(response.text)
        is_whole, is_written = text == response.text, False
        for event in self._events:
            match event:
                case TextDelta() if not is_whole:
                    if not is_written:
                        yield replace(event, text=text)
                    is_written = True
                case Finished():
                    yield replace(event, usage=response.usage)
                case ReasoningDelta(thought) if self._before is not None:
                    yield ReasoningDelta(
                        thought, block=event.block
                    )  # its signature is for a prefix with the first answer
                case ProviderItemDone() if self._before is not None:
                    pass
                case _:
                    yield event


def as_sent(request: ChatRequest) -> ChatRequest:
    """Return a request whose schema is that of an object, as services want it. Raises UsageError for no schema."""
    output = request.output
    if output is None or output.schema is None:
        return request
    return replace(request, output=replace(output, schema=_schema_of(request).sent))


def _schema_of(request: ChatRequest) -> AnswerSchema:
    from arawn.answers.schema import answer_schema

    assert request.output is not None
    return answer_schema(request.output.schema or {})


def _failure(schema: AnswerSchema, response: Response) -> UnfitAnswerError | None:
    """Return why an answer does not fit; one that calls tools is none yet."""
    from arawn.answers.schema import UnfitAnswerError

    if response.tool_calls:
        return None
    try:
        schema.read(response.text)
    except UnfitAnswerError as error:
        return error
    return None


def _repeated(request: ChatRequest, response: Response, failure: UnfitAnswerError) -> ChatRequest:
    """Return the request with the answer and what is wrong with it."""
    problems = failure.problems[:_MOST_PROBLEMS]
    listed = "\n".join(f"- {problem[:_LONGEST_PROBLEM]}" for problem in problems)
    text = f"That does not fit the JSON Schema:\n{listed}\nAnswer again with the whole JSON and nothing else."
    answer = (response.message,) if response.message.parts else ()
    return replace(request, messages=(*request.messages, *answer, Message(Role.USER, (Text(text),))))


def _require_repeatable(response: Response, failure: UnfitAnswerError) -> None:
    """Raise IncompleteAnswerError where another answer would end like this one."""
    from arawn.answers.ending import unnatural_end

    is_refused = any(isinstance(part, Refusal) for part in response.message.parts)
    if response.finish_reason in _FINAL or is_refused:
        cause = unnatural_end(response) or "the model refused to answer"
        hints = ["raise the limit: --max-tokens"] * (response.finish_reason is FinishReason.LENGTH)
        found = IncompleteAnswerError(f"{failure.message}: {cause}", hints=hints)
        found.partial = response
        raise found


def _incomplete(failure: UnfitAnswerError, response: Response, hint: str) -> IncompleteAnswerError:
    found = IncompleteAnswerError(failure.message, hints=[*failure.hints, hint])
    found.partial = response
    return found


def _sum(one: Usage, other: Usage) -> Usage:
    """Return the usage of two calls; its cost is known where both are."""
    first, second = as_dict(one), as_dict(other)
    total = {key: first[key] + second[key] for key in first if key not in ("estimated", "cost")}
    cost = None if one.cost is None or other.cost is None else one.cost + other.cost
    return Usage(**total, estimated=one.estimated or other.estimated, cost=cost)
