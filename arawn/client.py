"""The public Python API: one client for one role, on asyncio, with the engine the command line has.

The names other libraries have made familiar are here too, thin: ``generate`` and ``chat``; ``infer``, ``infer_stream``,
``embed``, ``model_info`` and ``supports_*``; ``chat_completion``, ``stream_chat_completion``, ``get_available_models``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from arawn import batch
from arawn.batch.runner import JOBS
from arawn.config.sources import load
from arawn.engine.assembly import Engine
from arawn.engine.health import check
from arawn.errors import ConfigError, UsageError
from arawn.events import TextDelta, collect
from arawn.messages import ChatRequest, Message, OutputFormat, Role, Text
from arawn.store.reports import Reports
from arawn.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from arawn.batch.runner import Answer, Questions
    from arawn.config.roles import Choice, RoleName
    from arawn.config.settings import Settings
    from arawn.engine.health import Health
    from arawn.events import Events
    from arawn.messages import Response, Tool
    from arawn.models.catalog import ModelFacts
    from arawn.store.budgets import BudgetStatus
    from arawn.store.calls import Call
    from arawn.store.reports import By, Report

MessageLike: TypeAlias = Message | Mapping[str, str]
"""A message, or ``{"role": "system" | "user" | "assistant", "content": text}``."""
_PLAIN_ROLES = (Role.SYSTEM, Role.USER, Role.ASSISTANT)


class LLMConfig(Value):
    """What a program may set instead of a configuration file; None leaves it to the files and the environment.

    ``timeout`` is in seconds. ``api_key`` is a key or a reference to one. ``fallback`` names the backends to try when
    this one fails; ``cache`` uses cached responses.
    """

    _unshown = ("api_key",)

    backend: str | None = None
    model: str | None = None
    api_key: str | None = None
    base_url: str | None = None
    timeout: float | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    fallback: Sequence[str] | None = None
    cache: bool | None = None


class Client:
    """One backend and model for one role, in one event loop. Close it by ``aclose`` or ``async with``.

    Raises ConfigError when no backend can serve the role; it may look for a server on this machine first, which takes
    a moment. Every call may raise any BackendError, and BudgetError, and is written into the user's ledger.
    """

    def __init__(
        self,
        backend: str | None = None,
        model: str | None = None,
        *,
        role: RoleName = "llm",
        settings: Settings | None = None,
    ) -> None:
        self._settings = settings or _settings()
        self._role = role
        self._choice = _choose(self._settings, backend, model, role)
        self._engine = Engine.asynchronous(self._settings)

    @property
    def backend(self) -> str:
        """The name of the backend."""
        return self._choice.backend

    @property
    def model(self) -> str:
        """The id of the model."""
        return self._choice.model

    async def aclose(self) -> None:
        """Close its connections."""
        await self._engine.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def stream(self, request: ChatRequest) -> Events:
        """Answer a request with events; what it leaves open comes from the configuration. Close it by ``aclosing``.

        The text of an answer with a schema (``request.output``) comes once all of it fits; see ``chat``.

        It goes to the request's model at this client's backend; an empty model means this client's.
        """
        return self._stream(request, self._choice._replace(model=request.model or self.model))

    async def generate(
        self,
        prompt: str,
        system_prompt: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> Response:
        """Answer one prompt; see ``chat``."""
        system = [Message(Role.SYSTEM, (Text(system_prompt),))] if system_prompt else []
        messages = [*system, Message(Role.USER, (Text(prompt),))]
        return await self.chat(messages, temperature=temperature, max_tokens=max_tokens, schema=schema)

    async def chat(
        self,
        messages: Iterable[MessageLike],
        *,
        tools: Sequence[Tool] = (),
        temperature: float | None = None,
        max_tokens: int | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> Response:
        """Answer a conversation, with JSON that fits a JSON ``schema`` where there is one.

        Raises IncompleteAnswerError for an answer that does not fit, asked for twice, with that as its ``partial``, and
        UsageError for a schema that is none.
        """
        return await collect(self.stream(_request(messages, tools, temperature, max_tokens, schema)))

    async def infer(
        self, messages: Iterable[MessageLike], tools: Sequence[Tool] = (), temperature: float | None = None
    ) -> Response:
        """The same as ``chat``."""
        return await self.chat(messages, tools=tools, temperature=temperature)

    def infer_stream(
        self, messages: Iterable[MessageLike], tools: Sequence[Tool] = (), temperature: float | None = None
    ) -> Events:
        """Answer a conversation with events. Close it by ``aclosing``."""
        return self.stream(_request(messages, tools, temperature))

    async def embed(self, text: str) -> list[float]:
        """Return the vector of a text."""
        return list((await self.embed_all([text]))[0])

    async def embed_all(self, texts: Sequence[str]) -> tuple[tuple[float, ...], ...]:
        """Return the vectors of texts, in order, by one call.

        A client for another role than embeddings uses the embedding model of its backend. Raises ConfigError where
        that has none.
        """
        if not texts:
            return ()
        choice = self._choice
        if self._role != "embeddings":
            choice = _choose(self._settings, self.backend, None, "embeddings")
        return (await self._engine.embedder(choice).embed(texts)).vectors

    def batch(self, requests: Questions[ChatRequest], *, jobs: int = JOBS) -> AsyncGenerator[Answer[ChatRequest], None]:
        """Answer many requests, ``jobs`` at a time, as they finish; see ``batch.run``. Close it by ``aclosing``."""
        return batch.run(self, requests, jobs=jobs)

    def usage(self, by: By = "backend", since: float = 0.0) -> Report:
        """Return what all calls took since a time (seconds since the epoch), and cost, in groups; see ``Totals``."""
        return Reports(self._engine.database).totals(by, since)

    def recent_calls(self, count: int = 20) -> tuple[Call, ...]:
        """Return the newest calls in the ledger, the newest first."""
        return Reports(self._engine.database).recent(count)

    def budgets(self) -> tuple[BudgetStatus, ...]:
        """Return the status of the budgets, that of all backends first."""
        return self._engine.budgets()

    def model_info(self) -> ModelFacts | None:
        """Return what is known of the model: windows, prices, capabilities; None where nothing is."""
        return self._engine.facts(self.backend, self.model)

    def supports_function_calling(self) -> bool:
        """Whether the model is known to call tools; one that is not known may."""
        facts = self.model_info()
        return facts is None or not facts.capabilities or "tools" in facts.capabilities

    def supports_vision(self) -> bool:
        """Whether the model is known to see."""
        facts = self.model_info()
        return facts is not None and "vision" in facts.capabilities

    def supports_streaming(self) -> bool:
        """Whether answers come as events: on every backend they do."""
        return True

    async def health(self) -> Health:
        """Check whether the backend is reachable and takes the key, and how fast it is; fallbacks use the result."""
        return await check(self._engine, self.backend)

    async def health_check(self) -> bool:
        """Whether the backend can be reached and takes the key."""
        return (await self.health()).error is None

    async def get_available_models(self) -> list[str]:
        """Return the ids of the models the backend has."""
        return [card.id for card in await self._engine.lister(self.backend).models()]

    async def chat_completion(
        self,
        messages: Iterable[MessageLike],
        model_tier: str | None = None,
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> str:
        """Answer a conversation with text. ``model_tier`` is a tier, an alias, ``backend/model``, or a model's id."""
        request = _request(messages, (), temperature, max_tokens)
        return (await collect(self._stream(request, self._tier(model_tier)))).text

    async def stream_chat_completion(
        self,
        messages: Iterable[MessageLike],
        model_tier: str | None = None,
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> AsyncGenerator[str, None]:
        """Answer a conversation with pieces of text as they come. Close it by ``aclosing``."""
        request = _request(messages, (), temperature, max_tokens)
        async with aclosing(self._stream(request, self._tier(model_tier))) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    yield event.text

    def _stream(self, request: ChatRequest, choice: Choice) -> Events:
        """Answer by the choice's backend."""
        asked = replace(request, caller=replace(request.caller, role=self._role))
        return self._engine.backend(choice).stream(self._engine.complete(asked, choice))

    def _tier(self, name: str | None) -> Choice:
        """Return the choice a name means: by the settings, else a model of this client's backend."""
        if name is None:
            return self._choice
        alias = self._settings.aliases.get(name)
        model = alias or name
        backend, slash, _ = model.partition("/")
        if slash and backend in self._settings.backend_names and (alias or not self._engine.facts(self.backend, model)):
            return _choose(self._settings, None, name, self._role)
        return _choose(self._settings, self.backend, model, self._role)


def get_llm_client(config: LLMConfig | None = None, *, allow_mock: bool = False) -> Client:
    """Return a client for ``[llm]``, with a program's own settings put first.

    ``allow_mock`` lets the mock backend answer where nothing is configured, for tests. Raises ConfigError.
    """
    config = config or LLMConfig()
    backend, model = config.backend, config.model
    if backend is None:
        settings = _settings()
        try:
            backend, model, _ = _choose(settings, None, model)
        except ConfigError:
            if not allow_mock or settings.llm.backend is not None:
                raise
            backend = "mock"
    return Client(backend, model, settings=_settings(_overrides(config, backend)))


def _overrides(config: LLMConfig, backend: str) -> dict[str, Any]:
    table = f'backends."{backend}"'
    given = {
        f"{table}.api_key": config.api_key,
        f"{table}.base_url": config.base_url,
        "llm.timeout": config.timeout,
        "llm.max_tokens": config.max_tokens,
        "llm.temperature": config.temperature,
        "llm.fallback": None if config.fallback is None else list(config.fallback),
        "cache.enabled": config.cache,
    }
    return {key: value for key, value in given.items() if value is not None}


def _settings(overrides: Mapping[str, object] | None = None) -> Settings:
    """Read the user's settings; a project's folder has no say in a program."""
    return load(environ=os.environ, cwd=os.getcwd(), project=False, overrides=overrides)


def _choose(settings: Settings, backend: str | None, model: str | None, role: RoleName = "llm") -> Choice:
    engine = Engine.blocking(settings)
    try:
        return engine.choose(backend, model, role)
    finally:
        engine.close()


def _request(
    messages: Iterable[MessageLike],
    tools: Sequence[Tool] = (),
    temperature: float | None = None,
    max_tokens: int | None = None,
    schema: Mapping[str, Any] | None = None,
) -> ChatRequest:
    return ChatRequest(
        model="",
        messages=tuple(map(_message, messages)),
        tools=tuple(tools),
        temperature=temperature,
        max_tokens=max_tokens,
        output=None if schema is None else OutputFormat(schema),
    )


def _message(message: MessageLike) -> Message:
    match message:
        case Message():
            return message
        case {"role": str() as role, "content": str() as content} if role in _PLAIN_ROLES:
            return Message(Role(role), (Text(content),))
        case _:
            hint = '{"role": "system", "user" or "assistant", "content": "…"}, or arawn.Message for all else'
            raise UsageError(f"not a message: {message!r}", hints=[hint])
