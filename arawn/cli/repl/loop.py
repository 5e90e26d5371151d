"""The loop of a chat: a prompt, then what it asks for, then a prompt again."""

from __future__ import annotations

import asyncio  # noqa: TID253 -- only ``arawn chat`` imports this, and prompt_toolkit needs it anyway
import errno
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from arawn import __version__
from arawn.cli.render.screen import Screen
from arawn.cli.repl import commands, completion, toolbar
from arawn.cli.repl.attachments import Attachments
from arawn.cli.repl.attention import Attention, read
from arawn.cli.repl.editor import Editor
from arawn.cli.repl.history import FILE, TypedLines
from arawn.cli.repl.names import Names
from arawn.cli.repl.reply import Reply
from arawn.cli.repl.terminal import Terminal
from arawn.cli.repl.warmth import warm_up
from arawn.cli.report import budget_status, figures
from arawn.cli.signals import Interrupted, handed_to
from arawn.engine.assembly import Engine
from arawn.errors import ArawnError, BackendError, ConfigError, NotSavedError
from arawn.folders import data_folder
from arawn.messages import ChatRequest, Usage
from arawn.session.session import Session
from arawn.session.turns import PARTIAL, first_line
from arawn.store.sessions import LAST, Sessions

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from decimal import Decimal

    from arawn.cli.context import Context
    from arawn.cli.repl.attention import View
    from arawn.config.roles import Choice
    from arawn.events import Events
    from arawn.store.budgets import BudgetStatus
    from arawn.store.records import Transcript

_AFTER_PROMPT = 0.05
_GONE = (errno.EIO, errno.ENXIO, errno.EBADF)


class Chat:
    """One run of ``arawn chat``. ``over`` ends it. Raises what the options make impossible."""

    def __init__(self, context: Context) -> None:
        arguments = context.arguments
        self.context = context
        self.output = context.output
        self.environ = context.environ
        self.settings = context.settings
        self._database = context.database
        self.engine = Engine.asynchronous(self.settings, database=self._database)
        self.sessions = None if arguments.private else Sessions(self._database)
        self._system: str = arguments.system or ""
        self._name: str = arguments.session or ""
        self._earlier = self._found(LAST if arguments.go_on else self._name)
        choice = context.choose(self.engine, usual=self._earlier.last_asked if self._earlier else None)
        self.session = self._session(choice, ChatRequest("", ()), self._name)
        self.attachments = Attachments()
        for path in arguments.file:
            self.attachments.add(path)
        self.over = False
        self.screen = Screen(context.output, context.environ, self.settings.value("chat.theme") or "default")
        self._names = Names(self.settings, self.sessions, lambda: self.session.choice.backend)
        self.editor = self._editor()
        self.terminal = Terminal(self.editor.session.input, self.editor.session.output)
        self._text = ""
        self._editing = 0
        self._attention = Attention(self.terminal)

    @property
    def who(self) -> str:
        """What answers."""
        choice = self.session.choice
        return f"{choice.backend}/{choice.model}"

    @property
    def budgets(self) -> tuple[BudgetStatus, ...]:
        """How the budgets stand that count for what answers. Raises ConfigError when the store cannot be used."""
        return budget_status.standings(self.settings, self._database, self.session.choice.backend)

    def run(self) -> int:
        """Talk until the user leaves; return the exit code. A signal's Interrupted comes after all is in order."""
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(self._on_exception)
        try:
            talk = loop.create_task(self._talk())
            with suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(signal.SIGINT, self._on_interrupt)
            with handed_to(lambda: loop.call_soon_threadsafe(talk.cancel)):
                return loop.run_until_complete(talk)
        except OSError as error:
            if error.errno in _GONE and hasattr(signal, "SIGHUP"):
                raise Interrupted(signal.SIGHUP) from error
            raise
        finally:
            loop.close()

    def begin(self, name: str = "") -> None:
        """Begin a new conversation, with the same model and settings."""
        self.session = self._session(self.session.choice, self.session.request, name)

    def resume(self, transcript: Transcript) -> None:
        """Go on with a kept conversation, and with what it asked last."""
        self.begin()
        self.session.resume(transcript)
        try:
            if asked := transcript.last_asked:
                self.session.switch(*asked)
        except ConfigError as error:
            self.output.warning(f"{error.message}; {self.who} goes on")
        self._show_last()

    def edit(self, number: int, text: str) -> None:
        """Ask the question of a turn again: the next prompt begins with it."""
        self._editing, self._text, self.editor.before = number, text, f"edit {number}"

    async def answer(self, events: Events, text: str = "") -> None:
        """Show an answer while it comes, and what became of it. Of a ``text`` that did not get sent nothing is lost."""
        session, reply = self.session, Reply(self.screen, self.who)
        turns, usage, cost = session.turns, session.usage, session.cost
        failure: ArawnError | None = None
        complete = False
        try:
            complete = await self.attend(read(events, reply), reply)
        except ArawnError as error:
            failure = error
        finally:
            reply.close()
        self._text = text if session.turns == turns else ""
        if complete or isinstance(failure, NotSavedError):
            taken = reply.usage or _more(usage, session.usage)
            self._line(self.who, *reply.summary(taken, _spent(cost, session.cost)))
        elif failure is None:
            self._line(f"[stopped: {'what came is kept' if reply.came else 'nothing had come'}", "/retry asks again]")
        self._tell_failure(failure)

    async def attend(self, work: Coroutine[Any, Any, object], view: View) -> bool:
        """Do something that can be stopped; False when it was. Raises what it raises."""
        await asyncio.wait([self._warm])
        return await self._attention.pay(work, view)

    def tell_where_it_is(self) -> None:
        """Say how to come back to the conversation."""
        session = self.session
        if not session.turns:
            return
        if session.id:
            self._line(f'saved "{session.title}"', f"arawn chat -s {session.id}")
        elif session.private:
            self._line("private: nothing was kept")
        else:
            self.output.warning("this conversation could not be saved")

    async def _talk(self) -> int:
        self._warm = asyncio.ensure_future(self._warm_up())
        with self.terminal:
            try:
                self._greet()
                while not self.over:
                    self.screen.blank()
                    line = await self._ask()
                    if line is None:
                        break
                    await self._heed(line)
            finally:
                self._warm.cancel()
                with suppress(OSError, NotSavedError):
                    self.tell_where_it_is()
                self._database.close()
                await self.engine.aclose()
        return 0

    def _greet(self) -> None:
        kept = ["private: nothing is kept"] if self.session.private else []
        self._line(f"arawn {__version__}", self.who, *kept, "/help, Ctrl-D leaves")
        if self._earlier:
            self.session.resume(self._earlier)
            self._show_last()
        elif self._name:
            self._line(f'a new conversation "{self._name}"')
        for described in self.attachments.described:
            self._line(f"with your first message goes {described}")

    async def _ask(self) -> str | None:
        self.editor.status = self._status()
        self._names.refresh()
        text, self._text = self._text, ""
        return await self.editor.ask(text)

    async def _heed(self, line: str) -> None:
        """Do what a line asks for, and tell why that failed."""
        try:
            if completion.is_command(line):
                await commands.run(self, line)
            elif line.strip():
                await self._say(line[1:] if line.startswith("//") else line)
        except ArawnError as error:
            self.output.error(error)

    async def _say(self, text: str) -> None:
        number, self._editing, self.editor.before = self._editing, 0, ""
        self._text = text
        if number:
            await self.answer(self.session.edit(number, text), text)
            return
        parts = self.attachments.message(text)
        for described in self.attachments.described:
            self._line(f"attached {described}")
        self.session.title = self.session.title or first_line(text)
        await self.answer(self.session.send(parts), text)
        if not self._text:
            self.attachments.clear()

    def _status(self) -> list[str]:
        session = self.session
        used = figures.spent(session.usage, session.cost) if session.turns else []
        left = session.context_left()
        room = [] if left is None else [f"{figures.tokens(left)} left"]
        files = [f"{len(self.attachments.described)} attached"] if self.attachments.described else []
        private = ["private"] if session.private else []
        budget = budget_status.part(self.settings, self._database, session.choice.backend)
        return toolbar.ordered(self.who, [*private, *used, *room], budget, files)

    def _show_last(self) -> None:
        turns = self.session.turns
        self._line(f'"{self.session.title}"', f"{len(turns)} turn{'s' * (len(turns) != 1)}", self.who)
        if not turns:
            return
        last = turns[-1]
        self.screen.blank()
        self.screen.show_earlier(last.question.text, last.answer.text if last.answer else "")
        if last.answer is None or PARTIAL in last.answer.metadata:
            self._line(
                "[this answer is not whole: /retry asks again]" if last.answer else "[no answer: /retry asks again]"
            )

    def _tell_failure(self, failure: ArawnError | None) -> None:
        while self._database.warnings:
            self.output.warning(self._database.warnings.pop(0))
        failure = failure or self.session.unsaved
        if failure is not None:
            self.output.error(failure)
        if isinstance(failure, BackendError):
            self._line("/retry asks again")

    def _line(self, *parts: str) -> None:
        self.screen.note(figures.SEPARATOR.join(parts))

    def _editor(self) -> Editor:
        path = os.path.join(data_folder(self.environ), FILE) if self.sessions else ""
        return Editor(
            history=TypedLines(path),
            completer=completion.ChatCompleter(commands.COMMANDS, self._sources()),
            suspend=self._suspend,
            cancel=self._cancel_edit,
            vi=self.settings.value("chat.editing_mode") == "vi",
            colour=self.output.colour,
        )

    def _sources(self) -> dict[str, Any]:
        names = {"commands": lambda: [(command.name, command.help) for command in commands.COMMANDS]}
        return {**self._names.sources, **names}

    def _session(self, choice: Choice, request: ChatRequest, name: str) -> Session[Choice]:
        return Session(
            self.engine,
            choice,
            sessions=self.sessions,
            request=request,
            system=self._system,
            name=name,
            overflow=self.settings.value("chat.overflow") or "summary",
        )

    def _found(self, word: str) -> Transcript | None:
        """Return the conversation the options name; None for a new one."""
        if not word or self.sessions is None:
            return None
        may_begin = word == self._name != LAST
        info = self.sessions.find(word) if may_begin else self.sessions.resolve(word)
        return self.sessions.load(info.id) if info else None

    def _suspend(self) -> None:
        self.terminal.suspend_prompt()

    def _cancel_edit(self) -> bool:
        editing, self._editing, self.editor.before = self._editing, 0, ""
        return bool(editing)

    async def _warm_up(self) -> None:
        """Load what the first answer needs while the first message is typed."""
        await asyncio.sleep(_AFTER_PROMPT)
        with suppress(Exception):  # whoever needs it will say what is wrong with it
            await asyncio.to_thread(warm_up, self.engine, self.session.choice)

    def _on_interrupt(self) -> None:
        self._attention.stop()
        self.editor.interrupt()

    def _on_exception(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if (error := context.get("exception")) is not None:
            self.editor.fail(error)


def _more(before: Usage, after: Usage) -> Usage:
    return Usage(
        after.input_tokens - before.input_tokens, after.output_tokens - before.output_tokens, estimated=after.estimated
    )


def _spent(before: Decimal | None, after: Decimal | None) -> Decimal | None:
    return after if after is None or before is None else after - before
