"""The slash commands: the one table that running them, their help and their completion come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from arawn.cli.repl import choosing, conversations, exporting, keys
from arawn.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from arawn.cli.repl.loop import Chat

    Act: TypeAlias = "Callable[[Chat, str], Awaitable[None] | None]"


class Command(NamedTuple):
    """A command: what it takes as the help shows it, what it does, and the kind of names that complete it."""

    name: str
    takes: str
    help: str
    act: Act
    offers: str = ""


async def run(chat: Chat, line: str) -> None:
    """Do what a line that begins with a slash says. Raises UsageError for a command that does not exist."""
    name, _, words = line[1:].strip().partition(" ")
    name, newline, rest = name.partition("\n")
    command = find(name)
    doing = command.act(chat, f"{rest}{newline}{words}".strip())
    if doing is not None:
        await doing


def find(name: str) -> Command:
    """Return a command by its name. Raises UsageError with the nearest one."""
    for command in COMMANDS:
        if command.name == name:
            return command
    from difflib import get_close_matches

    near = get_close_matches(name, [command.name for command in COMMANDS], n=1)
    guess = [f"did you mean /{near[0]}?"] if near else ["see them all: /help"]
    raise UsageError(f"no command /{name}", hints=[*guess, "to send a line that begins with a slash, double it: //"])


def help_(chat: Chat, words: str) -> None:
    """Show all commands and keys, or one command."""
    commands = [find(words.removeprefix("/"))] if words else COMMANDS
    rows = [(f"/{command.name} {command.takes}".rstrip(), command.help) for command in commands]
    chat.screen.rows(rows if words else [*rows, ("", ""), *keys.HELP])


def leave(chat: Chat, _words: str) -> None:
    """End the chat."""
    chat.over = True


COMMANDS = (
    Command("help", "[COMMAND]", "Show this, or one command", help_, "commands"),
    Command("model", "[NAME]", "Show or change the model; the conversation goes on", choosing.model, "models"),
    Command("backend", "[NAME]", "Show or change the backend; the conversation goes on", choosing.backend, "backends"),
    Command("system", "[TEXT|off]", "Show or change the system prompt", choosing.system, "off"),
    Command("temperature", "[0…2|off]", "Show or change how freely words are chosen", choosing.temperature, "off"),
    Command("clear", "", "Clear the screen and begin a new conversation", conversations.clear),
    Command("new", "[NAME]", "Begin a new conversation; this one stays saved", conversations.new),
    Command("sessions", "[WORDS]", "List the saved conversations, or search in them", conversations.sessions),
    Command("resume", "[SESSION]", "Go on with a saved conversation", conversations.resume, "sessions"),
    Command("title", "[TEXT]", "Give the conversation a title, or let the model", conversations.title),
    Command("retry", "[MODEL]", "Ask the last question again", conversations.retry, "models"),
    Command("edit", "[N]", "Ask question N (the last) in other words", conversations.edit),
    Command("undo", "", "Remove the last question and its answer", conversations.undo),
    Command("branch", "[N]", "Go on from turn N (the last) in a new conversation", conversations.branch),
    Command("save", "FILE", "Write the last answer to a file", exporting.save, "files"),
    Command("export", "[FILE]", "Write the conversation to FILE.md, .json or .html", exporting.export, "files"),
    Command("copy", "[code] [N]", "Copy the (Nth) last answer, or its (Nth) code block", exporting.copy, "code"),
    Command("file", "[PATH|off]", "Attach a file to the next message, as @PATH in it does", exporting.file, "files"),
    Command("usage", "", "Show what was used so far, and what still fits", choosing.usage),
    Command("config", "[KEY]", "Show the settings, or where a key's value is from", choosing.config),
    Command("multiline", "", "Swap Enter and Alt-Enter", choosing.multiline),
    Command("theme", "[NAME]", "Show or change the colours of answers", choosing.theme, "themes"),
    Command("quit", "", "Leave", leave),
)
