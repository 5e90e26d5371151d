"""What the slash commands may read and change of a chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from arawn.cli.output import Output
    from arawn.cli.render.screen import Screen
    from arawn.cli.repl.attachments import Attachments
    from arawn.cli.repl.views import View
    from arawn.config.roles import Choice
    from arawn.config.settings import Settings
    from arawn.engine.assembly import Engine
    from arawn.events import Events
    from arawn.session.session import Session
    from arawn.store.budgets import BudgetStatus
    from arawn.store.records import Transcript
    from arawn.store.sessions import Sessions


class ChatControl(Protocol):
    """A chat as the slash commands see it; ``loop.Chat`` implements it.

    ``sessions`` is the store of conversations, None in a private chat.
    """

    output: Output
    screen: Screen
    settings: Settings
    environ: Mapping[str, str]
    engine: Engine
    session: Session[Choice]
    sessions: Sessions | None
    attachments: Attachments

    @property
    def model_label(self) -> str:
        """The model that answers, as ``backend/model``."""
        ...

    @property
    def budgets(self) -> tuple[BudgetStatus, ...]:
        """The status of the budgets that count for the current backend. Raises ConfigError."""
        ...

    def switch_model(self, name: str) -> None:
        """Continue with a model of the current backend, unless the name says another backend."""
        ...

    def switch_backend(self, name: str) -> None:
        """Continue with another backend and its model."""
        ...

    def swap_enter(self) -> bool:
        """Swap Enter and Alt-Enter; return whether Enter now makes a new line."""
        ...

    def begin(self, name: str = "") -> None:
        """Begin a new conversation with the same model and settings."""
        ...

    def resume(self, transcript: Transcript) -> None:
        """Continue a saved conversation with the model it used last."""
        ...

    def edit(self, number: int, text: str) -> None:
        """Put the question of a turn into the next prompt; what is sent replaces it."""
        ...

    def notify_saved(self) -> None:
        """Show how to continue the current conversation later."""
        ...

    async def answer(self, events: Events) -> None:
        """Show an answer while it arrives."""
        ...

    async def run_cancellable(self, work: Coroutine[Any, Any, object], view: View) -> bool:
        """Run a coroutine to its end; return False if it was cancelled. Raises what it raises."""
        ...

    def quit(self) -> None:
        """End the chat."""
        ...
