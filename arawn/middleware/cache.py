"""Gives answers again that were given before to the same request: at once, and for nothing.

A cache is a convenience: where it cannot be read or written, all goes on as if there were none, and a notice says so
once.
"""

from __future__ import annotations

import json
import time
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, NoReturn

from arawn.errors import ConfigError, NotSavedError
from arawn.events import (
    Finished,
    Notice,
    ProviderItemDone,
    ReasoningDelta,
    ResponseBuilder,
    Started,
    TextDelta,
)
from arawn.messages import FinishReason, Usage
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from arawn.backends.base import Backend
    from arawn.events import Events, StreamEvent
    from arawn.messages import ChatRequest, OutputFormat, Response
    from arawn.store.answers import Answers, Kept

_SAID = (TextDelta, ReasoningDelta, ProviderItemDone)
"""What an answer that is kept consists of: one that asks for a tool or declines is another matter each time."""
_NOT_ITS_OWN = frozenset({"cached", "fallback"})
"""Notices of an answer that another cache gave, or another backend than the one that was asked."""


class Cache:
    """A backend around a backend; ``key`` names the answer to a request, and raises ValueError where it has no name.

    Only whole answers are kept: ended by themselves, with visible text, without tools and refusals, and where JSON was
    asked for, valid. They are written when their last event is there, which is handed on after that. ``hit`` is told
    of each answer that was given again: the request, the response, and the seconds it took; it raises nothing.
    """

    def __init__(
        self,
        inner: Backend,
        answers: Answers,
        key: Callable[[ChatRequest], str],
        *,
        hit: Callable[[ChatRequest, Response, float], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = inner.name
        self._inner = inner
        self._answers = answers
        self._key = key
        self._hit = hit
        self._monotonic = monotonic
        self._trouble = ""
        self._told = False

    async def stream(self, request: ChatRequest) -> Events:
        """Answer as before where that is known, else as the inner backend does."""
        began = self._monotonic()
        key = self._key_of(request)
        kept = None if request.caller.fresh else self._kept(key)
        if kept is not None:
            yield Notice("cached", f"from the cache, answered {_ago(kept.age)}")
            events = (*kept.events[:-1], _free(kept.events[-1]))
            try:
                for event in events:
                    yield event
            finally:  # also for a reader who has heard enough
                self._note_hit(key, request, events, began)
            return
        for notice in self._complaints():
            yield notice
        heard: list[StreamEvent] = []
        async with aclosing(self._inner.stream(request)) as coming:
            async for event in coming:
                heard.append(event)
                if type(event) is Finished:
                    self._keep(key, heard, request.output)
                    for notice in self._complaints():
                        yield notice
                yield event

    def _key_of(self, request: ChatRequest) -> str:
        """Return the key of a request, empty where it can have none: then the backend says what is wrong with it."""
        try:
            return self._key(request)
        except ValueError:
            return ""

    def _kept(self, key: str) -> Kept | None:
        if key:
            with self._going_on():
                kept = self._answers.get(key)
                return kept if kept is not None and _is_whole(kept.events) else None
        return None

    def _keep(self, key: str, heard: Sequence[StreamEvent], output: OutputFormat | None) -> None:
        events = [event for event in heard if type(event) is not Notice]
        foreign = any(type(event) is Notice and event.kind in _NOT_ITS_OWN for event in heard)
        if not key or foreign or not _is_whole(events):
            return
        started = events[0]
        if not isinstance(started, Started) or started.backend != self.name:
            return
        if output is None or _fits(output, _text_of(events)):
            with self._going_on():
                self._answers.put(key, events, started.backend, started.model)

    def _note_hit(self, key: str, request: ChatRequest, events: Sequence[StreamEvent], began: float) -> None:
        with self._going_on():
            self._answers.used(key)
        builder = ResponseBuilder()
        for event in events:
            builder.add(event)
        self._hit(request, builder.response(), self._monotonic() - began)

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Remember instead of raising that the cache cannot be used; an answer JSON cannot hold is just not kept."""
        try:
            yield
        except (ConfigError, NotSavedError) as error:
            self._trouble = error.message
        except TypeError:
            pass

    def _complaints(self) -> list[Notice]:
        """Return what is to be told of the cache; once, not for every request."""
        if self._told or not self._trouble:
            return []
        self._told = True
        return [Notice("config", f"the cache cannot be used: {self._trouble}")]


def _is_whole(events: Sequence[StreamEvent]) -> bool:
    match events:
        case [Started(), *said, Finished(FinishReason.STOP)]:
            return all(isinstance(event, _SAID) for event in said) and bool(_text_of(said).strip())
        case _:
            return False


def _text_of(events: Sequence[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def _free(event: StreamEvent) -> StreamEvent:
    """Return the end of an answer with its tokens, and a cost of nothing."""
    from decimal import Decimal

    assert isinstance(event, Finished)
    return replace(event, usage=replace(event.usage or Usage(estimated=True), cost=Decimal(0)))


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= size * (2 if unit == "days" else 1):
            return f"{seconds // size:.0f} {unit} ago"
    return "just now"


def _fits(output: OutputFormat, text: str) -> bool:
    """Say whether a text is the JSON that was asked for, and nothing else."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    if output.schema is None:
        return isinstance(value, dict)
    from arawn.answers.compile import check_of

    try:
        check_of(output.schema)(value)
    except Exception:  # noqa: BLE001 -- what is no schema fails there in many ways
        return False
    return True


def _refuse(what: str) -> NoReturn:
    raise ValueError(f"not taken: {what}")
