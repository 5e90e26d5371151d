"""One question and its answer as a turn of a saved conversation: which one, and what could not be saved."""

from __future__ import annotations

import os
from contextlib import aclosing
from typing import TYPE_CHECKING, Generic

from arawn.errors import NotSavedError, UsageError
from arawn.session.session import C, Session
from arawn.store.sessions import LAST, Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from arawn.events import Events
    from arawn.messages import ChatRequest, Message
    from arawn.session.session import Engine, Overflow
    from arawn.store.database import Database
    from arawn.store.records import Transcript


class Recording(Generic[C]):
    """The conversation a question belongs to: a new one, or a saved one that goes on.

    ``name`` is the session to go on with, or the name of a new one; ``go_on`` goes on with the newest. Without
    ``keeps`` nothing is saved. ``system`` is the conversation's own system prompt, ``overflow`` what happens to turns
    that no longer fit the context window. ``warn`` is called with what the user should know and no error says.
    ``unsaved`` is why a complete answer was not saved, None where it was. Raises UsageError where there is no such
    conversation, and ConfigError where the file of one that is to go on cannot be used.
    """

    def __init__(
        self,
        database: Database,
        *,
        name: str = "",
        go_on: bool = False,
        keeps: bool = True,
        system: str = "",
        overflow: Overflow = "summary",
        warn: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.unsaved: NotSavedError | None = None
        self._database = database
        self._sessions = Sessions(database)
        self._keeps = keeps
        self._name = name
        self._earlier = self._found(LAST if go_on else name)
        self._system = system
        self._overflow: Overflow = overflow
        self._warn = warn

    @property
    def usual(self) -> tuple[str, str] | None:
        """The backend and model that the last question went to, None in a new conversation."""
        return self._earlier.last_asked if self._earlier else None

    def preview(self, engine: Engine[C], choice: C, request: ChatRequest, message: Message) -> ChatRequest:
        """Return the request that would be sent; nothing is saved."""
        return self._session(engine, choice, request, None).preview(message)

    async def answer(self, engine: Engine[C], choice: C, request: ChatRequest, message: Message) -> Events:
        """Answer a message with events, and save both."""
        session = self._session(engine, choice, request, self._sessions if self._keeps else None)
        try:
            async with aclosing(session.send(message.parts)) as events:
                async for event in events:
                    yield event
        except NotSavedError as error:
            self.unsaved = _answer_not_saved(error)
        finally:
            self._database.close()
            self._warn_of_the_store(session)

    def _session(self, engine: Engine[C], choice: C, request: ChatRequest, sessions: Sessions | None) -> Session[C]:
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

    def _warn_of_the_store(self, session: Session[C]) -> None:
        """Warn of what was repaired on opening the store, and of a failure to save beside one of the answer's own."""
        for warning in self._database.warnings:
            self._warn(warning)
        if session.unsaved is not None:
            self._warn(_answer_not_saved(session.unsaved).message)


def _answer_not_saved(error: NotSavedError) -> NotSavedError:
    hint = "to keep nothing: --no-save, or for always: arawn config set sessions.save false"
    return NotSavedError(f"answer {error.message}", hints=[*error.hints, hint])
