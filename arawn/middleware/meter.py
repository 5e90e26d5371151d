"""Writes every call into the ledger and keeps it within the budgets.

It stands next to the backend: each attempt of a retry and each backend of a fallback is a row, and a reservation, of
its own. How reservations work is explained in ``arawn.store.ledger``.
"""

from __future__ import annotations

import time
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Protocol

from arawn.errors import ArawnError, BackendError, BudgetError, ConfigError, NotSavedError
from arawn.events import Delta, Finished, Notice, ResponseBuilder
from arawn.messages import Caller, Usage
from arawn.models.estimates import most_input, tokens, tokens_of_texts
from arawn.store.calls import Call
from arawn.store.ledger import BilledTime, Reservation, ReservedByOthers
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from arawn.backends.base import Backend, Embedder
    from arawn.events import Events
    from arawn.messages import ChatRequest, Embeddings, Response
    from arawn.middleware.pricing import Pricing
    from arawn.store.budgets import Alert, BudgetLimit
    from arawn.store.calls import Counted, Outcome
    from arawn.store.ledger import Ledger, MaxCost

RESERVATION_WAIT = 60.0
"""Seconds to wait for the reservations of other calls, before a budget that they fill counts as reached."""
_POLL_INTERVAL = 0.25


class CallObserver(Protocol):
    """Called with every call that has ended."""

    def __call__(
        self, call: Call, request: ChatRequest | None, response: Response | None, error: BaseException | None
    ) -> None:
        """Take in how it ended: request and response are None for embeddings, the error for what went well."""
        ...


class Accounting:
    """The ledger and the budgets that calls are held to: one for all meters of an engine.

    ``allow_unpriced`` lets calls pass whose price is not known. ``notify`` is called with every call that has ended,
    ``log(event, **fields)`` writes to the log. Times are in seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        limits: Sequence[BudgetLimit] = (),
        *,
        sleep: Callable[[float], Awaitable[None]],
        notify: CallObserver,
        log: Callable[..., None],
        allow_unpriced: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.ledger = ledger
        self.limits = tuple(limits)
        self.sleep = sleep
        self.notify = notify
        self.log = log
        self.allow_unpriced = allow_unpriced
        self.monotonic = monotonic
        self.now = now

    def limits_of(self, backend: str) -> tuple[BudgetLimit, ...]:
        """Return the budgets that a call to a backend is held to."""
        return tuple(limit for limit in self.limits if limit.scope in ("", backend))


class Meter:
    """A backend around a backend.

    Raises BudgetError, and sends nothing, where a budget does not allow a call. A ledger that cannot be written is a
    notice, and stops a call only where there is a budget. The usage of Finished gets its cost.
    """

    def __init__(self, inner: Backend, accounting: Accounting, pricing: Pricing) -> None:
        self.name = inner.name
        self._inner = inner
        self._accounting = accounting
        self._pricing = pricing

    async def stream(self, request: ChatRequest) -> Events:
        """Answer as the inner backend does."""
        row = _LedgerRow(self._accounting, self._pricing, request.caller, tokens(request.messages))
        max_cost = self._pricing.max_cost(request, most_input(request), row.call.began) if row.limits else None
        opening = await row.open(max_cost)
        request = _capped(request, max_cost, row.reservation)
        builder = ResponseBuilder(self.name, request.model)
        try:
            for notice in opening:
                yield notice
            row.sent = True
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    builder.add(event)
                    if type(event) is Finished:
                        finished, notices = row.finish(event, builder, request)
                        for notice in notices:
                            yield notice
                        yield finished
                    else:
                        if row.first is None and isinstance(event, Delta):
                            row.first = self._accounting.monotonic()
                        yield event
        except BaseException as error:
            row.fail(error, builder, request)
            raise


class MeterEmbedder:
    """An embedder around an embedder; the same in all else."""

    def __init__(self, inner: Embedder, accounting: Accounting, pricing: Pricing) -> None:
        self._inner = inner
        self._accounting = accounting
        self._pricing = pricing

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed as the inner embedder does."""
        sent = tokens_of_texts(texts)
        row = _LedgerRow(self._accounting, self._pricing, Caller("embeddings"), sent)
        most = self._pricing.max_cost_of(sent * 4 // 3 + 16, 0, row.call.began) if row.limits else None
        await row.open(most)
        row.sent = True
        try:
            embeddings = await self._inner.embed(texts)
        except BaseException as error:
            row.fail(error, None, None)
            raise
        usage = embeddings.usage
        if usage == Usage(estimated=True):
            usage = Usage(sent, estimated=True)
        row.first = self._accounting.monotonic()
        row.end("complete", usage)
        return replace(embeddings, usage=replace(usage, cost=row.call.cost))


def record_cache_hit(
    ledger: Ledger, request: ChatRequest, response: Response, *, backend: str, model: str, seconds: float
) -> None:
    """Write the row of an answer that the cache gave in so many seconds; where that fails, there is none."""
    call = Call(
        backend=backend,
        model=model,
        began=time.time() - seconds,
        role=request.caller.role,
        session=request.caller.session,
        usage=response.usage,
        counted="counted" if response.usage.estimated else "reported",
        cost=response.usage.cost,
        latency_ms=seconds * 1000,
        outcome="cached",
    )
    with suppress(NotSavedError, ConfigError):  # the answer is there, and it cost nothing
        ledger.record(call)


class _LedgerRow:
    """The row of one call, from before it is sent until it has ended."""

    def __init__(self, accounting: Accounting, pricing: Pricing, caller: Caller, input_tokens: int) -> None:
        self.limits = accounting.limits_of(pricing.backend)
        self.reservation = Reservation()
        self.first: float | None = None
        self.sent = False
        self._accounting = accounting
        self._pricing = pricing
        self._ended = False
        self._began = accounting.monotonic()
        now = accounting.now()
        self.call = Call(
            backend=pricing.backend,
            model=pricing.model,
            began=now,
            role=caller.role,
            session=caller.session,
            usage=Usage(input_tokens, estimated=True),
            cost=pricing.cost(Usage(input_tokens), now),
            retries=caller.attempt,
        )

    async def open(self, max_cost: MaxCost | None) -> list[Notice]:
        """Write the row; wait where other calls have reserved what is left. Returns the notices for the user."""
        if self.limits and max_cost is None:
            if not self._accounting.allow_unpriced:
                raise self._pricing.price_unknown()
            self.limits = ()
        try:
            self.reservation = await self._reserve(max_cost)
        except (NotSavedError, ConfigError) as error:
            if self.limits:
                raise BudgetError(f"the budget cannot be checked: {error.message}", hints=error.hints) from error
        notices = self._alert_notices(self.reservation.alerts)
        if self.reservation.output is not None:
            text = f"the answer is limited to {self.reservation.output:,} tokens: more would go over the budget"
            notices.append(Notice("budget", text))
        self._began = self._accounting.monotonic()
        return notices

    def finish(self, event: Finished, builder: ResponseBuilder, request: ChatRequest) -> tuple[Finished, list[Notice]]:
        """End the row with a complete answer. Returns the event with its cost, and the notices for the user."""
        response = builder.response()
        usage = event.usage
        if usage is None:
            usage = Usage(tokens(request.messages), tokens([response.message]), estimated=True)
        notices = self.end("complete", usage, request, response)
        return replace(event, usage=replace(usage, cost=self.call.cost)), notices

    def fail(self, error: BaseException, builder: ResponseBuilder | None, request: ChatRequest | None) -> None:
        """End the row of a call that failed, or whose reader left; one that has ended stays as it is."""
        if self._ended:
            return
        response = None if builder is None else builder.response()
        outcome = _outcome(error, answered=self.first is not None) if self.sent else "unreached"
        usage = self.call.usage
        if response is not None and response.message.parts:
            usage = replace(usage, output_tokens=tokens([response.message]))
        self.call = replace(self.call, error=error.kind if isinstance(error, ArawnError) else "stopped")
        self.end(outcome, usage, request, response, error)

    def end(
        self,
        outcome: Outcome,
        usage: Usage,
        request: ChatRequest | None = None,
        response: Response | None = None,
        error: BaseException | None = None,
    ) -> list[Notice]:
        """Write how it ended. Returns the notices for the user: alerts, or that it could not be written."""
        ended = self._accounting.monotonic()
        call = replace(
            self.call,
            usage=usage,
            counted=_counted(outcome, usage),
            cost=self._cost(outcome, usage),
            outcome=outcome,
            latency_ms=(ended - self._began) * 1000,
            first_token_ms=None if self.first is None else (self.first - self._began) * 1000,
        )
        alerts: Sequence[Alert] = ()
        notices: list[Notice] = []
        try:
            billed = self._billed_time(outcome, ended)
            self.call, alerts = self._accounting.ledger.settle(self.reservation, call, self.limits, billed)
        except (NotSavedError, ConfigError) as failure:
            self.call = call
            notices.append(Notice("budget", f"what this call took is not in the ledger: {failure.message}"))
        self._ended = True
        self._accounting.notify(self.call, request, response, error)
        return [*notices, *self._alert_notices(alerts)]

    async def _reserve(self, max_cost: MaxCost | None) -> Reservation:
        deadline = self._accounting.monotonic() + RESERVATION_WAIT
        while True:
            try:
                return self._accounting.ledger.open(self.call, max_cost, self.limits)
            except ReservedByOthers as reserved:
                if self._accounting.monotonic() >= deadline:
                    raise reserved.error from None
            await self._accounting.sleep(_POLL_INTERVAL)

    def _cost(self, outcome: Outcome, usage: Usage) -> Any:
        if outcome in ("rejected", "unreached"):
            from decimal import Decimal

            return Decimal(0)
        return self._pricing.cost(usage, self.call.began)

    def _billed_time(self, outcome: Outcome, ended: float) -> BilledTime | None:
        rate = None if outcome in ("rejected", "unreached") else self._pricing.per_second
        return None if rate is None else BilledTime(self._began, ended, rate)

    def _alert_notices(self, alerts: Sequence[Alert]) -> list[Notice]:
        """Log alerts, and return them as notices for the user."""
        for alert in alerts:
            limit, status = alert.status.limit, alert.status
            self._accounting.log(
                "budget_alert",
                backend=limit.scope,
                period=limit.period,
                window=status.window,
                percent=alert.percent,
                spent=str(status.spent),
                limit=str(limit.amount),
            )
        return [Notice("budget", str(alert)) for alert in alerts]


def _capped(request: ChatRequest, max_cost: MaxCost | None, reservation: Reservation) -> ChatRequest:
    """Return a request that can cost no more than was reserved: an unset limit could grow with the thinking."""
    if reservation.output is not None:
        return replace(request, max_tokens=reservation.output)
    if max_cost is None or not max_cost.output or request.max_tokens is not None or request.thinking is None:
        return request
    return replace(request, max_tokens=max_cost.output)


def _outcome(error: BaseException, *, answered: bool) -> Outcome:
    if answered or not isinstance(error, ArawnError):
        return "interrupted"
    status = error.status if isinstance(error, BackendError) else None
    if (status or 0) >= 300:
        return "rejected"
    if not (isinstance(error, BackendError) and error.reached):
        return "unreached"
    return "rejected" if error.refused else "interrupted"


def _counted(outcome: Outcome, usage: Usage) -> Counted:
    if outcome != "complete":
        return "estimated"
    return "counted" if usage.estimated else "reported"
