"""Completion at the prompt: slash commands, their arguments, and files after ``@``; it never uses the network."""

# ruff: noqa: TID253 -- only ``arawn chat`` imports this, and it needs prompt_toolkit at once

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from prompt_toolkit.completion import Completer, Completion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from arawn.cli.repl.commands import Command

Names: TypeAlias = "Iterable[tuple[str, str]]"
"""Names, each with a description, which may be empty."""

_MENTION = re.compile(r'(?:^|\s)@("?)((?<=")[^"\n]*|[^\s"]*)$')
_MAX_CANDIDATES = 200
"""Names offered at a time."""
_MAX_ENTRIES = 20 * _MAX_CANDIDATES
"""Files of a folder that are looked at."""


class ChatCompleter(Completer):
    """Completes what is typed in a chat. ``sources`` has a function for each kind of argument, called at every Tab."""

    def __init__(self, commands: Iterable[Command], sources: Mapping[str, Callable[[], Names]]) -> None:
        self._commands = {command.name: command for command in commands}
        self._sources = sources

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """Yield the completions at the cursor."""
        text = document.text_before_cursor
        if mention := _MENTION.search(text):
            yield from _files(mention[2], mention[1])
        elif is_command(text) and "\n" not in text:
            yield from self._command(text)

    def _command(self, text: str) -> Iterator[Completion]:
        name, space, words = text[1:].partition(" ")
        if not space:
            yield from _match_names(name, [(command.name, command.help) for command in self._commands.values()])
        elif name in self._commands:
            source = self._commands[name].completes
            if source == "files":
                yield from _files(words, "")
            elif source:
                yield from _match_names(words.lstrip(), self._sources[source]())


def is_command(text: str) -> bool:
    """Whether a text is a slash command, not a message for the model."""
    return text.startswith("/") and not text.startswith("//")


def wants_menu(text: str) -> bool:
    """Whether to open the completion menu while typing."""
    return (is_command(text) and "\n" not in text) or _MENTION.search(text) is not None


def _match_names(prefix: str, names: Names) -> Iterator[Completion]:
    """Yield the names that begin with the prefix, then those that contain it."""
    wanted, listed = prefix.lower(), [each for each in names if each[0].isprintable()]
    begin = [each for each in listed if each[0].lower().startswith(wanted)]
    inside = [each for each in listed if each not in begin and wanted in each[0].lower()]
    for name, about in (*begin, *inside)[:_MAX_CANDIDATES]:
        yield Completion(name, -len(prefix), display_meta=about)


def _files(typed: str, quote: str) -> Iterator[Completion]:
    """Yield the files that continue a path; hidden files only after a typed dot."""
    folder, begun = os.path.split(typed)
    for name, is_folder in _list_folder(os.path.expanduser(folder) or "."):
        if not name.startswith(begun) or (name.startswith(".") and not begun) or not name.isprintable():
            continue
        path = os.path.join(folder, name)
        needs_quotes = " " in path and not quote
        written = f'"{path}' if needs_quotes else path
        shown = f"{name}/" if is_folder else name
        end = "/" if is_folder else '"' * bool(quote or needs_quotes)
        yield Completion(written + end, -len(typed), display=shown)


def _list_folder(folder: str) -> list[tuple[str, bool]]:
    with suppress(OSError), os.scandir(folder) as found:
        return sorted((entry.name, entry.is_dir()) for entry in found)[:_MAX_ENTRIES]
    return []
