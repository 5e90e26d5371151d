"""The addresses of backends that environment variables name.

A backend's ``base_url_env`` lists the variables that the service's own libraries read, so that a question for a
provider never goes to its public host while its variable names another. From the strongest: ``LLM_API_BASE`` for the
chosen backend, ``VLLM_ENDPOINT``, the ``base_url`` in a file, the variables in ``base_url_env``, the built-in address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arawn.config.settings import table_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from arawn.config.settings import Layer, Tree

_API_BASE = "LLM_API_BASE"
_OLLAMA_PORT = "11434"


def addresses(environ: Mapping[str, str], layers: Sequence[Layer]) -> dict[tuple[str, ...], tuple[str, str]]:
    """Return the settings that addresses in the environment stand for, as ``path → (variable, text)``.

    ``layers`` are the files. ``LLM_API_BASE`` is the address of the backend that the user chooses; where the user
    chooses none, it also chooses the first backend that lists it in its ``base_url_env``.
    """
    backends = _backends(layers)
    stated = {
        name
        for layer in layers
        if layer.name != "built-in"
        for name, table in table_at(layer.tree, ("backends",)).items()
        if isinstance(table, dict) and "base_url" in table
    }
    found: dict[tuple[str, ...], tuple[str, str]] = {}
    for name, variable, address in _of_services(environ, backends):
        if name not in stated:
            found["backends", name, "base_url"] = (variable, address)
    if endpoint := environ.get("VLLM_ENDPOINT", "").strip():
        found["backends", "vllm", "base_url"] = ("VLLM_ENDPOINT", completed(endpoint, "/v1", ""))
    if address := environ.get(_API_BASE, "").strip():
        chosen = _chosen(environ, layers)
        if not chosen and (chosen := _listing(backends)):
            found["llm", "backend"] = (_API_BASE, chosen)
        if chosen in backends:
            adapter = str(backends[chosen].get("adapter"))
            found["backends", chosen, "base_url"] = (_API_BASE, completed(address, "", adapter))
    return found


def completed(address: str, path: str, adapter: str) -> str:
    """Return an address with the path its service needs: ``path``, as far as it is not there yet.

    Without any path it gets ``/v1`` where the protocol is OpenAI's.
    """
    scheme, separator, rest = address.rstrip("/").partition("://")
    host, _, given = rest.partition("/")
    wanted, there = path.strip("/").split("/"), f"/{given}"
    for count in range(len(wanted), 0, -1):
        if there.endswith("/" + "/".join(wanted[:count])):
            wanted = wanted[count:]
            break
    parts = [part for part in (given, *wanted) if part]
    if not parts and adapter.startswith("openai"):
        parts = ["v1"]
    return "/".join((f"{scheme}{separator}{host}", *parts))


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


def _of_services(environ: Mapping[str, str], backends: Mapping[str, Tree]) -> Iterator[tuple[str, str, str]]:
    """Yield backend, variable and address for each backend one of whose variables is set: the first of them counts."""
    for name, table in backends.items():
        adapter = str(table.get("adapter"))
        for variable, path in table.get("base_url_env", {}).items():
            if address := environ.get(variable, "").strip():
                is_host = adapter == "ollama"
                yield name, variable, ollama_address(address) if is_host else completed(address, path, adapter)
                break


def _backends(layers: Iterable[Layer]) -> dict[str, Tree]:
    """Return the tables of the backends, merged as far as addresses need it."""
    merged: dict[str, Tree] = {}
    for layer in layers:
        for name, table in table_at(layer.tree, ("backends",)).items():
            merged[name] = {**merged.get(name, {}), **table}
    return merged


def _chosen(environ: Mapping[str, str], layers: Iterable[Layer]) -> str:
    """Return the backend that the user chooses; what an untrusted project's file chooses does not count."""
    if named := environ.get("ARAWN_LLM__BACKEND") or environ.get("LLM_BACKEND"):
        return named
    chosen = ""
    for layer in layers:
        if layer.trusted:
            chosen = table_at(layer.tree, ("llm",)).get("backend", chosen)
    return chosen


def _listing(backends: Mapping[str, Tree]) -> str:
    return next((name for name, table in backends.items() if _API_BASE in table.get("base_url_env", {})), "")
