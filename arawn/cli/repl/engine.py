"""The engine of a chat, on asyncio."""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from arawn.assembly import Engine

if TYPE_CHECKING:
    from arawn.backends.base import Backend
    from arawn.config.roles import Choice


class ChatEngine(Engine):
    """An engine whose backends last as long as it does: a scripted one goes on where it was."""

    @cached_property
    def _made(self) -> dict[tuple[str, str], Backend]:
        return {}

    def backend(self, choice: Choice) -> Backend:
        """Return the backend of a choice, always the same one."""
        place = choice.backend, choice.model
        if place not in self._made:
            self._made[place] = super().backend(choice)
        return self._made[place]


def warm_up(engine: Engine, choice: Choice) -> None:
    """Load what the first answer needs, in a thread while the first message is typed."""
    for name in ("arawn.cli.stream", "arawn.backends.looped"):  # the latter comes with the first connection
        import_module(name)
    engine.backend(choice)
