"""Ask once: the answer goes to standard output and nothing else does.

The prompt is the words given, then a blank line and standard input where it is a pipe or a file; "-" reads standard
input alone. Files come before the words: text as it is, images for models that can see. Question and answer are kept:
see arawn sessions.
"""

from __future__ import annotations

import argparse
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple, get_args

from arawn.answers import record as answer
from arawn.cli import overrides
from arawn.cli.prompt import read_prompt
from arawn.cli.signals import Interrupted
from arawn.engine.assembly import Engine
from arawn.errors import ArawnError, IncompleteAnswerError, NotSavedError, StreamInterruptedError
from arawn.messages import ChatRequest, Effort, FinishReason, OutputFormat, Thinking
from arawn.session.recording import Recording
from arawn.values import replace

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from arawn.answers.schema import AnswerSchema
    from arawn.cli.context import Context
    from arawn.config.roles import Choice
    from arawn.events import Events
    from arawn.messages import Message, Response

_NATURAL_ENDS = (FinishReason.STOP, FinishReason.TOOL_CALLS)


class _Call(NamedTuple):
    engine: Engine
    choice: Choice
    request: ChatRequest
    message: Message
    recording: Recording[Choice]
    schema: AnswerSchema | None


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``ask`` takes."""
    add_request_arguments(parser)
    overrides.add_arguments(parser)
    add = parser.add_argument
    which = parser.add_mutually_exclusive_group()
    which.add_argument("-c", "--continue", dest="go_on", action="store_true", help="go on with the newest session")
    which.add_argument(
        "-s", "--session", metavar="NAME", help="go on with this session: its name, id or how that begins; or begin it"
    )
    add("--no-save", "--private", action="store_true", help="keep nothing of question and answer")
    add("--schema", metavar="SCHEMA", help="a JSON Schema (a file, or JSON itself) the answer must fit")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print one JSON object: text, usage, cost, error …")
    shape.add_argument("--jsonl", action="store_true", help="print each event as a line of JSON")
    shape.add_argument("-x", "--extract", action="store_true", help="print only the first code block of the answer")
    shape.add_argument("--no-stream", action="store_true", help="print the answer at once, when it is complete")
    add("-o", "--output", metavar="FILE", help="write the answer to FILE, whole or not at all")
    add(
        "--usage", action="store_true", help="after the answer, tell on stderr what it took: tokens, cost, time, budget"
    )
    add("--strict", action="store_true", help="exit 10 when the answer was cut at its limit, filtered or refused")
    guard = parser.add_mutually_exclusive_group()
    guard.add_argument("--plain", action="store_true", help="show control characters as visible text also into a pipe")
    guard.add_argument("--raw", action="store_true", help="write the answer's bytes unchanged also to a terminal")
    add("--dry-run", action="store_true", help="print the request that would be sent, without its key")
    add("--each", action="store_true", help="ask each line of standard input by itself, the words before it")
    add("--jobs", type=positive_int, metavar="N", help="how many lines of --each to ask at a time (4)")


def add_request_arguments(parser: ArgumentParser) -> None:
    """Declare the prompt, and what a request says besides it."""
    add = parser.add_argument
    add("words", nargs="*", metavar="PROMPT", help="the question; - for standard input alone")
    add("-f", "--file", action="append", default=[], metavar="FILE", help="add a text file or an image; repeatable")
    add_model_arguments(parser)


def add_model_arguments(parser: ArgumentParser) -> None:
    """Declare what a request says besides what is asked."""
    add = parser.add_argument
    add("--system", metavar="TEXT", help="the system prompt")
    add("--max-tokens", type=positive_int, metavar="N", help="the longest answer, in tokens")
    add("--temperature", type=temperature, metavar="T", help="0 to 2; how freely words are chosen")
    add(
        "--think", choices=get_args(Effort), metavar="EFFORT", help="how much to reason: " + ", ".join(get_args(Effort))
    )
    add("--timeout", type=positive_float, metavar="SECONDS", help="the longest the whole call may take")


def run(context: Context) -> int:
    """Ask, print, and return the exit code."""
    if context.arguments.each or context.arguments.jobs is not None:
        from arawn.cli.commands import each

        return each.run(context)
    if context.arguments.dry_run:
        engine, choice, request, message, recording, _ = _prepared(context)
        context.output.data(engine.describe(recording.preview(engine, choice, request, message), choice))
        return 0
    printer, record = make_printer(context), answer.Record()
    try:
        _ask(context, record, printer)
    except ArawnError as error:
        record.error, record.exit_code = error, error.exit_code
    except Interrupted as stopped:
        record.error = StreamInterruptedError("stopped by a signal")
        record.exit_code = 128 + stopped.signum
        printer.end(record)
        _keep(context, complete=False)
        raise
    printer.end(record)
    if context.arguments.usage:
        from arawn.cli.report import usage_line

        usage_line.tell(context, record)
    if record.error is not None:
        context.output.error(record.error)
    _keep(context, complete=record.error is None or isinstance(record.error, NotSavedError))
    return record.exit_code


def _ask(context: Context, record: answer.Record, printer: answer.Printer) -> None:
    """Ask, show what comes, and judge it."""
    engine, choice, request, message, recording, schema = _prepared(context)
    record.begin(choice.backend, choice.model)
    try:
        engine.run(_show(recording.answer(engine, choice, request, message), record, printer))
    finally:
        engine.close()
        record.settle(engine.stack.last_call)
        record.cost = engine.cost(record.response, choice)
    judge_end(context, record.response)
    if schema is not None:
        schema.check(record.response.text)
    if recording.unsaved is not None:
        raise recording.unsaved


def _prepared(context: Context) -> _Call:
    """Read and choose everything there is to know before asking."""
    arguments = context.arguments
    message = read_prompt(arguments.words, arguments.file)
    schema = None
    if arguments.schema:
        from arawn.answers.schema import AnswerSchema

        schema = AnswerSchema(arguments.schema)
    recording: Recording[Choice] = Recording(
        context.database,
        name=arguments.session or "",
        go_on=arguments.go_on,
        keeps=not arguments.no_save and context.settings.value("sessions.save") is not False,
        system=arguments.system or "",
        overflow=context.settings.value("chat.overflow") or "summary",
        warn=context.output.warning,
    )
    engine = Engine.blocking(context.settings, total_timeout=arguments.timeout, database=context.database)
    choice = context.choose(engine, usual=recording.usual)
    request = replace(make_request(arguments), stream=not arguments.no_stream)
    if schema is not None:
        request = replace(request, output=OutputFormat(schema.definition))
    return _Call(engine, choice, request, message, recording, schema)


async def _show(answered: Events, record: answer.Record, printer: answer.Printer) -> None:
    async with aclosing(answered) as events:
        async for event in events:
            record.event(event)
            printer.event(event)


def make_request(arguments: Namespace) -> ChatRequest:
    """Return what the arguments ask for besides model and messages; what they leave open is None."""
    return ChatRequest(
        model="",
        messages=(),
        max_tokens=arguments.max_tokens,
        temperature=arguments.temperature,
        thinking=None if arguments.think is None else Thinking(arguments.think),
    )


def make_printer(context: Context) -> answer.Printer:
    """Return the printer the arguments ask for."""
    arguments, output = context.arguments, context.output
    if arguments.output:
        output.hold_for(arguments.output)
    if arguments.plain or arguments.raw:
        output.guard_answers(on=arguments.plain)
    if arguments.json:
        return answer.JsonPrinter(output)
    if arguments.jsonl:
        return answer.JsonLinesPrinter(output)
    if arguments.extract or arguments.no_stream or arguments.schema:
        return answer.WholePrinter(output, extract=arguments.extract, schema=bool(arguments.schema))
    if output.paints and not arguments.plain and not arguments.raw:
        from arawn.cli.render.painted import PaintedPrinter

        return PaintedPrinter(context)
    return answer.TextPrinter(output)


def _keep(context: Context, *, complete: bool) -> None:
    kept = context.output.release(complete=complete)
    if kept:
        context.output.note(kept)


def judge_end(context: Context, response: Response, where: str = "") -> None:
    """Tell any end that is not a natural one, and ``where`` it was; under --strict it is an error."""
    if response.finish_reason in _NATURAL_ENDS:
        return
    told = {
        FinishReason.LENGTH: "the answer was cut at its token limit",
        FinishReason.CONTENT_FILTER: "the answer was cut by the provider's content filter",
        FinishReason.REFUSAL: "the model refused to answer",
        FinishReason.PAUSE: "the model paused its turn",
    }.get(response.finish_reason, "the backend did not say why the answer ended")
    text = f"{told} (finish reason: {response.raw_finish_reason or 'none'})"
    if context.arguments.strict:
        raise IncompleteAnswerError(
            text, hints=["raise --max-tokens"] * (response.finish_reason is FinishReason.LENGTH)
        )
    context.output.warning(where + text)


def positive_int(text: str) -> int:
    """Read a whole number above zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def positive_float(text: str) -> float:
    """Read a number above zero."""
    return _number(text, 0, float("inf"), "a number above 0", lowest_included=False)


def temperature(text: str) -> float:
    """Read a number from 0 to 2."""
    return _number(text, 0, 2, "a number from 0 to 2", lowest_included=True)


def _number(text: str, low: float, high: float, expected: str, *, lowest_included: bool) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not (low <= number <= high) or (number == low and not lowest_included) or number == float("inf"):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return number
