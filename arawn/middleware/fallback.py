"""Lets another backend answer where the first cannot; never once a word of the answer was delivered."""

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
    """Who may answer. ``make`` is called when it is first needed, ``adapt`` makes the first one's request its own."""

    backend: str
    model: str
    make: Callable[[], Backend]
    adapt: Callable[[ChatRequest], ChatRequest]


class Fallback:
    """A backend that is the first of several, the others standing by in order.

    A candidate whose circuit is open is passed over; when all others failed, the one that opened earliest is asked all
    the same. ``tell(event, **fields)`` is the log. Where nobody answers, the first one's error is raised, with a hint
    for each other; an error that is the user's to mend ends it at once.
    """

    def __init__(self, candidates: Sequence[Candidate], circuits: Circuits, *, tell: Callable[..., None]) -> None:
        self._candidates = tuple(candidates)
        self._circuits = circuits
        self._tell = tell
        self._made: dict[Candidate, Backend] = {}

    @property
    def name(self) -> str:
        """The name of the first."""
        return self._candidates[0].backend

    async def stream(self, request: ChatRequest) -> Events:
        """Answer as the first candidate does that can. Its Started is held back until it has more to say than that."""
        call = _Call(self._candidates, self._circuits, self._tell)
        for turn in call.turns():
            backend = self._backend(turn.candidate)
            try:
                async with aclosing(backend.stream(turn.candidate.adapt(request))) as events:
                    async for event in events:
                        for passed in turn.take(event):
                            yield passed
            except ArawnError as error:
                turn.failed(error)
                if turn.delivered:
                    raise
                if not switches(error):
                    break
            else:
                return
            finally:
                turn.end()
        raise call.failure()

    def _backend(self, candidate: Candidate) -> Backend:
        if candidate not in self._made:
            self._made[candidate] = candidate.make()
        return self._made[candidate]


def switches(error: ArawnError) -> bool:
    """Say whether another backend may answer after an error: one that is not the user's to mend."""
    match error:
        case RateLimitError():
            return True
        case BudgetError(backend=backend):
            return bool(backend)
        case _:
            return blames_backend(error)


def blames_backend(error: ArawnError) -> bool:
    """Say whether an error means that the backend is not well; the user's own limit of time does not."""
    if isinstance(error, BackendTimeoutError):
        return error.clock != "total"
    return isinstance(error, ConnectionFailedError | ServerError | ProtocolError | StreamInterruptedError)


class _Failure(NamedTuple):
    """Why a candidate did not answer: in words, by its kind, and the error, None where it was not asked."""

    reason: str
    kind: str
    error: ArawnError | None = None


class _Call:
    """One call: whose turn it is, and who failed."""

    def __init__(self, candidates: Sequence[Candidate], circuits: Circuits, tell: Callable[..., None]) -> None:
        self.circuits = circuits
        self.said: list[Notice] = []
        self.failures: dict[int, _Failure] = {}
        self._candidates = candidates
        self._tell = tell

    def turns(self) -> Iterator[_Turn]:
        """Yield those to ask, each when those before it have failed."""
        skipped: list[_Turn] = []
        for place, candidate in enumerate(self._candidates):
            circuit = self.circuits.look(candidate.backend)
            turn = _Turn(self, place, candidate, circuit)
            if circuit.allows:
                yield turn
            else:
                skipped.append(turn)
                self.failures[place] = _Failure(_rest(circuit), circuit.reason)
        if skipped:
            yield min(skipped, key=lambda turn: turn.circuit.opened or 0.0)

    def switched(self, place: int) -> Notice | None:
        """Log who answers, and return the line for the user; None for the first, who was asked."""
        if not place:
            return None
        others = {other: failure for other, failure in sorted(self.failures.items()) if other != place}
        tried = [
            {**self._named(other), "reason": each.kind, "asked": bool(each.error)} for other, each in others.items()
        ]
        ends = {"from": self._candidates[0].backend, "to": self._candidates[place].backend}
        self._tell("backend_switched", **ends, reason=tried[0]["reason"], tried=tried)
        reasons = "; ".join(f"{self._label(other)}: {failure.reason}" for other, failure in others.items())
        return Notice("fallback", f"{self._label(place)} answers: {reasons}")

    def failure(self) -> ArawnError:
        """Return the error of the first that was asked, with a hint for each other candidate that failed."""
        failures = dict(sorted(self.failures.items()))
        first, error = next((place, each.error) for place, each in failures.items() if each.error is not None)
        others = (f"{self._label(place)}: {each.reason}" for place, each in failures.items() if place != first)
        error.hints = (*error.hints, *others)
        return error

    def _named(self, place: int) -> dict[str, str]:
        return {"backend": self._candidates[place].backend, "model": self._candidates[place].model}

    def _label(self, place: int) -> str:
        """Return a candidate's name, with its model where that tells it from another."""
        backend, model = self._candidates[place].backend, self._candidates[place].model
        alone = [candidate.backend for candidate in self._candidates].count(backend) == 1
        return backend if alone else f"{backend}/{model}"


class _Turn:
    """One candidate being asked. ``delivered`` once some of its answer was: there is no way back then."""

    def __init__(self, call: _Call, place: int, candidate: Candidate, circuit: Circuit) -> None:
        self.candidate = candidate
        self.circuit = circuit
        self.delivered = False
        self._call = call
        self._place = place
        self._started: list[StreamEvent] = []
        self._judged = False

    def take(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """Return the events that may pass now."""
        if isinstance(event, Finished):
            self._judged = True
            self._call.circuits.succeeded(self.circuit)
        if self.delivered:
            return [event]
        if isinstance(event, Started):
            self._started = [event]
            return []
        if isinstance(event, Notice):
            return self._unsaid(event)
        self.delivered = True
        notice = self._call.switched(self._place)
        return [*([] if notice is None else [notice]), *self._started, event]

    def failed(self, error: ArawnError) -> None:
        """Take in why it failed; a failure that speaks of the backend's health is for everybody to know."""
        self._call.failures[self._place] = _Failure(error.message, error.kind, error)
        if blames_backend(error) and not self._judged:
            self._judged = True
            self._call.circuits.failed(self.circuit, error.kind)

    def end(self) -> None:
        """Let others try where nothing was learnt: it was refused, or the reader left."""
        if not self._judged:
            self._call.circuits.released(self.circuit)

    def _unsaid(self, notice: Notice) -> list[StreamEvent]:
        if notice in self._call.said:
            return []
        self._call.said.append(notice)
        return [notice]


def _rest(circuit: Circuit) -> str:
    """Return the words for why a backend is not asked now."""
    times = "once" if circuit.failures == 1 else f"{circuit.failures} times"
    if circuit.wait > 0:
        return f"failed {times}, asked again in {max(1, round(circuit.wait))} s"
    return f"failed {times}, another call tries it now"
