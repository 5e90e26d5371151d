"""``ask --each``: each line of standard input is a question of its own, answered in the order of the lines."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from arawn.answers.answered import Answered, Told, at_line
from arawn.answers.record import json_text
from arawn.batch.feed import Feed
from arawn.cli import signals
from arawn.cli.commands.ask import judge_end, make_request
from arawn.cli.prompt import attachment, compose
from arawn.engine.assembly import Engine
from arawn.errors import BudgetError, IncompleteAnswerError, UsageError
from arawn.messages import Message, OutputFormat, Role, Text
from arawn.values import replace

if TYPE_CHECKING:
    from asyncio import Semaphore
    from collections.abc import AsyncGenerator

    from arawn.batch.feed import Line
    from arawn.batch.runner import Answer
    from arawn.cli.context import Context
    from arawn.errors import ArawnError
    from arawn.events import Events
    from arawn.messages import ChatRequest

_JOBS = 4
_EARLY = 32
"""So many answers a job may wait for their turn: then no further line is read before the oldest is there."""
_WITHOUT = {
    "go_on": "-c",
    "session": "-s",
    "output": "-o",
    "extract": "-x",
    "no_stream": "--no-stream",
    "dry_run": "--dry-run",
    "usage": "--usage",
}
_TOLD = ("budget", "cached", "config", "dropped", "fallback", "limited", "retrying")


class _Place(NamedTuple):
    """A question's place in the order, and its line."""

    turn: int
    line: Line


def run(context: Context) -> int:
    """Ask every line, print the answers in their order, and return the exit code of the first that failed."""
    import asyncio

    arguments = context.arguments
    if not arguments.each:
        raise UsageError("--jobs says how many lines of --each are asked at a time; there is no --each")
    for name, option in _WITHOUT.items():
        if getattr(arguments, name):
            raise UsageError(f"--each does not go together with {option}")
    if arguments.plain or arguments.raw:
        context.output.guard_answers(on=arguments.plain)
    work = _Work(context)
    asyncio.run(work.whole())
    return work.exit_code


class _Work:
    """One run: the lines, who answers them, and the answers that wait for their turn."""

    def __init__(self, context: Context) -> None:
        arguments = context.arguments
        self.exit_code = 0
        self._context = context
        self._jobs = arguments.jobs or _JOBS
        self._words = "" if arguments.words == ["-"] else " ".join(arguments.words)
        self._attached = [attachment(path) for path in arguments.file]
        self._schema = None
        self._request = make_request(arguments)
        if arguments.system:
            self._request = replace(self._request, messages=(Message(Role.SYSTEM, (Text(arguments.system),)),))
        if arguments.schema:
            from arawn.answers.schema import AnswerSchema

            self._schema = AnswerSchema(arguments.schema)
            self._request = replace(self._request, output=OutputFormat(self._schema.definition))
        timeout, database = arguments.timeout, context.database
        self._engine = Engine.asynchronous(context.settings, total_timeout=timeout, database=database)
        self._choice = context.choose(self._engine)
        self._backend = self._engine.backend(self._choice)
        self._early: dict[int, Answer[_Place]] = {}
        self._turn = 0
        self._told = Told()

    async def whole(self) -> None:
        """Ask, and print."""
        from asyncio import Semaphore, get_running_loop

        from arawn.batch.runner import Batch

        window = Semaphore(_EARLY * self._jobs)
        batch = Batch(self, self._places(window), jobs=self._jobs)
        loop = get_running_loop()
        with signals.handed_to(lambda: loop.call_soon_threadsafe(batch.stop)):
            try:
                async with aclosing(batch.answers()) as answers:
                    async for answer in answers:
                        self._early[answer.question.turn] = answer
                        while self._turn in self._early:
                            self._print(self._early.pop(self._turn))
                            self._turn += 1
                            window.release()
                for turn in sorted(self._early):  # behind one that was stopped
                    self._print(self._early.pop(turn))
            finally:
                await self._engine.aclose()

    def stream(self, place: _Place) -> Events:
        """Answer a line."""
        return self._backend.stream(self._engine.complete(self._asked(place.line), self._choice))

    async def _places(self, window: Semaphore) -> AsyncGenerator[_Place, None]:
        """Yield the lines, no more than so many ahead of the oldest that has no answer yet."""
        turn = 0
        feed = Feed("-")
        async with aclosing(feed.lines()) as lines:
            async for line in lines:
                await window.acquire()
                yield _Place(turn, line)
                turn += 1
        if turn == 0:
            raise UsageError("nothing to ask: standard input is empty", hints=["arawn ask --each PROMPT < lines.txt"])

    def _asked(self, line: Line) -> ChatRequest:
        """Return what ``ask`` would ask with this line alone on its standard input."""
        text = "\n\n".join(part for part in (self._words, line.text()) if part.strip())
        message = Message(Role.USER, compose(self._attached, text))
        return replace(self._request, messages=(*self._request.messages, message))

    def _print(self, answer: Answer[_Place]) -> None:
        """Write an answer whose turn it is, or tell why there is none."""
        output, line = self._context.output, answer.question.line.number
        for text in self._told.of(answer.notices, _TOLD):
            output.note(f"line {line:,}: {text}")
        record = Answered(answer, self._engine, self._choice)
        self._judge(record, line)
        if self._context.arguments.json or self._context.arguments.jsonl:
            output.data(json.dumps({"line": line, **record.summary()}, ensure_ascii=False))
        elif record.error is None:
            text = record.response.text
            output.answer((json_text(text) if self._schema else text).rstrip("\n") + "\n")
        if record.error is not None:
            self._fail(line, record.error)

    def _judge(self, record: Answered, line: int) -> None:
        if record.error is not None:
            return
        try:
            judge_end(self._context, record.response, f"line {line:,}: ")
            if self._schema is not None:
                self._schema.check(record.response.text)
        except IncompleteAnswerError as error:
            record.fail(error)

    def _fail(self, line: int, error: ArawnError) -> None:
        if isinstance(error, BudgetError):
            self.exit_code = error.exit_code
        self.exit_code = self.exit_code or error.exit_code
        self._context.output.error(at_line(line, error))
