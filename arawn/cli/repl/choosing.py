"""The commands that choose: who answers, how, and how it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli.context import names_backend
from arawn.cli.output import Styled
from arawn.cli.render.theme import THEMES
from arawn.cli.report import budget_status
from arawn.errors import UsageError
from arawn.models.money import money
from arawn.values import replace

if TYPE_CHECKING:
    from arawn.cli.repl.loop import Chat

OFF = "off"


def model(chat: Chat, words: str) -> None:
    """Show or change the model."""
    if words:
        switch_model(chat, words)
    chat.screen.note(f"model: {chat.who}")


def switch_model(chat: Chat, name: str) -> None:
    """Go on with a model: of this backend, unless its name says another."""
    here = chat.session.choice.backend
    elsewhere = names_backend(chat.engine, name) and chat.engine.facts(here, name) is None
    _switch(chat, None if elsewhere else here, name)


def backend(chat: Chat, words: str) -> None:
    """Show or change the backend."""
    if words:
        _switch(chat, words, None)
    chat.screen.note(f"backend: {chat.who}")


def _switch(chat: Chat, name: str | None, wanted: str | None) -> None:
    chat.session.switch(name, wanted)
    chat.context.caution(chat.settings.backend(chat.session.choice.backend))


def system(chat: Chat, words: str) -> None:
    """Show or change the system prompt."""
    if words:
        chat.session.system = "" if words == OFF else words
    own, configured = chat.session.system, chat.settings.llm.system
    if own:
        chat.screen.note(f"system prompt: {own}")
    else:
        chat.screen.note(f"system prompt, from the configuration: {configured}" if configured else "no system prompt")


def temperature(chat: Chat, words: str) -> None:
    """Show or change the temperature."""
    if words:
        wanted = None if words == OFF else _temperature(words)
        chat.session.request = replace(chat.session.request, temperature=wanted)
    asked = chat.engine.complete(chat.session.request, chat.session.choice).temperature
    chat.screen.note("temperature: " + ("as the provider has it" if asked is None else f"{asked:g}"))


def _temperature(words: str) -> float:
    try:
        number = float(words)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 2:
        raise UsageError(f"expected a number from 0 to 2, or {OFF}: got {words!r}")
    return number


def usage(chat: Chat, _words: str) -> None:
    """Show what the conversation has taken."""
    session = chat.session
    used, left = session.usage, session.context_left()
    chat.screen.rows(
        [
            ("turns", str(len(session.turns))),
            ("input", f"{used.input_tokens:,} tokens, {used.cache_read_tokens:,} of them from the cache"),
            ("output", f"{used.output_tokens:,} tokens, {used.reasoning_tokens:,} of them reasoning"),
            ("cost", "not known" if session.cost is None else money(session.cost)),
            ("context left", "not known" if left is None else f"about {left:,} tokens"),
            *(("budget", budget_status.told(each)) for each in chat.budgets),
        ],
    )
    if used.estimated:
        chat.screen.note("some of it is a guess: not every answer came with its numbers")


def config(chat: Chat, words: str) -> None:
    """Show the settings of this chat, or a key of the configuration."""
    if words:
        _show_key(chat, words)
        return
    request = chat.engine.complete(chat.session.request, chat.session.choice)
    chat.screen.rows(
        [
            ("backend", chat.session.choice.backend),
            ("model", chat.session.choice.model),
            ("system", chat.session.system or chat.settings.llm.system or "-"),
            ("temperature", "-" if request.temperature is None else f"{request.temperature:g}"),
            ("theme", chat.screen.theme_name),
            ("editing mode", chat.settings.value("chat.editing_mode") or "emacs"),
            ("session", chat.session.id or ("private" if chat.session.private else "begins with the first message")),
            ("files", ", ".join(layer.path for layer in chat.settings.files if layer.exists) or "-"),
        ],
    )
    chat.screen.note("change it for good: arawn config set KEY VALUE")


def _show_key(chat: Chat, key: str) -> None:
    value, origin = chat.settings.value(key), chat.settings.origin(key)
    if isinstance(value, dict):
        raise UsageError(f"{key} is a table", hints=[f"in a shell: arawn config show {key} --origin"])
    place = f"{origin.path}:{origin.line}" if origin.line else origin.path or origin.layer
    chat.output.line(f"{key} = {'not set' if value is None else repr(value)}", Styled(f"  {place}", "dim"))


def multiline(chat: Chat, _words: str) -> None:
    """Swap Enter and Alt-Enter."""
    chat.editor.swapped = not chat.editor.swapped
    chat.screen.note("Enter makes a line, Alt-Enter sends" if chat.editor.swapped else "Enter sends")


def theme(chat: Chat, words: str) -> None:
    """Show or change the theme."""
    if words:
        chat.screen.change_theme(words)
    chat.screen.note(f"theme: {chat.screen.theme_name} (there are: {', '.join(THEMES)})")
