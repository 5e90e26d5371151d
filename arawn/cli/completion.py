"""The names a Tab may ask for: ``arawn __complete KIND PREFIX [WORDS BEFORE]``, one a line.

It reads files, never the network or a keyring, and changes nothing. What cannot be read counts as empty: whoever
presses Tab wants no error message. Only names of plain characters are told: they come to stand in a command line, and
a project's file may come from a stranger.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from contextlib import suppress
from typing import TYPE_CHECKING

from arawn.config.settings import Settings, overlay, table_at
from arawn.config.sources import BUILT_IN, locate, project_trust
from arawn.errors import ArawnError
from arawn.files import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from arawn.config.settings import Tree

_PLAIN = re.compile(r"\w[\w./:@+-]*")
_PROJECT_LIMIT = 1 << 14  # some texts take tomllib quadratic time, and this one comes from strangers


def print_values(words: Sequence[str]) -> None:
    """Write the names of a kind that begin with a prefix."""
    kinds: dict[str, Callable[[Tree, Sequence[str]], Iterable[str]]] = {
        "backends": _backends,
        "keys": _keys,
        "models": _models,
        "secrets": _secrets,
        "values": _values,
    }
    kind, prefix = (*words, "", "")[:2]
    if kind not in kinds:
        return
    before = words[2:]
    found = {name for name in kinds[kind](_tree(before), before) if name.startswith(prefix) and _PLAIN.fullmatch(name)}
    sys.stdout.buffer.write("".join(f"{name}\n" for name in sorted(found)).encode())


def _backends(tree: Tree, _before: Sequence[str]) -> Iterable[str]:
    return table_at(tree, ("backends",))


def _models(tree: Tree, before: Sequence[str]) -> Iterator[str]:
    """Return what may follow ``-m``: ids of the backend named before it, else also aliases and ``backend/model``."""
    if backend := _option(before, "-b", "--backend"):
        return _ids(tree, backend)
    return _everywhere(tree)


def _everywhere(tree: Tree) -> Iterator[str]:
    yield from table_at(tree, ("tiers",))
    yield from table_at(tree, ("aliases",))
    yield from _ids(tree, table_at(tree, ("llm",)).get("backend"))
    yield from (f"{backend}/{model}" for backend, model in _known(tree))


def _ids(tree: Tree, wanted: object) -> Iterator[str]:
    return (model for backend, model in _known(tree) if backend == wanted)


def _known(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield backend and id of the models in the configuration and the catalogue."""
    from arawn.models.catalog import known_ids

    for name, table in table_at(tree, ("backends",)).items():
        if isinstance(table, dict) and isinstance(table.get("model"), str):
            yield name, table["model"]
    yield from known_ids()


def _keys(tree: Tree, _before: Sequence[str]) -> Iterator[str]:
    """Yield the keys of the configuration, with the names there are."""
    from arawn.config.lines import join_key
    from arawn.config.schema import KEYS

    for key in KEYS:
        section, *rest = key.path.split(".")
        if "NAME" not in rest:
            yield key.path
        elif "[]" not in rest:
            names = table_at(tree, ("backends" if section == "embeddings" else section,))
            yield from (join_key((section, name, *rest[1:])) for name in names)


def _values(tree: Tree, before: Sequence[str]) -> Iterable[str]:
    """Return what a key may be set to, where that can be listed; the key is the last word before."""
    from arawn.config.lines import split_key
    from arawn.config.schema import find

    try:
        path = split_key(before[-1])
    except (IndexError, ValueError):
        return ()
    key = find(path)
    if key is None:
        return ()
    match path:
        case (*_, "backend"):
            return _backends(tree, before)
        case ("backends" | "embeddings", backend, "model"):
            return _ids(tree, backend)
        case (*_, "model") | ("aliases" | "tiers", _):
            return _everywhere(tree)
        case _:
            return ("true", "false") if key.kind == "boolean" else key.choices


def _secrets(tree: Tree, before: Sequence[str]) -> Iterator[str]:
    """Yield the secrets that are stored or referred to; for one that is to be set also the backends."""
    from arawn.engine.factory import bindings_of

    with suppress(ArawnError):
        yield from bindings_of(Settings((), tree, tree, os.environ)).names()
    for table in table_at(tree, ("backends",)).values():
        reference = table.get("api_key") if isinstance(table, dict) else None
        if isinstance(reference, str) and reference.startswith("$keyring:"):
            yield reference.removeprefix("$keyring:")
    if "set" in before:
        yield from _backends(tree, before)


def _tree(before: Sequence[str]) -> Tree:
    """Return the configuration merged, as far as its files can be read."""
    file = os.path.expanduser(_option(before, "--config"))
    project = "--no-project" not in before
    merged = _parsed(_content(BUILT_IN))
    with suppress(OSError):
        files = locate(environ=os.environ, cwd=os.getcwd(), config_file=file or None, project=project)
        for name, path in files.items():
            merged = overlay(merged, _project(path) if name == "project" else _parsed(_content(path)))
    return merged


def _project(path: str) -> Tree:
    """Return what counts of a project's file."""
    from arawn.config.decode import permitted

    content = _content(path, _PROJECT_LIMIT)
    tree = _parsed(content)
    return tree if project_trust(os.environ).is_trusted(path, content) else permitted(tree)[0]


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


def _option(words: Sequence[str], *flags: str) -> str:
    """Return the value an option was given, "" when it was not; quotes are the shell's, and go."""
    value = ""
    for word, following in zip(words, (*words[1:], ""), strict=False):
        flag, equals, attached = word.partition("=")
        if flag in flags:
            value = attached if equals else following
    return value.strip("\"'")
