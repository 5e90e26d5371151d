"""``arawn ask``: one question; the answer goes to standard output and nothing else does.

What only an answer needs is imported where it is needed: a Tab and the help make this command too. Annotations are
no strings here: Typer would evaluate those of 28 options four times.
"""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Option

from arawn.cli import options
from arawn.cli.context import Context
from arawn.cli.groups import Command, is_short
from arawn.cli.help import EXIT_CODES, examples
from arawn.cli.output import Output
from arawn.cli.signals import Interrupted
from arawn.errors import ArawnError, NotSavedError, StreamInterruptedError, UsageError
from arawn.files import names_stdout
from arawn.values import Value, replace

if TYPE_CHECKING:
    from arawn.answers.record import Record
    from arawn.cli import printers
    from arawn.config.roles import Choice
    from arawn.engine.assembly import Engine
    from arawn.events import Events
    from arawn.messages import ChatRequest, Message
    from arawn.session.recording import Recording

app = options.new_app()

_MODEL_OPTIONS = ("temperature", "max_tokens", "max-tokens", "timeout")
"""What users of another tool write after ``-o``, each an option here."""


class _Asked(Value):
    """What the command line says of the question."""

    words: Sequence[str]
    files: Sequence[str]
    request_options: options.RequestOptions
    session: str
    go_on: bool
    saves: bool
    schema: Mapping[str, Any] | None
    streams: bool


class _Call(Value):
    """Everything that is known before asking."""

    engine: "Engine"
    choice: "Choice"
    request: "ChatRequest"
    message: "Message"
    recording: "Recording[Choice]"


@app.command(
    cls=Command,
    epilog=EXIT_CODES
    + examples(
        'arawn ask "Why is the sky blue?"',
        'git diff --staged | arawn ask -q "commit message, one line"',
        'arawn ask --schema-multi "name, age int" -f letter.txt "who is named?" | jq .name',
    ),
)
def ask(
    ctx: typer.Context,
    words: options.Words = None,
    file: options.Files = None,
    system: options.System = None,
    go_on: options.Continue = False,
    session: options.Session = None,
    no_save: Annotated[
        bool,
        Option("--no-save", "--private", help="save neither question nor answer", rich_help_panel=options.QUESTION),
    ] = False,
    no_stdin: Annotated[
        bool,
        Option("-n", "--no-stdin", help="do not read standard input, as in a loop", rich_help_panel=options.QUESTION),
    ] = False,
    each: Annotated[
        bool,
        Option(
            "--each",
            help="ask about each line of standard input by itself, after the words of PROMPT",
            rich_help_panel=options.QUESTION,
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        Option(
            "--jobs",
            parser=options.positive_int,
            metavar="N",
            help="how many lines of --each to ask at a time (4)",
            rich_help_panel=options.QUESTION,
        ),
    ] = None,
    schema: Annotated[
        str | None,
        Option(
            "--schema",
            metavar="SCHEMA",
            help='the answer must fit this JSON Schema: a file, JSON, or in short "name, age int, tags [str]"',
            rich_help_panel=options.ANSWER,
        ),
    ] = None,
    schema_multi: Annotated[
        str | None,
        Option(
            "--schema-multi",
            metavar="SCHEMA",
            help="ask for a list and print a line of JSON for each item; SCHEMA is that of one item",
            rich_help_panel=options.ANSWER,
        ),
    ] = None,
    json: Annotated[
        bool,
        Option("--json", help="print one JSON object: text, usage, cost, error …", rich_help_panel=options.ANSWER),
    ] = False,
    jsonl: Annotated[
        bool, Option("--jsonl", help="print each event as a line of JSON", rich_help_panel=options.ANSWER)
    ] = False,
    extract: Annotated[
        bool, Option("-x", "--extract", help="print only the first code block", rich_help_panel=options.ANSWER)
    ] = False,
    no_stream: Annotated[
        bool, Option("--no-stream", help="print the answer once it is complete", rich_help_panel=options.ANSWER)
    ] = False,
    output: Annotated[
        str | None,
        Option(
            "-o",
            "--output",
            metavar="FILE",
            help="write the answer to FILE, whole or not at all, its pictures beside it",
            rich_help_panel=options.ANSWER,
        ),
    ] = None,
    usage: Annotated[
        bool,
        Option("--usage", help="print tokens, cost, time and budget on standard error", rich_help_panel=options.ANSWER),
    ] = False,
    strict: Annotated[
        bool,
        Option(
            "--strict",
            help="exit 10 for an answer cut at its limit, filtered or refused",
            rich_help_panel=options.ANSWER,
        ),
    ] = False,
    plain: Annotated[
        bool,
        Option("--plain", help="show control characters as text, also into a pipe", rich_help_panel=options.ANSWER),
    ] = False,
    raw: Annotated[
        bool, Option("--raw", help="write the answer unchanged, also to a terminal", rich_help_panel=options.ANSWER)
    ] = False,
    dry_run: Annotated[
        bool,
        Option("--dry-run", help="print the request without its key, and send nothing", rich_help_panel=options.ANSWER),
    ] = False,
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    think: options.Think = None,
    timeout: options.Timeout = None,
    cache: options.UseCache = False,
    no_cache: options.NoCache = False,
    fallback: options.Fallback = None,
) -> int:
    """Ask once: the answer goes to stdout and nothing else does.

    What is piped in follows the words of PROMPT after a blank line. Files come before them: text as it is, images for
    models that see. Question and answer are saved: -c continues the newest conversation.
    """
    context: Context = ctx.obj
    shapes = {"--json": json, "--jsonl": jsonl, "-x": extract, "--no-stream": no_stream}
    schemas = {"--schema": schema, "--schema-multi": schema_multi}
    for group in (shapes, {"-c": go_on, "-s": session}, {"--plain": plain, "--raw": raw}, {"-x": extract, **schemas}):
        options.exclusive(group)
    definition = _definition(schemas)
    context.overrides |= options.overrides(cache=cache, no_cache=no_cache, fallback=fallback)
    context.stdin.ignored = no_stdin
    request_options = options.RequestOptions(max_tokens, temperature, think, system, timeout)
    if output and names_stdout(output):
        output = None
    if each or jobs is not None:
        from arawn.cli.commands import each as lines

        others = {"-c": go_on, "-s": session, "-n": no_stdin, "-o": output, "--usage": usage, "--dry-run": dry_run}
        lines.refuse(each=each, others={**others, "-x": extract, "--no-stream": no_stream})
        if plain or raw:
            context.output.guard_answers(on=plain)
        question = lines.Question(
            words or [], file or [], request_options, definition, jobs, json or jsonl, strict, bool(schema_multi)
        )
        return lines.ask_each(context, question)
    _refuse_model_option(output, words or [])
    asked = _Asked(
        words or [], file or [], request_options, session or "", go_on, not no_save, definition, not no_stream
    )
    if dry_run:
        _show_request(context, asked)
        return 0
    if output:
        context.output.hold_for(output)
    if plain or raw:
        context.output.guard_answers(on=plain)
    printer = _printer(
        context, shapes, "lines" if schema_multi else "json" if schema else "", laid_out=not plain and not raw
    )
    return _ask_once(context, asked, printer, output or "", usage=usage, strict=strict)


def _show_request(context: Context, asked: _Asked) -> None:
    """Print the request on stdout, and on stderr what of it would not be sent."""
    call = _prepare(context, asked)
    request = call.recording.preview(call.engine, call.choice, call.request, call.message)
    described, notices = call.engine.describe(request, call.choice)
    for notice in notices:
        context.output.note(notice.text)
    context.output.data(described)


def _definition(schemas: Mapping[str, str | None]) -> "dict[str, Any] | None":
    """Return the JSON Schema of the whole answer, None where none is asked for."""
    for flag, given in schemas.items():
        if given is not None:
            from arawn.answers.schema import read_schema

            return read_schema(given, flag, is_of_item=flag == "--schema-multi")
    return None


def _printer(
    context: Context, shapes: Mapping[str, bool], data: 'Literal["json", "lines", ""]', *, laid_out: bool
) -> "printers.Printer":
    """Return what writes the answer in the shape that was asked for."""
    from arawn.cli import printers

    output = context.output
    if shapes["--json"]:
        return printers.JsonPrinter(output)
    if shapes["--jsonl"]:
        return printers.JsonLinesPrinter(output)
    if shapes["-x"] or shapes["--no-stream"] or data:
        return printers.WholePrinter(output, data or ("code" if shapes["-x"] else "text"))
    if not (laid_out and output.paints):
        return printers.TextPrinter(output)
    from arawn.cli.render.screen import Screen

    return Screen(output, context.environ, context.settings.value("chat.theme") or "default").printer()


def _ask_once(
    context: Context, asked: _Asked, printer: "printers.Printer", path: str, *, usage: bool, strict: bool
) -> int:
    """Ask, print, and return the exit code; pictures go beside the file ``path``, empty for none."""
    from arawn.answers.record import Record

    record, output = Record(), context.output
    try:
        _answer(context, asked, record, printer, strict=strict)
    except ArawnError as error:
        record.fail(error)
    except Interrupted as stopped:
        record.error = StreamInterruptedError("stopped by a signal")
        record.exit_code = 128 + stopped.signum
        printer.end(record)
        _release(output, complete=False)
        raise
    _keep_pictures(output, record, path)
    printer.end(record)
    if usage:
        from arawn.cli.report.budget_status import print_usage

        print_usage(output, context.settings, context.database, record)
    if record.error is not None:
        output.error(record.error)
    _release(output, complete=record.error is None or isinstance(record.error, NotSavedError))
    return record.exit_code


def _answer(context: Context, asked: _Asked, record: "Record", printer: "printers.Printer", *, strict: bool) -> None:
    """Ask, show what comes, and judge it."""
    from arawn.cli.request import judge_end

    call = _prepare(context, asked)
    engine, choice, recording = call.engine, call.choice, call.recording
    record.begin(choice.backend, choice.model)
    try:
        engine.run(_show(recording.answer(engine, choice, call.request, call.message), record, printer))
    finally:
        engine.close()
        record.settle(engine.stack.last_call)
        record.cost = engine.cost(record.response, choice)
    judge_end(record.response, context.output.warning, strict=strict)
    if recording.unsaved is not None:
        raise recording.unsaved


def _prepare(context: Context, asked: _Asked) -> _Call:
    """Read and choose everything there is to know before asking."""
    from arawn.cli.request import make_request
    from arawn.cli.stdin import read_prompt
    from arawn.engine.assembly import Engine
    from arawn.session.recording import Recording

    message = read_prompt(asked.words, asked.files, context.stdin)
    settings, request_options = context.settings, asked.request_options
    recording: Recording[Choice] = Recording(
        context.database,
        name=asked.session,
        go_on=asked.go_on,
        keeps=asked.saves and settings.value("sessions.save") is not False,
        system=request_options.system or "",
        overflow=settings.value("chat.overflow") or "summary",
        warn=context.output.warning,
    )
    if recording.usual is None:
        _refuse_prompt_as_session(asked.session)
    engine = Engine.blocking(settings, total_timeout=request_options.timeout, database=context.database)
    choice = context.choose(engine, last_used=recording.usual)
    request = make_request(replace(request_options, system=None), schema=asked.schema, stream=asked.streams)
    return _Call(engine, choice, request, message, recording)


async def _show(answered: "Events", record: "Record", printer: "printers.Printer") -> None:
    try:
        async with aclosing(answered) as events:
            async for event in events:
                record.event(event)
                printer.event(event)
    except ArawnError as error:
        record.fail(error)  # what it holds of an answer counts for the cost
        raise


def _keep_pictures(output: Output, record: "Record", path: str) -> None:
    """Write the pictures of an answer beside the file of its text, and say on stderr where they are."""
    images = record.response.message.images
    if not images:
        return
    from arawn.answers.pictures import described, save_pictures

    if path:
        try:
            record.image_paths = save_pictures(images, path)
        except (UsageError, NotSavedError) as error:
            if record.error is None:
                record.error, record.exit_code = NotSavedError(error.message), NotSavedError.exit_code
    places = record.image_paths or (None,) * len(images)
    for image, place in zip(images, places, strict=True):
        hint = "" if path or not image.data else ": -o FILE saves it beside the text"
        output.note(f"a picture is in {place}" if place else f"the answer has a picture ({described(image)}){hint}")


def _release(output: Output, *, complete: bool) -> None:
    kept = output.release(complete=complete)
    if kept:
        output.note(kept)


def _refuse_model_option(output: str | None, words: Sequence[str]) -> None:
    """Refuse ``-o temperature 0.5``, which is how another tool sets an option of the model."""
    if output in _MODEL_OPTIONS and words:
        flag = f"--{output.replace('_', '-')}"
        raise UsageError(
            f"-o names the file the answer is written to, and {output} is an option",
            hints=[
                f"you may mean: {flag} {words[0]}" if is_short(words[0]) else f"you may mean: {flag}",
                f"or the file: -o ./{output}",
            ],
        )


def _refuse_prompt_as_session(name: str) -> None:
    """Refuse to begin a session whose name is a sentence: another tool's ``-s`` is the system prompt."""
    if any(map(str.isspace, name)):
        raise UsageError(
            "there is no session of that name, and a new one has no blanks in its name",
            hints=["you may mean the system prompt: --system TEXT", "the names there are: arawn sessions"],
        )
