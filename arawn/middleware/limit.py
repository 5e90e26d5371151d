"""Waits until a backend may be called: by the user's quota, and by what the provider itself says is left.

How permits are counted over all processes is explained in ``arawn.store.limits``.
"""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from arawn.adapters.rate_limits import parse_pace
from arawn.backends.base import Backend, Embedder
from arawn.errors import (
    ArawnError,
    BackendError,
    ConfigError,
    NotSavedError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
)
from arawn.events import Delta, Finished, Notice
from arawn.store.limits import MAX_PROVIDER_WAIT, Permit
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from arawn.events import Events, StreamEvent
    from arawn.messages import ChatRequest, Embeddings, Usage
    from arawn.store.limits import Quota, RateLimits, Wait

Inner = TypeVar("Inner")
T = TypeVar("T")

MAX_SLEEP = 5.0
"""Seconds between two looks at the limits, also in a longer wait: calls that were expected may not happen."""
JITTER = 1.0
"""Seconds over which the calls are spread that wait for the same moment."""
NOTICE_AFTER = 1.0
"""Seconds of waiting of which the user gets a notice."""
_ANSWER_SHARE = 4  # an answer is expected to take a quarter of a minute's tokens at most, however long it may be


class LimitPolicy(Value, kw_only=True):
    """What the calls of one backend are held to, and the clock to wait by.

    No call waits longer than ``max_wait`` seconds in all: it raises RateLimitError instead, at once where that is
    clear. ``log(event, **fields)`` writes to the log, ``random`` (0 to 1) spreads the calls that wait for the same
    moment.
    """

    backend: str
    limits: RateLimits
    quota: Quota
    max_wait: float
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]
    log: Callable[..., None]
    monotonic: Callable[[], float] = time.monotonic


def header_observer(limits: RateLimits, backend: str, log: Callable[..., None]) -> Callable[[Mapping[str, str]], None]:
    """Return the function that takes in the headers of a backend's replies, for its endpoint."""
    call_store = _StoreCalls(backend, log)

    def observe(headers: Mapping[str, str]) -> None:
        pace = parse_pace(headers)
        if pace is not None:
            call_store(limits.observe, backend, pace)

    return observe


class _Limited(Generic[Inner]):
    """Calls ``inner`` no faster than the policy allows; ``estimate`` gives the tokens of a call with its answer.

    Where the database cannot be used no limit is kept, which is logged once.
    """

    def __init__(self, inner: Inner, policy: LimitPolicy, estimate: Callable[[Any], int]) -> None:
        self._inner = inner
        self._policy = policy
        self._estimate = estimate
        self._call_store = _StoreCalls(policy.backend, policy.log)


class Limit(_Limited[Backend]):
    """A backend around a backend."""

    @property
    def name(self) -> str:
        """The name of the backend within."""
        return self._inner.name

    async def stream(self, request: ChatRequest) -> Events:
        """Answer as the inner backend does, when it may."""
        call = _Call(self._policy, self._call_store, self._expected(request))
        while (wait := call.acquire()) is not None:
            if (notice := call.announce(wait)) is not None:
                yield notice
            await self._policy.sleep(call.sleep_time(wait))
        try:
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    call.observe(event)
                    yield event
        except ArawnError as error:
            call.fail(error)
            raise
        finally:
            call.end()

    def _expected(self, request: ChatRequest) -> int:
        """Return about how many tokens a call takes; few answers are as long as they may be."""
        tokens, tpm = self._estimate(request), self._policy.quota.tpm
        unlikely = 0 if tpm is None else (request.max_tokens or 0) - tpm // _ANSWER_SHARE
        return tokens - max(0, unlikely)


class LimitEmbedder(_Limited[Embedder]):
    """An embedder around an embedder."""

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed as the inner embedder does, when it may."""
        call = _Call(self._policy, self._call_store, self._estimate(texts))
        while (wait := call.acquire()) is not None:
            call.announce(wait)
            await self._policy.sleep(call.sleep_time(wait))
        try:
            embeddings = await self._inner.embed(texts)
            call.set_usage(embeddings.usage)
        except ArawnError as error:
            call.fail(error)
            raise
        finally:
            call.end()
        return embeddings


class _Call:
    """One call: waiting for its permit, holding it, giving it back."""

    def __init__(self, policy: LimitPolicy, call_store: _StoreCalls, expected: int) -> None:
        self._policy = policy
        self._call_store = call_store
        self._expected = expected
        self._began = policy.monotonic()
        self._permit = Permit()
        self._tokens: int | None = None
        self._released = False
        self._answered = False
        self._logged: set[str] = set()
        self._announced = False

    def acquire(self) -> Wait | None:
        """Take the permit, or return what to wait for. Raises RateLimitError where that is too long."""
        policy = self._policy
        result = self._call_store(policy.limits.acquire, policy.backend, policy.quota, self._expected) or Permit()
        if isinstance(result, Permit):
            self._permit = result
            return None
        if self._waited() + result.seconds > policy.max_wait:
            raise self._too_long(result)
        return result

    def announce(self, wait: Wait) -> Notice | None:
        """Log a wait, once for each cause; return the notice for the user, once a call."""
        policy, reason = self._policy, _reason(wait, self._policy)
        if wait.cause not in self._logged:
            self._logged.add(wait.cause)
            policy.log("rate_limited", backend=policy.backend, wait_s=round(wait.seconds, 3), reason=reason)
        if self._announced or self._waited() + wait.seconds <= NOTICE_AFTER:
            return None
        self._announced = True
        long = "" if wait.cause == "concurrent" else f" {wait.seconds:.0f} s"  # how long a call takes is unknown
        return Notice("limited", f"waiting{long} for {reason}")

    def sleep_time(self, wait: Wait) -> float:
        """Return the seconds to sleep before the next look at the limits."""
        jitter = self._policy.random() * min(JITTER, wait.seconds)
        return max(0.0, min(wait.seconds + jitter, MAX_SLEEP, self._policy.max_wait - self._waited()))

    def observe(self, event: StreamEvent) -> None:
        """Learn from an event what the call took; at its end the permit goes back together with the cached answer."""
        if isinstance(event, Delta):
            self._answered = True
        elif type(event) is Finished:
            if event.usage is not None:
                self.set_usage(event.usage)
            self._release_soon()

    def set_usage(self, usage: Usage) -> None:
        """Learn what the call took, where anybody counted."""
        self._tokens = usage.total_tokens or None

    def fail(self, error: ArawnError) -> None:
        """Learn how the call failed: what was refused took no tokens; a pause the server asks for is everybody's."""
        if not self._answered and _took_nothing(error):
            self._tokens = 0
        if isinstance(error, RateLimitError | OverloadedError) and not isinstance(error, QuotaExceededError):
            seconds = error.retry_after
            if seconds is not None and seconds <= MAX_PROVIDER_WAIT:
                self._call_store(self._policy.limits.close, self._policy.backend, seconds)

    def end(self) -> None:
        """Give the permit back."""
        self._release_soon()
        self._call_store(self._policy.limits.flush)

    def _release_soon(self) -> None:
        if not self._released:
            self._released = True
            self._policy.limits.release_soon(self._permit, self._tokens)

    def _waited(self) -> float:
        return self._policy.monotonic() - self._began

    def _too_long(self, wait: Wait) -> RateLimitError:
        policy = self._policy
        soon = "" if wait.cause == "concurrent" else f", free in {wait.seconds:.0f} s"
        waited = self._waited()
        error = RateLimitError(
            f'Backend "{policy.backend}" may not be called now: {_limit(wait, policy)}{soon}'
            + (f" (waited {waited:.0f} s)" if waited >= NOTICE_AFTER else ""),
            hints=[*_remedies(wait, policy), "or let others answer in its place: llm.fallback"],
            backend=policy.backend,
            retry_after=wait.seconds,
            should_retry=False,
        )
        error.reached = False
        return error


class _StoreCalls:
    """Calls the store; where that fails there is no limit, which is logged once."""

    def __init__(self, backend: str, log: Callable[..., None]) -> None:
        self._backend = backend
        self._log = log
        self._logged = False

    def __call__(self, method: Callable[..., T], *values: object) -> T | None:
        try:
            return method(*values)
        except (ConfigError, NotSavedError) as error:
            if not self._logged:
                self._logged = True
                reason = f"no limit is kept: {error.message}"
                self._log("rate_limited", backend=self._backend, wait_s=0.0, reason=reason)
            return None


def _took_nothing(error: ArawnError) -> bool:
    return not isinstance(error, BackendError) or error.refused or not error.reached


def _limit(wait: Wait, policy: LimitPolicy) -> str:
    """Return the words for what is waited for."""
    quota = policy.quota
    match wait.cause:
        case "rpm":
            return f"limit of {_many(quota.rpm, 'request')} a minute"
        case "tpm":
            return f"limit of {_many(quota.tpm, 'token')} a minute"
        case "concurrent":
            return f"limit of {_many(quota.concurrent, 'call')} at the same time"
        case "requests" | "tokens":
            return f"the provider allows no more {wait.cause}"
        case "closed":
            return "the provider asked for a pause"


def _reason(wait: Wait, policy: LimitPolicy) -> str:
    """Return what is waited for."""
    match wait.cause:
        case "rpm" | "tpm" | "concurrent":
            return f"{policy.backend}'s {_limit(wait, policy)}"
        case "requests" | "tokens":
            return f"{policy.backend} to allow more {wait.cause}"
        case "closed":
            return f"{policy.backend}, which asked for a pause"


def _remedies(wait: Wait, policy: LimitPolicy) -> list[str]:
    if wait.cause in ("rpm", "tpm", "concurrent"):
        return [f"raise the limit: arawn config set backends.{policy.backend}.{wait.cause} N"]
    return ["try again later, or use another backend with -b"]


def _many(number: int | None, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
