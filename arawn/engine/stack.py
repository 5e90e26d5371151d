"""The middleware around a backend, put together from the settings.

From outside to inside: cache ▸ fallback ▸ [hints about models ▸ retry ▸ limit ▸ meter ▸ no key in errors ▸ backend].
The meter, which is ledger and budget, stands innermost: each attempt is a row and a reservation of its own, so that
what is retried or answered elsewhere is neither lost from the ledger nor able to overspend.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

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
    from arawn.middleware.budget import Tariff
    from arawn.middleware.meter import Books, Observe
    from arawn.models.catalog import ModelFacts
    from arawn.store.budgets import Limit
    from arawn.store.calls import Call
    from arawn.store.circuits import Circuits
    from arawn.store.database import Database
    from arawn.store.ledger import Ledger
    from arawn.store.limits import Limits
    from arawn.telemetry.observers import Watch

PATIENCE = 600.0
"""Seconds a call waits for a rate limit at most, where nothing else limits it."""
HURRY = 5.0
"""The same where somebody else could answer, and for a server's wish to be asked later."""
MOST_OUTPUT = 32_000
"""Where a protocol insists on a limit and nobody set one, the model's own is sent, but not more than this."""
_USUAL_OUTPUT = 1_024


class Place(NamedTuple):
    """A backend's settings, one of its models, and what is known of that."""

    table: BackendSettings
    model: str
    facts: ModelFacts | None


def default_output(place: Place) -> int | None:
    """Return the limit that is sent for an answer when none is set, where a protocol insists on one; else None."""
    usual = place.table.quirks.default_max_tokens
    if not usual or place.facts is None or place.facts.max_output is None:
        return usual
    return min(place.facts.max_output, MOST_OUTPUT)


class Stack:
    """What all backends of an engine share, and how one gets its middleware. ``sleep`` suits the engine.

    ``last_call`` is the call that ended last, as the ledger has it.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        sleep: Callable[[float], Awaitable[None]],
        total_timeout: float | None,
        watch: Watch,
    ) -> None:
        self.watch = watch
        self.last_call: Call | None = None
        self._settings = settings
        self._database = database
        self._sleep = sleep
        self._total_timeout = total_timeout

    def around(self, bare: Backend, place: Place, *, hurried: bool) -> Backend:
        """Return a backend with what stands around each; ``hurried`` where another could answer in its place."""
        from arawn.middleware.explain import Explain
        from arawn.middleware.meter import Meter
        from arawn.middleware.retry import Retry

        inner: Backend = Meter(bare, self._books, self.tariff(place))
        if self._is_limited(place.table):
            from arawn.middleware.limit import Limit

            inner = Limit(inner, self.limits, **self._limiting(place.table, hurried=hurried), estimate=_estimate)
        retried = Retry(inner, **self._retrying(place.table, hurried=hurried))
        return Explain(retried, lambda model: catalog.successor_hint(place.table.name, model))

    def around_embedder(self, bare: Embedder, place: Place) -> Embedder:
        """Return an embedder with what stands around each."""
        from arawn.middleware.meter import MeterEmbedder
        from arawn.middleware.retry import RetryEmbedder

        inner: Embedder = MeterEmbedder(bare, self._books, self.tariff(place))
        if self._is_limited(place.table):
            from arawn.middleware.limit import LimitEmbedder
            from arawn.models.estimates import tokens_of_texts

            limiting = self._limiting(place.table, hurried=False)
            inner = LimitEmbedder(inner, self.limits, **limiting, backend=place.table.name, estimate=tokens_of_texts)
        return RetryEmbedder(inner, **self._retrying(place.table, hurried=False))

    def one_of(self, candidates: Sequence[tuple[Place, Callable[[], Backend]]]) -> Backend:
        """Return the first of several backends, with the others to answer where it cannot."""
        from arawn.middleware.fallback import Candidate, Fallback

        first = candidates[0][0]

        def candidate(place: Place, make: Callable[[], Backend]) -> Candidate:
            return Candidate(place.table.name, place.model, make, lambda request: _moved(request, first, place))

        return Fallback([candidate(*each) for each in candidates], self.circuits, tell=self.tell)

    def cached(self, inner: Backend, place: Place, quirks: Quirks) -> Backend:
        """Return a backend whose answers are kept, where the settings say so."""
        if not self._settings.value("cache.enabled"):
            return inner
        from arawn.middleware.cache import Cache
        from arawn.middleware.cache_key import answer_key
        from arawn.store.answers import Answers

        def key(request: ChatRequest) -> str:
            return answer_key(
                request,
                backend=place.table.name,
                adapter=place.table.adapter,
                base_url=place.table.base_url,
                quirks=quirks,
                credential=place.table.api_key or "",
            )

        return Cache(inner, Answers(self._database, **self._bounds), key, hit=self._note_hit(place))

    def observing(self, backend: str) -> Callable[[Mapping[str, str]], None]:
        """Return what takes in the headers of a backend's replies."""
        from arawn.middleware.limit import observing

        return observing(self.limits, backend, self.tell)

    def tariff(self, place: Place) -> Tariff:
        """Return what a model costs."""
        from arawn.middleware.budget import LONGEST_CALL, Tariff

        table = place.table
        rate = 0 if table.hourly_rate is None and table.adapter in IN_PROCESS else table.hourly_rate
        return Tariff(
            backend=table.name,
            model=place.model,
            facts=place.facts,
            hourly_rate=None if rate is None else _exact(rate),
            longest=self.total(table) or LONGEST_CALL,
            default_output=default_output(place),
        )

    def total(self, table: BackendSettings) -> float | None:
        """Return the seconds a call may take in all, None where nothing says."""
        return self._total_timeout or table.total_timeout

    @cached_property
    def ledger(self) -> Ledger:
        """Where calls are written."""
        from arawn.store.ledger import Ledger

        return Ledger(self._database)

    @cached_property
    def limits(self) -> Limits:
        """Who may call now."""
        from arawn.store.limits import Limits

        return Limits(self._database)

    @cached_property
    def circuits(self) -> Circuits:
        """Which backends failed of late."""
        from arawn.store.circuits import Circuits

        return Circuits(self._database)

    @property
    def tell(self) -> Callable[..., None]:
        """The log."""
        return self.watch.tell

    @cached_property
    def _books(self) -> Books:
        from arawn.middleware.meter import Books

        return Books(
            self.ledger,
            limits_of(self._settings),
            sleep=self._sleep,
            observe=self._observe,
            tell=self.tell,
            unpriced=self._settings.value("budget.unpriced") == "allow",
        )

    @cached_property
    def _observe(self) -> Observe:
        """Return who is told of calls; what the log or OpenTelemetry lack is said before the first one."""
        told = self.watch.observe if self.watch.observers else None

        def observe(
            call: Call, request: ChatRequest | None, response: Response | None, error: BaseException | None
        ) -> None:
            self.last_call = call
            if told is not None:
                told(call, request, response, error)

        return observe

    @property
    def _bounds(self) -> dict[str, Any]:
        """How long and how much is kept, where the settings say so."""
        ttl, megabytes = self._settings.value("cache.ttl"), self._settings.value("cache.max_mb")
        return ({"ttl": ttl} if ttl else {}) | ({"max_bytes": int(megabytes * 1_000_000)} if megabytes else {})

    def _is_limited(self, table: BackendSettings) -> bool:
        """Whether a backend has limits: its own, or those a server may tell."""
        return table.adapter not in IN_PROCESS or bool(table.rpm or table.tpm or table.concurrent)

    def _limiting(self, table: BackendSettings, *, hurried: bool) -> dict[str, Any]:
        from arawn.store.limits import Quota

        return {
            "quota": Quota(table.rpm, table.tpm, table.concurrent),
            "sleep": self._sleep,
            "longest": HURRY if hurried else self.total(table) or PATIENCE,
            "random": _random,
            "tell": self.tell,
        }

    def _retrying(self, table: BackendSettings, *, hurried: bool) -> dict[str, Any]:
        from arawn.middleware.retry import LONGEST_WISH

        return {
            "max_retries": table.max_retries,
            "sleep": self._sleep,
            "random": _random,
            "retry_ambiguous": table.retry_ambiguous,
            "total": self.total(table),
            "longest_wish": HURRY if hurried else LONGEST_WISH,
        }

    def _note_hit(self, place: Place) -> Callable[[ChatRequest, Response, float], None]:
        def note(request: ChatRequest, response: Response, seconds: float) -> None:
            from contextlib import suppress
            from time import time

            from arawn.errors import ConfigError, NotSavedError
            from arawn.store.calls import Call

            caller = request.caller
            call = Call(
                backend=place.table.name,
                model=place.model,
                began=time() - seconds,
                role=caller.role,
                session=caller.session,
                usage=response.usage,
                counted="counted" if response.usage.estimated else "reported",
                cost=response.usage.cost,
                latency_ms=seconds * 1000,
                outcome="cached",
            )
            with suppress(NotSavedError, ConfigError):  # the answer is there, and it cost nothing
                self.ledger.note(call)

        return note


def limits_of(settings: Settings) -> tuple[Limit, ...]:
    """Return the budgets of the settings: that of all backends first."""
    table = settings.value("budget")
    if not table:
        return ()
    from arawn.store.budgets import Limit

    scopes = {"": table, **table.get("backends", {})}
    return tuple(
        Limit(scope, _exact(own["limit"]), own.get("period", "month"))
        for scope, own in scopes.items()
        if "limit" in own
    )


def _exact(amount: float) -> Decimal:
    """Return a number of the configuration as it is written there."""
    from decimal import Decimal

    return Decimal(str(amount))


def _moved(request: ChatRequest, first: Place, other: Place) -> ChatRequest:
    """Return a request made for one backend as another gets it: the values of the first's table do not go along."""
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

    return tokens(request.messages) + (request.max_tokens or _USUAL_OUTPUT)


def _random() -> float:
    from random import random  # only who waits needs it, and it takes milliseconds to load

    return random()  # noqa: S311 -- it only spreads waits
