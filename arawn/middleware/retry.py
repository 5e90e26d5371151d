"""Asks again when that is safe and may help; never once a word of the answer was delivered."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Generic, TypeVar

from arawn.backends.base import Backend, Embedder
from arawn.errors import BackendError, BackendTimeoutError, QuotaExceededError
from arawn.events import Delta, Finished, Notice, Started
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from arawn.events import Events, StreamEvent
    from arawn.messages import ChatRequest, Embeddings

Inner = TypeVar("Inner")

LONGEST_WISH = 60.0
"""Up to so many seconds a server's Retry-After is obeyed; who asks for more is not asked again."""


class _Again(Generic[Inner]):
    """When to ask something again, and when not.

    It waits as long as the server asked, if that is at most ``longest_wish`` seconds; else up to ``first_delay``, each
    time ``factor`` as long and at most ``cap``, with full jitter from ``random`` (0 to 1). No attempt begins when
    ``total`` seconds are over. ``retry_ambiguous`` also repeats what may have been done already: a call whose answer
    did not come in time.
    """

    def __init__(
        self,
        inner: Inner,
        *,
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
        max_retries: int = 3,
        first_delay: float = 1.0,
        factor: float = 2.0,
        cap: float = 30.0,
        retry_ambiguous: bool = False,
        longest_wish: float = LONGEST_WISH,
        total: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._sleep = sleep
        self._random = random
        self._max_retries = max_retries
        self._first_delay = first_delay
        self._factor = factor
        self._cap = cap
        self._retry_ambiguous = retry_ambiguous
        self._longest_wish = longest_wish
        self._total = float("inf") if total is None else total
        self._monotonic = monotonic

    def _wait(self, error: BackendError, attempt: int, deadline: float) -> float | None:
        """Return the seconds until the next attempt, or None for no further one."""
        if attempt > self._max_retries or not self._may_repeat(error):
            return None
        longest = min(self._cap, self._first_delay * self._factor ** (attempt - 1))
        wait = longest * self._random() if error.retry_after is None else error.retry_after
        return wait if wait <= self._longest_wish and self._monotonic() + wait < deadline else None

    def _may_repeat(self, error: BackendError) -> bool:
        match error:
            case QuotaExceededError():
                return False
            case BackendTimeoutError():
                return error.transient or self._retry_ambiguous
            case _:
                return error.transient if error.should_retry is None else error.should_retry


class Retry(_Again[Backend]):
    """A backend around a backend."""

    @property
    def name(self) -> str:
        """The name of the backend within."""
        return self._inner.name

    async def stream(self, request: ChatRequest) -> Events:
        """Answer as the inner backend does. Its Started is held back until an attempt has more to say than that."""
        deadline = self._monotonic() + self._total
        said: list[Notice] = []
        attempt = 0
        while True:
            attempt += 1
            passage = _Passage(said)
            try:
                async with aclosing(self._inner.stream(request)) as events:
                    async for event in events:
                        if passage.committed:
                            yield event
                            continue
                        for passed in passage.take(event):
                            yield passed
            except BackendError as error:
                wait = None if passage.committed else self._wait(error, attempt, deadline)
                if wait is None:
                    _tell(error, attempt)
                    raise
                reason = error.message
            else:
                return
            yield Notice("retrying", f"attempt {attempt + 1} of {self._max_retries + 1} in {wait:.1f} s: {reason}")
            await self._sleep(wait)
            request = replace(request, caller=replace(request.caller, attempt=attempt))


class RetryEmbedder(_Again[Embedder]):
    """An embedder around an embedder."""

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed as the inner embedder does."""
        deadline = self._monotonic() + self._total
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._inner.embed(texts)
            except BackendError as error:
                wait = self._wait(error, attempt, deadline)
                if wait is None:
                    _tell(error, attempt)
                    raise
            await self._sleep(wait)


class _Passage:
    """Lets the events of one attempt through. ``committed`` once some of the answer was: there is no way back then."""

    def __init__(self, said: list[Notice]) -> None:
        self.committed = False
        self._said = said
        self._started: Started | None = None

    def take(self, event: StreamEvent) -> list[StreamEvent]:
        """Return the events that may pass now."""
        if isinstance(event, Started):
            self._started = event
            return []
        if isinstance(event, Notice):
            if event in self._said:
                return []
            self._said.append(event)
            return [event]
        self.committed = isinstance(event, (*Delta, Finished))
        return [event] if self._started is None else [self._started, event]


def _tell(error: BackendError, attempts: int) -> None:
    """Add to the error what the user cannot see: how often it was tried, and how long the server wants to wait."""
    hints = list(error.hints)
    if error.retry_after is not None and error.retry_after > LONGEST_WISH:
        hints.append(f"The server asks to wait {_duration(error.retry_after)}.")
    if attempts > 1:
        hints.append(f"Tried {attempts} times.")
    error.hints = tuple(hints)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * bool(rest)
    return " ".join(parts)
