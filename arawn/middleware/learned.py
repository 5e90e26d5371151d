"""Sends a request again without the parameter that its server refuses, and leaves that out for a day.

The problem: what a model takes changes faster than any table of it, and a server of one's own may be anything. A
refusal that names one parameter is no reason to fail where the answer does not depend on it.

The invariants: only what ``DROPPABLE`` names is ever left out, and a limit is only renamed, whatever the error's text
says; messages, tools and schemas stay. The same refusal twice is final, as is the one after MAX_ROUNDS, so that no
server can keep a request going round. Once a part of the answer was delivered nothing is repeated. What was left out is
remembered when the server then takes the request, not before. The repeat passes retry, limit and meter like any other
attempt: it is its own row of the ledger and its own reservation.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from arawn.adapters.parameters import DROPPABLE, EFFORT_BESIDE_TOOLS, LIMIT_KEYS, SIGNED_THINKING
from arawn.errors import RequestError
from arawn.events import Notice, Started
from arawn.store.learned import Place
from arawn.values import replace

if TYPE_CHECKING:
    from arawn.backends.base import Backend
    from arawn.events import Events, StreamEvent
    from arawn.messages import ChatRequest
    from arawn.store.learned import LearnedParameters

MAX_ROUNDS = 3
"""How often one request is sent again."""
_REMEMBERED = DROPPABLE.union(LIMIT_KEYS, [EFFORT_BESIDE_TOOLS])
_REFUSED = (400, 422, None)  # no status: the error came inside a successful answer


class Learned:
    """A backend around a backend; ``address`` is its base URL."""

    def __init__(self, inner: Backend, address: str, learned: LearnedParameters) -> None:
        self.name = inner.name
        self._inner = inner
        self._address = address
        self._learned = learned

    async def stream(self, request: ChatRequest) -> Events:
        """Answer as the inner backend does."""
        place = Place(self.name, self._address, request.model)
        request = replace(request, without=request.without | self._learned.refused(place))
        attempts = _Attempts(place, self._learned)
        while True:
            try:
                async with aclosing(self._inner.stream(request)) as events:
                    async for event in events:
                        if attempts.passes(event):
                            yield event
            except RequestError as error:
                name = _refused(error, request)
                if not name or not attempts.may_repeat:
                    raise
            else:
                return
            attempts.found.append(name)
            caller = replace(request.caller, attempt=request.caller.attempt + 1)
            request = replace(request, without=request.without | {name}, caller=caller)
            if name in LIMIT_KEYS:
                yield Notice("retrying", f'backend "{self.name}" takes no "{name}": sent again with the other name')


class _Attempts:
    """What happened so far: ``found`` was refused, and is remembered with the first part of an answer."""

    def __init__(self, place: Place, learned: LearnedParameters) -> None:
        self.found: list[str] = []
        self._place = place
        self._learned = learned
        self._answered = False
        self._said: list[Notice] = []

    @property
    def may_repeat(self) -> bool:
        return not self._answered and len(self.found) < MAX_ROUNDS

    def passes(self, event: StreamEvent) -> bool:
        """Take in an event; say whether the reader has not had it yet."""
        if isinstance(event, Notice):
            if event in self._said:
                return False
            self._said.append(event)
        elif not self._answered and not isinstance(event, Started):
            self._answered = True
            if names := _REMEMBERED.intersection(self.found):
                self._learned.add(self._place, names)
        return True


def _refused(error: RequestError, request: ChatRequest) -> str:
    """Return what may be left out, or renamed, because of an error; empty where there is nothing new."""
    name = error.parameter
    known = name in _REMEMBERED or name == SIGNED_THINKING
    return name if known and name not in request.without and error.status in _REFUSED else ""
