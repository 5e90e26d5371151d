"""``arawn compare``: the same question to several backends at once, their answers side by side."""

from __future__ import annotations

import os
import time
from contextlib import aclosing
from itertools import zip_longest
from json import dumps
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from arawn.answers.record import Record
from arawn.cli import options, signals
from arawn.cli.context import Context
from arawn.cli.groups import Command
from arawn.cli.guard import printable
from arawn.cli.help import examples
from arawn.cli.output import Styled
from arawn.cli.render.lines import Span, width, wrap
from arawn.cli.report.tables import plain, print_table, table
from arawn.cli.request import make_request
from arawn.cli.stdin import read_prompt
from arawn.engine.assembly import Engine
from arawn.errors import ArawnError, StreamInterruptedError, UsageError
from arawn.events import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arawn.cli.output import Output
    from arawn.config.roles import Choice
    from arawn.messages import ChatRequest

HEADER = ("", "first token", "tokens/s", "tokens in", "out", "cost", "")
_NARROWEST = 40
_BETWEEN = 3
_REDRAWN = 0.2


app = options.new_app()


@app.command(
    cls=Command,
    epilog=examples(
        'arawn compare -b groq -b anthropic "Explain monads to a carpenter"',
        "arawn compare -b openai -m gpt-5.2 -m gpt-5.2-mini -f essay.md",
    ),
)
def compare(
    ctx: typer.Context,
    words: options.Words = None,
    file: options.Files = None,
    json: Annotated[
        bool, Option("--json", help="print a JSON array: an object like that of ask --json for each")
    ] = False,
    system: options.System = None,
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    think: options.Think = None,
    timeout: options.Timeout = None,
    cache: options.UseCache = False,
    no_cache: options.NoCache = False,
) -> int:
    """Ask several backends the same question, and show the answers side by side with their speed and cost.

    Each -b is a backend, backend/model, a tier or an alias; each -m a model of those that name none. A backend that
    fails shows its error in its place; the exit code is that of the first failure.
    """
    context: Context = ctx.obj
    context.overrides |= options.overrides(cache=cache, no_cache=no_cache)
    request_options = options.RequestOptions(max_tokens, temperature, think, system, timeout)
    message = read_prompt(words or [], file or [], context.stdin)
    engine = Engine.asynchronous(context.settings, total_timeout=timeout, database=context.database)
    pairs = _pairs(engine, context.backends or (None,), context.models or (None,))
    compared = _find_all(context, engine, pairs)
    try:
        request = make_request(request_options, messages=(message,))
        _ask_all(engine, compared, request, animated=context.output.stdout_tty and not json)
    finally:
        _print(context.output, compared, as_json=json)
    return next((each.exit_code for each in compared if each.exit_code), 0)


class Candidate:
    """One backend with a model, and its answer as far as it came; ``choice`` is None where there is no such backend."""

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
            self.choice = context.announce(engine, engine.choose(backend, model))
            self.label = f"{self.choice.backend}/{self.choice.model}"
        except ArawnError as error:
            self._record.begin(backend or "", model or "")
            self._fail(error)
            self._end()

    async def ask(self, engine: Engine, request: ChatRequest, on_event: Callable[[], None]) -> None:
        """Ask, and call ``on_event`` at every event."""
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
                    on_event()
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


def _find_all(context: Context, engine: Engine, pairs: Sequence[tuple[str | None, str | None]]) -> list[Candidate]:
    """Return the backends and models to ask. Raises UsageError where that is only one."""
    found = []
    for backend, model in pairs:
        found.append(Candidate(" ".join(filter(None, [backend, model]))))
        found[-1].find(context, engine, backend, model)
    if len(found) < 2:
        raise UsageError("nothing to compare", hints=["name at least two: arawn compare … -b groq -b anthropic"])
    return found


def _pairs(
    engine: Engine, backends: Sequence[str | None], models: Sequence[str | None]
) -> list[tuple[str | None, str | None]]:
    """Return backends with models, each backend that names no model with every one."""
    pairs: list[tuple[str | None, str | None]] = []
    for backend in backends:
        whole = backend and backend not in engine.settings.backend_names and engine.names_backend(backend)
        pairs += [(None, backend)] if whole else [(backend, model) for model in models]
    return pairs


def _ask_all(engine: Engine, candidates: Sequence[Candidate], request: ChatRequest, *, animated: bool) -> None:
    """Ask at the same time; on a terminal the numbers are shown as they grow."""
    import asyncio

    async def ask_each(on_event: Callable[[], None]) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        with signals.handed_to(lambda: loop.call_soon_threadsafe(task.cancel)):
            try:
                await asyncio.gather(*(each.ask(engine, request, on_event) for each in candidates))
            finally:
                await engine.aclose()

    if not animated:
        asyncio.run(ask_each(lambda: None))
        return
    from rich.live import Live
    from rich.text import Text as Drawing

    due = 0.0

    def drawn() -> Drawing:
        lines = table(HEADER, [each.cells() for each in candidates])
        return Drawing("\n".join(map(plain, lines)))

    def redraw() -> None:
        nonlocal due
        if time.monotonic() >= due:
            live.update(drawn(), refresh=True)
            due = time.monotonic() + _REDRAWN

    with Live(drawn(), transient=True, auto_refresh=False) as live:
        asyncio.run(ask_each(redraw))


def _print(output: Output, candidates: Sequence[Candidate], *, as_json: bool) -> None:
    for each in candidates:
        for notice in each.notices:
            output.note(f"{each.label}: {notice}")
    if as_json:
        output.data(dumps([each.summary for each in candidates], ensure_ascii=False))
        return
    room = (_columns(output) - _BETWEEN * (len(candidates) - 1)) // len(candidates)
    if room >= _NARROWEST:
        _print_beside(output, candidates, room)
    else:
        for each in candidates:
            output.line(Styled(f"== {each.label}", "bold"))
            output.answer(each.text)
            output.end_answer()
            output.line("")
    print_table(output, HEADER, [each.cells() for each in candidates])


def _print_beside(output: Output, candidates: Sequence[Candidate], room: int) -> None:
    """Write the answers in columns of that width."""
    heads = [_wrapped(each.label, room) for each in candidates]
    texts = [_wrapped(each.text.strip("\n"), room) for each in candidates]
    for part in (heads, [["─" * room]] * len(candidates), texts):
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
