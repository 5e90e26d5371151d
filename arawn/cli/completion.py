"""What a Tab may offer: names of backends, models, keys, secrets and sessions.

It reads files, never the network or a keyring, and changes nothing. What cannot be read counts as empty: at a
Tab no error message is wanted. Only names of plain characters are offered: they come to stand in a command line,
and a project's file may come from a stranger.
"""

from __future__ import annotations

import os
import re
import time
import tomllib
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from arawn.config.settings import Settings, overlay, table_at
from arawn.config.sources import BUILT_IN, locate, project_trust
from arawn.errors import ArawnError
from arawn.files import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import typer

    from arawn.cli.context import Context
    from arawn.config.settings import Tree

_PLAIN = re.compile(r"@?\w[\w./:@+-]*")
_UNSAFE = re.compile(r"[^\w .,:;/+@-]")
"""What a text beside a name may not hold: shells evaluate some of it, and a model may have written it."""
_PROJECT_LIMIT = 1 << 14
"""Bytes: some texts take tomllib quadratic time, and this one comes from strangers."""
_RECENT = 30
"""Sessions that are offered."""


class _Line(NamedTuple):
    """What stands on the command line already, as far as names depend on it."""

    tree: Tree
    backend: str | None
    key: str
    context: Context


def find_names(kind: str, ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield the names of a kind that begin with what is typed, each with a text about it or none."""
    context: Context = ctx.obj
    line = _Line(_tree(context), context.backend, str(ctx.params.get("key") or ""), context)
    found = dict(KINDS[kind](line))
    for name in sorted(found):
        if name.startswith(incomplete) and _PLAIN.fullmatch(name):
            yield name, _UNSAFE.sub("", found[name])


def _backends(line: _Line) -> Iterator[tuple[str, str]]:
    for name, table in table_at(line.tree, ("backends",)).items():
        label = table.get("label") if isinstance(table, dict) else ""
        yield name, label if isinstance(label, str) else ""


def _models(line: _Line) -> Iterator[tuple[str, str]]:
    """Return what may follow ``-m``: ids of the backend named before it, else also aliases and ``backend/model``."""
    return _unexplained(_ids(line, line.backend) if line.backend else _everywhere(line))


def _everywhere(line: _Line) -> Iterator[str]:
    yield from table_at(line.tree, ("tiers",))
    yield from table_at(line.tree, ("aliases",))
    yield from _ids(line, table_at(line.tree, ("llm",)).get("backend"))
    yield from (f"{backend}/{model}" for backend, model in _known(line))


def _ids(line: _Line, wanted: object) -> Iterator[str]:
    return (model for backend, model in _known(line) if backend == wanted)


def _known(line: _Line) -> Iterator[tuple[str, str]]:
    """Yield backend and id of the models in the configuration and the catalogue."""
    from arawn.dates import day
    from arawn.models.catalog import known_ids, stored_table

    for name, table in table_at(line.tree, ("backends",)).items():
        if isinstance(table, dict) and isinstance(table.get("model"), str):
            yield name, table["model"]
    yield from known_ids(day(time.time()), stored_table(line.context.environ))


def _keys(line: _Line) -> Iterator[tuple[str, str]]:
    """Yield the keys of the configuration, with the names there are."""
    from arawn.config.lines import join_key
    from arawn.config.schema import KEYS

    for key in KEYS:
        section, *rest = key.path.split(".")
        if "NAME" not in rest:
            yield key.path, ""
        elif "[]" not in rest:
            names = table_at(line.tree, ("backends" if section == "embeddings" else section,))
            yield from ((join_key((section, name, *rest[1:])), "") for name in names)


def _values(line: _Line) -> Iterator[tuple[str, str]]:
    """Return what the key before may be set to, where that can be listed."""
    return _unexplained(_listed_values(line))


def _listed_values(line: _Line) -> Iterable[str]:
    from arawn.config.lines import split_key
    from arawn.config.schema import find

    try:
        path = split_key(line.key)
    except ValueError:
        return ()
    key = find(path)
    if key is None:
        return ()
    match path:
        case (*_, "backend"):
            return table_at(line.tree, ("backends",))
        case ("backends" | "embeddings", backend, "model"):
            return _ids(line, backend)
        case (*_, "model") | ("aliases" | "tiers", _):
            return _everywhere(line)
        case _:
            return ("true", "false") if key.kind == "boolean" else key.choices


def _secrets(line: _Line) -> Iterator[tuple[str, str]]:
    """Yield the secrets that are stored or referred to."""
    from arawn.engine.factory import bindings_of

    with suppress(ArawnError):
        yield from _unexplained(bindings_of(Settings((), line.tree, line.tree, line.context.environ)).names())
    for table in table_at(line.tree, ("backends",)).values():
        reference = table.get("api_key") if isinstance(table, dict) else None
        if isinstance(reference, str) and reference.startswith("$keyring:"):
            yield reference.removeprefix("$keyring:"), ""


def _new_secrets(line: _Line) -> Iterator[tuple[str, str]]:
    """Yield the secrets that may be set: those there are, and the backends."""
    yield from _backends(line)
    yield from _secrets(line)


def _sessions(line: _Line) -> Iterator[tuple[str, str]]:
    """Yield the newest sessions, by name where they have one."""
    from arawn.store.sessions import Sessions

    database = line.context.database
    if not os.path.exists(database.path):
        return
    with suppress(ArawnError), database:
        for info in Sessions(database).recent(_RECENT):
            yield info.name or info.id, info.title


def _unexplained(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    return ((name, "") for name in names)


KINDS: dict[str, Callable[[_Line], Iterator[tuple[str, str]]]] = {
    "backends": _backends,
    "keys": _keys,
    "models": _models,
    "new secrets": _new_secrets,
    "secrets": _secrets,
    "sessions": _sessions,
    "values": _values,
}
"""What yields the names of each kind, with a text about each or none."""


def _tree(context: Context) -> Tree:
    """Return the configuration merged, as far as its files can be read."""
    file = os.path.expanduser(context.config or "")
    merged = _parsed(_content(BUILT_IN))
    with suppress(OSError, ArawnError):
        environ = context.environ
        files = locate(environ=environ, cwd=os.getcwd(), config_file=file or None, project=not context.no_project)
        for name, path in files.items():
            merged = overlay(merged, _project(path, environ) if name == "project" else _parsed(_content(path)))
    return merged


def _project(path: str, environ: Mapping[str, str]) -> Tree:
    """Return what counts of a project's file."""
    from arawn.config.decode import permitted

    content = _content(path, _PROJECT_LIMIT)
    tree = _parsed(content)
    return tree if project_trust(environ).is_trusted(path, content) else permitted(tree)[0]


def _content(path: str, limit: int = 1 << 20) -> bytes:
    try:
        return read_file(path, limit)
    except ArawnError:
        return b""


def _parsed(content: bytes) -> Tree:
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError):
        return {}
