"""Makes the bare backends: for each table its adapter, its address and key, its time limits and its connections."""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from arawn.adapters.rules import ModelRules
from arawn.engine.stack import Target, default_output
from arawn.errors import ConfigError
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from arawn.adapters.base import Adapter, EmbeddingAdapter, Quirks
    from arawn.backends.base import Backend, Embedder, ModelLister
    from arawn.backends.http import HttpBackend
    from arawn.backends.mock import MockBackend
    from arawn.config.settings import BackendSettings, Settings
    from arawn.engine.stack import Stack
    from arawn.errors import BackendError
    from arawn.network.deadlines import DeadlineName, Timeouts
    from arawn.network.endpoint import Endpoint
    from arawn.network.routes import Route
    from arawn.network.transport import Transport
    from arawn.secrets.bindings import Bindings
    from arawn.secrets.references import Secret

ADAPTERS = {
    "anthropic": "arawn.adapters.anthropic.messages:AnthropicAdapter",
    "ollama": "arawn.adapters.ollama:OllamaAdapter",
    "openai_chat": "arawn.adapters.openai.chat:OpenAIChatAdapter",
    "openai_responses": "arawn.adapters.openai.responses:OpenAIResponsesAdapter",
}
EITHER = "openai"
"""The adapter of services that have both protocols of OpenAI: which of them is used depends on the model."""
EMBEDDING_ADAPTERS = {
    EITHER: "arawn.adapters.embeddings:OpenAIEmbeddings",
    "ollama": "arawn.adapters.embeddings:OllamaEmbeddings",
    "openai_chat": "arawn.adapters.embeddings:OpenAIEmbeddings",
    "openai_responses": "arawn.adapters.embeddings:OpenAIEmbeddings",
}
_SLOW = ("$cmd:", "$keyring:")
"""References that may take seconds to resolve."""


_ADAPTIVE = ModelRules(
    efforts=("low", "medium", "high", "xhigh", "max"),
    thinking_on={"thinking": {"type": "adaptive"}},
    thinking_off={"thinking": {"type": "disabled"}},
    thinking_budget=False,
)
"""The rules that ``adaptive_thinking`` of a backend's table stands for, where nothing is known of a model."""


class BackendFactory:
    """The bare backends of an engine; they share one transport a table. Errors they raise show no key.

    ``off_loop`` runs what waits beside an engine's event loop, None where there is none.
    ``secrets`` gets every key that is looked up, ``stack`` says the time limits and observes the replies' headers.
    """

    def __init__(
        self,
        settings: Settings,
        stack: Stack,
        secrets: list[Secret],
        *,
        transport: Callable[[BackendSettings], Transport],
        sleep: Callable[[float], Awaitable[None]],
        off_loop: Callable[..., Awaitable[Any]] | None,
    ) -> None:
        self._settings = settings
        self._off_loop = off_loop
        self._stack = stack
        self._secrets = secrets
        self._make_transport = transport
        self._sleep = sleep
        self._transports: dict[str, Transport] = {}

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._transports.values():
            await transport.aclose()
        self._transports.clear()

    def backend(self, target: Target) -> Backend:
        """Return the bare backend of a target."""
        table = target.table
        if table.adapter == "mock":
            return self._mock(table)
        if table.adapter == "mlx":
            from arawn.backends.mlx import MlxBackend

            return MlxBackend(table.name)
        from arawn.middleware.errors import RedactSecrets

        return RedactSecrets(self.http(target), self._secrets, self._hints(target.table))

    def http(self, target: Target) -> HttpBackend:
        """Return what speaks HTTP for a target, without anything around it. Raises ConfigError where nothing does."""
        from arawn.backends.http import HttpBackend

        table, quirks = target.table, self.quirks(target)
        protocol = table.adapter
        if protocol == EITHER:
            protocol = "openai_responses" if self._wants_responses(table, quirks) else "openai_chat"
            if protocol == "openai_responses":
                quirks = replace(quirks, max_tokens_key="")  # that of Chat Completions
        if protocol not in ADAPTERS:
            raise ConfigError(f'backend "{table.name}" sends nothing: it runs in this process')
        adapter: Adapter = _load(ADAPTERS[protocol])(table.name, quirks)
        return HttpBackend(self._endpoint(table), adapter)

    def lister(self, table: BackendSettings) -> ModelLister:
        """Return what knows the models of a backend. Raises ConfigError for one that has no list."""
        if table.adapter == "mock":
            return self._mock(table)
        if table.adapter not in (*ADAPTERS, EITHER):
            raise ConfigError(f'backend "{table.name}" has no list of models: it runs in this process')
        from arawn.middleware.errors import RedactSecrets

        return RedactSecrets(self.http(Target(table, "", None)), self._secrets, self._hints(table))

    def embedder(self, target: Target) -> Embedder:
        """Return the bare embedder of a target. Raises ConfigError for a backend that makes no embeddings."""
        table = target.table
        if table.adapter == "mock":
            return self._mock(table)
        if table.adapter not in EMBEDDING_ADAPTERS:
            raise ConfigError(
                f'backend "{table.name}" makes no embeddings',
                hints=["choose one that does: arawn embed -b openai …, or arawn config set embeddings.backend NAME"],
            )
        from arawn.backends.http import HttpEmbedder
        from arawn.middleware.errors import RedactSecretsEmbedder

        adapter: EmbeddingAdapter = _load(EMBEDDING_ADAPTERS[table.adapter])(table.name, table.quirks)
        dimensions = self._settings.embeddings.dimensions
        embedder = HttpEmbedder(self._endpoint(table), adapter, model=target.model, dimensions=dimensions)
        return RedactSecretsEmbedder(embedder, self._secrets, self._hints(table))

    def quirks(self, target: Target) -> Quirks:
        """Return how a service deviates from its protocol, as far as the model's facts do not say otherwise."""
        table, facts = target.table, target.facts
        rules = ModelRules() if facts is None else facts.rules
        if rules == ModelRules() and table.adaptive_thinking and table.adapter == "anthropic":
            rules = _ADAPTIVE
        if not table.sampling:
            rules = replace(rules, refused=rules.refused | {"temperature", "top_p", "top_k"})
        return replace(table.quirks, default_max_tokens=default_output(target), rules=rules)

    def _wants_responses(self, table: BackendSettings, quirks: Quirks) -> bool:
        """Return whether a model is called by the Responses API, of a service that has Chat Completions too.

        At another address than its own, a backend may be any server, and most of those know Chat Completions alone.
        A path for chat is one of Chat Completions.
        """
        usual = self._settings.built_in_address(table.name)
        elsewhere = bool(usual) and table.base_url != usual
        return quirks.rules.api == "responses" and not elsewhere and not quirks.chat_path

    def _endpoint(self, table: BackendSettings) -> Endpoint:
        from arawn.network.endpoint import Endpoint

        return Endpoint(
            name=table.name,
            label=table.label or table.name,
            base_url=table.base_url,
            transport=self._transport(table),
            credential=lambda: self._credential(table),
            off_loop=self._off_loop if (table.api_key or "").startswith(_SLOW) else None,
            auth_header=table.auth_header,
            auth_prefix=table.auth_prefix,
            allow_http=table.allow_http,
            timeouts=self._timeouts(table),
            observe=self._stack.header_observer(table.name),
        )

    def _transport(self, table: BackendSettings) -> Transport:
        if table.name not in self._transports:
            self._transports[table.name] = self._make_transport(table)
        return self._transports[table.name]

    def _hints(self, table: BackendSettings) -> Callable[[BackendError], tuple[str, ...]]:
        def hints(error: BackendError) -> tuple[str, ...]:
            from arawn.engine.explanations import hints_for

            return hints_for(self._settings, table, error)

        return hints

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
            environ=self._settings.environ,
            bindings=self._bindings,
        )
        if secret not in self._secrets:
            self._secrets.append(secret)
        return secret

    @cached_property
    def _bindings(self) -> Bindings:
        return bindings_of(self._settings)

    def _timeouts(self, table: BackendSettings) -> Timeouts:
        from arawn.network.deadlines import Timeouts

        def deciding() -> Mapping[DeadlineName, str]:
            from arawn.engine.explanations import deciding_settings

            return deciding_settings(self._settings, table, given_total=self._stack.is_timed)

        silence = self._settings.llm.timeout or table.timeout
        return Timeouts(
            connect=table.connect_timeout,
            first_event=max(silence, table.first_event_timeout or 0),
            idle=silence,
            total=self._stack.total_timeout(table),
            settings=deciding,
        )

    def _mock(self, table: BackendSettings) -> MockBackend:
        from arawn.backends.mock_tables import from_table

        script = {"mode": table.mode, "model": table.model, "replies": table.replies}
        given = {key: value for key, value in script.items() if value}
        return from_table(table.name, given, sleep=self._sleep, total=self._stack.total_timeout(table))


def bindings_of(settings: Settings) -> Bindings:
    """Return the index of which stored secret may go where."""
    from arawn.folders import config_folder
    from arawn.secrets.bindings import Bindings

    return Bindings(f"{config_folder(settings.environ)}/secrets.json")


def route_of(table: BackendSettings, environ: Mapping[str, str]) -> Route:
    """Return what decides the way to a backend: proxy and certificates."""
    from arawn.network.routes import Route

    return Route(environ, table.proxy, table.ca_bundle, table.insecure_tls)


def _load(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)
