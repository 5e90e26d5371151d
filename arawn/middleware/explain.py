"""Adds to an error about a model what the catalogue knows: that it was retired, by what, or which name was meant."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from arawn.errors import ModelNotAvailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from arawn.backends.base import Backend
    from arawn.events import Events
    from arawn.messages import ChatRequest


class Explain:
    """A backend around a backend; ``hints(model)`` gives the lines to put before the error's own."""

    def __init__(self, inner: Backend, hints: Callable[[str], tuple[str, ...]]) -> None:
        self.name = inner.name
        self._inner = inner
        self._hints = hints

    async def stream(self, request: ChatRequest) -> Events:
        """Answer as the inner backend does."""
        try:
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    yield event
        except ModelNotAvailableError as error:
            error.hints = (*self._hints(request.model), *error.hints)
            raise
