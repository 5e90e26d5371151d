"""Environment variables as a layer: well-known names, ``ARAWN_SECTION__KEY`` for any key, and ``.env`` files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arawn.config.schema import find
from arawn.errors import ConfigError
from arawn.texts import is_valid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from arawn.config.settings import Tree

_PREFIX = "ARAWN_"
_WELL_KNOWN = {
    "LLM_BACKEND": ("llm", "backend"),
    "LLM_MODEL": ("llm", "model"),
    "LLM_TIMEOUT_SECONDS": ("llm", "timeout"),
    "BUDGET_LIMIT": ("budget", "limit"),
    "VLLM_HOURLY_RATE": ("backends", "vllm", "hourly_rate"),
}
_QUOTED = r"""(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(?:#.*)?"""
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_OLLAMA_PORT = "11434"


def variables(environ: Mapping[str, str], lower: Tree) -> dict[tuple[str, ...], tuple[str, str]]:
    """Return the settings in the environment, as ``path → (variable, text)``; later ones override.

    ``lower`` are the files: the backend they select is the one that ``LLM_API_BASE`` applies to.
    """
    found = {path: (name, environ[name]) for name, path in _WELL_KNOWN.items() if environ.get(name)}
    for name, path, text in _addresses(environ, lower):
        found[path] = (name, text)
    for name in sorted(environ):
        if name.startswith(_PREFIX) and "__" in name and environ[name]:
            found[_path(name, lower)] = (name, environ[name])
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


def parse_env_file(content: bytes, file: str) -> dict[str, str]:
    """Read the ``NAME=value`` lines of a ``.env`` file: quotes, ``export`` and comments, no expansion.

    Raises ConfigError that names the line without quoting it.
    """
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}:{line}: expected UTF-8; save the file so") from None
    return dict(_entries(lines, file))


def ollama_address(host: str) -> str:
    """Return the address of a client for ``OLLAMA_HOST``, where host, port or scheme may be missing.

    The rules are Ollama's own (envconfig, func Host), but an address to listen on (0.0.0.0) becomes loopback.
    """
    text = host.strip().strip("\"'")
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    authority, slash, path = rest.partition("/")
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d*))?", authority)
    name, port = match.groups() if match else (f"[{authority}]", None)
    if not port:
        port = {"http": "80", "https": "443"}.get(scheme, _OLLAMA_PORT) if separator else _OLLAMA_PORT
    name = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(name, name)  # noqa: S104 -- not bound to
    return f"{scheme}://{name}:{port}{slash}{path}".rstrip("/")


def _addresses(environ: Mapping[str, str], lower: Tree) -> Iterator[tuple[str, tuple[str, ...], str]]:
    if host := environ.get("OLLAMA_HOST"):
        yield "OLLAMA_HOST", ("backends", "ollama", "base_url"), ollama_address(host)
    if endpoint := environ.get("VLLM_ENDPOINT", "").rstrip("/"):
        address = endpoint if endpoint.endswith("/v1") else f"{endpoint}/v1"
        yield "VLLM_ENDPOINT", ("backends", "vllm", "base_url"), address
    if address := environ.get("LLM_API_BASE", "").rstrip("/"):
        backends, chosen = lower["backends"], environ.get("LLM_BACKEND") or _from_files(lower)
        if chosen in backends:
            bare = address.count("/") == 2 and str(backends[chosen].get("adapter")).startswith("openai")
            yield "LLM_API_BASE", ("backends", chosen, "base_url"), f"{address}/v1" if bare else address


def _from_files(lower: Tree) -> str:
    chosen = lower.get("llm", {}).get("backend")
    return "ollama" if chosen == "ollama" else "remote"


def _path(name: str, lower: Tree) -> tuple[str, ...]:
    """Read ``ARAWN_BACKENDS__OPENAI_RESPONSES__MODEL``: in names of backends ``_`` also stands for ``-``."""
    path = [part.lower() for part in name.removeprefix(_PREFIX).split("__")]
    if len(path) > 2 and path[0] in ("backends", "embeddings"):
        spelt = {defined.lower().replace("-", "_"): defined for defined in lower["backends"]}
        path[1] = spelt.get(path[1], path[1])
    return tuple(path)


def _entries(lines: list[str], file: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        text = _unquoted(value.strip())
        if not equals or text is None or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name.strip()):
            raise ConfigError(f"{file}:{number}: expected NAME=value")
        yield name.strip(), text


def _unquoted(value: str) -> str | None:
    """Return the text of a value; None for a quote that is not closed."""
    if not value.startswith(('"', "'")):
        return re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()
    match = re.fullmatch(_QUOTED, value)
    if match is None or match[1] is None:
        return match[2] if match else None
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), match[1])
