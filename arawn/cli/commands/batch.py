"""Ask many questions from a file, several at a time, and write the answers to another; run again, it goes on.

FILE has a question a line, as JSON: a text, an object with "prompt" or "messages", or OpenAI's batch form; "-" reads
standard input. The file of -o gets a record for each line, at once when it is there and in order at the end. Whatever
stops arawn: the same command again asks only what has no answer yet. See docs/batch.md for all keys.
"""

from __future__ import annotations

import json
from contextlib import aclosing
from decimal import Decimal
from functools import lru_cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from arawn.answers.answered import Answered, Told, at_line
from arawn.batch.answer_file import AnswerFile, Key
from arawn.batch.feed import Feed
from arawn.batch.questions import id_of, nearest, read_question
from arawn.cli import overrides, signals
from arawn.cli.commands.ask import add_model_arguments, make_request, positive_int
from arawn.cli.context import names_backend
from arawn.cli.report.progress import Progress
from arawn.engine.assembly import Engine
from arawn.errors import ArawnError, BudgetError, IncompleteAnswerError, UsageError
from arawn.messages import ChatRequest, Message, Role, Text
from arawn.values import replace

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import AsyncGenerator

    from arawn.answers.schema import AnswerSchema
    from arawn.backends.base import Backend
    from arawn.batch.feed import Line
    from arawn.batch.questions import Asking
    from arawn.batch.runner import Answer
    from arawn.cli.context import Context
    from arawn.config.roles import Choice
    from arawn.events import Events

_JOBS = 8
_GIVES_WAY = 256
_NOTHING = Decimal(0)
_TOLD = ("budget", "config", "dropped", "fallback")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``batch`` takes."""
    add = parser.add_argument
    add("file", metavar="FILE", help="the questions, a line of JSON each; - for standard input")
    add("-o", "--output", metavar="FILE", required=True, help="where the answers go, and where they went before")
    add("--jobs", type=positive_int, default=_JOBS, metavar="N", help=f"how many to ask at a time ({_JOBS})")
    add_model_arguments(parser)
    overrides.add_arguments(parser)
    add("--json", action="store_true", help="print the summary as a JSON object")


def run(context: Context) -> int:
    """Ask what is not answered yet, and return the exit code."""
    import asyncio

    arguments, output = context.arguments, context.output
    with Feed(arguments.file) as feed:
        if feed.is_same_as(arguments.output):
            raise UsageError(f"{arguments.output} holds the questions: the answers need a file of their own")
        with AnswerFile(arguments.output) as file:
            animated = output.stderr_tty and context.environ.get("TERM") != "dumb"
            progress = Progress(output, None if output.quiet else feed.count(), bar=animated)
            work = _Work(context, feed, file, progress)
            try:
                asyncio.run(work.whole())
            except signals.Interrupted as stopped:
                work.tell_end(128 + stopped.signum, "stopped: ")
                raise
            except ArawnError as error:
                work.tell_end(error.exit_code)
                raise
            work.tell_end(work.exit_code)
            return work.exit_code


class Route(NamedTuple):
    """Who answers a question: the choice, its backend, and a short hash of how it is asked."""

    choice: Choice
    backend: Backend
    settings: str


class Question(NamedTuple):
    """A line on its way: to whom, or why to nobody."""

    line: int
    id: Any
    key: Key
    route: Route | ArawnError
    request: ChatRequest = ChatRequest("", ())
    schema: AnswerSchema | None = None


class Routes:
    """Finds out who answers which question; each backend and model has one stack for the whole batch."""

    def __init__(self, context: Context, engine: Engine) -> None:
        arguments = context.arguments
        self._context = context
        self._engine = engine
        self._request = make_request(arguments)
        self._system = (Message(Role.SYSTEM, (Text(arguments.system),)),) if arguments.system else ()
        self._routes: dict[tuple[str | None, str | None], Route] = {}

    def to(self, asking: Asking) -> Route:
        """Return the way of a question. Raises ConfigError where nobody answers it."""
        backend, model = self._wanted(asking)
        if (backend, model) not in self._routes:
            choice = self._context.told(self._engine, self._engine.choose(backend, model))
            settings = _settings(choice.backend, self.complete(ChatRequest("", ()), choice))
            self._routes[backend, model] = Route(choice, self._engine.backend(choice), settings)
        return self._routes[backend, model]

    def _wanted(self, asking: Asking) -> tuple[str | None, str | None]:
        """Return the names a question is asked by: its own, and for what it does not name those of the command line."""
        backend, model = self._context.option("backend"), self._context.option("model")
        if asking.backend is not None:
            return asking.backend, asking.model
        if asking.model is None:
            return backend, model
        elsewhere = names_backend(self._engine, asking.model) and not (
            backend and self._engine.facts(backend, asking.model)
        )
        return (None if elsewhere else backend), asking.model

    def complete(self, request: ChatRequest, choice: Choice) -> ChatRequest:
        """Fill what a question leaves open: from the command line, then from the settings."""
        ours = self._request
        messages = request.messages
        if self._system and not any(message.role is Role.SYSTEM for message in messages):
            messages = (*self._system, *messages)
        given = replace(
            request,
            messages=messages,
            max_tokens=ours.max_tokens if request.max_tokens is None else request.max_tokens,
            temperature=ours.temperature if request.temperature is None else request.temperature,
            thinking=request.thinking or ours.thinking,
        )
        return self._engine.complete(given, choice)


class _Work:
    """One run of a batch."""

    def __init__(self, context: Context, feed: Feed, file: AnswerFile, progress: Progress) -> None:
        self._context = context
        self._feed = feed
        self._file = file
        self._progress = progress
        timeout, database = context.arguments.timeout, context.database
        self._engine = Engine.asynchronous(context.settings, total_timeout=timeout, database=database)
        self._routes = Routes(context, self._engine)
        self._told = Told()
        self._failure: tuple[int, ArawnError] | None = None
        self._exhausted: BudgetError | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the first line that has no answer."""
        return 0 if self._failure is None else self._failure[1].exit_code

    async def whole(self) -> None:
        """Ask, write the answers as they come, and put them in order. Raises BudgetError where that stopped it."""
        from asyncio import get_running_loop

        from arawn.batch.runner import Batch

        batch = Batch(self, self._questions(), jobs=self._context.arguments.jobs)
        loop = get_running_loop()
        with signals.handed_to(lambda: loop.call_soon_threadsafe(batch.stop)):
            try:
                async with self._progress.shown(), aclosing(batch.answers()) as answers:
                    async for answer in answers:
                        self._take(answer)
            finally:
                await self._engine.aclose()
        if self._exhausted is not None:
            raise self._exhausted
        if self._feed.is_empty:
            raise UsageError(f"nothing to ask: there is no question in {self._feed.name}")
        self._file.finish()

    def stream(self, question: Question) -> Events:
        """Answer a question. Raises what is wrong with its line."""
        if isinstance(question.route, ArawnError):
            raise question.route
        return question.route.backend.stream(question.request)

    def tell_end(self, exit_code: int, before: str = "") -> None:
        """Tell how far it came, what failed first, and how to go on."""
        output, progress, path = self._context.output, self._progress, self._context.arguments.output
        if progress.done + progress.failed == 0 and self._exhausted is None:
            return
        if self._failure is not None:
            output.error(at_line(*self._failure))
        output.note(before + progress.summary())
        if exit_code:
            output.note(f"the same command again asks what has no answer in {path} yet")
        if self._context.arguments.json:
            fields = {**progress.fields(), "output": path, "exit_code": exit_code}
            output.data(json.dumps(fields, ensure_ascii=False))

    async def _questions(self) -> AsyncGenerator[Question, None]:
        """Yield the questions that have no answer yet."""
        from asyncio import sleep

        async with aclosing(self._feed.lines()) as lines:
            before = 0
            async for line in lines:
                self._progress.blank(line.number - before - 1)
                before = line.number
                question = self._question(line)
                if not self._file.has(line.number, question.key):
                    yield question
                    continue
                self._progress.keep()
                if self._progress.kept % _GIVES_WAY == 0:
                    await sleep(0)

    def _question(self, line: Line) -> Question:
        """Read a line; one that is no question is answered with its error."""
        try:
            asking = read_question(line.text())
        except UsageError as error:
            given = id_of(line.data) if line.is_whole else None
            return Question(line.number, given, Key(line.digest, ""), error)
        for key in asking.unknown:
            self._tell_unknown(key)
        try:
            schema = _compiled(asking)
            route = self._routes.to(asking)
        except ArawnError as error:
            if not isinstance(error, UsageError) and asking.backend is None and asking.model is None:
                raise  # nobody answers where no one is named: no other line will fare better
            return Question(line.number, asking.id, Key(line.digest, ""), error)
        request = self._routes.complete(asking.request, route.choice)
        return Question(line.number, asking.id, Key(line.digest, route.settings), route, request, schema)

    def _take(self, answer: Answer[Question]) -> None:
        """Write an answer down, unless it says that there is no money left."""
        if isinstance(answer.error, BudgetError):
            self._exhausted = self._exhausted or answer.error
            return
        question = answer.question
        choice = None if isinstance(question.route, ArawnError) else question.route.choice
        record = Answered(answer, self._engine, choice)
        if question.schema is not None and record.error is None:
            _check(question.schema, record)
        self._file.append(question.line, question.key, _fields(question.id, record))
        self._progress.add(record.cost if record.cost or record.response.message.parts else _NOTHING, record.error)
        if record.error is not None:
            self._fail(question.line, record.error)
        for text in self._told.of(answer.notices, _TOLD):
            self._progress.say(partial(self._context.output.note, text))

    def _fail(self, line: int, error: ArawnError) -> None:
        """Remember the first failure in the order of the lines."""
        if self._failure is None or line < self._failure[0]:
            self._failure = line, error
        else:
            error.__traceback__ = None  # it leads to what was asked, and that back to it

    def _tell_unknown(self, key: str) -> None:
        text = f'"{key[:80]}" means nothing to arawn and is not sent'
        if self._told.is_new(text):
            near = nearest(key)
            guess = f'; did you mean "{near}"?' if near else ""
            self._progress.say(partial(self._context.output.warning, text + guess))


def _compiled(asking: Asking) -> AnswerSchema | None:
    """Return the schema an answer must fit, compiled once for all lines that have the same."""
    output = asking.request.output
    if output is None or output.schema is None:
        return None
    try:
        return _schema(json.dumps(output.schema))
    except UsageError as error:
        raise UsageError(error.message.replace("--schema", '"schema"', 1), hints=error.hints) from None


@lru_cache(maxsize=64)
def _schema(written: str) -> AnswerSchema:
    from arawn.answers.schema import AnswerSchema

    return AnswerSchema(written)


def _settings(backend: str, empty: ChatRequest) -> str:
    """Return a short hash of how a question is asked that says nothing of it."""
    thinking = empty.thinking and [empty.thinking.effort, empty.thinking.budget_tokens]
    system = [message.text for message in empty.messages]
    how = [backend, empty.model, empty.max_tokens, empty.temperature, thinking, system]
    return sha256(json.dumps(how).encode()).hexdigest()[:16]


def _fields(given: Any, record: Answered) -> dict[str, Any]:
    """Return what is written of an answer: what ``ask --json`` prints, with the user's own id."""
    summary = record.summary()
    answer_id = summary.pop("id")
    return {"id": given, **summary, "answer_id": answer_id}


def _check(schema: AnswerSchema, record: Answered) -> None:
    try:
        schema.check(record.response.text)
    except IncompleteAnswerError as error:
        record.fail(error)
