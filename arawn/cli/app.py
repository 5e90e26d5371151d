"""arawn's Typer app: from the process's words to its exit code.

The first word that is no option decides. It names a command; or it holds a blank, or stands alone behind a pipe that
holds something, and is asked; or it is an error: a mistyped command in a script must never become a paid call.
"""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.main import get_command

from arawn import __version__
from arawn.cli import options, signals
from arawn.cli.context import Context
from arawn.cli.groups import Root, is_short, nearest, try_help
from arawn.cli.help import EVERY_COMMAND, EXIT_CODES, WIDTH, examples
from arawn.cli.output import Output, open_standard_streams
from arawn.errors import ArawnError, UsageError

_TOPIC = "exit-codes"


class Arawn(Root):
    """The root, with the habits of those who come from tools that need no command."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that the first word means."""
        if not ctx.resilient_parsing and self.command_named(ctx, args[0]) is None:
            if args[0] == "help":
                args = self._help(ctx, args[1:])
            elif self._is_question(ctx, args):
                args = ["ask", *args]
        return super().resolve_command(ctx, args)

    def unknown(self, ctx: typer.Context, word: str) -> UsageError:
        """Return the error for a word that is neither a command nor a question."""
        error = super().unknown(ctx, word)
        shown = word if is_short(word) else "your question"
        return UsageError(error.message, hints=[*error.hints, f'to ask: arawn ask "{shown}"'])

    def _is_question(self, ctx: typer.Context, args: Sequence[str]) -> bool:
        if any(map(str.isspace, args[0])):
            return True
        alone = len(args) == 1 and nearest(args[0], self.list_commands(ctx)) is None
        return alone and bool(ctx.obj.stdin.pipe_holds_something())

    def _help(self, ctx: typer.Context, words: Sequence[str]) -> list[str]:
        """Return the words that show the help of a command; that of arawn, and of a topic, is shown here."""
        if list(words) not in ([], [_TOPIC]):
            return [*words, "--help"]
        ctx.obj.output.data(EXIT_CODES.strip() if words else ctx.get_help())
        raise typer.Exit


app = typer.Typer(cls=Arawn, add_completion=False, pretty_exceptions_enable=False)


def _show_version(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.obj.output.data(f"arawn {__version__}")
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": WIDTH},
    epilog=EXIT_CODES + examples('arawn "a question" · git diff | arawn "explain" · arawn help exit-codes'),
)
def root(
    ctx: typer.Context,
    backend: options.Backend = None,
    model: options.Model = None,
    config: options.ConfigFile = None,
    env_file: options.EnvFile = None,
    no_project: options.NoProject = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    version: Annotated[
        bool,
        typer.Option(
            "-V",
            "--version",
            callback=_show_version,
            expose_value=False,
            is_eager=True,
            help="show the version",
            rich_help_panel=EVERY_COMMAND,
        ),
    ] = False,
) -> None:
    """One terminal tool that talks to every LLM backend."""
    if ctx.invoked_subcommand is None:
        ctx.obj.output.data(ctx.get_help())
        raise typer.Exit(UsageError.exit_code)


def run(argv: Sequence[str]) -> NoReturn:
    """Run the command in ``argv`` and leave the process with its exit code, or by the signal that ended it."""
    signals.catch()
    try:
        leave(attempt(argv))
    except signals.Interrupted as stopped:
        signals.die_by(stopped.signum)
    except BrokenPipeError:
        if hasattr(signal, "SIGPIPE"):
            signals.die_by(signal.SIGPIPE)
        leave(0)


def complete() -> NoReturn:
    """Print what may come next on a command line, as a shell's script asks for it in the environment."""
    sys.modules["rich"] = None  # type: ignore[assignment]  # Typer would load it to take its markup from help texts
    from arawn.cli.completion_scripts import COMPLETE_VARIABLE, answer_shells

    answer_shells()
    context = Context(Output(os.environ, quiet=True))
    get_command(app).main([], "arawn", COMPLETE_VARIABLE, obj=context)
    leave(0)


def attempt(argv: Sequence[str]) -> int:
    """Run the command, show its failure, and return the exit code."""
    open_standard_streams()
    output = Output(os.environ)
    try:
        return execute(argv, output)
    except BrokenPipeError:
        raise
    except ArawnError as error:
        failure = error
    except Exception as bug:  # noqa: BLE001 -- the last boundary: a bug gets one line and a code, not a screenful
        failure = _as_error(bug)
    output.error(failure)
    return failure.exit_code


def execute(argv: Sequence[str], output: Output) -> int:
    """Parse the words, run the command, return its exit code. Raises UsageError for words that make no command."""
    command = get_command(app)
    try:
        with command.make_context("arawn", list(argv), obj=Context(output)) as ctx:
            return int(command.invoke(ctx) or 0)
    except typer.Exit as done:
        return done.exit_code
    except Exception as error:
        if not hasattr(error, "format_message"):  # Typer's own, of which not every version has a public name
            raise
        raise _usage_error(error) from None


def leave(code: int) -> NoReturn:
    """End the process now: everything was written unbuffered, and tearing down modules costs 15 ms."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)


def _usage_error(error: Any) -> UsageError:
    """Return an error of Typer's in our words: what is wrong in one line, then the nearest option or what to try."""
    hints = [try_help(error.ctx) if getattr(error, "ctx", None) else "try: arawn --help"]
    option = getattr(error, "option_name", "")
    if option and "possibilities" in vars(error):
        near = error.possibilities or _nearest_option(error.ctx, option)
        guess = [f"did you mean {near[0]}?"] if near else []
        return UsageError(f"no option {option}", hints=[*guess, *hints])
    if option:
        return UsageError(f"{option} needs a value", hints=hints)
    param: Any = getattr(error, "param", None)
    name = (
        "" if param is None else param.opts[-1] if param.param_type_name == "option" else param.make_metavar(error.ctx)
    )
    if not error.message:
        return UsageError(f"{'/'.join(param.opts) if name.startswith('-') else name} is missing", hints=hints)
    text = error.message.rstrip(".")
    return UsageError(f"{name}: {text}" if name else text, hints=hints)


def _nearest_option(ctx: typer.Context, option: str) -> list[str]:
    """Return the option that is most like an unknown one, also among those of the commands below."""
    known = [flag for param in ctx.command.get_params(ctx) for flag in param.opts if param.param_type_name == "option"]
    near = nearest(option, known)
    return [near] if near else []


def _as_error(bug: Exception) -> ArawnError:
    from arawn.secrets.references import mask

    error = ArawnError(
        f"this is a bug in arawn: {type(bug).__name__}: {mask(str(bug))}",
        hints=["run it again with --debug and report what it prints"],
    )
    error.__cause__ = bug
    return error
