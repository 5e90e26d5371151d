"""What the first answer of a chat needs, loaded while its first message is typed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arawn.config.roles import Choice
    from arawn.engine.assembly import Engine


def warm_up(engine: Engine, choice: Choice) -> None:
    """Load it, in a thread of its own."""
    for name in ("arawn.cli.render.stream", "arawn.network.transport"):  # the latter comes with the first connection
        import_module(name)
    engine.backend(choice)
