"""What Tab offers: slash commands, what they take, and files after ``@``. It reads files, never the network."""

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

Offers: TypeAlias = "Iterable[tuple[str, str]]"
"""Names, each with a word about it, empty for none."""

_MENTION = re.compile(r'(?:^|\s)@("?)((?<=")[^"\n]*|[^\s"]*)$')
_MOST = 200


class ChatCompleter(Completer):
    """Completes what is typed in a chat. ``sources`` are the names for each kind of argument, asked anew each time."""

    def __init__(self, commands: Iterable[Command], sources: Mapping[str, Callable[[], Offers]]) -> None:
        self._commands = {command.name: command for command in commands}
        self._sources = sources

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """Yield what may stand at the cursor."""
        text = document.text_before_cursor
        if mention := _MENTION.search(text):
            yield from _files(mention[2], mention[1])
        elif is_command(text) and "\n" not in text:
            yield from self._command(text)

    def _command(self, text: str) -> Iterator[Completion]:
        name, space, words = text[1:].partition(" ")
        if not space:
            yield from _matching(name, [(command.name, command.help) for command in self._commands.values()])
        elif name in self._commands:
            source = self._commands[name].offers
            if source == "files":
                yield from _files(words, "")
            elif source:
                yield from _matching(words.lstrip(), self._sources[source]())


def is_command(text: str) -> bool:
    """Whether a text is for us, not for the model."""
    return text.startswith("/") and not text.startswith("//")


def wants_menu(text: str) -> bool:
    """Whether there may be something to offer at the end of a text without being asked."""
    return (is_command(text) and "\n" not in text) or _MENTION.search(text) is not None


def _matching(prefix: str, offers: Offers) -> Iterator[Completion]:
    """Yield the offers that begin with the prefix, then those that have it inside."""
    wanted, listed = prefix.lower(), [offer for offer in offers if offer[0].isprintable()]
    begin = [offer for offer in listed if offer[0].lower().startswith(wanted)]
    inside = [offer for offer in listed if offer not in begin and wanted in offer[0].lower()]
    for name, about in (*begin, *inside)[:_MOST]:
        yield Completion(name, -len(prefix), display_meta=about)


def _files(typed: str, quote: str) -> Iterator[Completion]:
    """Yield the files a path may go on to; hidden ones only where a dot was typed."""
    folder, begun = os.path.split(typed)
    for name, is_folder in _entries(os.path.expanduser(folder) or "."):
        if not name.startswith(begun) or (name.startswith(".") and not begun) or not name.isprintable():
            continue
        path = os.path.join(folder, name)
        needs_quotes = " " in path and not quote
        written = f'"{path}' if needs_quotes else path
        shown = f"{name}/" if is_folder else name
        end = "/" if is_folder else '"' * bool(quote or needs_quotes)
        yield Completion(written + end, -len(typed), display=shown)


def _entries(folder: str) -> list[tuple[str, bool]]:
    with suppress(OSError), os.scandir(folder) as found:
        return sorted((entry.name, entry.is_dir()) for entry in found)[: 20 * _MOST]
    return []
