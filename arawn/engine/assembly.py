"""The engine: settings made into running objects, and what serves a role, with which model, at which cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

from arawn.engine.factory import BackendFactory, route_of
from arawn.engine.stack import Stack, Target, budget_limits
from arawn.messages import Message, Role, Text, Thinking
from arawn.middleware.answer_schema import SchemaCheck, as_sent
from arawn.models import catalog
from arawn.store.database import Database
from arawn.telemetry.observers import Observers
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from decimal import Decimal

    from arawn.backends.base import Backend, Embedder, ModelLister
    from arawn.config.roles import Choice, RoleName
    from arawn.config.settings import BackendSettings, Settings
    from arawn.events import Notice
    from arawn.messages import ChatRequest, Response
    from arawn.models.catalog import ModelFacts
    from arawn.network.transport import Transport
    from arawn.secrets.references import Secret
    from arawn.store.budgets import BudgetStatus

T = TypeVar("T")

LOCAL_PROBE_TIMEOUT = 3.0
"""Seconds a server on this machine has to show that it runs."""


class Engine:
    """Everything that runs on one set of settings: backends, embedders and model lists, made when first asked for."""

    def __init__(
        self,
        settings: Settings,
        *,
        transport: Callable[[BackendSettings], Transport],
        sleep: Callable[[float], Awaitable[None]],
        off_loop: Callable[..., Awaitable[Any]] | None = None,
        total_timeout: float | None = None,
        database: Database | None = None,
    ) -> None:
        self.settings = settings
        self.database = database or Database.of_user(settings.environ)
        self.stored_table = catalog.stored_table(settings.environ)
        secrets: list[Secret] = []
        self.observers = Observers(settings, secrets)
        self.stack = Stack(settings, self.database, sleep=sleep, total_timeout=total_timeout, observers=self.observers)
        self._factory = BackendFactory(
            settings, self.stack, secrets, transport=transport, sleep=sleep, off_loop=off_loop
        )
        self._backends: dict[tuple[str, str, bool], Backend] = {}

    @classmethod
    def blocking(
        cls, settings: Settings, *, total_timeout: float | None = None, database: Database | None = None
    ) -> Self:
        """Make an engine whose coroutines never suspend: ``run`` drives them, one call at a time."""
        from arawn.engine.blocking import sleep

        def transport(table: BackendSettings) -> Transport:
            from arawn.network.transport import BlockingTransport

            return BlockingTransport(route_of(table, settings.environ))

        return cls(settings, transport=transport, sleep=sleep, total_timeout=total_timeout, database=database)

    @classmethod
    def asynchronous(
        cls, settings: Settings, *, total_timeout: float | None = None, database: Database | None = None
    ) -> Self:
        """Make an engine for an asyncio event loop."""
        from asyncio import sleep, to_thread

        def transport(table: BackendSettings) -> Transport:
            from arawn.network.transport import AsyncTransport

            return AsyncTransport(route_of(table, settings.environ))

        return cls(
            settings,
            transport=transport,
            sleep=sleep,
            off_loop=to_thread,
            total_timeout=total_timeout,
            database=database,
        )

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Drive a coroutine of a blocking engine to its end."""
        from arawn.engine.blocking import run

        return run(coroutine)

    async def aclose(self) -> None:
        """Close every connection, and the database."""
        await self._factory.aclose()
        self.observers.close()
        self.database.close()

    def close(self) -> None:
        """Close every connection of a blocking engine, and the database."""
        self.run(self.aclose())

    def choose(
        self, backend: str | None = None, model: str | None = None, role: RoleName = "llm", *, probe: bool = True
    ) -> Choice:
        """Return the backend and model that serve a role; arguments that are not None come before the settings.

        Where nothing is configured, ``probe`` also looks for a server on this machine. Raises ConfigError when nothing
        can serve.
        """
        from arawn.config.roles import first_available, resolve_model

        return resolve_model(
            self.settings,
            backend,
            model,
            role,
            knows=lambda name, wanted: catalog.find(name, wanted, self.stored_table) is not None,
            available=lambda: first_available(
                self.settings, self.settings.environ, self._model_of_running if probe else lambda _: None
            ),
        )

    def backend(self, choice: Choice, *, alone: bool = False) -> Backend:
        """Return the backend of a choice with its middleware; the same object each time, as a script is used up.

        ``alone`` leaves the fallbacks out. Raises ConfigError for a fallback that is not defined.
        """
        key = choice.backend, choice.model, alone
        if key not in self._backends:
            self._backends[key] = self._stacked(choice, [] if alone else self._fallbacks(choice))
        return self._backends[key]

    def _stacked(self, choice: Choice, fallbacks: Sequence[Target]) -> Backend:
        """Put the middleware around the backend of a choice and around its fallbacks."""
        first = self._target(choice)

        def make(target: Target) -> Callable[[], Backend]:
            return lambda: self.stack.wrap(self._factory.backend(target), target, has_fallback=bool(fallbacks))

        candidates = [(target, make(target)) for target in (first, *fallbacks)]
        inner = self.stack.with_fallback(candidates) if fallbacks else make(first)()
        return SchemaCheck(self.stack.with_cache(inner, first, self._factory.quirks(first)))

    def lister(self, name: str) -> ModelLister:
        """Return what knows the models of a backend. Raises ConfigError for one that has no list."""
        return self._factory.lister(self.settings.backend(name))

    def embedder(self, choice: Choice) -> Embedder:
        """Return what makes the vectors of a choice. Raises ConfigError for a backend that makes none."""
        table = self.settings.embeddings_backend(choice.backend)
        target = Target(table, choice.model, self.facts(table.name, choice.model))
        return self.stack.wrap_embedder(self._factory.embedder(target), target)

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

    def describe(self, request: ChatRequest, choice: Choice) -> tuple[str, tuple[Notice, ...]]:
        """Return the request as it would be sent, without its key, and what of it would not be sent."""
        target = self._target(choice)
        request = replace(as_sent(request), without=request.without | self.stack.refused(target))
        return self._factory.http(target).describe(request, keyed=target.table.api_key is not None)

    def names_backend(self, name: str) -> bool:
        """Say whether a name for ``-m`` also names its backend: an alias, a tier, or ``backend/model``."""
        backend, slash, _ = name.partition("/")
        return name in self.settings.aliases or (bool(slash) and backend in self.settings.backend_names)

    def facts(self, backend: str, model: str) -> ModelFacts | None:
        """Return what is known of a model: the user's own facts over the catalogue's."""
        from arawn.config.settings import table_at

        facts = catalog.facts_of(backend, model, self.stored_table)
        own = table_at(self.settings.tree, ("models", model))
        if not own:
            return facts
        return catalog.override(facts or catalog.ModelFacts(backend=backend, id=model), own)

    def cost(self, response: Response, choice: Choice) -> Decimal | None:
        """Return what an answer cost in USD, None where a price is not known; a fallback's at the fallback's price."""
        if response.usage.cost is not None:
            return response.usage.cost
        if response.backend not in ("", choice.backend):
            choice = choice._replace(backend=response.backend, model=response.model)
        return self.stack.pricing(self._target(choice)).cost(response.usage, time.time())

    def budgets(self) -> tuple[BudgetStatus, ...]:
        """Return the status of the budgets in the settings, that of all backends first."""
        limits = budget_limits(self.settings)
        if not limits:
            return ()
        from arawn.store.budgets import Budgets

        return Budgets(self.database).status(limits)

    def _target(self, choice: Choice) -> Target:
        return Target(self.settings.backend(choice.backend), choice.model, self.facts(choice.backend, choice.model))

    def _fallbacks(self, choice: Choice) -> list[Target]:
        """Return the backends to try when that of a choice fails, in order."""
        found: dict[tuple[str, str], Target] = {}
        for name in self.settings.llm.fallback:
            known = name in self.settings.backend_names
            other = self.choose(name, None, probe=False) if known else self.choose(None, name, probe=False)
            found[other.backend, other.model] = self._target(other)
        found.pop((choice.backend, choice.model), None)
        return list(found.values())

    def _model_of_running(self, table: BackendSettings) -> str | None:
        """Return a model of a server on this machine, empty where it has none; None when no server runs."""
        from arawn.errors import BackendError

        probe = Engine.blocking(self.settings, total_timeout=LOCAL_PROBE_TIMEOUT)
        try:
            cards = probe.run(probe.lister(table.name).models())
        except BackendError:
            return None
        finally:
            probe.close()
        return cards[0].id if cards else ""


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)
