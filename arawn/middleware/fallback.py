"""Lets another backend answer when the first one fails; never once a part of the answer was delivered.

The commit point is that of ``arawn.middleware.retry``; when a backend is skipped, ``arawn.store.circuits`` explains.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from arawn.errors import (
    ArawnError,
    BackendTimeoutError,
    BudgetError,
    ConnectionFailedError,
    ProtocolError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
)
from arawn.events import Finished, Notice, Started
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from arawn.backends.base import Backend
    from arawn.events import Events, StreamEvent
    from arawn.messages import ChatRequest
    from arawn.store.circuits import Circuit, Circuits


class Candidate(Value):
    """A backend that may answer. ``make`` is called when it is first needed; ``adapt`` makes the request fit it."""

    backend: str
    model: str
    make: Callable[[], Backend]
    adapt: Callable[[ChatRequest], ChatRequest]


class Fallback:
    """A backend that is the first of several candidates; the others answer, in order, when those before them fail.

    A candidate whose circuit is open is skipped; when all others failed, the one whose circuit opened first is asked
    all the same. ``log(event, **fields)`` writes to the log. When no candidate answers, the first one's error is
    raised, with a hint for each other; an error that another backend would not help against is raised at once.
    """

    def __init__(self, candidates: Sequence[Candidate], circuits: Circuits, *, log: Callable[..., None]) -> None:
        self._candidates = tuple(candidates)
        self._circuits = circuits
        self._log = log
        self._made: dict[Candidate, Backend] = {}

    @property
    def name(self) -> str:
        """The name of the first."""
        return self._candidates[0].backend

    async def stream(self, request: ChatRequest) -> Events:
        """Answer as the first candidate that can. Its Started is held back until it has more to say than that."""
        call = _Call(self._candidates, self._circuits, self._log)
        for attempt in call.attempts():
            backend = self._backend(attempt.candidate)
            try:
                async with aclosing(backend.stream(attempt.candidate.adapt(request))) as events:
                    async for event in events:
                        for passed in attempt.pass_through(event):
                            yield passed
            except ArawnError as error:
                attempt.fail(error)
                if attempt.delivered:
                    raise
                if not allows_fallback(error):
                    break
            else:
                return
            finally:
                attempt.end()
        raise call.failure()

    def _backend(self, candidate: Candidate) -> Backend:
        if candidate not in self._made:
            self._made[candidate] = candidate.make()
        return self._made[candidate]


def allows_fallback(error: ArawnError) -> bool:
    """Say whether another backend may answer after an error: not where the user has to change something."""
    match error:
        case RateLimitError():
            return True
        case BudgetError(backend=backend):
            return bool(backend)
        case _:
            return is_backend_failure(error)


def is_backend_failure(error: ArawnError) -> bool:
    """Say whether an error means that the backend is not well; the user's own time limit does not."""
    if isinstance(error, BackendTimeoutError):
        return error.clock != "total"
    return isinstance(error, ConnectionFailedError | ServerError | ProtocolError | StreamInterruptedError)


class _Failure(NamedTuple):
    """Why a candidate did not answer: in words, by its kind, and the error, None where it was not asked."""

    reason: str
    kind: str
    error: ArawnError | None = None


class _Call:
    """One call: which candidates were asked, and why they failed. Candidates are named by their position."""

    def __init__(self, candidates: Sequence[Candidate], circuits: Circuits, log: Callable[..., None]) -> None:
        self.circuits = circuits
        self.sent: list[Notice] = []
        self.failures: dict[int, _Failure] = {}
        self._candidates = candidates
        self._log = log

    def attempts(self) -> Iterator[_Attempt]:
        """Yield an attempt with each candidate, when those before it have failed."""
        skipped: list[_Attempt] = []
        for position, candidate in enumerate(self._candidates):
            circuit = self.circuits.check(candidate.backend)
            attempt = _Attempt(self, position, candidate, circuit)
            if circuit.allows:
                yield attempt
            else:
                skipped.append(attempt)
                self.failures[position] = _Failure(_why_open(circuit), circuit.reason)
        if skipped:
            yield min(skipped, key=lambda attempt: attempt.circuit.opened or 0.0)

    def switch(self, position: int) -> Notice | None:
        """Log that another candidate answers, and return the notice for the user; None for the first."""
        if not position:
            return None
        others = {other: failure for other, failure in sorted(self.failures.items()) if other != position}
        tried = [
            {**self._named(other), "reason": each.kind, "asked": bool(each.error)} for other, each in others.items()
        ]
        ends = {"from": self._candidates[0].backend, "to": self._candidates[position].backend}
        self._log("backend_switched", **ends, reason=tried[0]["reason"], tried=tried)
        reasons = "; ".join(f"{self._label(other)}: {failure.reason}" for other, failure in others.items())
        return Notice("fallback", f"{self._label(position)} answers: {reasons}")

    def failure(self) -> ArawnError:
        """Return the error of the first that was asked, with a hint for each other candidate that failed."""
        failures = dict(sorted(self.failures.items()))
        first, error = next((position, each.error) for position, each in failures.items() if each.error is not None)
        others = (f"{self._label(position)}: {each.reason}" for position, each in failures.items() if position != first)
        error.hints = (*error.hints, *others)
        return error

    def _named(self, position: int) -> dict[str, str]:
        return {"backend": self._candidates[position].backend, "model": self._candidates[position].model}

    def _label(self, position: int) -> str:
        """Return a candidate's name, with its model where that tells it from another."""
        backend, model = self._candidates[position].backend, self._candidates[position].model
        alone = [candidate.backend for candidate in self._candidates].count(backend) == 1
        return backend if alone else f"{backend}/{model}"


class _Attempt:
    """One candidate being asked. ``delivered`` once a part of its answer was: then no other may answer."""

    def __init__(self, call: _Call, position: int, candidate: Candidate, circuit: Circuit) -> None:
        self.candidate = candidate
        self.circuit = circuit
        self.delivered = False
        self._call = call
        self._position = position
        self._started: list[StreamEvent] = []
        self._recorded = False

    def pass_through(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """Return the events that may pass now."""
        if isinstance(event, Finished):
            self._recorded = True
            self._call.circuits.record_success(self.circuit)
        if self.delivered:
            return [event]
        if isinstance(event, Started):
            self._started = [event]
            return []
        if isinstance(event, Notice):
            return self._if_new(event)
        self.delivered = True
        notice = self._call.switch(self._position)
        return [*([] if notice is None else [notice]), *self._started, event]

    def fail(self, error: ArawnError) -> None:
        """Record why it failed; a failure of the backend is recorded for all processes."""
        self._call.failures[self._position] = _Failure(error.message, error.kind, error)
        if is_backend_failure(error) and not self._recorded:
            self._recorded = True
            self._call.circuits.record_failure(self.circuit, error.kind)

    def end(self) -> None:
        """Give a probe up that said nothing about the backend: it was refused, or the reader left."""
        if not self._recorded:
            self._call.circuits.release(self.circuit)

    def _if_new(self, notice: Notice) -> list[StreamEvent]:
        if notice in self._call.sent:
            return []
        self._call.sent.append(notice)
        return [notice]


def _why_open(circuit: Circuit) -> str:
    """Return the words for why a backend is not asked now."""
    times = "once" if circuit.failures == 1 else f"{circuit.failures} times"
    if circuit.wait > 0:
        return f"failed {times}, asked again in {max(1, round(circuit.wait))} s"
    return f"failed {times}, another call tries it now"
