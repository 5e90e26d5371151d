"""The slash commands: one table for running them, their help and their completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from arawn.cli.repl import conversations, export, keys, selection
from arawn.errors import UsageError
from arawn.texts import require_valid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from arawn.cli.repl.control import ChatControl

    Action: TypeAlias = "Callable[[ChatControl, str], Awaitable[None] | None]"


class Command(NamedTuple):
    """A command: its arguments as the help shows them, its function, and the kind of names that complete it."""

    name: str
    arguments: str
    help: str
    action: Action
    completes: str = ""


async def run(chat: ChatControl, line: str) -> None:
    """Run the command of a line that begins with a slash. Raises UsageError if there is no such command."""
    name, _, words = line[1:].strip().partition(" ")
    name, newline, rest = name.partition("\n")
    command, argument = find(name), f"{rest}{newline}{words}".strip()
    if command.completes != "files":  # a path may be any bytes
        require_valid(argument, f"/{name}")
    running = command.action(chat, argument)
    if running is not None:
        await running


def find(name: str) -> Command:
    """Return a command by its name. Raises UsageError with the nearest one."""
    for command in COMMANDS:
        if command.name == name:
            return command
    from difflib import get_close_matches

    near = get_close_matches(name, [command.name for command in COMMANDS], n=1)
    guess = [f"did you mean /{near[0]}?"] if near else ["see them all: /help"]
    raise UsageError(f"no command /{name}", hints=[*guess, "to send a line that begins with a slash, double it: //"])


def show_help(chat: ChatControl, words: str) -> None:
    """Show all commands and keys, or one command."""
    commands = [find(words.removeprefix("/"))] if words else COMMANDS
    rows = [(f"/{command.name} {command.arguments}".rstrip(), command.help) for command in commands]
    chat.screen.print_rows(rows if words else [*rows, ("", ""), *keys.HELP])


def leave(chat: ChatControl, _words: str) -> None:
    """End the chat."""
    chat.quit()


COMMANDS = (
    Command("help", "[COMMAND]", "Show this, or one command", show_help, "commands"),
    Command("model", "[NAME]", "Show or change the model and continue", selection.model, "models"),
    Command("backend", "[NAME]", "Show or change the backend and continue", selection.backend, "backends"),
    Command("system", "[TEXT|off]", "Show or change the system prompt", selection.system, "off"),
    Command("temperature", "[0…2|off]", "Show or change the sampling temperature", selection.temperature, "off"),
    Command("clear", "", "Clear the screen and begin a new conversation", conversations.clear),
    Command("new", "[NAME]", "Begin a new conversation; this one stays saved", conversations.new),
    Command("sessions", "[WORDS]", "List the saved conversations, or search in them", conversations.sessions),
    Command("resume", "[SESSION]", "Continue a saved conversation", conversations.resume, "sessions"),
    Command("title", "[TEXT]", "Set the title, or let the model write one", conversations.title),
    Command("retry", "[MODEL]", "Ask the last question again", conversations.retry, "models"),
    Command("edit", "[N]", "Edit question N (the last) and ask it again", conversations.edit),
    Command("undo", "", "Remove the last question and its answer", conversations.undo),
    Command("branch", "[N]", "Continue from turn N (the last) in a new conversation", conversations.branch),
    Command("save", "FILE", "Write the last answer to a file", export.save, "files"),
    Command("export", "[FILE]", "Write the conversation to FILE.md, .json or .html", export.export, "files"),
    Command("copy", "[code] [N]", "Copy the (Nth) last answer, or its (Nth) code block", export.copy, "code"),
    Command("file", "[PATH|off]", "Attach a file to the next message, as @PATH in it does", export.file, "files"),
    Command("usage", "", "Show tokens, cost, context left and budgets", selection.usage),
    Command("config", "[KEY]", "Show the settings, or a key's value and its origin", selection.config),
    Command("multiline", "", "Swap Enter and Alt-Enter", selection.multiline),
    Command("theme", "[NAME]", "Show or change the colours of answers", selection.theme, "themes"),
    Command("quit", "", "Leave", leave),
)
