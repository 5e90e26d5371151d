"""Middleware that changes errors on their way to the user: keys are taken out, and hints about models are put in."""

from __future__ import annotations

from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from arawn.errors import ArawnError, BackendError, ModelNotAvailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from arawn.backends.base import Backend, Embedder
    from arawn.backends.http import HttpBackend
    from arawn.events import Events
    from arawn.messages import ChatRequest, Embeddings, ModelCard
    from arawn.secrets.references import Secret


Hints: TypeAlias = "Callable[[BackendError], tuple[str, ...]]"


def no_hints(_: BackendError) -> tuple[str, ...]:
    """Give no hints."""
    return ()


class ModelHints:
    """A backend around a backend; ``hints(model)`` gives the hints for an error that says a model is not available."""

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


class RedactSecrets:
    """A backend and model lister around another: a server may repeat in an error the key that it refused.

    ``secrets`` is read when an error comes; it grows as keys are looked up. ``hints`` gives more hints for an error.
    """

    def __init__(self, inner: HttpBackend, secrets: Iterable[Secret], hints: Hints = no_hints) -> None:
        self.name = inner.name
        self._inner = inner
        self._secrets = secrets
        self._hints = hints

    async def stream(self, request: ChatRequest) -> Events:
        """Answer as the inner backend does."""
        with _redacting(self._secrets, self._hints):
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    yield event

    async def models(self) -> Sequence[ModelCard]:
        """Ask for the models as the inner backend does."""
        with _redacting(self._secrets, self._hints):
            return await self._inner.models()

    async def probe(self, path: str) -> None:
        """Ask for a path as the inner backend does."""
        with _redacting(self._secrets, self._hints):
            await self._inner.probe(path)


class RedactSecretsEmbedder:
    """An embedder around another; the same in all else."""

    def __init__(self, inner: Embedder, secrets: Iterable[Secret], hints: Hints = no_hints) -> None:
        self._inner = inner
        self._secrets = secrets
        self._hints = hints

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed as the inner embedder does."""
        with _redacting(self._secrets, self._hints):
            return await self._inner.embed(texts)


@contextmanager
def _redacting(secrets: Iterable[Secret], hints: Hints) -> Iterator[None]:
    try:
        yield
    except ArawnError as error:
        if isinstance(error, BackendError):
            error.hints = (*error.hints, *hints(error))
        _redact(error, secrets)
        raise


def _redact(error: BaseException | None, secrets: Iterable[Secret]) -> None:
    """Take the secrets out of an error and of what caused it: a traceback shows them all."""

    def redacted(text: Any) -> Any:
        for secret in secrets if isinstance(text, str) else ():
            text = secret.conceal(text)
        return text

    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.args = tuple(map(redacted, error.args))
        if isinstance(error, ArawnError):
            error.message, error.hints = redacted(error.message), tuple(map(redacted, error.hints))
        if isinstance(error, BackendError):
            error.code, error.request_id = redacted(error.code), redacted(error.request_id)
        error = error.__cause__ or error.__context__
