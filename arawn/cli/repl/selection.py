"""The commands that show or change settings of a chat: model, backend, system prompt, temperature, keys, theme."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli.output import Styled
from arawn.cli.render.theme import THEMES
from arawn.cli.report import budget_status
from arawn.errors import UsageError
from arawn.models.money import money
from arawn.values import replace

if TYPE_CHECKING:
    from arawn.cli.repl.control import ChatControl

OFF = "off"
"""The argument that removes a setting of this chat."""
_MAX_TEMPERATURE = 2
"""The highest temperature that any backend takes."""


def model(chat: ChatControl, words: str) -> None:
    """Show or change the model."""
    if words:
        chat.switch_model(words)
    chat.screen.notify(f"model: {chat.model_label}")


def backend(chat: ChatControl, words: str) -> None:
    """Show or change the backend."""
    if words:
        chat.switch_backend(words)
    chat.screen.notify(f"backend: {chat.model_label}")


def system(chat: ChatControl, words: str) -> None:
    """Show or change the system prompt."""
    if words:
        chat.session.system = "" if words == OFF else words
    own, configured = chat.session.system, chat.settings.llm.system
    if own:
        chat.screen.notify(f"system prompt: {own}")
    else:
        chat.screen.notify(f"system prompt, from the configuration: {configured}" if configured else "no system prompt")


def temperature(chat: ChatControl, words: str) -> None:
    """Show or change the temperature."""
    if words:
        wanted = None if words == OFF else _parse_temperature(words)
        chat.session.request = replace(chat.session.request, temperature=wanted)
    current = chat.engine.complete(chat.session.request, chat.session.choice).temperature
    chat.screen.notify("temperature: " + ("as the provider has it" if current is None else f"{current:g}"))


def _parse_temperature(words: str) -> float:
    try:
        number = float(words)
    except ValueError:
        number = -1.0
    if not 0 <= number <= _MAX_TEMPERATURE:
        raise UsageError(f"expected a number from 0 to {_MAX_TEMPERATURE}, or {OFF}: got {words!r}")
    return number


def usage(chat: ChatControl, _words: str) -> None:
    """Show tokens, cost, context left and budgets of the conversation."""
    session = chat.session
    used, left = session.usage, session.context_left()
    chat.screen.print_rows(
        [
            ("turns", str(len(session.turns))),
            ("input", f"{used.input_tokens:,} tokens, {used.cache_read_tokens:,} of them from the cache"),
            ("output", f"{used.output_tokens:,} tokens, {used.reasoning_tokens:,} of them reasoning"),
            ("cost", "not known" if session.cost is None else money(session.cost)),
            ("context left", "not known" if left is None else f"about {left:,} tokens"),
            *(("budget", budget_status.describe(each)) for each in chat.budgets),
        ],
    )
    if used.estimated:
        chat.screen.notify("partly estimated: not every answer reported its usage")


def config(chat: ChatControl, words: str) -> None:
    """Show the settings of this chat, or a key of the configuration."""
    if words:
        _show_key(chat, words)
        return
    request = chat.engine.complete(chat.session.request, chat.session.choice)
    chat.screen.print_rows(
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
    chat.screen.notify("to change a setting permanently: arawn config set KEY VALUE")


def _show_key(chat: ChatControl, key: str) -> None:
    value, origin = chat.settings.value(key), chat.settings.origin(key)
    if isinstance(value, dict):
        raise UsageError(f"{key} is a table", hints=[f"in a shell: arawn config show {key} --origin"])
    place = f"{origin.path}:{origin.line}" if origin.line else origin.path or origin.layer
    chat.output.line(f"{key} = {'not set' if value is None else repr(value)}", Styled(f"  {place}", "dim"))


def multiline(chat: ChatControl, _words: str) -> None:
    """Swap Enter and Alt-Enter."""
    chat.screen.notify("Enter makes a line, Alt-Enter sends" if chat.swap_enter() else "Enter sends")


def theme(chat: ChatControl, words: str) -> None:
    """Show or change the theme."""
    if words:
        chat.screen.set_theme(words)
    chat.screen.notify(f"theme: {chat.screen.theme_name} (there are: {', '.join(THEMES)})")
