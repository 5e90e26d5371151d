"""Selects the backend and model of a call: the meaning of ``-b`` and ``-m``, and the defaults without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from arawn.config.lines import join_key, shown
from arawn.config.owners import has_owner, is_local, key_found, lacks, owner
from arawn.config.settings import table_at
from arawn.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from arawn.config.settings import BackendSettings, RoleSettings, Settings

RoleName = Literal["llm", "indexing", "embeddings"]
IN_PROCESS = ("mock", "mlx")
_PACKAGES = {"mlx": "mlx_lm"}
"""The packages of the adapters that run in this process."""
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
    ``backend/model``, or else the id of the one other backend that has it. Raises ConfigError for a backend that is
    not defined or not ready, or has no model; UsageError for a model that several backends have.
    """
    configured = _role(settings, role)
    if backend is None and model is None:
        backend = configured.backend
    if backend is not None:
        return _ready(settings, _of_backend(settings, backend, model, configured, role), role)
    named = model or configured.model or ""
    name, wanted = _named(settings, named, configured, knows)
    choice = Choice(name, wanted) if name is not None else _unconfigured(settings, wanted, role, available)
    if role == "llm" and wanted and wanted == named:
        choice = _moved(settings, choice)
    return _ready(settings, choice, role)


def first_available(
    settings: Settings, environ: Mapping[str, str], probe: Callable[[BackendSettings], str | None]
) -> Choice:
    """Return the first backend whose key is set, else one whose address is in the environment, else a running Ollama.

    ``probe`` returns a model that the server has, None when no server answers. Raises ConfigError with instructions
    when there is no backend.
    """
    tables = settings.tree["backends"]
    backends = [settings.backend(name) for name in settings.backend_names if "adapter" in tables[name]]
    for backend in backends:
        if reason := key_found(backend, environ):
            at = _at(settings, backend)
            return Choice(backend.name, backend.model or "", f"using {backend.name}{at and f' at {at}'}: {reason}")
    for backend in backends:
        at = _at(settings, backend) if backend.adapter != "ollama" else ""
        if at and backend.api_key is None:
            return Choice(backend.name, backend.model or "", f"using {backend.name} at {at}: no key is set")
        model = probe(backend) if backend.adapter == "ollama" else None
        if model is not None:
            reason = f"using {backend.name}: it is running at {backend.base_url}, and no key is set"
            return Choice(backend.name, model or backend.model or "", reason)
    raise _nothing_available(backends)


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
    if backend is not None and _is_whole_id(settings, usual, backend, model):
        return usual, model
    return backend or usual, wanted


def _is_whole_id(settings: Settings, usual: str | None, backend: str, model: str) -> bool:
    """Return whether ``backend/model`` is no model of that backend, but as a whole the id of another.

    Groq and others have ids like openai/gpt-oss-20b, and local servers take any: a question for one must not leave the
    machine.
    """
    if usual == backend or not lacks(settings, backend, model.partition("/")[2]):
        return False
    is_at_home = usual in settings.backend_names and is_local(settings.backend(usual or ""))
    return is_at_home or has_owner(settings, model)


def _moved(settings: Settings, choice: Choice) -> Choice:
    """Return the choice, at the backend that has its model if the chosen one does not and no variable names that."""
    if settings.origin("llm.backend").layer in ("environment", "command line"):
        return choice
    name = owner(settings, choice.backend, choice.model)
    if name is None:
        return choice
    why = f"using {name}: {shown(choice.model)} is one of its models, and {choice.backend} does not have it"
    return Choice(name, choice.model, why)


def _unconfigured(settings: Settings, model: str, role: RoleName, available: Callable[[], Choice] | None) -> Choice:
    """Return what serves a role that names no backend. Raises ConfigError where nothing does."""
    if role == "embeddings":
        return Choice(_embedding_backend(settings), model)
    if available is None:
        raise _no_backend(role)
    found = available()
    return Choice(found.backend, model or found.model, found.why)


def _embedding_backend(settings: Settings) -> str:
    """Return the one backend that the user's configuration has an [embeddings.NAME] for, or whose key alone is set."""
    found: list[str] = [
        name
        for name, table in settings.tree["embeddings"].items()
        if isinstance(table, dict)
        and any(name in table_at(layer.tree, ("embeddings",)) for layer in settings.layers[1:])
    ]
    if len(found) > 1:
        found = [name for name in found if key_found(settings.embeddings_backend(name), settings.environ)]
    if len(found) != 1:
        raise _no_backend("embeddings")
    return found[0]


def _at(settings: Settings, backend: BackendSettings) -> str:
    """Return the address of a backend with the variable it comes from, "" where it comes from no variable."""
    origin = settings.origin(join_key(("backends", backend.name, "base_url")))
    return f"{backend.base_url} ({origin.path})" if origin.layer == "environment" else ""


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
    if not choice.model and role == "embeddings":
        choice = choice._replace(model=chosen.model or "")
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
    return choice if role == "embeddings" else _in_process(settings, choice, chosen)


def _in_process(settings: Settings, choice: Choice, server: BackendSettings) -> Choice:
    """Return the choice, with the backend for this process where a server has one whose package is installed.

    A server whose address is configured is meant itself.
    """
    name = server.in_process
    if name is None or server.base_url != settings.built_in_address(server.name):
        return choice
    from importlib.util import find_spec

    local = settings.backend(name)
    package = _PACKAGES[local.adapter]
    if find_spec(package) is None:
        why = f"using {server.name} at {server.base_url}: the package {package} for {name} is not installed"
        return choice._replace(why=why)
    model = choice.model if choice.model != server.model else local.model or choice.model
    return Choice(name, model, f"using {name}: the package {package} is installed")


def _no_backend(role: RoleName) -> ConfigError:
    section = _SECTIONS[role]
    return ConfigError(
        f"no backend is configured for [{section}]",
        hints=[f"arawn config set {section}.backend NAME", "arawn backends"],
    )


def _nothing_available(backends: Iterable[BackendSettings]) -> ConfigError:
    from arawn.config.env_file import env_file_hints

    keys = [backend.api_key or "" for backend in backends]
    return ConfigError(
        "no backend: no key is set and no Ollama is running",
        hints=[
            *env_file_hints(key.removeprefix("$env:") for key in keys if key.startswith("$env:")),
            "a key in the environment: export ANTHROPIC_API_KEY=… (OPENAI_API_KEY, GROQ_API_KEY, OPENROUTER_API_KEY …)",
            "a key in the keyring: arawn secrets set anthropic",
            "a model on this machine: https://ollama.com, then: ollama pull qwen3:8b",
            "without any of them, to try arawn: arawn --backend mock ask hello",
            "all backends: arawn backends · docs/configuration.md",
        ],
    )
