"""Waits until a backend may be called: by the user's quota, and by what the provider itself says is left."""

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
from arawn.store.limits import LONGEST_PACE, Permit
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from arawn.events import Events, StreamEvent
    from arawn.messages import ChatRequest, Embeddings, Usage
    from arawn.store.limits import Limits, Quota, Wait

Inner = TypeVar("Inner")
T = TypeVar("T")

STEP = 5.0
"""Seconds after which it asks again, also where it should have to wait longer: what was expected may not be needed."""
SPREAD = 1.0
"""Seconds over which those are spread that wait for the same moment."""
WORTH_TELLING = 1.0
"""Seconds of waiting the user should know of."""
_ANSWER_SHARE = 4  # an answer is expected to take a quarter of a minute's tokens at most, however long it may be


def observing(limits: Limits, backend: str, tell: Callable[..., None]) -> Callable[[Mapping[str, str]], None]:
    """Return what takes in the headers of a backend's replies, for its endpoint."""
    kept = _Kept(backend, tell)

    def observe(headers: Mapping[str, str]) -> None:
        pace = parse_pace(headers)
        if pace is not None:
            kept(limits.observe, backend, pace)

    return observe


class _Rules(Value):
    """What every call of one backend is held to; see Limit."""

    backend: str
    limits: Limits
    quota: Quota
    longest: float
    tell: Callable[..., None]
    monotonic: Callable[[], float]
    random: Callable[[], float]
    kept: _Kept


class _Limited(Generic[Inner]):
    """Lets ``inner`` be called as fast as ``quota`` and the provider allow, over all processes.

    ``estimate`` guesses the tokens of a call with its answer. No call waits longer than ``longest`` seconds in all:
    it raises RateLimitError instead, at once where that is clear. ``tell(event, **fields)`` is the log, ``random``
    (0 to 1) spreads what waits for the same moment. Where the database cannot be used no limit is kept, which is told
    once.
    """

    def __init__(
        self,
        inner: Inner,
        limits: Limits,
        quota: Quota,
        *,
        backend: str,
        sleep: Callable[[float], Awaitable[None]],
        estimate: Callable[[Any], int],
        longest: float,
        tell: Callable[..., None],
        random: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        kept = _Kept(backend, tell)
        self._inner = inner
        self._sleep = sleep
        self._estimate = estimate
        self._rules = _Rules(backend, limits, quota, longest, tell, monotonic, random, kept)


class Limit(_Limited[Backend]):
    """A backend around a backend; ``rules`` are the keywords of both."""

    def __init__(self, inner: Backend, limits: Limits, quota: Quota, **rules: Any) -> None:
        super().__init__(inner, limits, quota, backend=inner.name, **rules)

    @property
    def name(self) -> str:
        """The name of the backend within."""
        return self._inner.name

    async def stream(self, request: ChatRequest) -> Events:
        """Answer as the inner backend does, when it may."""
        call = _Call(self._rules, self._expected(request))
        while (wait := call.ask()) is not None:
            if (notice := call.announce(wait)) is not None:
                yield notice
            await self._sleep(call.pause(wait))
        try:
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    call.note(event)
                    yield event
        except ArawnError as error:
            call.fail(error)
            raise
        finally:
            call.end()

    def _expected(self, request: ChatRequest) -> int:
        """Return about how many tokens a call takes; few answers are as long as they may be."""
        tokens, tpm = self._estimate(request), self._rules.quota.tpm
        unlikely = 0 if tpm is None else (request.max_tokens or 0) - tpm // _ANSWER_SHARE
        return tokens - max(0, unlikely)


class LimitEmbedder(_Limited[Embedder]):
    """An embedder around an embedder; ``backend`` is the name of its table."""

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed as the inner embedder does, when it may."""
        call = _Call(self._rules, self._estimate(texts))
        while (wait := call.ask()) is not None:
            call.announce(wait)
            await self._sleep(call.pause(wait))
        try:
            embeddings = await self._inner.embed(texts)
            call.took(embeddings.usage)
        except ArawnError as error:
            call.fail(error)
            raise
        finally:
            call.end()
        return embeddings


class _Call:
    """One call: waiting for its permit, holding it, giving it back."""

    def __init__(self, rules: _Rules, expected: int) -> None:
        self._rules = rules
        self._expected = expected
        self._began = rules.monotonic()
        self._permit = Permit()
        self._tokens: int | None = None
        self._answered = False
        self._causes: set[str] = set()
        self._announced = False

    def ask(self) -> Wait | None:
        """Take the permit, or return what to wait for. Raises RateLimitError where that is too long."""
        rules = self._rules
        got = rules.kept(rules.limits.acquire, rules.backend, rules.quota, self._expected) or Permit()
        if isinstance(got, Permit):
            self._permit = got
            return None
        if self._waited() + got.seconds > rules.longest:
            raise self._too_long(got)
        return got

    def announce(self, wait: Wait) -> Notice | None:
        """Log a wait, once for each cause; return what the user should know, once a call."""
        rules, reason = self._rules, _reason(wait, self._rules)
        if wait.cause not in self._causes:
            self._causes.add(wait.cause)
            rules.tell("rate_limited", backend=rules.backend, wait_s=round(wait.seconds, 3), reason=reason)
        if self._announced or self._waited() + wait.seconds <= WORTH_TELLING:
            return None
        self._announced = True
        long = "" if wait.cause == "concurrent" else f" {wait.seconds:.0f} s"  # nobody knows how long a call takes
        return Notice("limited", f"waiting{long} for {reason}")

    def pause(self, wait: Wait) -> float:
        """Return the seconds to sleep before asking again."""
        longer = self._rules.random() * min(SPREAD, wait.seconds)
        return max(0.0, min(wait.seconds + longer, STEP, self._rules.longest - self._waited()))

    def note(self, event: StreamEvent) -> None:
        """Learn from an event what the call took."""
        if isinstance(event, Delta):
            self._answered = True
        elif type(event) is Finished and event.usage is not None:
            self.took(event.usage)

    def took(self, usage: Usage) -> None:
        """Learn what the call took, where anybody counted."""
        self._tokens = usage.total_tokens or None

    def fail(self, error: ArawnError) -> None:
        """Learn how the call failed: what was refused took no tokens; a wish to be left alone is for everybody."""
        if not self._answered and _took_nothing(error):
            self._tokens = 0
        if isinstance(error, RateLimitError | OverloadedError) and not isinstance(error, QuotaExceededError):
            seconds = error.retry_after
            if seconds is not None and seconds <= LONGEST_PACE:
                self._rules.kept(self._rules.limits.close, self._rules.backend, seconds)

    def end(self) -> None:
        """Give the permit back."""
        self._rules.kept(self._rules.limits.release, self._permit, self._tokens)

    def _waited(self) -> float:
        return self._rules.monotonic() - self._began

    def _too_long(self, wait: Wait) -> RateLimitError:
        rules = self._rules
        soon = "" if wait.cause == "concurrent" else f", free in {wait.seconds:.0f} s"
        waited = self._waited()
        error = RateLimitError(
            f'Backend "{rules.backend}" may not be called now: {_limit(wait, rules)}{soon}'
            + (f" (waited {waited:.0f} s)" if waited >= WORTH_TELLING else ""),
            hints=[*_remedies(wait, rules), "or let others answer in its place: llm.fallback"],
            backend=rules.backend,
            retry_after=wait.seconds,
            should_retry=False,
        )
        error.reached = False
        return error


class _Kept:
    """Asks the database; where that fails there is no limit: the log is told so, once."""

    def __init__(self, backend: str, tell: Callable[..., None]) -> None:
        self._backend = backend
        self._tell = tell
        self._told = False

    def __call__(self, verb: Callable[..., T], *values: object) -> T | None:
        try:
            return verb(*values)
        except (ConfigError, NotSavedError) as error:
            if not self._told:
                self._told = True
                reason = f"no limit is kept: {error.message}"
                self._tell("rate_limited", backend=self._backend, wait_s=0.0, reason=reason)
            return None


def _took_nothing(error: ArawnError) -> bool:
    return not isinstance(error, BackendError) or error.refused or not error.reached


def _limit(wait: Wait, rules: _Rules) -> str:
    """Return the words for what stands in the way."""
    quota = rules.quota
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


def _reason(wait: Wait, rules: _Rules) -> str:
    """Return what is waited for."""
    match wait.cause:
        case "rpm" | "tpm" | "concurrent":
            return f"{rules.backend}'s {_limit(wait, rules)}"
        case "requests" | "tokens":
            return f"{rules.backend} to allow more {wait.cause}"
        case "closed":
            return f"{rules.backend}, which asked for a pause"


def _remedies(wait: Wait, rules: _Rules) -> list[str]:
    if wait.cause in ("rpm", "tpm", "concurrent"):
        return [f"raise the limit: arawn config set backends.{rules.backend}.{wait.cause} N"]
    return ["try again later, or use another backend with -b"]


def _many(number: int | None, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
