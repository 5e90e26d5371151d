"""The command tree: which commands there are, which options all of them take, and how their words are read.

One command's parser is built when that command runs; the whole tree only for completions and the documentation.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from arawn.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "chat": "Talk, in a prompt that keeps the conversation",
    "ask": "Ask once; the answer goes to stdout",
    "compare": "Ask several backends the same, and see their answers side by side",
    "batch": "Ask many questions from a file, and go on where it stopped",
    "sessions": "Look at kept conversations, search, export and delete them",
    "config": "Show, change and check the configuration",
    "secrets": "Keep API keys in the system's keyring",
    "usage": "Show what calls took and cost",
    "budget": "Show and set what may be spent",
    "cache": "Show and clear the answers that are kept",
    "backends": "Show which backends are configured and reachable",
    "models": "List the models of a backend",
    "embed": "Turn texts into vectors",
    "doctor": "Find out why something does not work",
    "audit": "Show who changed what: budgets, configuration, secrets, trust",
    "completions": "Print or install tab completion for a shell",
}

EXIT_CODES = """\
exit codes: 0 done · 1 a bug · 2 usage · 3 configuration · 4 authentication · 5 unreachable · 6 rate limit or quota
  7 backend failed · 8 refused · 9 budget · 10 incomplete · 11 not saved · 124 timeout · 130/143/129/141 by signal"""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError, with the nearest option, instead of leaving the process."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_unmeasured, **keywords)

    def format_help(self) -> str:
        """Return the help, as wide as the terminal."""
        self.formatter_class = argparse.RawDescriptionHelpFormatter
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Raise the message as a UsageError."""
        raise UsageError(message, hints=self._ways_out())

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:  # type: ignore[override]
        """Read the words; those of a prompt may stand on both sides of an option. Nothing is left over."""
        arguments, rest = super().parse_known_args(args, namespace)
        end = rest.index("--") if "--" in rest else len(rest)
        options = [word for word in rest[:end] if word.startswith("-") and word != "-"]
        if options:
            self._refuse(options[0].partition("=")[0])
        words = [*rest[:end], *rest[end + 1 :]]
        if words and "words" not in arguments:
            raise UsageError("too many words", hints=self._ways_out())  # one of them may be a key: they are not told
        if words:
            arguments.words = [*arguments.words, *words]
        return arguments, []

    def _refuse(self, option: str) -> NoReturn:
        from difflib import get_close_matches

        near = get_close_matches(option, self._option_string_actions, n=1)
        guess = [f"did you mean {near[0]}?"] if near else []
        raise UsageError(f"no option {option}", hints=[*guess, *self._ways_out()])

    def _ways_out(self) -> list[str]:
        return [f"try: {self.prog} --help"]


def _unmeasured(prog: str) -> argparse.HelpFormatter:
    """Make what checks each argument as it is declared: no need to import shutil for the terminal's width."""
    return argparse.HelpFormatter(prog, width=80)


def global_options() -> Parser:
    """Return the options every command takes, before and after its name."""
    options = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = options.add_argument_group("options of every command")
    group.add_argument("-b", "--backend", metavar="NAME", help="the backend to use, a [backends.NAME] table")
    group.add_argument("-m", "--model", metavar="NAME", help="a model id, a tier, an alias, or backend/model")
    group.add_argument("--config", metavar="FILE", dest="config_file", help="the configuration file to use as yours")
    group.add_argument("--env-file", metavar="FILE", help="read environment variables from FILE first")
    group.add_argument("--no-project", action="store_true", help="ignore .arawn.toml files of projects")
    group.add_argument("-q", "--quiet", action="store_true", help="only answers, warnings and errors")
    group.add_argument("--debug", action="store_true", help="show tracebacks, with secrets masked")
    return options


def build(command: str) -> Parser:
    """Return the parser of one command."""
    module = import_module(f"arawn.cli.commands.{command}")
    parser = Parser(
        prog=f"arawn {command}",
        description=module.__doc__,
        epilog=EXIT_CODES,
        parents=[global_options()],
        conflict_handler="resolve",
    )
    module.add_arguments(parser)
    parser.set_defaults(run=module.run)
    return parser


def split(argv: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """Split words into the global options before the command, the command ("" where there is none), and the rest."""
    takes_value = {"-b", "--backend", "-m", "--model", "--config", "--env-file"}
    at = 0
    while at < len(argv) and argv[at].startswith("-") and argv[at] not in ("-", "--"):
        at += 2 if argv[at] in takes_value else 1
    if at >= len(argv):
        return list(argv), "", []
    return list(argv[:at]), argv[at], list(argv[at + 1 :])


def overview() -> str:
    """Return the text of ``arawn --help``."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: arawn [options] COMMAND ...",
            "",
            "One terminal tool that talks to every LLM backend.",
            "",
            "commands:",
            *lines,
            "",
            *global_options().format_help().splitlines()[3:],
            "",
            "  -h, --help            show this, or a command's own help: arawn COMMAND --help",
            "  -V, --version         show the version",
            "",
            EXIT_CODES,
        ]
    )
