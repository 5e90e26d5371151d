"""Running a command: from the process's words to its exit code."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from arawn.cli import parser, signals
from arawn.cli.context import Context
from arawn.cli.output import Output, open_standard_streams
from arawn.errors import ArawnError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def attempt(argv: Sequence[str]) -> int:
    """Run the command, tell its failure, and return the exit code."""
    open_standard_streams()
    output = Output(os.environ, quiet="-q" in argv or "--quiet" in argv, debug="--debug" in argv)
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
    """Parse the words, run the command, return its exit code."""
    before, command, after = parser.split(argv)
    if not command:
        wants_help = bool({"-h", "--help"} & set(before))
        if before and not wants_help:
            parser.Parser(prog="arawn", parents=[parser.global_options()]).parse_args(before)
        output.data(parser.overview())
        return 0 if wants_help else UsageError.exit_code
    if command not in parser.COMMANDS:
        raise UsageError(f'no command "{command}"', hints=_nearest(command))
    arguments = parser.build(command).parse_args([*before, *after])
    code: int = arguments.run(Context(arguments, output))
    return code


def leave(code: int) -> NoReturn:
    """End the process now: everything was written unbuffered, and tearing down modules costs 15 ms."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)


def _nearest(command: str) -> list[str]:
    from difflib import get_close_matches

    found = get_close_matches(command, parser.COMMANDS, n=1)
    return [f'did you mean "{found[0]}"?' if found else "try: arawn --help"]


def _as_error(bug: Exception) -> ArawnError:
    from arawn.secrets.references import mask

    error = ArawnError(
        f"this is a bug in arawn: {type(bug).__name__}: {mask(str(bug))}",
        hints=["run it again with --debug and report what it prints"],
    )
    error.__cause__ = bug
    return error
