"""``arawn batch``: many questions from a file, the answers to another, resumable."""

from __future__ import annotations

import os
from contextlib import aclosing, contextmanager
from decimal import Decimal
from functools import partial
from hashlib import sha256
from json import dumps
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer import Argument, Option

from arawn.answers.record import FinishedRecord
from arawn.batch.answer_file import AnswerFile, AnswerStream, Key
from arawn.batch.feed import Feed
from arawn.batch.questions import id_of, nearest, read_question
from arawn.cli import options, signals
from arawn.cli.context import Context
from arawn.cli.groups import Command
from arawn.cli.guard import escaped
from arawn.cli.help import examples
from arawn.cli.output import write_all
from arawn.cli.report.progress import Progress
from arawn.cli.request import NewNotices, at_line, make_request
from arawn.engine.assembly import Engine
from arawn.errors import ArawnError, BudgetError, UsageError
from arawn.files import is_special, is_terminal, names_stdout, open_special, require_place
from arawn.messages import ChatRequest, Role
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from arawn.backends.base import Backend
    from arawn.batch.feed import Line
    from arawn.batch.questions import Asking
    from arawn.batch.runner import Answer
    from arawn.cli.output import Output
    from arawn.config.roles import Choice
    from arawn.events import Events

_JOBS = 8
_YIELD_EVERY = 256
_ZERO = Decimal(0)
_SHOWN = ("budget", "config", "dropped", "fallback", "schema")


app = options.new_app()


@app.command(
    cls=Command,
    epilog=examples(
        "arawn batch questions.jsonl -o answers.jsonl",
        "arawn batch questions.jsonl -o answers.jsonl --jobs 16 -m groq/llama-3.3-70b-versatile",
    ),
)
def batch(
    ctx: typer.Context,
    file: Annotated[str, Argument(metavar="FILE", help="the questions, a line of JSON each; - for standard input")],
    output: Annotated[
        str, Option("-o", "--output", metavar="FILE", help="the answers, also those of an earlier run; - for stdout")
    ],
    jobs: Annotated[
        int | None,
        Option("--jobs", parser=options.positive_int, metavar="N", help=f"how many to ask at a time ({_JOBS})"),
    ] = None,
    json: Annotated[bool, Option("--json", help="print the summary as a JSON object")] = False,
    system: options.System = None,
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    think: options.Think = None,
    timeout: options.Timeout = None,
    cache: options.UseCache = False,
    no_cache: options.NoCache = False,
    fallback: options.Fallback = None,
) -> int:
    """Ask many questions from a file, several at a time, and write the answers to another; run again, it goes on.

    FILE has a question a line, as JSON: a text, an object with "prompt" or "messages", or OpenAI's batch form. The file
    of -o gets a record for each line, at once when it is there and in order at the end. Whatever stops arawn: the same
    command again asks only what has no answer yet. All keys: docs/batch.md.
    """
    context: Context = ctx.obj
    context.overrides |= options.overrides(cache=cache, no_cache=no_cache, fallback=fallback)
    request_options = options.RequestOptions(max_tokens, temperature, think, system, timeout)
    return _run(context, file, output, request_options, jobs or _JOBS, as_json=json)


def _run(
    context: Context, questions: str, answers: str, request_options: options.RequestOptions, jobs: int, *, as_json: bool
) -> int:
    """Ask what is not answered yet, and return the exit code."""
    import asyncio

    output = context.output
    options.exclusive({"-o -": names_stdout(answers), "--json": as_json})
    with Feed(questions) as feed:
        if feed.is_same_as(answers) and not is_special(answers):
            raise UsageError(f"{answers} holds the questions: the answers need a file of their own")
        animated = output.stderr_tty and context.environ.get("TERM") != "dumb"
        progress = Progress(output, None if output.quiet else feed.count(), bar=animated)
        with _opened(answers, output, progress) as file:
            work = _Work(context, feed, file, progress, request_options)

            def describe_end(exit_code: int, before: str = "") -> None:
                work.describe_end(answers, exit_code, before, as_json=as_json)

            try:
                asyncio.run(work.whole(jobs))
            except signals.Interrupted as stopped:
                describe_end(128 + stopped.signum, "stopped: ")
                raise
            except ArawnError as error:
                describe_end(error.exit_code)
                raise
            describe_end(work.exit_code)
            return work.exit_code


@contextmanager
def _opened(path: str, output: Output, progress: Progress) -> Iterator[AnswerFile | AnswerStream]:
    """Open what the answers are written to."""
    if names_stdout(path):
        yield AnswerStream(lambda record: progress.write_above(partial(output.data, record.decode().rstrip("\n"))))
        return
    require_place(path)
    if not is_special(path):
        with AnswerFile(path) as file:
            yield file
        return
    descriptor, guarded = open_special(path), is_terminal(path)
    try:
        yield AnswerStream(
            lambda record: write_all(descriptor, escaped(record.decode()).encode() if guarded else record, path)
        )
    finally:
        os.close(descriptor)


class Route(NamedTuple):
    """Who answers a question: the choice, its backend, and a short hash of how it is asked."""

    choice: Choice
    backend: Backend
    settings: str


class Question(NamedTuple):
    """A line on its way: with its route, or why it has none."""

    line: int
    id: Any
    key: Key
    route: Route | ArawnError
    request: ChatRequest = ChatRequest("", ())


class Routes:
    """Finds out who answers which question; each backend and model has one stack for the whole batch."""

    def __init__(self, context: Context, engine: Engine, request_options: options.RequestOptions) -> None:
        self._context = context
        self._engine = engine
        self._wanted = make_request(request_options)
        self._routes: dict[tuple[str | None, str | None], Route] = {}

    def to(self, asking: Asking) -> Route:
        """Return the route of a question. Raises ConfigError where no backend answers it."""
        backend, model = self._names(asking)
        if (backend, model) not in self._routes:
            choice = self._context.announce(self._engine, self._engine.choose(backend, model))
            settings = _settings(choice.backend, self.complete(ChatRequest("", ()), choice))
            self._routes[backend, model] = Route(choice, self._engine.backend(choice), settings)
        return self._routes[backend, model]

    def _names(self, asking: Asking) -> tuple[str | None, str | None]:
        """Return the names a question is asked by: its own, and for what it does not name those of the command line."""
        backend, model = self._context.backend, self._context.model
        if asking.backend is not None:
            return asking.backend, asking.model
        if asking.model is None:
            return backend, model
        elsewhere = self._engine.names_backend(asking.model) and not (
            backend and self._engine.facts(backend, asking.model)
        )
        return (None if elsewhere else backend), asking.model

    def complete(self, request: ChatRequest, choice: Choice) -> ChatRequest:
        """Fill what a question leaves open: from the command line, then from the settings."""
        wanted = self._wanted
        messages = request.messages
        if not any(message.role is Role.SYSTEM for message in messages):
            messages = (*wanted.messages, *messages)
        given = replace(
            request,
            messages=messages,
            max_tokens=wanted.max_tokens if request.max_tokens is None else request.max_tokens,
            temperature=wanted.temperature if request.temperature is None else request.temperature,
            thinking=request.thinking or wanted.thinking,
        )
        return self._engine.complete(given, choice)


class _Work:
    """One run of a batch."""

    def __init__(
        self,
        context: Context,
        feed: Feed,
        file: AnswerFile | AnswerStream,
        progress: Progress,
        request_options: options.RequestOptions,
    ) -> None:
        self._output = context.output
        self._feed = feed
        self._file = file
        self._progress = progress
        self._engine = Engine.asynchronous(
            context.settings, total_timeout=request_options.timeout, database=context.database
        )
        self._routes = Routes(context, self._engine, request_options)
        self._new = NewNotices()
        self._failure: tuple[int, ArawnError] | None = None
        self._exhausted: BudgetError | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the first line that has no answer."""
        return 0 if self._failure is None else self._failure[1].exit_code

    async def whole(self, jobs: int) -> None:
        """Ask, write the answers as they come, and put them in order. Raises BudgetError where that stopped it."""
        from asyncio import get_running_loop

        from arawn.batch.runner import Batch

        batch = Batch(self, self._questions(), jobs=jobs)
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

    def describe_end(self, path: str, exit_code: int, before: str, *, as_json: bool) -> None:
        """Say how far it came, what failed first, and how to go on with the answers in ``path``."""
        output, progress = self._output, self._progress
        if progress.done + progress.failed == 0 and self._exhausted is None:
            return
        if self._failure is not None:
            output.error(at_line(*self._failure))
        output.note(before + progress.summary())
        if exit_code and isinstance(self._file, AnswerFile):
            output.note(f"the same command again asks what has no answer in {path} yet")
        if as_json:
            fields = {**progress.fields(), "output": path, "exit_code": exit_code}
            output.data(dumps(fields, ensure_ascii=False))

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
                if self._progress.kept % _YIELD_EVERY == 0:
                    await sleep(0)

    def _question(self, line: Line) -> Question:
        """Read a line; one that is no question is answered with its error."""
        try:
            asking = read_question(line.text())
        except UsageError as error:
            given = id_of(line.data) if line.is_whole else None
            return Question(line.number, given, Key(line.digest, ""), error)
        for key in asking.unknown:
            self._warn_unknown(key)
        try:
            _require_schema(asking)
            route = self._routes.to(asking)
        except ArawnError as error:
            if not isinstance(error, UsageError) and asking.backend is None and asking.model is None:
                raise  # no backend answers where none is named: no other line will fare better
            return Question(line.number, asking.id, Key(line.digest, ""), error)
        request = self._routes.complete(asking.request, route.choice)
        return Question(line.number, asking.id, Key(line.digest, route.settings), route, request)

    def _take(self, answer: Answer[Question]) -> None:
        """Write an answer down, unless it says that there is no money left."""
        if isinstance(answer.error, BudgetError):
            self._exhausted = self._exhausted or answer.error
            return
        question = answer.question
        choice = None if isinstance(question.route, ArawnError) else question.route.choice
        record = FinishedRecord(answer, choice, self._engine.cost)
        self._file.append(question.line, question.key, _fields(question.id, record))
        self._progress.add(record.cost if record.cost or record.response.message.parts else _ZERO, record.error)
        if record.error is not None:
            self._fail(question.line, record.error)
        for text in self._new.of(answer.notices, _SHOWN):
            self._progress.write_above(partial(self._output.note, text))

    def _fail(self, line: int, error: ArawnError) -> None:
        """Remember the first failure in the order of the lines."""
        if self._failure is None or line < self._failure[0]:
            self._failure = line, error
        else:
            error.__traceback__ = None  # it leads to what was asked, and that back to it

    def _warn_unknown(self, key: str) -> None:
        text = f'"{key[:80]}" means nothing to arawn and is not sent'
        if self._new.is_new(text):
            near = nearest(key)
            guess = f'; did you mean "{near}"?' if near else ""
            self._progress.write_above(partial(self._output.warning, text + guess))


def _require_schema(asking: Asking) -> None:
    """Raise UsageError where what an answer must fit is no JSON Schema."""
    output = asking.request.output
    if output is not None and output.schema is not None:
        from arawn.answers.schema import answer_schema

        answer_schema(output.schema, '"schema"')


def _settings(backend: str, empty: ChatRequest) -> str:
    """Return a short hash of how a question is asked that says nothing of it."""
    thinking = empty.thinking and [empty.thinking.effort, empty.thinking.budget_tokens]
    system = [message.text for message in empty.messages]
    how = [backend, empty.model, empty.max_tokens, empty.temperature, thinking, system]
    return sha256(dumps(how).encode()).hexdigest()[:16]


def _fields(given: Any, record: FinishedRecord) -> dict[str, Any]:
    """Return what is written of an answer: what ``ask --json`` prints, with the user's own id."""
    summary = record.summary()
    answer_id = summary.pop("id")
    return {"id": given, **summary, "answer_id": answer_id}
