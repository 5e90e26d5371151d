"""Selects the backend and model of a call: the meaning of ``-b`` and ``-m``, and the defaults without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from arawn.config.lines import shown
from arawn.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from arawn.config.settings import BackendSettings, RoleSettings, Settings

RoleName = Literal["llm", "indexing", "embeddings"]
IN_PROCESS = ("mock", "mlx")
_SECTIONS = {"llm": "llm", "indexing": "memory.indexing", "embeddings": "embeddings"}


class Choice(NamedTuple):
    """A backend and one of its models; ``why`` explains the choice in a line where the user made none."""

    backend: str
    model: str
    why: str = ""


def resolve_model(
    settings: Settings,
    backend: str | None,
    model: str | None,
    role: RoleName = "llm",
    *,
    knows: Callable[[str, str], bool] = lambda _backend, _model: False,
    available: Callable[[], Choice] | None = None,
) -> Choice:
    """Return the backend and model of a role, given those on the command line.

    ``knows(backend, model)`` asks the catalogue; ``available`` is asked when no backend is configured. A model named
    together with a backend is that backend's id; alone it is an alias, an id of the configured backend, or
    ``backend/model``. Raises ConfigError for a backend that is not defined or not ready, or has no model.
    """
    configured = _role(settings, role)
    if backend is not None:
        return _ready(settings, _of_backend(settings, backend, model, configured, role), role)
    if model is None and configured.backend is not None:
        return _ready(settings, _of_backend(settings, configured.backend, None, configured, role), role)
    name, wanted = _named(settings, model or configured.model or "", configured, knows)
    if name is not None:
        return _ready(settings, Choice(name, wanted), role)
    if available is None or role == "embeddings":
        raise _no_backend(role)
    found = available()
    return _ready(settings, Choice(found.backend, wanted or found.model, found.why), role)


def first_available(
    settings: Settings, environ: Mapping[str, str], probe: Callable[[BackendSettings], str | None]
) -> Choice:
    """Return the first backend whose key is set, else a running Ollama.

    ``probe`` returns a model that the server has, None when no server answers. Raises ConfigError with instructions
    when there is no backend.
    """
    tables = settings.tree["backends"]
    backends = [settings.backend(name) for name in settings.backend_names if "adapter" in tables[name]]
    for backend in backends:
        if reason := _key_found(backend, environ):
            return Choice(backend.name, backend.model or "", f"using {backend.name}: {reason}")
    for backend in backends:
        model = probe(backend) if backend.adapter == "ollama" else None
        if model is not None:
            reason = f"using {backend.name}: it is running at {backend.base_url}, and no key is set"
            return Choice(backend.name, model or backend.model or "", reason)
    raise _nothing_available()


def _role(settings: Settings, role: RoleName) -> RoleSettings:
    """Return the settings of a role; background work falls back to those of [llm]."""
    configured = settings.role(role)
    unset = configured.backend is None and configured.model is None
    return settings.llm if role == "indexing" and unset else configured


def _of_backend(
    settings: Settings, backend: str, model: str | None, configured: RoleSettings, role: RoleName
) -> Choice:
    """Choose a model of one backend; an alias counts only when it names that backend."""
    if model is None and configured.backend in (None, backend):
        model = configured.model
    if model is None:
        return Choice(backend, _default_model(settings, backend, role) or "")
    target, _, aliased = settings.aliases.get(model, "").partition("/")
    return Choice(backend, aliased if target == backend and aliased else model)


def _named(
    settings: Settings, model: str, configured: RoleSettings, knows: Callable[[str, str], bool]
) -> tuple[str | None, str]:
    """Return the backend of a model that was named without one (None: not known), and its id there."""
    usual = configured.backend
    if alias := settings.aliases.get(model):
        backend, wanted = _split(settings, alias)
        return backend or usual, wanted
    if usual is not None and usual in settings.backend_names and _has(settings, usual, model, configured, knows):
        return usual, model
    backend, wanted = _split(settings, model)
    return backend or usual, wanted


def _split(settings: Settings, model: str) -> tuple[str | None, str]:
    """Split ``backend/model`` at its first slash, where there is such a backend."""
    backend, _, rest = model.partition("/")
    return (backend, rest) if rest and backend in settings.backend_names else (None, model)


def _has(
    settings: Settings, backend: str, model: str, configured: RoleSettings, knows: Callable[[str, str], bool]
) -> bool:
    return model in (configured.model, settings.backend(backend).model) or knows(backend, model)


def _default_model(settings: Settings, backend: str, role: RoleName) -> str | None:
    return settings.embeddings_backend(backend).model if role == "embeddings" else settings.backend(backend).model


def _ready(settings: Settings, choice: Choice, role: RoleName) -> Choice:
    """Return the choice if it is complete. Raises ConfigError that names what is missing."""
    name = choice.backend
    chosen = settings.embeddings_backend(name) if role == "embeddings" else settings.backend(name)
    table = "embeddings" if role == "embeddings" else "backends"
    if not choice.model and chosen.adapter == "mock":
        return choice._replace(model="mock")  # it answers under any name
    if not choice.model:
        raise ConfigError(
            f"backend {shown(name)} has no model to use",
            hints=["name one: -m MODEL", f"or for always: arawn config set {table}.{name}.model MODEL"],
        )
    if not chosen.base_url and chosen.adapter not in IN_PROCESS:
        raise ConfigError(
            f"backend {shown(name)} has no base_url",
            hints=[f"arawn config set backends.{name}.base_url https://…", "docs/configuration.md has its form"],
        )
    return choice


def _key_found(backend: BackendSettings, environ: Mapping[str, str]) -> str:
    """Return why a backend's key is expected to work, without reading a keyring or a file; "" if it is not."""
    key = backend.api_key
    if key is None or not (backend.base_url or backend.adapter in IN_PROCESS):
        return ""
    if key.startswith("$env:"):
        variable = key.removeprefix("$env:")
        return f"{variable} is set" if environ.get(variable) else ""
    return "your configuration has its key"


def _no_backend(role: RoleName) -> ConfigError:
    section = _SECTIONS[role]
    return ConfigError(
        f"no backend is configured for [{section}]",
        hints=[f"arawn config set {section}.backend NAME", "arawn backends"],
    )


def _nothing_available() -> ConfigError:
    return ConfigError(
        "no backend: no key is set and no Ollama is running",
        hints=[
            "a key in the environment: export ANTHROPIC_API_KEY=… (OPENAI_API_KEY, GROQ_API_KEY, OPENROUTER_API_KEY …)",
            "a key in the keyring: arawn secrets set anthropic",
            "a model on this machine: https://ollama.com, then: ollama pull qwen3:8b",
            "without any of them, to try arawn: arawn --backend mock ask hello",
            "all backends: arawn backends · docs/configuration.md",
        ],
    )
