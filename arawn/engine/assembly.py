"""Settings made into running objects: which adapter a table names, where it answers, and who serves a role."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Self, TypeVar

from arawn.engine.stack import Place, Stack, default_output, limits_of
from arawn.errors import ConfigError
from arawn.messages import Message, Role, Text, Thinking
from arawn.models import catalog
from arawn.store.database import Database
from arawn.telemetry.observers import Watch
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
    from decimal import Decimal

    from arawn.adapters.base import Adapter, EmbeddingAdapter, Quirks
    from arawn.backends.base import Backend, Embedder, ModelLister
    from arawn.backends.http import HttpBackend
    from arawn.backends.mock import MockBackend
    from arawn.config.roles import Choice, RoleName
    from arawn.config.settings import BackendSettings, Settings
    from arawn.messages import ChatRequest, Response
    from arawn.models.catalog import ModelFacts
    from arawn.network.deadlines import Timeouts
    from arawn.network.endpoint import Endpoint
    from arawn.network.routes import Route
    from arawn.network.transport import Transport
    from arawn.secrets.bindings import Bindings
    from arawn.secrets.references import Secret
    from arawn.store.budgets import Standing

T = TypeVar("T")

ADAPTERS = {
    "anthropic": "arawn.adapters.anthropic.messages:AnthropicAdapter",
    "ollama": "arawn.adapters.ollama:OllamaAdapter",
    "openai_chat": "arawn.adapters.openai.chat:OpenAIChatAdapter",
    "openai_responses": "arawn.adapters.openai.responses:OpenAIResponsesAdapter",
}
EMBEDDING_ADAPTERS = {
    "ollama": "arawn.adapters.embeddings:OllamaEmbeddings",
    "openai_chat": "arawn.adapters.embeddings:OpenAIEmbeddings",
    "openai_responses": "arawn.adapters.embeddings:OpenAIEmbeddings",
}
PROBE = 3.0
"""Seconds a server on this machine has to show that it runs."""


class Engine:
    """Everything that runs on one set of settings: backends, embedders and model lists, made when first asked for."""

    def __init__(
        self,
        settings: Settings,
        *,
        transport: Callable[[BackendSettings], Transport],
        sleep: Callable[[float], Awaitable[None]],
        total_timeout: float | None = None,
        database: Database | None = None,
    ) -> None:
        self.settings = settings
        self.database = database or Database.of_user(settings.environ)
        self._secrets: list[Secret] = []
        self.watch = Watch(settings, self._secrets)
        self.stack = Stack(settings, self.database, sleep=sleep, total_timeout=total_timeout, watch=self.watch)
        self._make_transport = transport
        self._sleep = sleep
        self._transports: dict[str, Transport] = {}
        self._backends: dict[tuple[str, str, bool], Backend] = {}

    @classmethod
    def blocking(
        cls, settings: Settings, *, total_timeout: float | None = None, database: Database | None = None
    ) -> Self:
        """Make an engine whose coroutines never suspend: ``run`` drives them, one call at a time."""
        from arawn.engine.blocking import sleep

        def transport(table: BackendSettings) -> Transport:
            from arawn.network.transport import BlockingTransport

            return BlockingTransport(_route(table, settings.environ))

        return cls(settings, transport=transport, sleep=sleep, total_timeout=total_timeout, database=database)

    @classmethod
    def asynchronous(
        cls, settings: Settings, *, total_timeout: float | None = None, database: Database | None = None
    ) -> Self:
        """Make an engine for an asyncio event loop."""
        from asyncio import sleep

        def transport(table: BackendSettings) -> Transport:
            from arawn.network.transport import AsyncTransport

            return AsyncTransport(_route(table, settings.environ))

        return cls(settings, transport=transport, sleep=sleep, total_timeout=total_timeout, database=database)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Drive a coroutine of a blocking engine to its end."""
        from arawn.engine.blocking import run

        return run(coroutine)

    async def aclose(self) -> None:
        """Close every connection, and the database."""
        for transport in self._transports.values():
            await transport.aclose()
        self._transports.clear()
        self.watch.close()
        self.database.close()

    def close(self) -> None:
        """Close every connection of a blocking engine."""
        self.run(self.aclose())

    def choose(
        self, backend: str | None = None, model: str | None = None, role: RoleName = "llm", *, probe: bool = True
    ) -> Choice:
        """Say which backend and model serve a role, with what the command line asked for put first.

        Where nothing is configured, ``probe`` also looks for a server on this machine. Raises ConfigError when nothing
        can serve.
        """
        from arawn.config.roles import first_available, resolve_model

        return resolve_model(
            self.settings,
            backend,
            model,
            role,
            knows=lambda name, wanted: catalog.find(name, wanted) is not None,
            available=lambda: first_available(
                self.settings, self.settings.environ, self._running if probe else lambda _: None
            ),
        )

    def backend(self, choice: Choice, *, alone: bool = False) -> Backend:
        """Return the backend of a choice with its middleware, always the same: a scripted one goes on where it was.

        ``alone`` lets nobody answer in its place. Raises ConfigError for a fallback that is not there.
        """
        key = choice.backend, choice.model, alone
        if key not in self._backends:
            self._backends[key] = self._composed(choice, [] if alone else self._others(choice))
        return self._backends[key]

    def _composed(self, choice: Choice, others: Sequence[Place]) -> Backend:
        places = [self._place(choice), *others]
        hurried = len(places) > 1

        def make(place: Place) -> Callable[[], Backend]:
            return lambda: self.stack.around(self._bare(place), place, hurried=hurried)

        first = places[0]
        chosen = self.stack.one_of([(place, make(place)) for place in places]) if hurried else make(first)()
        return self.stack.cached(chosen, first, self._quirks(first))

    def lister(self, name: str) -> ModelLister:
        """Return what knows the models of a backend. Raises ConfigError for one that has no list."""
        table = self.settings.backend(name)
        if table.adapter == "mock":
            return self._mock(table)
        if table.adapter not in ADAPTERS:
            raise ConfigError(f'backend "{name}" has no list of models: it runs in this process')
        from arawn.middleware.conceal import Conceal

        return Conceal(self._http(Place(table, "", None)), self._secrets)

    def embedder(self, choice: Choice) -> Embedder:
        """Return what makes the vectors of a choice. Raises ConfigError for a backend that makes none."""
        table = self.settings.embeddings_backend(choice.backend)
        place = Place(table, choice.model, self.facts(table.name, choice.model))
        if table.adapter == "mock":
            return self.stack.around_embedder(self._mock(table), place)
        if table.adapter not in EMBEDDING_ADAPTERS:
            raise ConfigError(
                f'backend "{table.name}" makes no embeddings',
                hints=["choose one that does: arawn embed -b openai …, or arawn config set embeddings.backend NAME"],
            )
        from arawn.backends.http import HttpEmbedder
        from arawn.middleware.conceal import ConcealEmbedder

        adapter: EmbeddingAdapter = _load(EMBEDDING_ADAPTERS[table.adapter])(table.name, table.quirks)
        dimensions = self.settings.embeddings.dimensions
        embedder = HttpEmbedder(self._endpoint(table), adapter, model=choice.model, dimensions=dimensions)
        return self.stack.around_embedder(ConcealEmbedder(embedder, self._secrets), place)

    def complete(self, request: ChatRequest, choice: Choice) -> ChatRequest:
        """Fill what a request leaves open from the role section, then from the backend's table."""
        table, role = self.settings.backend(choice.backend), self.settings.llm
        thinking = request.thinking or (None if role.effort is None else Thinking(role.effort))
        messages = request.messages
        if role.system and not any(message.role is Role.SYSTEM for message in messages):
            messages = (Message(Role.SYSTEM, (Text(role.system),)), *messages)
        return replace(
            request,
            model=choice.model,
            messages=messages,
            max_tokens=_first(request.max_tokens, role.max_tokens, table.max_tokens),
            temperature=_first(request.temperature, role.temperature, table.temperature),
            thinking=thinking,
        )

    def describe(self, request: ChatRequest, choice: Choice) -> str:
        """Return the request as it would be sent, without its key."""
        table = self.settings.backend(choice.backend)
        if table.adapter not in ADAPTERS:
            raise ConfigError(f'backend "{table.name}" sends nothing: it runs in this process')
        return self._http(self._place(choice)).describe(request, keyed=table.api_key is not None)

    def facts(self, backend: str, model: str) -> ModelFacts | None:
        """Return what is known of a model: the catalogue's facts under the user's own."""
        from arawn.config.settings import table_at

        facts, own = catalog.find(backend, model), table_at(self.settings.tree, ("models", model))
        if not own:
            return facts
        return catalog.override(facts or catalog.ModelFacts(backend=backend, id=model), own)

    def cost(self, response: Response, choice: Choice) -> Decimal | None:
        """Return what an answer cost in USD, or None where a price is unknown; another may have given it."""
        if response.usage.cost is not None:
            return response.usage.cost
        if response.backend in ("", choice.backend):
            return self.stack.tariff(self._place(choice)).cost(response.usage)
        elsewhere = choice._replace(backend=response.backend, model=response.model)
        return self.stack.tariff(self._place(elsewhere)).cost(response.usage)

    def budgets(self) -> tuple[Standing, ...]:
        """Return how the budgets of the settings stand, that of all backends first; none is no budget."""
        limits = limits_of(self.settings)
        if not limits:
            return ()
        from arawn.store.budgets import Budgets

        return Budgets(self.database).standing(limits)

    def _place(self, choice: Choice) -> Place:
        return Place(self.settings.backend(choice.backend), choice.model, self.facts(choice.backend, choice.model))

    def _others(self, choice: Choice) -> list[Place]:
        """Return who may answer in place of a choice, in order."""
        found: dict[tuple[str, str], Place] = {}
        for name in self.settings.llm.fallback:
            known = name in self.settings.backend_names
            other = self.choose(name, None, probe=False) if known else self.choose(None, name, probe=False)
            found[other.backend, other.model] = self._place(other)
        found.pop((choice.backend, choice.model), None)
        return list(found.values())

    def _bare(self, place: Place) -> Backend:
        table = place.table
        if table.adapter == "mock":
            return self._mock(table)
        if table.adapter == "mlx":
            from arawn.backends.mlx import MlxBackend

            return MlxBackend(table.name)
        from arawn.middleware.conceal import Conceal

        return Conceal(self._http(place), self._secrets)

    def _http(self, place: Place) -> HttpBackend:
        from arawn.backends.http import HttpBackend

        table = place.table
        adapter: Adapter = _load(ADAPTERS[table.adapter])(table.name, self._quirks(place))
        return HttpBackend(self._endpoint(table), adapter)

    def _endpoint(self, table: BackendSettings) -> Endpoint:
        from arawn.network.endpoint import Endpoint

        return Endpoint(
            name=table.name,
            label=table.label or table.name,
            base_url=table.base_url,
            transport=self._transport(table),
            credential=lambda: self._credential(table),
            auth_header=table.auth_header,
            auth_prefix=table.auth_prefix,
            allow_http=table.allow_http,
            timeouts=self._timeouts(table),
            observe=self.stack.observing(table.name),
        )

    def _transport(self, table: BackendSettings) -> Transport:
        if table.name not in self._transports:
            self._transports[table.name] = self._make_transport(table)
        return self._transports[table.name]

    def _credential(self, table: BackendSettings) -> Secret | None:
        if table.api_key is None:
            if table.api_key_withheld:
                raise ConfigError(table.api_key_withheld)
            return None
        from arawn.secrets.references import resolve

        secret = resolve(
            table.api_key,
            backend=table.name,
            target=table.base_url,
            environ=self.settings.environ,
            bindings=bindings_of(self.settings),
        )
        if secret not in self._secrets:
            self._secrets.append(secret)
        return secret

    def _timeouts(self, table: BackendSettings) -> Timeouts:
        from arawn.network.deadlines import Timeouts

        silence = self.settings.llm.timeout or table.timeout
        return Timeouts(
            connect=table.connect_timeout,
            first_event=max(silence, table.first_event_timeout or 0),
            idle=silence,
            total=self.stack.total(table),
        )

    def _quirks(self, place: Place) -> Quirks:
        table, facts = place.table, place.facts
        if facts is None:
            return table.quirks
        return replace(
            table.quirks,
            default_max_tokens=default_output(place),
            sampling=table.quirks.sampling and facts.sampling,
            adaptive_thinking=facts.adaptive_thinking,
        )

    def _mock(self, table: BackendSettings) -> MockBackend:
        from arawn.backends.mock import from_table

        script = {"mode": table.mode, "model": table.model, "replies": table.replies}
        given = {key: value for key, value in script.items() if value}
        return from_table(table.name, given, sleep=self._sleep, total=self.stack.total(table))

    def _running(self, table: BackendSettings) -> str | None:
        """Return a model of a local server; None when no server is there."""
        from arawn.errors import BackendError

        probe = Engine.blocking(self.settings, total_timeout=PROBE)
        try:
            cards = probe.run(probe.lister(table.name).models())
        except BackendError:
            return None
        finally:
            probe.close()
        return cards[0].id if cards else ""


def bindings_of(settings: Settings) -> Bindings:
    """Return the index of which stored secret may go where."""
    from arawn.folders import config_folder
    from arawn.secrets.bindings import Bindings

    return Bindings(f"{config_folder(settings.environ)}/secrets.json")


def _load(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)


def _route(table: BackendSettings, environ: Mapping[str, str]) -> Route:
    from arawn.network.routes import Route

    return Route(environ, table.proxy, table.ca_bundle, table.insecure_tls)


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)
