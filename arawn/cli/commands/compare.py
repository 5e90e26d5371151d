"""Ask several backends the same at once, and see their answers side by side, with how fast and how dear they were.

Each -b is a backend, backend/model, a tier or an alias; -m is the model of those that name none, several -m are asked
one by one. A backend that fails shows its error in its place; the exit code is that of the first failure.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import aclosing
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from arawn.answers.record import Record
from arawn.cli import overrides, signals
from arawn.cli.commands.ask import add_request_arguments, make_request
from arawn.cli.context import names_backend
from arawn.cli.guard import printable
from arawn.cli.output import Styled
from arawn.cli.prompt import read_prompt
from arawn.cli.render.lines import Span, width, wrap
from arawn.cli.report.tables import plain, print_table, table
from arawn.engine.assembly import Engine
from arawn.errors import ArawnError, StreamInterruptedError, UsageError
from arawn.events import Notice
from arawn.messages import Message, Role, Text
from arawn.values import replace

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Sequence

    from arawn.cli.context import Context
    from arawn.cli.output import Output
    from arawn.config.roles import Choice
    from arawn.messages import ChatRequest

HEADER = ("", "first token", "tokens/s", "tokens in", "out", "cost", "")
_NARROWEST = 40
_BETWEEN = 3
_REDRAWN = 0.2


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``compare`` takes."""
    add_request_arguments(parser)
    overrides.add_arguments(parser, fallback=False)
    add = parser.add_argument
    add("-b", "--backend", action="append", metavar="NAME", help="a backend, backend/model or an alias; repeatable")
    add("-m", "--model", action="append", metavar="NAME", help="a model of each backend that names none; repeatable")
    add("--json", action="store_true", help="print a JSON array: an object like that of ask --json for each")


class Answering:
    """One of those that are asked, and its answer as far as it came; ``choice`` is None where nobody is there."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.choice: Choice | None = None
        self.notices: list[str] = []
        self.summary: dict[str, Any] = {}
        self._record = Record()

    @property
    def error(self) -> ArawnError | None:
        """Why there is no answer, or no whole one."""
        return self._record.error

    @property
    def exit_code(self) -> int:
        """The exit code if it were asked alone."""
        return self._record.exit_code

    @property
    def text(self) -> str:
        """What it says, with its error and what to do about it below."""
        if self.error is None:
            return str(self.summary["text"])
        failure = "\n".join([f"Error: {self.error.message}", *(f"  {hint}" for hint in self.error.hints)])
        return "\n\n".join(filter(None, [self.summary["text"].rstrip("\n"), failure]))

    def find(self, context: Context, engine: Engine, backend: str | None, model: str | None) -> None:
        """Find out who is meant."""
        try:
            self.choice = context.told(engine, engine.choose(backend, model))
            self.label = f"{self.choice.backend}/{self.choice.model}"
        except ArawnError as error:
            self._record.begin(backend or "", model or "")
            self._fail(error)
            self._end()

    async def ask(self, engine: Engine, request: ChatRequest, tell: Callable[[], None]) -> None:
        """Ask, and call ``tell`` at every event."""
        if self.choice is None:
            return
        self._record.begin(self.choice.backend, self.choice.model)
        try:
            backend = engine.backend(self.choice, alone=True)
            async with aclosing(backend.stream(engine.complete(request, self.choice))) as events:
                async for event in events:
                    self._record.event(event)
                    if isinstance(event, Notice):
                        self.notices.append(event.text)
                    tell()
        except ArawnError as error:
            self._fail(error)
        except BaseException:
            self._fail(StreamInterruptedError("stopped by a signal"))
            raise
        finally:
            self._record.cost = engine.cost(self._record.response, self.choice)
            self._end()

    def cells(self) -> tuple[str, ...]:
        """Return its line of the table."""
        found = self.summary or self._summary()
        usage = found["usage"]
        about = "~" if usage["estimated"] else ""
        return (
            self.label,
            _shown(found["first_token_ms"], "{:,.0f} ms"),
            _shown(found["tokens_per_second"], about + "{:,.1f}"),
            _shown(usage["input_tokens"] or None, about + "{:,}"),
            _shown(usage["output_tokens"] or None, about + "{:,}"),
            _shown(found["cost"], about + "${:.6f}"),
            "…" if not self.summary else "" if self.error is None else self.error.kind,
        )

    def _fail(self, error: ArawnError) -> None:
        self._record.error, self._record.exit_code = error, error.exit_code

    def _end(self) -> None:
        self.summary = self._summary()

    def _summary(self) -> dict[str, Any]:
        found = self._record.summary()
        seconds = (found["latency_ms"] - (found["first_token_ms"] or 0)) / 1000
        output = found["usage"]["output_tokens"]
        speed = round(output / seconds, 1) if output and found["first_token_ms"] and seconds > 0 else None
        return {**found, "tokens_per_second": speed}


def run(context: Context) -> int:
    """Ask all, print, and return the exit code."""
    arguments = context.arguments
    message = read_prompt(arguments.words, arguments.file)
    engine = Engine.asynchronous(context.settings, total_timeout=arguments.timeout, database=context.database)
    everybody = _everybody(context, engine)
    system = [Message(Role.SYSTEM, (Text(arguments.system),))] if arguments.system else []
    request = replace(make_request(arguments), messages=(*system, message))
    try:
        _ask_all(context, engine, everybody, request)
    finally:
        _print(context, everybody)
    return next((each.exit_code for each in everybody if each.exit_code), 0)


def _everybody(context: Context, engine: Engine) -> list[Answering]:
    """Return who is to be asked. Raises UsageError where that is only one."""
    found = []
    for backend, model in _named(context, engine):
        found.append(Answering(" ".join(filter(None, [backend, model]))))
        found[-1].find(context, engine, backend, model)
    if len(found) < 2:
        raise UsageError("nothing to compare", hints=["name at least two: arawn compare … -b groq -b anthropic"])
    return found


def _named(context: Context, engine: Engine) -> list[tuple[str | None, str | None]]:
    """Return the backends and models of the command line, each backend that names no model with every -m."""
    models = context.option("model") or [None]
    pairs: list[tuple[str | None, str | None]] = []
    for backend in context.option("backend") or [None]:
        whole = backend and backend not in engine.settings.backend_names and names_backend(engine, backend)
        pairs += [(None, backend)] if whole else [(backend, model) for model in models]
    return pairs


def _ask_all(context: Context, engine: Engine, everybody: Sequence[Answering], request: ChatRequest) -> None:
    """Ask at the same time; on a terminal the numbers are shown as they grow."""
    import asyncio

    async def ask_each(tell: Callable[[], None]) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        with signals.handed_to(lambda: loop.call_soon_threadsafe(task.cancel)):
            try:
                await asyncio.gather(*(each.ask(engine, request, tell) for each in everybody))
            finally:
                await engine.aclose()

    if not context.output.stdout_tty or context.arguments.json:
        asyncio.run(ask_each(lambda: None))
        return
    from rich.live import Live
    from rich.text import Text as Drawing

    due = 0.0

    def drawn() -> Drawing:
        lines = table(HEADER, [each.cells() for each in everybody])
        return Drawing("\n".join(map(plain, lines)))

    def redraw() -> None:
        nonlocal due
        if time.monotonic() >= due:
            live.update(drawn(), refresh=True)
            due = time.monotonic() + _REDRAWN

    with Live(drawn(), transient=True, auto_refresh=False) as live:
        asyncio.run(ask_each(redraw))


def _print(context: Context, everybody: Sequence[Answering]) -> None:
    output = context.output
    for each in everybody:
        for notice in each.notices:
            output.note(f"{each.label}: {notice}")
    if context.arguments.json:
        output.data(json.dumps([each.summary for each in everybody], ensure_ascii=False))
        return
    room = (_columns(output) - _BETWEEN * (len(everybody) - 1)) // len(everybody)
    if room >= _NARROWEST:
        _print_beside(output, everybody, room)
    else:
        for each in everybody:
            output.line(Styled(f"== {each.label}", "bold"))
            output.answer(each.text)
            output.end_answer()
            output.line("")
    print_table(output, HEADER, [each.cells() for each in everybody])


def _print_beside(output: Output, everybody: Sequence[Answering], room: int) -> None:
    """Write the answers in columns of that width."""
    heads = [_wrapped(each.label, room) for each in everybody]
    texts = [_wrapped(each.text.strip("\n"), room) for each in everybody]
    for part in (heads, [["─" * room]] * len(everybody), texts):
        for row in zip_longest(*part, fillvalue=""):
            cells = [cell + " " * (room - width(cell)) for cell in row]
            output.answer((" " * _BETWEEN).join(cells).rstrip() + "\n")
    output.line("")


def _wrapped(text: str, room: int) -> list[str]:
    safe = printable(text).replace("\t", "    ")
    return ["".join(span.text for span in line) for line in wrap([Span(safe)], room, split=True)]


def _columns(output: Output) -> int:
    """Return how wide the terminal is, 0 where there is none."""
    try:
        return os.get_terminal_size(1).columns if output.stdout_tty else 0
    except OSError:
        return 0


def _shown(number: float | None, form: str) -> str:
    return "-" if number is None else form.format(number)
