"""Environment variables as a layer: well-known names, addresses, and ``ARAWN_SECTION__KEY`` for any key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from arawn.config.addresses import addresses
from arawn.config.schema import find
from arawn.errors import ConfigError
from arawn.texts import is_valid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arawn.config.settings import Layer, Tree

_PREFIX = "ARAWN_"
_WELL_KNOWN = {
    "LLM_BACKEND": ("llm", "backend"),
    "LLM_MODEL": ("llm", "model"),
    "LLM_TIMEOUT_SECONDS": ("llm", "timeout"),
    "BUDGET_LIMIT": ("budget", "limit"),
    "VLLM_HOURLY_RATE": ("backends", "vllm", "hourly_rate"),
}
_SEVERAL_LINES = ("text", "map", "table")
"""The kinds of keys whose values may have several lines."""


class Environment(Mapping[str, str]):
    """The variables of a process, without what files for other readers leave in them.

    ``docker --env-file`` keeps the quotes around a value, and a shell that sources a file written on Windows keeps its
    carriage returns; both are removed when a variable is looked up. A value of one word with half a quote raises
    ConfigError, which names the variable. ``raw`` are the variables as they are, for child processes.
    """

    def __init__(self, raw: Mapping[str, str]) -> None:
        self.raw: Mapping[str, str] = raw.raw if isinstance(raw, Environment) else raw

    def __getitem__(self, name: str) -> str:
        return _without_quotes(name, self.raw[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __contains__(self, name: object) -> bool:
        return name in self.raw


def variables(environ: Mapping[str, str], layers: Iterable[Layer]) -> dict[tuple[str, ...], tuple[str, str]]:
    """Return the settings in the environment, as ``path → (variable, text)``; later ones override.

    ``layers`` are the files. Raises ConfigError for a variable that cannot be understood.
    """
    layers = tuple(layers)
    known = {name for layer in layers for name in layer.tree.get("backends", {})}
    found = {path: (name, environ[name]) for name, path in _WELL_KNOWN.items() if environ.get(name)}
    found |= addresses(environ, layers)
    for name in sorted(environ):
        if name.startswith(_PREFIX) and "__" in name and environ[name]:
            found[_path(name, known)] = (name, environ[name])
    for path, (name, text) in found.items():
        key = find(path)
        if "\n" in text and (key is None or key.kind not in _SEVERAL_LINES):
            raise ConfigError(f"{name}: there is a line end inside the value", hints=["give it as one line"])
    return found


def environment_tree(found: Mapping[tuple[str, ...], tuple[str, str]]) -> Tree:
    """Return the settings as a tree, each value of the type of its key."""
    from arawn.config.decode import typed

    tree: Tree = {}
    for path, (name, text) in found.items():
        if not is_valid(text):
            raise ConfigError(f"{name} is not valid UTF-8 text")
        key = find(path)
        table = tree
        for part in path[:-1]:
            inner = table.setdefault(part, {})
            table = inner if isinstance(inner, dict) else {}
        table[path[-1]] = typed(key, text) if key else text
    return tree


def _without_quotes(name: str, value: str) -> str:
    """Return a value without the quotes around it and the line end after it."""
    text = value.rstrip("\r\n")
    core = text.strip()
    for quote in ('"', "'"):
        marks = core.count(quote)
        if marks == 1 and quote in (core[0], core[-1]) and len(core.split()) == 1:
            raise ConfigError(f"{name}: there is half a quote ({quote}) around the value", hints=["remove it"])
        if marks == 2 and core[0] == core[-1] == quote:
            return core[1:-1].rstrip("\r\n")
    return text


def _path(name: str, backends: Iterable[str]) -> tuple[str, ...]:
    """Read ``ARAWN_BACKENDS__OPENAI_RESPONSES__MODEL``: in names of backends ``_`` also stands for ``-``."""
    path = [part.lower() for part in name.removeprefix(_PREFIX).split("__")]
    if len(path) > 2 and path[0] in ("backends", "embeddings"):
        spelt = {defined.lower().replace("-", "_"): defined for defined in backends}
        path[1] = spelt.get(path[1], path[1])
    return tuple(path)
