"""Saves a conversation while it goes on; a store that cannot be written does not stop it.

An answer is saved as a draft while it streams: at once when its first event comes, then at every event that comes
half a second or more after the last write. A shorter distance starts a timer, so that the last piece before a silence
is on the disk at most half a second after it came, whatever ends the process then. The end of the answer, be it
complete, failed or stopped by a signal, is saved by the caller's own thread before it goes on. The timer has a thread,
and so a database connection, of its own; a lock keeps a late draft from overwriting the end.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Protocol, TypeAlias

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

DRAFT_INTERVAL = 0.5
"""Seconds between two writes of an answer that is streaming."""
_NEVER = float("inf")


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Drop it, unless it is already being made."""
        ...


StartTimer: TypeAlias = "Callable[[float, Callable[[], None]], Timer]"
"""Calls a function after so many seconds, in another thread."""


def start_timer(seconds: float, function: Callable[[], None]) -> Timer:
    """Call a function after so many seconds, in a thread that does not keep the process alive."""
    import threading

    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()
    return timer


class Recorder:
    """Saves a conversation in ``sessions``, nowhere where that is None. ``clock`` is monotonic, in seconds.

    ``id`` is that of the session, empty until the first turn is saved. ``failure`` is why something was not saved, None
    where all was: ``open``, ``summarise`` and drafts do not raise it. The other verbs do.
    """

    def __init__(
        self,
        sessions: Sessions | None,
        session: str = "",
        *,
        clock: Callable[[], float],
        start_timer: StartTimer = start_timer,
    ) -> None:
        self.id = session
        self.failure: NotSavedError | None = None
        self.clock = clock
        self.start_timer = start_timer
        self._sessions = sessions

    @property
    def saves(self) -> bool:
        """Whether anything is saved."""
        return self._sessions is not None

    def open(self, message: Message, *, backend: str, model: str, title: str, system: str, name: str) -> int:
        """Save a user's message and return the number of its turn, 0 when it is not saved; the first begins a session.

        Raises UsageError for a name that cannot be one, or is taken.
        """
        number = 0
        if self._sessions is not None:
            with self.deferring_errors():
                if not self.id:
                    self.id = self._sessions.create(backend=backend, model=model, title=title, system=system, name=name)
                number = self._sessions.add_turn(self.id, message, backend=backend, model=model)
        return number

    def draft(self, turn: int, *, backend: str, model: str) -> Draft:
        """Return what saves the answer of a turn."""
        empty = Message(Role.ASSISTANT, ())
        entry = Entry(message=empty, turn=turn, position=1, backend=backend, model=model)
        return Draft(self, self._sessions if turn else None, entry)

    def summarise(self, summary: str, upto: int) -> None:
        """Save that the turns up to this number are sent as a summary."""
        if self._sessions is not None and self.id:
            with self.deferring_errors():
                self._sessions.summarise(self.id, summary, upto)

    def undo(self, turn: int) -> None:
        """Remove a turn."""
        if self._sessions is not None and turn:
            self._sessions.undo(self.id, turn)

    def branch(self, turn: int) -> str:
        """Go on in a new session that begins with the turns up to this number; return its id, empty if not saved."""
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

    def set_system(self, system: str) -> None:
        """Give the session another system prompt."""
        if self._sessions is not None and self.id:
            self._sessions.set_system(self.id, system)

    def raise_failure(self) -> None:
        """Raise why something was not saved, once."""
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    @contextmanager
    def deferring_errors(self) -> Iterator[None]:
        """Note that the store cannot be used, for ``raise_failure``, instead of raising it; the first reason counts."""
        try:
            yield
        except (ConfigError, NotSavedError) as error:
            self.failure = self.failure or NotSavedError(f"not saved: {error.message}", hints=error.hints)


class Draft:
    """One answer as it is saved: as it stands while it streams, and at its end for good; see the head of the file."""

    def __init__(self, recorder: Recorder, sessions: Sessions | None, entry: Entry) -> None:
        self._recorder = recorder
        self._sessions = sessions
        self._entry = entry
        self._lock = Lock()
        self._due = recorder.clock()
        self._unsaved: Callable[[], Response] | None = None
        self._timer: Timer | None = None

    def update(self, response: Callable[[], Response]) -> None:
        """Save what has come, now or when it is due; none of it after a failure."""
        if self._sessions is None:
            return
        with self._lock:
            self._unsaved = response
            wait = self._due - self._recorder.clock()
            if wait <= 0:
                self._save(self._sessions)
            elif self._timer is None and wait < _NEVER:
                self._timer = self._recorder.start_timer(wait, self._flush)

    def finish(self, response: Response, status: Status, cost: Decimal | None) -> None:
        """Save the answer for good; one that failed before anything came took nothing."""
        if self._sessions is None:
            return
        with self._lock:
            self._due, self._unsaved = _NEVER, None
            self._cancel_timer()
            usage = None if status == "error" else response.usage
            entry = replace(self._filled(response, status), usage=usage, cost=cost)
            with self._recorder.deferring_errors():
                self._sessions.save_answer(self._recorder.id, entry)

    def _flush(self) -> None:
        """Save what is due and not saved yet; called by the timer."""
        assert self._sessions is not None, "without a store nothing starts a timer"
        with self._lock:
            self._timer = None
            if self._unsaved is not None:
                with self._sessions.for_this_thread() as sessions:
                    self._save(sessions)

    def _save(self, sessions: Sessions) -> None:
        response, self._unsaved = self._unsaved, None
        assert response is not None
        self._due = _NEVER
        self._cancel_timer()
        with self._recorder.deferring_errors():
            sessions.save_draft(self._recorder.id, self._filled(response(), "partial"))
            self._due = self._recorder.clock() + DRAFT_INTERVAL

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

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
