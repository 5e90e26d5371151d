"""``ask --each``: each line of standard input is a question of its own, answered in the order of the lines."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

from arawn.answers.extract import json_lines
from arawn.answers.record import FinishedRecord
from arawn.attachments.files import attachment, compose
from arawn.batch.feed import Feed
from arawn.cli import signals
from arawn.cli.request import NewNotices, at_line, judge_end, make_request
from arawn.engine.assembly import Engine
from arawn.errors import BudgetError, IncompleteAnswerError, UsageError
from arawn.messages import Message, Role
from arawn.values import replace

if TYPE_CHECKING:
    from asyncio import Semaphore
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from arawn.batch.feed import Line
    from arawn.batch.runner import Answer
    from arawn.cli.context import Context
    from arawn.cli.options import RequestOptions
    from arawn.errors import ArawnError
    from arawn.events import Events
    from arawn.messages import ChatRequest

_JOBS = 4
_EARLY = 32
"""So many answers a job may wait for their turn: then no further line is read before the oldest is there."""
_SHOWN = ("budget", "cached", "config", "dropped", "fallback", "limited", "retrying", "schema")


class Question(NamedTuple):
    """What the command line says besides the lines: ``jobs`` at a time, None for the usual number.

    ``as_lines`` prints an answer, which is a list, as a line of JSON for each item.
    """

    words: Sequence[str]
    files: Sequence[str]
    request_options: RequestOptions
    schema: Mapping[str, Any] | None
    jobs: int | None
    as_json: bool
    strict: bool
    as_lines: bool


class _Place(NamedTuple):
    """A question's place in the order, and its line."""

    turn: int
    line: Line


def refuse(*, each: bool, others: Mapping[str, object]) -> None:
    """Raise UsageError for options that ``--each`` does not go together with, by their flags."""
    if not each:
        raise UsageError("--jobs says how many lines of --each are asked at a time; there is no --each")
    for flag, value in others.items():
        if value not in (None, False):
            raise UsageError(f"--each does not go together with {flag}")


def ask_each(context: Context, asked: Question) -> int:
    """Ask every line, print the answers in their order, and return the exit code of the first that failed."""
    import asyncio

    work = _Work(context, asked)
    asyncio.run(work.whole())
    return work.exit_code


class _Work:
    """One run: the lines, who answers them, and the answers that wait for their turn."""

    def __init__(self, context: Context, asked: Question) -> None:
        self.exit_code = 0
        self._output = context.output
        self._asked = asked
        self._words = "" if asked.words == ["-"] else " ".join(asked.words)
        self._attached = [attachment(path) for path in asked.files]
        self._request = make_request(asked.request_options, schema=asked.schema)
        timeout, database = asked.request_options.timeout, context.database
        self._engine = Engine.asynchronous(context.settings, total_timeout=timeout, database=database)
        self._choice = context.choose(self._engine)
        self._backend = self._engine.backend(self._choice)
        self._early: dict[int, Answer[_Place]] = {}
        self._turn = 0
        self._new = NewNotices()

    async def whole(self) -> None:
        """Ask, and print."""
        from asyncio import Semaphore, get_running_loop

        from arawn.batch.runner import Batch

        jobs = self._asked.jobs or _JOBS
        window = Semaphore(_EARLY * jobs)
        batch = Batch(self, self._places(window), jobs=jobs)
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
        return self._backend.stream(self._engine.complete(self._request_for(place.line), self._choice))

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

    def _request_for(self, line: Line) -> ChatRequest:
        """Return what ``ask`` would ask with this line alone on its standard input."""
        text = "\n\n".join(part for part in (self._words, line.text()) if part.strip())
        message = Message(Role.USER, compose(self._attached, text))
        return replace(self._request, messages=(*self._request.messages, message))

    def _print(self, answer: Answer[_Place]) -> None:
        """Write an answer whose turn it is, or say why there is none."""
        output, line = self._output, answer.question.line.number
        for text in self._new.of(answer.notices, _SHOWN):
            output.note(f"line {line:,}: {text}")
        record = FinishedRecord(answer, self._choice, self._engine.cost)
        self._judge(record, line)
        if self._asked.as_json:
            output.data(json.dumps({"line": line, **record.summary()}, ensure_ascii=False))
        elif record.error is None:
            text = record.response.text
            output.answer(json_lines(text) if self._asked.as_lines else text.rstrip("\n") + "\n")
        if record.error is not None:
            self._fail(line, record.error)

    def _judge(self, record: FinishedRecord, line: int) -> None:
        if record.error is not None:
            return
        try:
            judge_end(
                record.response, lambda text: self._output.warning(f"line {line:,}: {text}"), strict=self._asked.strict
            )
        except IncompleteAnswerError as error:
            record.fail(error)

    def _fail(self, line: int, error: ArawnError) -> None:
        if isinstance(error, BudgetError):
            self.exit_code = error.exit_code
        self.exit_code = self.exit_code or error.exit_code
        self._output.error(at_line(line, error))
