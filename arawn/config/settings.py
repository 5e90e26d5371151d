"""The merged configuration; its tables are decoded when they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from arawn.adapters.base import Quirks
from arawn.config.lines import find_place, join_key, shown, split_key
from arawn.errors import ConfigError
from arawn.secrets import MARKS
from arawn.values import EMPTY, Value, fields_of, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from arawn.messages import Effort

Tree: TypeAlias = dict[str, Any]

ROLES = {"llm": ("llm",), "indexing": ("memory", "indexing"), "embeddings": ("embeddings",)}
"""The roles, by the path of their section."""
_PATHS_OF_PROTOCOLS = {"anthropic": "/v1", "ollama": "/v1"}
"""Paths that do not belong to a ``base_url``: Anthropic's is in each request, Ollama's leads to its OpenAI protocol."""
_NETWORK_KEYS = ("proxy", "ca_bundle", "insecure_tls")


class KeyText(str):
    """The text of ``api_key``: a reference, or the key itself, which its repr does not show."""

    __slots__ = ()

    @property
    def is_reference(self) -> bool:
        """Whether it is a reference, not the key itself."""
        return self.startswith(MARKS)

    def __repr__(self) -> str:
        return super().__repr__() if self.is_reference else "'(literal)'"


class BackendSettings(Value, kw_only=True):
    """A ``[backends.NAME]`` table; times are in seconds, None means not set.

    ``api_key`` is the reference as written, never resolved. Where a project file points the backend to another host,
    it is None and ``api_key_withheld`` is the reason. It is also None where the built-in variable is not set and the
    address is not the provider's own, since a server of your own may need no key; ``api_key_unset`` names the variable.
    """

    name: str
    adapter: str
    label: str = ""
    base_url: str = ""
    api_key: KeyText | None = None
    api_key_withheld: str = ""
    api_key_unset: str = ""
    in_process: str | None = None
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    timeout: float = 60.0
    connect_timeout: float = 10.0
    first_event_timeout: float | None = None
    total_timeout: float | None = None
    max_retries: int = 3
    retry_ambiguous: bool = False
    hourly_rate: float | None = None
    sampling: bool = True
    adaptive_thinking: bool = False
    rpm: int | None = None
    tpm: int | None = None
    concurrent: int | None = None
    health_path: str | None = None
    auth_header: str = "authorization"
    auth_prefix: str = "Bearer "
    ca_bundle: str | None = None
    insecure_tls: bool = False
    allow_http: bool = False
    proxy: str | None = None
    mode: str | None = None
    replies: tuple[Mapping[str, Any], ...] = ()
    quirks: Quirks = Quirks()


_PLAIN = frozenset(fields_of(BackendSettings)) - {
    *("name", "label", "base_url", "api_key", "api_key_withheld", "api_key_unset", "replies", "quirks"),
}


class RoleSettings(Value, kw_only=True):
    """The backend and model of a role, and their settings; None means not set."""

    backend: str | None = None
    model: str | None = None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    effort: Effort | None = None
    timeout: float | None = None
    fallback: tuple[str, ...] = ()
    dimensions: int | None = None


class Layer(Value):
    """One source of settings; ``path`` is a file, ``tree`` the settings that apply.

    ``variables`` names, for the environment, the variable of each dotted key. Of an untrusted project file ``tree``
    has only the harmless keys.
    """

    _unshown: ClassVar[tuple[str, ...]] = ("tree", "text", "variables")

    name: str
    tree: Tree
    path: str = ""
    text: str = ""
    exists: bool = True
    trusted: bool = True
    variables: Mapping[Any, str] = EMPTY


class Origin(NamedTuple):
    """Where a value comes from: the layer, its file or variable, and the line there (0: none)."""

    layer: str
    path: str = ""
    line: int = 0


class Settings(Value):
    """All layers merged into ``tree``; ``own`` is the same without the project's file.

    ``environ`` is the environment that references are resolved in, including the ``.env`` file.
    """

    _unshown: ClassVar[tuple[str, ...]] = ("tree", "own", "environ")

    layers: tuple[Layer, ...]
    tree: Tree
    own: Tree
    environ: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Layer, ...]:
        """The layers that are files, weakest first, also those that do not exist."""
        return tuple(layer for layer in self.layers if layer.path)

    @property
    def backend_names(self) -> tuple[str, ...]:
        """The defined backends: the built-in ones in their order, then the user's."""
        return tuple(self.tree.get("backends", {}))

    @property
    def llm(self) -> RoleSettings:
        """The role that answers."""
        return self.role("llm")

    @property
    def indexing(self) -> RoleSettings:
        """The role for background work."""
        return self.role("indexing")

    @property
    def embeddings(self) -> RoleSettings:
        """The role for embeddings."""
        return self.role("embeddings")

    def role(self, name: str) -> RoleSettings:
        """Return a role: ``llm``, ``indexing`` or ``embeddings``."""
        table = table_at(self.tree, ROLES[name])
        values = {key: table[key] for key in fields_of(RoleSettings) if key in table}
        return RoleSettings(**{**values, "fallback": tuple(values.get("fallback", ()))})

    @property
    def aliases(self) -> Mapping[str, str]:
        """The tiers and aliases, as ``name → backend/model``."""
        return {**self.tree.get("tiers", {}), **self.tree.get("aliases", {})}

    def backend(self, name: str) -> BackendSettings:
        """Return a backend. Raises ConfigError when it is not defined, or its table cannot be used."""
        return self._decoded(name, _chat_table)

    def built_in_address(self, name: str) -> str:
        """Return the address a backend has where none is configured; empty where that is none."""
        address: str = self._built_in(name).get("base_url", "")
        return address.rstrip("/")

    def embeddings_backend(self, name: str) -> BackendSettings:
        """Return a backend for embeddings: ``[embeddings.NAME]`` merged over ``[backends.NAME]``."""
        return self._decoded(name, _embeddings_table)

    def model_overrides(self, model: str) -> Tree:
        """Return the ``[models."ID"]`` table of a model, empty where there is none; it overrides the catalogue."""
        return table_at(self.tree, ("models", model))

    def value(self, dotted: str) -> Any:
        """Return the value or table a dotted key has in the merged configuration, None where it is not set.

        Raises ConfigError when it is not a dotted key.
        """
        value: Any = self.tree
        for part in _split(dotted):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def origin(self, dotted: str) -> Origin:
        """Return where the value of a dotted key comes from; layer ``default`` when it is not set."""
        path = _split(dotted)
        if not _has(self.tree, path):
            return Origin("default")
        return next(_origin(layer, path) for layer in reversed(self.layers) if _has(layer.tree, path))

    def undefined(self, name: str) -> ConfigError:
        """Return the error for a backend that is not defined, with the names that are and the nearest of them."""
        from difflib import get_close_matches

        near = get_close_matches(name[:80], self.backend_names, n=1)
        guess = [f'did you mean "{near[0]}"?'] if near else []
        return ConfigError(f"no backend {shown(name)}", hints=[*guess, f"defined: {', '.join(self.backend_names)}"])

    def _decoded(self, name: str, table_of: Callable[[Tree, str], Tree | None]) -> BackendSettings:
        table = table_of(self.tree, name)
        if table is None:
            raise self.undefined(name)
        if "adapter" not in table:
            raise self._without_adapter(name)
        key, withheld, unset = KeyText(table.get("api_key", "")), "", ""
        if key.startswith("$cmd:"):
            self._allow_command(name, table_of)
        if self.own is not self.tree and key:
            own = table_of(self.own, name) or {}
            given = self._project_key(name, table_of, own)
            withheld = "" if given and not given.is_reference else _withheld(table, own)
        if not withheld and self._is_dispensable(name, table):
            unset = key.removeprefix("$env:")
        decoded = _backend(name, table)
        usable = key if key and not withheld and not unset else None
        return replace(decoded, api_key=usable, api_key_withheld=withheld, api_key_unset=unset)

    def _built_in(self, name: str) -> Tree:
        """Return the built-in table of a backend, empty where there is none."""
        lowest = self.layers[0] if self.layers else None
        return table_at(lowest.tree, ("backends", name)) if lowest and lowest.name == "built-in" else {}

    def _is_dispensable(self, name: str, table: Tree) -> bool:
        """Return whether a backend's key may be missing: its built-in variable, at an address that is not built in."""
        built_in = self._built_in(name)
        reference, usual = built_in.get("api_key", ""), self.built_in_address(name)
        address = table.get("base_url", "")
        if not reference.startswith("$env:") or table.get("api_key") != reference or not usual or address == usual:
            return False
        from arawn.secrets.bindings import origin_of

        return not self.environ.get(reference.removeprefix("$env:")) and origin_of(address) != origin_of(usual)

    def _allow_command(self, name: str, table_of: Callable[[Tree, str], Tree | None]) -> None:
        """Raise ConfigError where a command to run is named by anything but the user's own file or the system's."""
        tables = ((layer, table_of(layer.tree, name) or {}) for layer in reversed(self.layers))
        source = next(layer for layer, table in tables if "api_key" in table)
        if source.name not in ("system", "user"):
            raise ConfigError(
                f"the api_key of {name}: a command is run only where your own configuration file names it",
                hints=[f"to allow it: arawn config set backends.{name}.api_key '$cmd:COMMAND'"],
            )

    def _project_key(self, name: str, table_of: Callable[[Tree, str], Tree | None], own: Tree) -> KeyText:
        """Return the key in the project's file, or "". Raises ConfigError for a reference that the user did not set."""
        project = next(layer for layer in self.layers if layer.name == "project")
        key = KeyText((table_of(project.tree, name) or {}).get("api_key", ""))
        if key.is_reference and key != own.get("api_key"):
            raise ConfigError(
                f"{project.path}: the api_key of {name}: a project's file may only name the reference that your own "
                "configuration has for this backend",
                hints=[f"to allow it: arawn config set backends.{name}.api_key '{key}'"],
            )
        return key

    def _without_adapter(self, name: str) -> ConfigError:
        error = self.undefined(name)
        origin = self.origin(join_key(("backends", name)))
        place = f"{origin.path}:{origin.line}: " if origin.line else ""
        return ConfigError(
            f"{place}{join_key(('backends', name))}.adapter: not set, and it is no built-in backend", hints=error.hints
        )


def table_at(tree: Tree, path: tuple[str, ...]) -> dict[str, Any]:
    """Return the table at a path; an empty one where there is none."""
    table: Any = tree
    for part in path:
        table = table.get(part) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else {}


def overlay(low: Tree, high: Tree) -> Tree:
    """Merge a stronger tree over a weaker one: tables merge, other values are replaced.

    A role's model belongs to its backend: it is dropped where the stronger tree names another backend and no model.
    """
    merged = _merged(low, high)
    for path in ROLES.values():
        old, new = table_at(low, path), table_at(high, path)
        moved = "backend" in new and old.get("backend", new["backend"]) != new["backend"]
        if moved and "model" not in new:
            table_at(merged, path).pop("model", None)
    return merged


def _merged(low: Tree, high: Tree) -> Tree:
    merged = {**low, **high}
    for name in low.keys() & high.keys():
        if isinstance(low[name], dict) and isinstance(high[name], dict):
            merged[name] = _merged(low[name], high[name])
    return merged


def _chat_table(tree: Tree, name: str) -> Tree | None:
    table: Tree | None = tree.get("backends", {}).get(name)
    return table


def _embeddings_table(tree: Tree, name: str) -> Tree | None:
    chat, own = _chat_table(tree, name), tree.get("embeddings", {}).get(name)
    if chat is None and own is None:
        return None
    return {**{key: value for key, value in (chat or {}).items() if key != "model"}, **(own or {})}


def _withheld(table: Tree, own: Tree) -> str:
    """Return why the user's key is not sent where a project's file points; empty when it may be sent."""
    if rerouted := [key for key in _NETWORK_KEYS if table.get(key) != own.get(key)]:
        return f"your key is not sent with the {rerouted[0]} that the project's file sets; set it in your own file"
    address, mine = table.get("base_url", ""), own.get("base_url", "")
    if address == mine:
        return ""
    from arawn.secrets.bindings import origin_of

    named, usual = origin_of(address), origin_of(mine) if mine else "no address of your own"
    return (
        "" if named == usual else f"your key is not sent to {named}, which the project's file names; it is for {usual}"
    )


def _backend(name: str, table: Tree) -> BackendSettings:
    """Return the settings in a table, but for its key."""
    values = {field: table[field] for field in _PLAIN if field in table}
    quirks = {field: table[field] for field in fields_of(Quirks) if field in table and field != "rules"}
    return BackendSettings(
        **values,
        name=name,
        label=table.get("label", name),
        base_url=_base_url(table),
        replies=tuple(table.get("replies", ())),
        quirks=Quirks(**quirks),
    )


def _base_url(table: Tree) -> str:
    """Return the address without the path that the protocol itself begins with: many write the one they know."""
    address: str = table.get("base_url", "").rstrip("/")
    return address.removesuffix(_PATHS_OF_PROTOCOLS.get(table["adapter"], "")).rstrip("/")


def _split(dotted: str) -> tuple[str, ...]:
    try:
        return split_key(dotted)
    except ValueError as error:
        raise ConfigError(str(error), hints=['a key looks like llm.model or models."gpt-4.1".input_price']) from None


def _has(tree: Tree, path: tuple[str, ...]) -> bool:
    return path[-1] in table_at(tree, path[:-1])


def _origin(layer: Layer, path: tuple[str, ...]) -> Origin:
    if layer.variables:
        return Origin(layer.name, layer.variables.get(path, ""))
    place = find_place(layer.text, path)
    return Origin(layer.name, layer.path, place.line if place else 0)
