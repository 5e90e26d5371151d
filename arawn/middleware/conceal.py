"""Takes the keys that were sent out of every error that comes back: a server may repeat what it refused."""

from __future__ import annotations

from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

from arawn.errors import ArawnError, BackendError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from arawn.backends.base import Embedder
    from arawn.backends.http import HttpBackend
    from arawn.events import Events
    from arawn.messages import ChatRequest, Embeddings, ModelCard
    from arawn.secrets.references import Secret


class Conceal:
    """A backend and model lister around another; ``secrets`` is filled while it works."""

    def __init__(self, inner: HttpBackend, secrets: Iterable[Secret]) -> None:
        self.name = inner.name
        self._inner = inner
        self._secrets = secrets

    async def stream(self, request: ChatRequest) -> Events:
        """Answer as the inner backend does."""
        with _concealing(self._secrets):
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    yield event

    async def models(self) -> Sequence[ModelCard]:
        """Ask for the models as the inner backend does."""
        with _concealing(self._secrets):
            return await self._inner.models()

    async def probe(self, path: str) -> None:
        """Ask for a path as the inner backend does."""
        with _concealing(self._secrets):
            await self._inner.probe(path)


class ConcealEmbedder:
    """An embedder around another."""

    def __init__(self, inner: Embedder, secrets: Iterable[Secret]) -> None:
        self._inner = inner
        self._secrets = secrets

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed as the inner embedder does."""
        with _concealing(self._secrets):
            return await self._inner.embed(texts)


@contextmanager
def _concealing(secrets: Iterable[Secret]) -> Iterator[None]:
    try:
        yield
    except ArawnError as error:
        _clean(error, secrets)
        raise


def _clean(error: BaseException | None, secrets: Iterable[Secret]) -> None:
    """Clean an error and what caused it: a traceback shows them all."""

    def cleaned(text: Any) -> Any:
        for secret in secrets if isinstance(text, str) else ():
            text = secret.conceal(text)
        return text

    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.args = tuple(map(cleaned, error.args))
        if isinstance(error, ArawnError):
            error.message, error.hints = cleaned(error.message), tuple(map(cleaned, error.hints))
        if isinstance(error, BackendError):
            error.code, error.request_id = cleaned(error.code), cleaned(error.request_id)
        error = error.__cause__ or error.__context__
