"""Whose model an id is: where a model that was named alone goes, if the usual backend does not have it."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from arawn.config.lines import shown
from arawn.errors import UsageError
from arawn.models import catalog
from arawn.network.proxies import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from arawn.config.settings import BackendSettings, Settings

_MAX_HINTS = 3
"""Backends that a hint names at most."""


def owner(settings: Settings, usual: str, model: str) -> str | None:
    """Return the one other backend that has a model and whose key is set, if the usual one is known not to have it.

    A backend on this machine is never left, and one at another address than the built-in counts as unknown. Raises
    UsageError where several backends have the model.
    """
    if is_local(settings.backend(usual)) or not lacks(settings, usual, model):
        return None
    found = [table.name for table in _owners(settings, model) if key_found(table, settings.environ)]
    if len(found) > 1:
        raise UsageError(
            f"{shown(model)} is no model of {usual}, but of {' and '.join(found)}: name the backend",
            hints=[_command(name, model) for name in found],
        )
    return found[0] if found else None


def has_owner(settings: Settings, model: str) -> bool:
    """Return whether any backend is known to have a model."""
    return any(True for _ in _owners(settings, model))


def owner_hints(settings: Settings, backend: str, model: str) -> tuple[str, ...]:
    """Return hints that say which other backends have a model that a backend does not have."""
    if catalog.find(backend, model, catalog.stored_table(settings.environ)) is not None:
        return ()
    return tuple(
        f"{shown(model)} is a model of {table.name}{_missing_key(settings, table)}: {_command(table.name, model)}"
        for table in list(_owners(settings, model))[:_MAX_HINTS]
    )


def lacks(settings: Settings, name: str, model: str) -> bool:
    """Return whether a backend is known not to have a model."""
    table = settings.backend(name)
    return (
        model not in (settings.llm.model if settings.llm.backend == name else None, table.model)
        and table.base_url == settings.built_in_address(name)
        and catalog.is_complete(name)
        and catalog.find(name, model, catalog.stored_table(settings.environ)) is None
    )


def is_local(backend: BackendSettings) -> bool:
    """Return whether a backend is on this machine."""
    return not backend.base_url or is_loopback(urlsplit(backend.base_url).hostname or "")


def key_found(backend: BackendSettings, environ: Mapping[str, str]) -> str:
    """Return why a backend's key is expected to work, without reading a keyring or a file; "" if it is not."""
    key = backend.api_key
    if key is None or not backend.base_url:
        return ""
    if key.startswith("$env:"):
        variable = key.removeprefix("$env:")
        return f"{variable} is set" if environ.get(variable) else ""
    return "your configuration has its key"


def _owners(settings: Settings, model: str) -> Iterator[BackendSettings]:
    """Yield the backends that have a model; of several for one service the first."""
    services, stored = set(), catalog.stored_table(settings.environ)
    for name in settings.backend_names:
        if catalog.offers(name, model, stored):
            table = settings.backend(name)
            service = table.base_url, table.api_key
            if service not in services:
                services.add(service)
                yield table


def _missing_key(settings: Settings, table: BackendSettings) -> str:
    key = table.api_key or ""
    if not key.startswith("$env:") or key_found(table, settings.environ):
        return ""
    return f" ({key.removeprefix('$env:')} is not set)"


def _command(backend: str, model: str) -> str:
    return f"arawn ask -b {backend} -m {quote(model)} …"
