"""Writes every call into the ledger and keeps it within the budgets.

It stands next to the backend: each attempt of a retry and each backend of a fallback is a row, and a reservation, of
its own.
"""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol

from arawn.errors import ArawnError, BackendError, BudgetError, ConfigError, NotSavedError
from arawn.events import Delta, Finished, Notice, ResponseBuilder
from arawn.messages import Caller, Usage
from arawn.models.estimates import most_input, tokens, tokens_of_texts
from arawn.store.calls import Call
from arawn.store.ledger import Opened, Reserved, Shift
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from arawn.backends.base import Backend, Embedder
    from arawn.events import Events
    from arawn.messages import ChatRequest, Embeddings, Response
    from arawn.middleware.budget import Tariff
    from arawn.store.budgets import Alert, Limit
    from arawn.store.calls import Counted, Outcome
    from arawn.store.ledger import Ledger, Worst

RESERVED_FOR = 60.0
"""Seconds to wait for the reservations of other calls, before a budget they fill counts as reached."""
_LOOK_AGAIN = 0.25


class Observe(Protocol):
    """Is told of every call that has ended."""

    def __call__(
        self, call: Call, request: ChatRequest | None, response: Response | None, error: BaseException | None
    ) -> None:
        """Take in how it ended: request and response are None for embeddings, the error for what went well."""
        ...


class Books:
    """Where calls are written and what they are held to: one for all meters of an engine.

    ``limits`` are the budgets; ``unpriced`` lets calls pass whose price is not known. ``tell(event, **fields)`` is the
    log. Times are in seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        limits: Sequence[Limit] = (),
        *,
        sleep: Callable[[float], Awaitable[None]],
        observe: Observe,
        tell: Callable[..., None],
        unpriced: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.ledger = ledger
        self.limits = tuple(limits)
        self.sleep = sleep
        self.observe = observe
        self.tell = tell
        self.unpriced = unpriced
        self.monotonic = monotonic
        self.now = now

    def limits_at(self, backend: str) -> tuple[Limit, ...]:
        """Return the budgets that a call to a backend is held to."""
        return tuple(limit for limit in self.limits if limit.scope in ("", backend))


class Meter:
    """A backend around a backend; ``tariff`` is what its model costs.

    Raises BudgetError, and sends nothing, where a budget does not allow a call. What cannot be written down is told,
    and stops a call only where there is a budget. The usage of Finished gets its cost.
    """

    def __init__(self, inner: Backend, books: Books, tariff: Tariff) -> None:
        self.name = inner.name
        self._inner = inner
        self._books = books
        self._tariff = tariff

    async def stream(self, request: ChatRequest) -> Events:
        """Answer as the inner backend does."""
        entry = _Entry(self._books, self._tariff, request.caller, tokens(request.messages))
        worst = self._tariff.worst(request, most_input(request)) if entry.limits else None
        told = await entry.open(worst)
        request = _held(request, worst, entry.opened)
        builder = ResponseBuilder(self.name, request.model)
        try:
            for notice in told:
                yield notice
            entry.sent = True
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    builder.add(event)
                    if type(event) is Finished:
                        finished, notices = entry.finish(event, builder, request)
                        for notice in notices:
                            yield notice
                        yield finished
                    else:
                        if entry.first is None and isinstance(event, Delta):
                            entry.first = self._books.monotonic()
                        yield event
        except BaseException as error:
            entry.fail(error, builder, request)
            raise


class MeterEmbedder:
    """An embedder around an embedder; the same in all else."""

    def __init__(self, inner: Embedder, books: Books, tariff: Tariff) -> None:
        self._inner = inner
        self._books = books
        self._tariff = tariff

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed as the inner embedder does."""
        asked = tokens_of_texts(texts)
        entry = _Entry(self._books, self._tariff, Caller("embeddings"), asked)
        await entry.open(self._tariff.worst_of(asked * 4 // 3 + 16, 0) if entry.limits else None)
        entry.sent = True
        try:
            embeddings = await self._inner.embed(texts)
        except BaseException as error:
            entry.fail(error, None, None)
            raise
        usage = embeddings.usage
        if usage == Usage(estimated=True):
            usage = Usage(asked, estimated=True)
        entry.first = self._books.monotonic()
        entry.end("complete", usage)
        return replace(embeddings, usage=replace(usage, cost=entry.call.cost))


class _Entry:
    """The row of one call, from before it is sent until it has ended."""

    def __init__(self, books: Books, tariff: Tariff, caller: Caller, asked: int) -> None:
        self.limits = books.limits_at(tariff.backend)
        self.opened = Opened()
        self.first: float | None = None
        self.sent = False
        self._books = books
        self._tariff = tariff
        self._settled = False
        self._began = books.monotonic()
        self.call = Call(
            backend=tariff.backend,
            model=tariff.model,
            began=books.now(),
            role=caller.role,
            session=caller.session,
            usage=Usage(asked, estimated=True),
            cost=tariff.cost(Usage(asked)),
            retries=caller.attempt,
        )

    async def open(self, worst: Worst | None) -> list[Notice]:
        """Write the row; wait where other calls have reserved what is left. Returns what is to be told."""
        if self.limits and worst is None:
            if not self._books.unpriced:
                raise self._tariff.unpriced()
            self.limits = ()
        try:
            self.opened = await self._reserved(worst)
        except (NotSavedError, ConfigError) as error:
            if self.limits:
                raise BudgetError(f"the budget cannot be checked: {error.message}", hints=error.hints) from error
        notices = self._told(self.opened.alerts)
        if self.opened.output is not None:
            text = f"the answer is limited to {self.opened.output:,} tokens: more would go over the budget"
            notices.append(Notice("budget", text))
        self._began = self._books.monotonic()
        return notices

    def finish(self, event: Finished, builder: ResponseBuilder, request: ChatRequest) -> tuple[Finished, list[Notice]]:
        """End the row with a whole answer. Returns the event with its cost, and what is to be told."""
        response = builder.response()
        usage = event.usage
        if usage is None:
            usage = Usage(tokens(request.messages), tokens([response.message]), estimated=True)
        notices = self.end("complete", usage, request, response)
        return replace(event, usage=replace(usage, cost=self.call.cost)), notices

    def fail(self, error: BaseException, builder: ResponseBuilder | None, request: ChatRequest | None) -> None:
        """End the row of a call that failed, or whose reader left; one that has ended stays as it is."""
        if self._settled:
            return
        response = None if builder is None else builder.response()
        outcome = _outcome(error, came=self.first is not None) if self.sent else "unreached"
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
        """Write how it ended. Returns what is to be told: alerts, or that it could not be written."""
        ended = self._books.monotonic()
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
            self.call, alerts = self._books.ledger.settle(self.opened, call, self.limits, self._shift(outcome, ended))
        except (NotSavedError, ConfigError) as failure:
            self.call = call
            notices.append(Notice("budget", f"what this call took is not in the ledger: {failure.message}"))
        self._settled = True
        self._books.observe(self.call, request, response, error)
        return [*notices, *self._told(alerts)]

    async def _reserved(self, worst: Worst | None) -> Opened:
        deadline = self._books.monotonic() + RESERVED_FOR
        while True:
            try:
                return self._books.ledger.open(self.call, worst, self.limits)
            except Reserved as reserved:
                if self._books.monotonic() >= deadline:
                    raise reserved.error from None
            await self._books.sleep(_LOOK_AGAIN)

    def _cost(self, outcome: Outcome, usage: Usage) -> Any:
        if outcome in ("rejected", "unreached"):
            from decimal import Decimal

            return Decimal(0)
        return self._tariff.cost(usage)

    def _shift(self, outcome: Outcome, ended: float) -> Shift | None:
        rate = None if outcome in ("rejected", "unreached") else self._tariff.per_second
        return None if rate is None else Shift(self._began, ended, rate)

    def _told(self, alerts: Sequence[Alert]) -> list[Notice]:
        for alert in alerts:
            limit, standing = alert.standing.limit, alert.standing
            self._books.tell(
                "budget_alert",
                backend=limit.scope,
                period=limit.period,
                window=standing.window,
                percent=alert.percent,
                spent=str(standing.spent),
                limit=str(limit.amount),
            )
        return [Notice("budget", str(alert)) for alert in alerts]


def _held(request: ChatRequest, worst: Worst | None, opened: Opened) -> ChatRequest:
    """Return a request that can cost no more than was reserved: a limit nobody set could grow with the thinking."""
    if opened.output is not None:
        return replace(request, max_tokens=opened.output)
    if worst is None or not worst.output or request.max_tokens is not None or request.thinking is None:
        return request
    return replace(request, max_tokens=worst.output)


def _outcome(error: BaseException, *, came: bool) -> Outcome:
    if came or not isinstance(error, ArawnError):
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
