"""The middleware around a backend, put together from the settings.

From outside to inside: cache ▸ fallback ▸ [hints about models ▸ refused parameters ▸ retry ▸ limit ▸ meter ▸ no key in
errors ▸ backend]. Around it all the engine puts the check of answers that must fit a schema. The meter, which is ledger
and budget, stands innermost: each attempt is a row and a reservation of its own, so that what is retried or answered
elsewhere is neither lost from the ledger nor able to overspend.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from arawn.config.roles import IN_PROCESS
from arawn.models import catalog
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from decimal import Decimal

    from arawn.adapters.base import Quirks
    from arawn.backends.base import Backend, Embedder
    from arawn.config.settings import BackendSettings, Settings
    from arawn.messages import ChatRequest, Response
    from arawn.middleware.limit import LimitPolicy
    from arawn.middleware.meter import Accounting, CallObserver
    from arawn.middleware.pricing import Pricing
    from arawn.middleware.retry import RetryPolicy
    from arawn.models.catalog import ModelFacts
    from arawn.store.answers import Answers
    from arawn.store.budgets import BudgetLimit
    from arawn.store.calls import Call
    from arawn.store.circuits import Circuits
    from arawn.store.database import Database
    from arawn.store.learned import LearnedParameters
    from arawn.store.ledger import Ledger
    from arawn.store.limits import RateLimits
    from arawn.telemetry.observers import Observers

RATE_LIMIT_WAIT = 600.0
"""Seconds a call waits for a rate limit at most, where it has no time limit of its own."""
FALLBACK_WAIT = 5.0
"""Seconds a call that has a fallback waits at most, for a rate limit or by a server's Retry-After."""
MAX_DEFAULT_OUTPUT = 64_000
"""Default for ``max_tokens`` where a protocol requires it: the model's own limit, but at most this many tokens, which
thinking and answer share."""
_EXPECTED_OUTPUT = 1_024  # tokens that a rate limit counts for an answer without a limit


class Target(NamedTuple):
    """A backend's settings, one of its models, and what is known of that."""

    table: BackendSettings
    model: str
    facts: ModelFacts | None


def default_output(target: Target) -> int | None:
    """Return the limit that is sent for an answer when none is set, where a protocol needs one; else None."""
    default = target.table.quirks.default_max_tokens
    if not default or target.facts is None or target.facts.max_output is None:
        return default
    return min(target.facts.max_output, MAX_DEFAULT_OUTPUT)


class Stack:
    """What all backends of an engine share, and the middleware around each. ``sleep`` suits the engine.

    ``last_call`` is the call that ended last, as the ledger has it.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        sleep: Callable[[float], Awaitable[None]],
        total_timeout: float | None,
        observers: Observers,
    ) -> None:
        self.last_call: Call | None = None
        self._settings = settings
        self._database = database
        self._sleep = sleep
        self._total_timeout = total_timeout
        self._observers = observers

    def wrap(self, bare: Backend, target: Target, *, has_fallback: bool) -> Backend:
        """Return a backend with the middleware that stands around each."""
        from arawn.middleware.errors import ModelHints
        from arawn.middleware.learned import Learned
        from arawn.middleware.meter import Meter
        from arawn.middleware.retry import Retry

        inner: Backend = Meter(bare, self._accounting, self.pricing(target))
        if self._is_limited(target.table):
            from arawn.middleware.limit import Limit

            inner = Limit(inner, self._limit_policy(target.table, has_fallback=has_fallback), _estimate)
        retried = Retry(inner, self._retry_policy(target.table, has_fallback=has_fallback))
        learned = Learned(retried, target.table.base_url, self._learned)
        return ModelHints(learned, lambda model: self._model_hints(target.table.name, model))

    def _model_hints(self, backend: str, model: str) -> tuple[str, ...]:
        """Return hints for a model that a backend does not have: its successor or a similar name, and whose it is."""
        import time

        from arawn.config.owners import owner_hints
        from arawn.dates import day

        stored = catalog.stored_table(self._settings.environ)
        successor = catalog.successor_hint(backend, model, day(time.time()), stored)
        return (*owner_hints(self._settings, backend, model), *successor)

    def wrap_embedder(self, bare: Embedder, target: Target) -> Embedder:
        """Return an embedder with the middleware that stands around each."""
        from arawn.middleware.meter import MeterEmbedder
        from arawn.middleware.retry import RetryEmbedder

        inner: Embedder = MeterEmbedder(bare, self._accounting, self.pricing(target))
        if self._is_limited(target.table):
            from arawn.middleware.limit import LimitEmbedder
            from arawn.models.estimates import tokens_of_texts

            inner = LimitEmbedder(inner, self._limit_policy(target.table, has_fallback=False), tokens_of_texts)
        return RetryEmbedder(inner, self._retry_policy(target.table, has_fallback=False))

    def with_fallback(self, candidates: Sequence[tuple[Target, Callable[[], Backend]]]) -> Backend:
        """Return the first of several backends, with the others to try when it fails."""
        from arawn.middleware.fallback import Candidate, Fallback

        first = candidates[0][0]

        def candidate(target: Target, make: Callable[[], Backend]) -> Candidate:
            return Candidate(target.table.name, target.model, make, lambda request: _adapted(request, first, target))

        return Fallback([candidate(*each) for each in candidates], self.circuits, log=self.log)

    def with_cache(self, inner: Backend, target: Target, quirks: Quirks) -> Backend:
        """Return a backend that uses cached answers, where the settings say so."""
        if not self._settings.value("cache.enabled"):
            return inner
        from arawn.middleware.cache import Cache
        from arawn.middleware.cache_key import AnswerKeys
        from arawn.middleware.meter import record_cache_hit

        table = target.table
        keys = AnswerKeys(
            backend=table.name,
            adapter=table.adapter,
            base_url=table.base_url,
            quirks=quirks,
            credential=table.api_key or "",
        )

        def on_hit(request: ChatRequest, response: Response, seconds: float) -> None:
            record_cache_hit(self.ledger, request, response, backend=table.name, model=target.model, seconds=seconds)

        return Cache(inner, self._answers, keys.key, on_hit=on_hit)

    def header_observer(self, backend: str) -> Callable[[Mapping[str, str]], None]:
        """Return the function that takes in the headers of a backend's replies."""
        from arawn.middleware.limit import header_observer

        return header_observer(self.rate_limits, backend, self.log)

    def pricing(self, target: Target) -> Pricing:
        """Return the prices of a model."""
        from arawn.middleware.pricing import Pricing
        from arawn.store.leases import LONGEST_CALL

        table = target.table
        rate = 0 if table.hourly_rate is None and table.adapter in IN_PROCESS else table.hourly_rate
        return Pricing(
            backend=table.name,
            model=target.model,
            facts=target.facts,
            hourly_rate=None if rate is None else _decimal(rate),
            longest_call=self.total_timeout(table) or LONGEST_CALL,
            default_output=default_output(target),
            hour_cache=table.quirks.prompt_cache == "1h",
        )

    @property
    def is_timed(self) -> bool:
        """Whether this engine limits every call, whatever the settings say."""
        return self._total_timeout is not None

    def total_timeout(self, table: BackendSettings) -> float | None:
        """Return the seconds a call may take in all, None for no limit."""
        return self._total_timeout or table.total_timeout

    @cached_property
    def ledger(self) -> Ledger:
        """Every call."""
        from arawn.store.ledger import Ledger

        return Ledger(self._database)

    @cached_property
    def rate_limits(self) -> RateLimits:
        """How fast each backend may be called."""
        from arawn.store.limits import RateLimits

        return RateLimits(self._database)

    @cached_property
    def circuits(self) -> Circuits:
        """Which backends failed lately."""
        from arawn.store.circuits import Circuits

        return Circuits(self._database)

    @property
    def log(self) -> Callable[..., None]:
        """Write an event to the log: ``log(event, **fields)``."""
        return self._observers.log

    @cached_property
    def _accounting(self) -> Accounting:
        from arawn.middleware.meter import Accounting

        return Accounting(
            self.ledger,
            budget_limits(self._settings),
            sleep=self._sleep,
            notify=self._notify,
            log=self.log,
            allow_unpriced=self._settings.value("budget.unpriced") == "allow",
        )

    def refused(self, target: Target) -> frozenset[str]:
        """Return the parameters that a model's server was found to refuse."""
        from arawn.store.learned import Place

        return self._learned.refused(Place(target.table.name, target.table.base_url, target.model))

    @cached_property
    def _learned(self) -> LearnedParameters:
        """Which parameters servers were found to refuse."""
        from arawn.store.learned import LearnedParameters

        return LearnedParameters(self._database)

    @cached_property
    def _notify(self) -> CallObserver:
        """What is called with every call that has ended. Raises ConfigError where an observer cannot be set up."""
        notify_observers = self._observers.notify if self._observers.of_attempts else None

        def notify(
            call: Call, request: ChatRequest | None, response: Response | None, error: BaseException | None
        ) -> None:
            self.last_call = call
            if notify_observers is not None:
                notify_observers(call, request, response, error)

        return notify

    @cached_property
    def _answers(self) -> Answers:
        from arawn.store.answers import DEFAULT_MAX_BYTES, DEFAULT_TTL, Answers

        megabytes = self._settings.value("cache.max_mb")
        max_bytes = megabytes * 1_000_000 if megabytes else DEFAULT_MAX_BYTES
        return Answers(self._database, ttl=self._settings.value("cache.ttl") or DEFAULT_TTL, max_bytes=max_bytes)

    def _is_limited(self, table: BackendSettings) -> bool:
        """Whether a backend may have limits: its own, or those its server tells."""
        return table.adapter not in IN_PROCESS or bool(table.rpm or table.tpm or table.concurrent)

    def _limit_policy(self, table: BackendSettings, *, has_fallback: bool) -> LimitPolicy:
        from arawn.middleware.limit import LimitPolicy
        from arawn.store.limits import Quota

        return LimitPolicy(
            backend=table.name,
            limits=self.rate_limits,
            quota=Quota(table.rpm, table.tpm, table.concurrent),
            max_wait=FALLBACK_WAIT if has_fallback else self.total_timeout(table) or RATE_LIMIT_WAIT,
            sleep=self._sleep,
            random=_random,
            log=self.log,
        )

    def _retry_policy(self, table: BackendSettings, *, has_fallback: bool) -> RetryPolicy:
        from arawn.middleware.retry import MAX_RETRY_AFTER, RetryPolicy

        return RetryPolicy(
            sleep=self._sleep,
            random=_random,
            max_retries=table.max_retries,
            max_retry_after=FALLBACK_WAIT if has_fallback else MAX_RETRY_AFTER,
            total=self.total_timeout(table),
            retry_ambiguous=table.retry_ambiguous,
        )


def budget_limits(settings: Settings) -> tuple[BudgetLimit, ...]:
    """Return the budgets of the settings: that of all backends first."""
    table = settings.value("budget")
    if not table:
        return ()
    from arawn.store.budgets import BudgetLimit

    scopes = {"": table, **table.get("backends", {})}
    return tuple(
        BudgetLimit(scope, _decimal(own["limit"]), own.get("period", "month"))
        for scope, own in scopes.items()
        if "limit" in own
    )


def _decimal(amount: float) -> Decimal:
    """Return a number of the configuration exactly as it is written there."""
    from decimal import Decimal

    return Decimal(str(amount))


def _adapted(request: ChatRequest, first: Target, other: Target) -> ChatRequest:
    """Return a request made for the first backend as another gets it, with the values of its own table."""
    if other is first:
        return request
    old, new = first.table, other.table
    return replace(
        request,
        model=other.model,
        max_tokens=new.max_tokens if request.max_tokens == old.max_tokens else request.max_tokens,
        temperature=new.temperature if request.temperature == old.temperature else request.temperature,
    )


def _estimate(request: ChatRequest) -> int:
    from arawn.models.estimates import tokens

    return tokens(request.messages) + (request.max_tokens or _EXPECTED_OUTPUT)


def _random() -> float:
    from random import random  # only who waits needs it, and it takes milliseconds to load

    return random()  # noqa: S311 -- it only spreads waits
