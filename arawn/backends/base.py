"""What a backend is: something that can answer, with one verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.events import Events
    from arawn.messages import ChatRequest, Embeddings, ModelCard


class Backend(Protocol):
    """Answers a request with events. Middleware is a backend around a backend."""

    @property
    def name(self) -> str:
        """The name of its ``[backends.NAME]`` table."""
        ...

    def stream(self, request: ChatRequest) -> Events:
        """Answer. Begins with Started, ends with Finished, or raises an ArawnError; close it by ``aclosing``."""
        ...


class Embedder(Protocol):
    """Turns texts into vectors."""

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return one vector a text, in order."""
        ...


class ModelLister(Protocol):
    """Knows which models it has."""

    async def models(self) -> Sequence[ModelCard]:
        """Ask for the models that can be used now."""
        ...
