"""Answers a request from the cache when the same request was answered before: at once, at no cost.

Where the cache cannot be read or written, calls go on as if there were none, and one notice says so.
"""

from __future__ import annotations

import json
import time
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, NoReturn

from arawn.errors import ConfigError, NotSavedError, UsageError
from arawn.events import (
    Finished,
    ImageDone,
    Notice,
    PartExtra,
    ProviderItemDone,
    ReasoningDelta,
    ResponseBuilder,
    ServerToolDone,
    Started,
    TextDelta,
)
from arawn.messages import Citation, FinishReason, Usage
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from arawn.backends.base import Backend
    from arawn.events import Events, StreamEvent
    from arawn.messages import ChatRequest, OutputFormat, Response
    from arawn.store.answers import Answers, CachedAnswer

_CACHEABLE = (TextDelta, ReasoningDelta, ProviderItemDone, PartExtra, Citation, ImageDone, ServerToolDone)
"""What a cached answer may consist of: a tool call or a refusal may differ each time."""
_FOREIGN = frozenset({"cached", "fallback"})
"""Notices of an answer that another cache gave, or another backend than the one that was asked."""


class Cache:
    """A backend around a backend; ``key`` returns the key of a request, and raises ValueError where it can have none.

    Only complete answers are cached: those that ended by themselves, with visible text, without tool calls and
    refusals, and, where JSON was asked for, with valid JSON. They are written before their last event is passed on.
    ``on_hit`` is called after each answer from the cache with the request, the response and the seconds it took; it
    raises nothing.
    """

    def __init__(
        self,
        inner: Backend,
        answers: Answers,
        key: Callable[[ChatRequest], str],
        *,
        on_hit: Callable[[ChatRequest, Response, float], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = inner.name
        self._inner = inner
        self._answers = answers
        self._key = key
        self._on_hit = on_hit
        self._monotonic = monotonic
        self._failure = ""
        self._failure_shown = False

    async def stream(self, request: ChatRequest) -> Events:
        """Answer from the cache where it has the answer, else as the inner backend does."""
        began = self._monotonic()
        key = self._key_of(request)
        cached = None if request.caller.fresh else self._cached(key)
        if cached is not None:
            yield Notice("cached", f"from the cache, answered {_ago(cached.age)}")
            events = (*cached.events[:-1], _without_cost(cached.events[-1]))
            try:
                for event in events:
                    yield event
            finally:  # also when the reader leaves early
                self._record_hit(key, request, events, began)
            return
        for notice in self._failure_notices():
            yield notice
        received: list[StreamEvent] = []
        async with aclosing(self._inner.stream(request)) as stream:
            async for event in stream:
                received.append(event)
                if type(event) is Finished:
                    self._put(key, received, request.output)
                    for notice in self._failure_notices():
                        yield notice
                yield event

    def _key_of(self, request: ChatRequest) -> str:
        """Return the key of a request, empty where it can have none: the backend will say what is wrong with it."""
        try:
            return self._key(request)
        except ValueError:
            return ""

    def _cached(self, key: str) -> CachedAnswer | None:
        if key:
            with self._ignoring_failures():
                cached = self._answers.get(key)
                return cached if cached is not None and _is_complete(cached.events) else None
        return None

    def _put(self, key: str, received: Sequence[StreamEvent], output: OutputFormat | None) -> None:
        events = [event for event in received if type(event) is not Notice]
        foreign = any(type(event) is Notice and event.kind in _FOREIGN for event in received)
        if not key or foreign or not _is_complete(events):
            return
        started = events[0]
        if not isinstance(started, Started) or started.backend != self.name:
            return
        if output is None or _is_valid(output, _text_of(events)):
            with self._ignoring_failures():
                self._answers.put(key, events, started.backend, started.model)

    def _record_hit(self, key: str, request: ChatRequest, events: Sequence[StreamEvent], began: float) -> None:
        with self._ignoring_failures():
            self._answers.record_use(key)
        builder = ResponseBuilder()
        for event in events:
            builder.add(event)
        self._on_hit(request, builder.response(), self._monotonic() - began)

    @contextmanager
    def _ignoring_failures(self) -> Iterator[None]:
        """Keep why the cache cannot be used, for a notice, instead of raising; what JSON cannot hold is not cached."""
        try:
            yield
        except (ConfigError, NotSavedError) as error:
            self._failure = error.message
        except TypeError:
            pass

    def _failure_notices(self) -> list[Notice]:
        """Return the notice that the cache cannot be used; once, not for every request."""
        if self._failure_shown or not self._failure:
            return []
        self._failure_shown = True
        return [Notice("config", f"the cache cannot be used: {self._failure}")]


def _is_complete(events: Sequence[StreamEvent]) -> bool:
    match events:
        case [Started(), *content, Finished(FinishReason.STOP)]:
            return all(isinstance(event, _CACHEABLE) for event in content) and bool(_text_of(content).strip())
        case _:
            return False


def _text_of(events: Sequence[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def _without_cost(event: StreamEvent) -> StreamEvent:
    """Return the end of an answer with its tokens, and a cost of 0."""
    from decimal import Decimal

    assert isinstance(event, Finished)
    return replace(event, usage=replace(event.usage or Usage(estimated=True), cost=Decimal(0)))


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= size * (2 if unit == "days" else 1):
            return f"{seconds // size:.0f} {unit} ago"
    return "just now"


def _is_valid(output: OutputFormat, text: str) -> bool:
    """Say whether a text is the JSON that was asked for, and nothing else."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    if output.schema is None:
        return isinstance(value, dict)
    from arawn.answers.schema import answer_schema

    try:
        return answer_schema(output.schema).accepts(value)
    except UsageError:
        return False


def _refuse(what: str) -> NoReturn:
    raise ValueError(f"not taken: {what}")
