"""The loop of a chat: read a line, answer it or run its command, read the next."""

from __future__ import annotations

import asyncio  # noqa: TID253 -- only ``arawn chat`` imports this, and prompt_toolkit needs it anyway
import errno
import os
import signal
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from arawn import __version__
from arawn.cli.render.screen import Screen
from arawn.cli.repl import commands, completion
from arawn.cli.repl.attachments import Attachments
from arawn.cli.repl.cancellation import TaskRunner
from arawn.cli.repl.candidates import Candidates
from arawn.cli.repl.editor import Editor, order_toolbar
from arawn.cli.repl.history import FILE, StoredHistory
from arawn.cli.repl.terminal import Terminal
from arawn.cli.repl.views import AnswerView
from arawn.cli.report import budget_status, figures
from arawn.cli.signals import Interrupted, handed_to
from arawn.errors import ArawnError, BackendError, ConfigError, NotSavedError, UsageError
from arawn.folders import data_folder
from arawn.messages import Caller, ChatRequest, Usage
from arawn.session.session import Session
from arawn.session.turns import PARTIAL, first_line
from arawn.texts import require_valid
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from decimal import Decimal

    from arawn.cli.output import Output
    from arawn.cli.repl.views import View
    from arawn.config.roles import Choice
    from arawn.config.settings import Settings
    from arawn.engine.assembly import Engine
    from arawn.events import Events
    from arawn.store.budgets import BudgetStatus
    from arawn.store.database import Database
    from arawn.store.records import Transcript
    from arawn.store.sessions import Sessions

_PRELOAD_DELAY = 0.05
"""Seconds from the first prompt until modules are preloaded."""
_TERMINAL_GONE = (errno.EIO, errno.ENXIO, errno.EBADF)
"""Errors of a terminal that was closed."""


class ChatParts(Value, kw_only=True):
    """What a chat works with.

    ``sessions`` is None in a private chat, ``earlier`` the conversation to continue, None for a new one named
    ``session_name``. ``question`` is sent before the first prompt. ``warn_backend`` warns about a backend that the
    chat switches to.
    """

    output: Output
    environ: Mapping[str, str]
    settings: Settings
    database: Database
    engine: Engine
    choice: Choice
    sessions: Sessions | None = None
    earlier: Transcript | None = None
    session_name: str = ""
    system: str = ""
    files: Sequence[str] = ()
    question: str = ""
    warn_backend: Callable[[str], None]


class Chat:
    """One run of ``arawn chat``. Raises UsageError for a file that cannot be attached."""

    def __init__(self, parts: ChatParts) -> None:
        self.output = parts.output
        self.environ = parts.environ
        self.settings = parts.settings
        self.engine = parts.engine
        self.sessions = parts.sessions
        self._parts = parts
        self._database = parts.database
        self.session = self._new_session(
            parts.choice, ChatRequest("", (), caller=Caller(lasting=True)), parts.session_name
        )
        self.attachments = Attachments()
        for path in parts.files:
            self.attachments.add(path)
        self.screen = Screen(self.output, self.environ, self.settings.value("chat.theme") or "default")
        self._candidates = Candidates(self.settings, self.sessions, lambda: self.session.choice.backend)
        self._editor = self._new_editor()
        self._terminal = Terminal(self._editor.session.input, self._editor.session.output)
        self._runner = TaskRunner(self._terminal)
        self._draft = ""
        self._edited_turn = 0
        self._is_over = False

    @property
    def model_label(self) -> str:
        """The model that answers, as ``backend/model``."""
        choice = self.session.choice
        return f"{choice.backend}/{choice.model}"

    @property
    def budgets(self) -> tuple[BudgetStatus, ...]:
        """The status of the budgets that count for the current backend. Raises ConfigError."""
        return budget_status.budget_statuses(self.settings, self._database, self.session.choice.backend)

    def run(self) -> int:
        """Talk until the user leaves; return the exit code. After clean-up, raises Interrupted for a signal."""
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(self._on_exception)
        try:
            main = loop.create_task(self._main())
            with suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(signal.SIGINT, self._on_interrupt)
            with handed_to(lambda: loop.call_soon_threadsafe(main.cancel)):
                return loop.run_until_complete(main)
        except OSError as error:
            if error.errno in _TERMINAL_GONE and hasattr(signal, "SIGHUP"):
                raise Interrupted(signal.SIGHUP) from error
            raise
        finally:
            loop.close()

    # ---- what commands do (control.ChatControl) ----

    def switch_model(self, name: str) -> None:
        """Continue with a model of the current backend, unless the name says another backend."""
        current = self.session.choice.backend
        is_elsewhere = self.engine.names_backend(name) and self.engine.facts(current, name) is None
        self._switch(None if is_elsewhere else current, name)

    def switch_backend(self, name: str) -> None:
        """Continue with another backend and its model."""
        self._switch(name, None)

    def swap_enter(self) -> bool:
        """Swap Enter and Alt-Enter; return whether Enter now makes a new line."""
        self._editor.enter_swapped = not self._editor.enter_swapped
        return self._editor.enter_swapped

    def begin(self, name: str = "") -> None:
        """Begin a new conversation with the same model and settings."""
        self.session = self._new_session(self.session.choice, self.session.request, name)

    def resume(self, transcript: Transcript) -> None:
        """Continue a saved conversation with the model it used last."""
        self.begin()
        self.session.resume(transcript)
        try:
            if asked := transcript.last_asked:
                self.session.switch(*asked)
        except ConfigError as error:
            self.output.warning(f"{error.message}; continuing with {self.model_label}")
        self._show_resumed()

    def edit(self, number: int, text: str) -> None:
        """Put the question of a turn into the next prompt; what is sent replaces it."""
        self._edited_turn, self._draft, self._editor.prefix = number, text, f"edit {number}"

    async def answer(self, events: Events, text: str = "") -> None:
        """Show an answer while it arrives, and how it ended. A ``text`` that was not sent returns to the prompt."""
        session, view = self.session, AnswerView(self.screen, self.model_label)
        turns, usage, cost = session.turns, session.usage, session.cost
        failure: ArawnError | None = None
        complete = False
        try:
            complete = await self.run_cancellable(view.show(events), view)
        except ArawnError as error:
            failure = error
        finally:
            view.close()
        self._draft = text if session.turns == turns else ""
        if complete or isinstance(failure, NotSavedError):
            used = view.usage or _usage_since(usage, session.usage)
            self._notify(self.model_label, *view.summary(used, _cost_since(cost, session.cost)))
        elif failure is None:
            what = "what came is kept" if view.has_text else "nothing had come"
            self._notify(f"[stopped: {what}", "/retry asks again]")
        self._show_failure(failure)

    async def run_cancellable(self, work: Coroutine[Any, Any, object], view: View) -> bool:
        """Run a coroutine to its end; return False if it was cancelled. Raises what it raises."""
        await asyncio.wait([self._preloading])
        return await self._runner.run_cancellable(work, view)

    def notify_saved(self) -> None:
        """Show how to continue the current conversation later."""
        session = self.session
        if not session.turns:
            return
        if session.id:
            self._notify(f'saved "{session.title}"', f"arawn chat -s {session.id}")
        elif session.private:
            self._notify("private: nothing was kept")
        else:
            self.output.warning("this conversation could not be saved")

    def quit(self) -> None:
        """End the chat."""
        self._is_over = True

    # ---- the loop ----

    async def _main(self) -> int:
        self._preloading = asyncio.ensure_future(self._preload())
        with self._terminal:
            try:
                self._greet()
                if self._parts.question:
                    await self._send_first(self._parts.question)
                while not self._is_over:
                    self.screen.blank()
                    line = await self._read_line()
                    if line is None:
                        break
                    await self._dispatch(line)
            finally:
                self._preloading.cancel()
                with suppress(OSError, NotSavedError):
                    self.notify_saved()
                self._database.close()
                await self.engine.aclose()
        return 0

    def _greet(self) -> None:
        private = ["private: nothing is kept"] if self.session.private else []
        self._notify(f"arawn {__version__}", self.model_label, *private, "/help, Ctrl-D leaves")
        if self._parts.earlier:
            self.session.resume(self._parts.earlier)
            self._show_resumed()
        elif self._parts.session_name:
            self._notify(f'a new conversation "{self._parts.session_name}"')
        for description in self.attachments.descriptions:
            self._notify(f"with your first message goes {description}")

    async def _read_line(self) -> str | None:
        self._editor.status = self._status()
        self._candidates.refresh()
        text, self._draft = self._draft, ""
        try:
            return await self._editor.read(text)
        except UsageError as error:
            self._draft = self._editor.session.default_buffer.text
            self.output.error(error)
            return ""

    async def _dispatch(self, line: str) -> None:
        """Run the command of a line, or send it as a message; show the error if that fails."""
        try:
            if completion.is_command(line):
                await commands.run(self, line)
            elif line.strip():
                self._draft = line
                require_valid(line, "the message")
                await self._send(line[1:] if line.startswith("//") else line)
        except ArawnError as error:
            self.output.error(error)

    async def _send_first(self, question: str) -> None:
        """Show and send the question of the command line; one that cannot be sent stands in the prompt then."""
        self.screen.blank()
        self.screen.print_question(question)
        try:
            await self._send(question)
        except ArawnError as error:
            self.output.error(error)

    async def _send(self, text: str) -> None:
        number, self._edited_turn, self._editor.prefix = self._edited_turn, 0, ""
        self._draft = text
        if number:
            await self.answer(self.session.edit(number, text), text)
            return
        parts = self.attachments.message(text)
        for description in self.attachments.descriptions:
            self._notify(f"attached {description}")
        self.session.title = self.session.title or first_line(text)
        await self.answer(self.session.send(parts), text)
        if not self._draft:
            self.attachments.clear()

    # ---- what is shown ----

    def _status(self) -> list[str]:
        session = self.session
        used = figures.spent(session.usage, session.cost) if session.turns else []
        left = session.context_left()
        context = [] if left is None else [f"{figures.tokens(left)} left"]
        count = len(self.attachments.descriptions)
        files = [f"{count} attached"] if count else []
        private = ["private"] if session.private else []
        budget = budget_status.summarize(self.settings, self._database, session.choice.backend)
        return order_toolbar(self.model_label, [*private, *used, *context], budget, files)

    def _show_resumed(self) -> None:
        turns = self.session.turns
        self._notify(f'"{self.session.title}"', f"{len(turns)} turn{'s' * (len(turns) != 1)}", self.model_label)
        if not turns:
            return
        last = turns[-1]
        self.screen.blank()
        self.screen.print_turn(last.question.text, last.answer.text if last.answer else "")
        self.screen.print_sources(last.answer.citations if last.answer else ())
        if last.answer is None:
            self._notify("[no answer: /retry asks again]")
        elif PARTIAL in last.answer.metadata:
            self._notify("[this answer is not whole: /retry asks again]")

    def _show_failure(self, failure: ArawnError | None) -> None:
        while self._database.warnings:
            self.output.warning(self._database.warnings.pop(0))
        failure = failure or self.session.unsaved
        if failure is not None:
            self.output.error(failure)
        if isinstance(failure, BackendError):
            self._notify("/retry asks again")

    def _notify(self, *parts: str) -> None:
        self.screen.notify(figures.SEPARATOR.join(parts))

    # ---- its parts ----

    def _new_editor(self) -> Editor:
        path = os.path.join(data_folder(self.environ), FILE) if self.sessions else ""
        names = {"commands": lambda: [(command.name, command.help) for command in commands.COMMANDS]}
        return Editor(
            history=StoredHistory(path),
            completer=completion.ChatCompleter(commands.COMMANDS, {**self._candidates.sources, **names}),
            suspend=self._suspend,
            cancel_edit=self._cancel_edit,
            vi=self.settings.value("chat.editing_mode") == "vi",
            colour=self.output.colour,
        )

    def _new_session(self, choice: Choice, request: ChatRequest, name: str) -> Session[Choice]:
        return Session(
            self.engine,
            choice,
            sessions=self.sessions,
            request=request,
            system=self._parts.system,
            name=name,
            overflow=self.settings.value("chat.overflow") or "summary",
        )

    def _switch(self, backend: str | None, model: str | None) -> None:
        self.session.switch(backend, model)
        self._parts.warn_backend(self.session.choice.backend)

    def _suspend(self) -> None:
        self._terminal.suspend_prompt()

    def _cancel_edit(self) -> bool:
        number, self._edited_turn, self._editor.prefix = self._edited_turn, 0, ""
        return bool(number)

    async def _preload(self) -> None:
        """Load what the first answer needs, in a thread, while the first message is typed."""

        def load() -> None:
            self.engine.backend(self.session.choice)
            import_module("arawn.cli.render.stream")
            import_module("arawn.network.transport").preload()

        await asyncio.sleep(_PRELOAD_DELAY)
        with suppress(Exception):  # the first answer will raise it again
            await asyncio.to_thread(load)

    def _on_interrupt(self) -> None:
        self._runner.cancel()
        self._editor.interrupt()

    def _on_exception(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if (error := context.get("exception")) is not None:
            self._editor.fail(error)


def _usage_since(before: Usage, after: Usage) -> Usage:
    return Usage(
        after.input_tokens - before.input_tokens, after.output_tokens - before.output_tokens, estimated=after.estimated
    )


def _cost_since(before: Decimal | None, after: Decimal | None) -> Decimal | None:
    return after if after is None or before is None else after - before
