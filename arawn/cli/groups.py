"""How arawn's commands behave, on top of Typer's: shared options, aliases, words that are unknown or too many.

The root group loads a command's module when that command is invoked, so that each start pays for one. Its help is made
of the one-liners in ``COMMANDS``. Every command takes the options of the root, after its name as before it.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from arawn.cli.help import Helped, print_panel
from arawn.errors import UsageError
from arawn.texts import is_valid, require_valid
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    Context: TypeAlias = Any  # the base class of typer.Context, which has no public name

_ALIASES = {"ls": "list"}


class Entry(Value):
    """A command in the root's help: its panel there, and what it does in one line."""

    panel: str
    text: str


COMMANDS = {
    "chat": Entry("Talk", "Talk, in a prompt that keeps the conversation"),
    "ask": Entry("Talk", "Ask once; the answer goes to stdout"),
    "compare": Entry("Talk", "Ask several backends the same question"),
    "batch": Entry("Talk", "Ask many questions from a file"),
    "sessions": Entry("Talk", "Find, show, export and delete conversations"),
    "backends": Entry("Look", "Which backends are configured, and whether they answer"),
    "models": Entry("Look", "The models of a backend, and what they cost"),
    "embed": Entry("Look", "Turn texts into vectors"),
    "doctor": Entry("Look", "Find out why something does not work"),
    "audit": Entry("Look", "Who changed which setting, key or budget"),
    "usage": Entry("Money", "What calls took and cost"),
    "budget": Entry("Money", "Show and set what may be spent"),
    "cache": Entry("Money", "Show and clear cached responses"),
    "config": Entry("Set up", "Show, change and check the configuration"),
    "secrets": Entry("Set up", "Keep API keys in the system's keyring"),
    "completions": Entry("Set up", "Tab completion for your shell"),
}


class Command(Helped, TyperCommand):
    """A command. Surplus words are refused without being repeated: one of them may be a key."""

    allow_extra_args = True

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Read the words. Raises UsageError for those that are no text."""
        _require_text(self, ctx, args)
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            raise UsageError("too many words", hints=[try_help(ctx)])
        return rest


class Group(Helped, TyperGroup):
    """A command with commands below it."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Read the words. Raises UsageError for those that are no text."""
        _require_text(self, ctx, args)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Context, formatter: Any) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: Context, formatter: Any) -> None:
        """Write the commands by panel, each with the first line of its help."""
        panels: dict[str, list[tuple[str, str]]] = {}
        names = self.list_commands(ctx)
        width = max(map(len, names))
        for name in names:
            command: Any = self.get_command(ctx, name)
            text = (command.help or "").strip().partition("\n")[0].removesuffix(".")
            panels.setdefault(command.rich_help_panel or "Commands", []).append((name.ljust(width), text))
        for title, rows in panels.items():
            with formatter.section(title):
                formatter.write_dl(rows)

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command a word names; ``ls`` is ``list``. Raises UsageError where there is none."""
        name = self.command_named(ctx, args[0])
        command = None if name is None else self.get_command(ctx, name)
        if command is None and not ctx.resilient_parsing:
            raise self.unknown(ctx, args[0])
        return name or args[0], command or Command(None), args[1:]  # of an unknown command a Tab offers nothing

    def command_named(self, ctx: Context, word: str) -> str | None:
        """Return the name of the command that a word means."""
        names = self.list_commands(ctx)
        return next((name for name in (word, _ALIASES.get(word)) if name in names), None)

    def unknown(self, ctx: Context, word: str) -> UsageError:
        """Return the error for a word that names no command; a long one is not repeated: it may be a key."""
        near = nearest(word, self.list_commands(ctx))
        path = ctx.command_path.partition(" ")[2]
        shown = f' "{f"{path} {word}".strip()}"' if is_short(word) else ""
        guess = [f'did you mean "{f"{path} {near}".strip()}"?'] if near else []
        return UsageError(f"no command{shown}", hints=[*guess, try_help(ctx)])


class Root(Group):
    """arawn itself: its commands are loaded when they are invoked."""

    _hides_options = False

    def get_params(self, ctx: Context) -> list[Any]:
        """Return the options; none while Typer prints the rest of the help, which has them first."""
        return [] if self._hides_options else super().get_params(ctx)

    def format_help(self, ctx: Context, formatter: Any) -> None:
        """Write or print the help, the commands first."""
        if not os.isatty(1):
            super().format_help(ctx, formatter)
            return
        options, epilog = self.get_params(ctx), self.epilog
        self._hides_options, self.epilog = True, None
        super().format_help(ctx, formatter)
        print_panel(options, ctx, epilog or "")

    def list_commands(self, ctx: Context) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Context, cmd_name: str) -> TyperCommand | Group | None:
        """Return a command as its line in the help: for what it does, ``resolve_command`` loads it."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        return Command(cmd_name, help=entry.text, rich_help_panel=entry.panel)

    def load(self, name: str) -> TyperCommand | Group:
        """Import a command and give it, and all below it, the options of the root."""
        command = get_command(import_module(f"arawn.cli.commands.{name}").app)
        assert isinstance(command, Command | Group)
        shared: Any = [param for param in self.params if param.name != "version"]
        _share(shared, command)
        return command

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command a word names, loaded. Raises UsageError where there is none."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, self.load(str(name)) if name in COMMANDS else command, rest


def try_help(ctx: Context) -> str:
    """Return the hint that leads to a command's help."""
    return f"try: {ctx.command_path} --help"


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the known word that another is most like, None where none is."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, known, n=1)), None)


def is_short(word: str) -> bool:
    """Say whether a word may be repeated in an error: it has no blanks and is too short for a key."""
    return len(word) <= 20 and not any(map(str.isspace, word))


def _require_text(command: Any, ctx: Context, args: list[str]) -> None:
    """Raise UsageError for a value that is no valid text, unless it is the path of a file, which may be any bytes."""
    if ctx.resilient_parsing or all(map(is_valid, args)):
        return
    given, _, _ = command.make_parser(ctx).parse_args(args=list(args))
    for param in command.get_params(ctx):
        name = param.opts[-1] if param.param_type_name == "option" else param.make_metavar(ctx).strip("[].")
        value = given.get(param.name)
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, str) and not _names_file(param.metavar or "", text):
                require_valid(text, name)


def _names_file(metavar: str, text: str) -> bool:
    return metavar.strip("[].") == "FILE" or (metavar == "SCHEMA" and not text.lstrip().startswith("{"))


def _share(options: Sequence[Any], command: Any) -> None:
    """Add options to a command and all below it, but for those it declares itself."""
    own = {flag for param in command.params for flag in param.opts}
    command.params += [option for option in options if not own & set(option.opts)]
    for child in getattr(command, "commands", {}).values():
        _share(options, child)
