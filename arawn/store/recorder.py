"""Keeps one conversation while it goes on, and lets it go on when it cannot."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from arawn.errors import ConfigError, NotSavedError
from arawn.messages import Message, Role
from arawn.store.records import Entry
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal

    from arawn.messages import Response
    from arawn.store.records import Status
    from arawn.store.sessions import Sessions

PAUSE = 0.5
"""Seconds between two writings of an answer that is coming."""
_NEVER = float("inf")


class Recorder:
    """Keeps a conversation in ``sessions``, nowhere where that is None. ``clock`` counts seconds and never goes back.

    ``id`` is that of the session, empty until the first turn is kept. ``failure`` is why something was not kept, None
    where all was: ``open``, ``summarise`` and drafts do not raise it. The other verbs do.
    """

    def __init__(self, sessions: Sessions | None, session: str = "", *, clock: Callable[[], float]) -> None:
        self.id = session
        self.failure: NotSavedError | None = None
        self.clock = clock
        self._sessions = sessions
        self._draft: Draft | None = None

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return self._sessions is not None

    def open(self, message: Message, *, backend: str, model: str, title: str, system: str, name: str) -> int:
        """Keep a user's message and return the number of its turn, 0 when it is not kept; the first begins a session.

        Raises UsageError for a name that cannot be one, or is taken.
        """
        number = 0
        if self._sessions is not None:
            with self.guarded():
                if not self.id:
                    self.id = self._sessions.begin(backend=backend, model=model, title=title, system=system, name=name)
                number = self._sessions.add_turn(self.id, message, backend=backend, model=model)
        return number

    def draft(self, turn: int, *, backend: str, model: str) -> Draft:
        """Return what keeps the answer of a turn."""
        empty = Message(Role.ASSISTANT, ())
        entry = Entry(message=empty, turn=turn, position=1, backend=backend, model=model)
        self._draft = Draft(self, self._sessions if turn else None, entry)
        return self._draft

    def catch_up(self) -> None:
        """Keep what has come of the answer and is not kept yet: for when nothing more comes for a while."""
        if self._draft is not None:
            self._draft.catch_up()

    def summarise(self, summary: str, upto: int) -> None:
        """Keep that the turns up to this number are sent as a summary."""
        if self._sessions is not None and self.id:
            with self.guarded():
                self._sessions.summarise(self.id, summary, upto)

    def undo(self, turn: int) -> None:
        """Remove a turn."""
        if self._sessions is not None and turn:
            self._sessions.undo(self.id, turn)

    def branch(self, turn: int) -> str:
        """Go on in a new session that begins with the turns up to this number; return its id, empty if not kept."""
        if self._sessions is not None and self.id:
            self.id = self._sessions.branch(self.id, turn)
        return self.id

    def rename(self, name: str) -> None:
        """Name the session. Raises UsageError for a name that cannot be one, or is taken."""
        if self._sessions is not None and self.id:
            self._sessions.rename(self.id, name)

    def retitle(self, title: str) -> None:
        """Give the session another title."""
        if self._sessions is not None and self.id:
            self._sessions.retitle(self.id, title)

    def instruct(self, system: str) -> None:
        """Give the session another system prompt."""
        if self._sessions is not None and self.id:
            self._sessions.instruct(self.id, system)

    def raise_failure(self) -> None:
        """Raise why something was not kept, once."""
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Remember instead of raising that the store cannot be used; the first reason counts."""
        try:
            yield
        except (ConfigError, NotSavedError) as error:
            self.failure = self.failure or NotSavedError(f"not saved: {error.message}", hints=error.hints)


class Draft:
    """An answer as it is kept: while it comes as it stands twice a second, at its end for good.

    Any verb may be called while another is at work, by a signal's handler.
    """

    def __init__(self, recorder: Recorder, sessions: Sessions | None, entry: Entry) -> None:
        self._recorder = recorder
        self._sessions = sessions
        self._entry = entry
        self._due = recorder.clock()
        self._waiting: Callable[[], Response] | None = None

    def offer(self, make: Callable[[], Response]) -> None:
        """Keep what has come, unless that was just done; the first offer is taken, and none after a failure."""
        if self._sessions is None:
            return
        self._waiting = make
        if self._recorder.clock() >= self._due:
            self.catch_up()

    def catch_up(self) -> None:
        """Keep what was offered and is not kept yet."""
        if self._sessions is None or self._sessions.busy:  # a signal came while something was written
            return
        make, self._waiting = self._waiting, None
        if make is None or self._due == _NEVER:
            return
        self._due = _NEVER
        with self._recorder.guarded():
            self._sessions.keep(self._recorder.id, self._filled(make(), "partial"))
            self._due = self._recorder.clock() + PAUSE

    def finish(self, response: Response, status: Status, cost: Decimal | None) -> None:
        """Keep the answer for good; one that failed before anything came took nothing."""
        self._due = _NEVER
        if self._sessions is None:
            return
        usage = None if status == "error" else response.usage
        with self._recorder.guarded():
            self._sessions.finish(self._recorder.id, replace(self._filled(response, status), usage=usage, cost=cost))

    def _filled(self, response: Response, status: Status) -> Entry:
        return replace(
            self._entry,
            message=response.message,
            status=status,
            backend=response.backend or self._entry.backend,
            model=response.model or self._entry.model,
            finish_reason=response.finish_reason.value,
            raw_finish_reason=response.raw_finish_reason,
        )
