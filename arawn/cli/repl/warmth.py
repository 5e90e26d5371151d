"""What the first answer of a chat needs, loaded while its first message is typed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arawn.config.roles import Choice
    from arawn.engine.assembly import Engine


def warm_up(engine: Engine, choice: Choice) -> None:
    """Load it, in a thread of its own."""
    from arawn.network.routes import Route
    from arawn.network.transport import AsyncTransport

    import_module("arawn.cli.render.stream")
    AsyncTransport(Route({})).preload()
    engine.backend(choice)
