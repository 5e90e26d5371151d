"""How ``ask`` keeps its turn: as part of which conversation, and what is told when it could not be kept."""

from __future__ import annotations

import os
import signal
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

from arawn.errors import NotSavedError, UsageError
from arawn.session.session import Session
from arawn.store.recorder import PAUSE
from arawn.store.sessions import LAST, Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arawn.cli.context import Context
    from arawn.config.roles import Choice
    from arawn.engine.assembly import Engine
    from arawn.events import Events
    from arawn.messages import ChatRequest, Message
    from arawn.store.records import Transcript


class Recording:
    """The conversation a question belongs to: a new one, or one that is kept and goes on.

    ``unsaved`` is why a whole answer was not kept. Raises UsageError where there is no such conversation, and
    ConfigError where the file of one that is to go on cannot be used.
    """

    def __init__(self, context: Context) -> None:
        arguments = context.arguments
        self.unsaved: NotSavedError | None = None
        self._output = context.output
        self._database = context.database
        self._sessions = Sessions(self._database)
        self._keeps = _wanted(context)
        self._name: str = arguments.session or ""
        self._earlier = self._found(LAST if arguments.go_on else self._name)
        self._system: str = arguments.system or ""
        self._overflow: Any = context.settings.value("chat.overflow") or "summary"

    @property
    def usual(self) -> tuple[str, str] | None:
        """The backend and model that were asked last, None in a new conversation."""
        return self._earlier.last_asked if self._earlier else None

    def preview(self, engine: Engine, choice: Choice, request: ChatRequest, message: Message) -> ChatRequest:
        """Return the request that would be sent; nothing is kept."""
        return self._session(engine, choice, request, None).preview(message)

    async def answer(self, engine: Engine, choice: Choice, request: ChatRequest, message: Message) -> Events:
        """Answer a message with events, and keep both."""
        session = self._session(engine, choice, request, self._sessions if self._keeps else None)
        try:
            with _beating(session.catch_up):
                async with aclosing(session.send(message.parts)) as events:
                    async for event in events:
                        yield event
        except NotSavedError as error:
            self.unsaved = _of_answer(error)
        finally:
            self._database.close()
            self._tell(session)

    def _session(
        self, engine: Engine, choice: Choice, request: ChatRequest, sessions: Sessions | None
    ) -> Session[Choice]:
        session = Session(
            engine,
            choice,
            sessions=sessions,
            request=request,
            system=self._system,
            name=self._name,
            overflow=self._overflow,
        )
        return session.resume(self._earlier) if self._earlier else session

    def _found(self, word: str) -> Transcript | None:
        if not word:
            return None
        if not self._keeps and not os.path.exists(self._database.path):
            raise UsageError("there is no session yet, and this question is not to be kept")
        may_begin = self._keeps and word == self._name != LAST
        info = self._sessions.find(word) if may_begin else self._sessions.resolve(word)
        return self._sessions.load(info.id) if info else None

    def _tell(self, session: Session[Choice]) -> None:
        """Warn of what the answer's own failure would hide, and of what was repaired."""
        for warning in self._database.warnings:
            self._output.warning(warning)
        if session.unsaved is not None:
            self._output.warning(_of_answer(session.unsaved).message)


def _wanted(context: Context) -> bool:
    return not context.arguments.no_save and context.settings.value("sessions.save") is not False


def _of_answer(error: NotSavedError) -> NotSavedError:
    hint = "to keep nothing: --no-save, or for always: arawn config set sessions.save false"
    return NotSavedError(f"answer {error.message}", hints=[*error.hints, hint])


@contextmanager
def _beating(beat: Callable[[], None]) -> Iterator[None]:
    """Call ``beat`` twice a second, also while a read is waiting; where there is no such clock, never."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.signal(signal.SIGALRM, lambda *_: beat())
    signal.setitimer(signal.ITIMER_REAL, PAUSE, PAUSE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
