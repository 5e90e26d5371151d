"""The command tree as data, read off the parsers: what the completion scripts are made from."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from arawn.cli import parser
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = "files"
KINDS = {
    "backend": "backends",
    "backend_name": "backends",
    "config_file": FILES,
    "env_file": FILES,
    "file": FILES,
    "key": "keys",
    "model": "models",
    "output": FILES,
    "path": FILES,
    "schema": FILES,
    "secret": "secrets",
    "value": "values",
}
"""What stands in a place, by its name in the parsers: files, or what ``arawn __complete KIND`` knows."""


class Place(Value):
    """Where a word belongs that is no option: its name, and what may stand there.

    That is one of ``choices``, a name of some ``kind``, or, with neither, the user's own word. ``many`` words may stand
    in the last place of a command.
    """

    name: str
    kind: str = ""
    choices: tuple[str, ...] = ()
    many: bool = False


class Option(Value):
    """An option: its spellings, its help, the place of its value if it takes one, and the flags that exclude it."""

    flags: tuple[str, ...]
    help: str
    value: Place | None = None
    rivals: tuple[str, ...] = ()


class Command(Value):
    """A command or subcommand; the root, arawn itself, has no path."""

    path: tuple[str, ...]
    help: str
    options: tuple[Option, ...]
    places: tuple[Place, ...] = ()
    commands: tuple[Command, ...] = ()

    @property
    def line(self) -> str:
        """The path as it is typed."""
        return " ".join(self.path)

    @property
    def numbered(self) -> tuple[tuple[int, Place], ...]:
        """The places with their numbers; where a subcommand belongs, that is the first."""
        if self.commands:
            return ((0, Place("command", choices=tuple(child.path[-1] for child in self.commands))),)
        return tuple(enumerate(self.places))

    @property
    def shared(self) -> tuple[Option, ...]:
        """The options that all commands below take too."""
        return tuple(option for option in self.options if all(option in each.options for each in self.walk()))

    def own(self, root: Command) -> tuple[Option, ...]:
        """Return the options that not all commands take."""
        return tuple(option for option in self.options if option not in root.shared)

    def walk(self) -> Iterator[Command]:
        """Yield this command and all below it."""
        yield self
        for child in self.commands:
            yield from child.walk()


def root() -> Command:
    """Return arawn with all its commands."""
    options = _options(parser.Parser(parents=[parser.global_options()]))
    version = Option(("-V", "--version"), "show the version", rivals=("-V", "--version"))
    commands = (_command((name,), text, parser.build(name)) for name, text in parser.COMMANDS.items())
    return Command((), "", (*options, version), commands=tuple(commands))


def steps(tree: Command) -> tuple[str, ...]:
    """Return the words that lead to a command, as ``0:config show``: it is no command once other words came between."""
    return tuple(f"0:{' '.join(command.path[:-1])} {command.path[-1]}" for command in tree.walk() if command.path)


def values(tree: Command) -> dict[str, Place]:
    """Return the place of the value of every flag that takes one.

    The scripts know flags without their commands; so a flag means the same in every command, or ValueError is raised.
    """
    found: dict[str, Place | None] = {}
    for command in tree.walk():
        for option in command.options:
            for flag in option.flags:
                if _source(found.setdefault(flag, option.value)) != _source(option.value):
                    raise ValueError(f"{flag} of {command.line!r} takes something else than in another command")
    return {flag: place for flag, place in found.items() if place is not None}


def _source(place: Place | None) -> object:
    return place and (place.kind, place.choices)


def _command(path: tuple[str, ...], text: str, built: argparse.ArgumentParser) -> Command:
    places: list[Place] = []
    children: list[Command] = []
    for action in built._actions:  # noqa: SLF001 -- argparse offers no public way to read a parser
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            children = [_command((*path, name), helps.get(name, ""), child) for name, child in action.choices.items()]
        elif not action.option_strings and action.help != argparse.SUPPRESS:
            places.append(_place(action))
    return Command(path, text, _options(built), tuple(places), tuple(children))


def _options(built: argparse.ArgumentParser) -> tuple[Option, ...]:
    actions = [action for action in built._actions if action.option_strings]  # noqa: SLF001
    return tuple(_option(action, built) for action in actions if action.help != argparse.SUPPRESS)


def _option(action: argparse.Action, built: argparse.ArgumentParser) -> Option:
    """Read an option; it excludes itself unless it may be repeated, and those of its group."""
    flags = tuple(action.option_strings)
    rivals = [] if isinstance(action, argparse._AppendAction) else list(flags)  # noqa: SLF001
    for group in built._mutually_exclusive_groups:  # noqa: SLF001
        if action in group._group_actions:  # noqa: SLF001
            rivals += [flag for other in group._group_actions for flag in other.option_strings]  # noqa: SLF001
    value = None if action.nargs == 0 else _place(action)
    return Option(flags, action.help or "", value, tuple(dict.fromkeys(rivals)))


def _place(action: argparse.Action) -> Place:
    name = action.metavar if isinstance(action.metavar, str) else action.dest
    choices = tuple(map(str, action.choices or ()))
    return Place(name, "" if choices else KINDS.get(action.dest, ""), choices, many=action.nargs in ("*", "+"))
