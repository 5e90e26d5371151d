"""Retries a call when that is safe and may help; never once a part of the answer was delivered.

The problem: many failures pass by themselves, but a repeated call may be paid twice, may print an answer twice, and a
crowd of clients that repeat at the same moment keeps a struggling server down.

The invariant: nothing that the reader has seen is ever asked for again. The commit point is the first event that
carries answer: until then the attempt's Started is held back and notices pass once each, so that an attempt that fails
leaves no trace; from then on an error goes through as it is. Retry therefore stands above the adapter, where an error
inside a stream with status 200 looks like any other, and above limit and meter, so that each attempt waits for its own
permit and is its own row of the ledger.

What is repeated: an error says so itself (``transient``), unless the server did (``x-should-retry``). A timeout after
the request was sent is ambiguous, since the server may have done the work: it is repeated only where the user allows
it. When: after the server's ``Retry-After``, if that is bearable, else after an exponential delay with full jitter (a
random share of the delay, not the delay plus a little), which spreads a crowd best. The total time limit of the call
covers all attempts and the waits between them.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from arawn.backends.base import Backend, Embedder
from arawn.errors import BackendError, BackendTimeoutError, QuotaExceededError
from arawn.events import Delta, Finished, Notice, Started
from arawn.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.events import Events, StreamEvent
    from arawn.messages import ChatRequest, Embeddings

Inner = TypeVar("Inner")
Sleep: TypeAlias = Callable[[float], Awaitable[None]]

MAX_RETRY_AFTER = 60.0
"""Seconds of a server's Retry-After that are waited at most; a call with a longer one is not repeated."""


class RetryPolicy(Value, kw_only=True):
    """When to repeat a call, and the clock to wait by. Delays are in seconds.

    Without a ``Retry-After`` the delay is a random share (``random`` gives 0 to 1) of ``first_delay``, each time
    ``factor`` as long and at most ``max_delay``. No attempt begins when ``total`` seconds are over, None for no limit.
    ``retry_ambiguous`` also repeats a call that may have been done already: its answer did not come in time.
    """

    sleep: Sleep
    random: Callable[[], float]
    max_retries: int = 3
    first_delay: float = 1.0
    factor: float = 2.0
    max_delay: float = 30.0
    max_retry_after: float = MAX_RETRY_AFTER
    total: float | None = None
    retry_ambiguous: bool = False
    monotonic: Callable[[], float] = time.monotonic

    def deadline(self) -> float:
        """Return the moment, by ``monotonic``, after which no attempt of a call that begins now may begin."""
        return float("inf") if self.total is None else self.monotonic() + self.total

    def delay(self, error: BackendError, attempt: int, deadline: float) -> float | None:
        """Return the seconds until the attempt after this one (1 is the first), or None for no further one."""
        if attempt > self.max_retries or not self._may_repeat(error):
            return None
        longest = min(self.max_delay, self.first_delay * self.factor ** (attempt - 1))
        delay = longest * self.random() if error.retry_after is None else error.retry_after
        return delay if delay <= self.max_retry_after and self.monotonic() + delay < deadline else None

    def _may_repeat(self, error: BackendError) -> bool:
        match error:
            case QuotaExceededError():
                return False
            case BackendTimeoutError():
                return error.transient or self.retry_ambiguous
            case _:
                return error.transient if error.should_retry is None else error.should_retry


class _Retrying(Generic[Inner]):
    """What both middlewares are made of."""

    def __init__(self, inner: Inner, policy: RetryPolicy) -> None:
        self._inner = inner
        self._policy = policy


class Retry(_Retrying[Backend]):
    """A backend around a backend."""

    @property
    def name(self) -> str:
        """The name of the backend within."""
        return self._inner.name

    async def stream(self, request: ChatRequest) -> Events:
        """Answer as the inner backend does. Its Started is held back until an attempt has more to say than that."""
        policy = self._policy
        deadline = policy.deadline()
        sent: list[Notice] = []
        attempt = 0
        while True:
            attempt += 1
            gate = _CommitGate(sent)
            try:
                async with aclosing(self._inner.stream(request)) as events:
                    async for event in events:
                        if gate.committed:
                            yield event
                            continue
                        for passed in gate.pass_through(event):
                            yield passed
            except BackendError as error:
                delay = None if gate.committed else policy.delay(error, attempt, deadline)
                if delay is None:
                    _add_hints(error, attempt)
                    raise
                reason = error.message
            else:
                return
            yield Notice("retrying", f"attempt {attempt + 1} of {policy.max_retries + 1} in {delay:.1f} s: {reason}")
            await policy.sleep(delay)
            request = replace(request, caller=replace(request.caller, attempt=attempt))


class RetryEmbedder(_Retrying[Embedder]):
    """An embedder around an embedder."""

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed as the inner embedder does."""
        policy = self._policy
        deadline = policy.deadline()
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._inner.embed(texts)
            except BackendError as error:
                delay = policy.delay(error, attempt, deadline)
                if delay is None:
                    _add_hints(error, attempt)
                    raise
            await policy.sleep(delay)


class _CommitGate:
    """Lets the events of one attempt through; ``committed`` once a part of the answer was.

    ``sent`` are the notices of all attempts that have passed.
    """

    def __init__(self, sent: list[Notice]) -> None:
        self.committed = False
        self._sent = sent
        self._started: Started | None = None

    def pass_through(self, event: StreamEvent) -> list[StreamEvent]:
        """Return the events that may pass now."""
        if isinstance(event, Started):
            self._started = event
            return []
        if isinstance(event, Notice):
            if event in self._sent:
                return []
            self._sent.append(event)
            return [event]
        self.committed = isinstance(event, (*Delta, Finished))
        return [event] if self._started is None else [self._started, event]


def _add_hints(error: BackendError, attempts: int) -> None:
    """Add to the error what the user cannot see: how often it was tried, and how long the server wants to wait."""
    hints = list(error.hints)
    if error.retry_after is not None and error.retry_after > MAX_RETRY_AFTER:
        hints.append(f"The server asks to wait {_duration(error.retry_after)}.")
    if attempts > 1:
        hints.append(f"Tried {attempts} times.")
    error.hints = tuple(hints)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * bool(rest)
    return " ".join(parts)
