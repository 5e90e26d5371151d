"""The user's own configuration file, as commands change it: checked first, and written into the audit log."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from arawn.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from arawn.config.settings import Settings

_FALLBACK = ("llm", "fallback")
_NAMES_OF_BACKENDS: dict[tuple[str, ...], Callable[[Settings], Iterable[str]]] = {
    ("llm", "backend"): lambda _: (),
    ("memory", "indexing", "backend"): lambda _: (),
    ("embeddings", "backend"): lambda settings: (
        name for name, table in settings.tree["embeddings"].items() if isinstance(table, dict)
    ),
    _FALLBACK: lambda settings: settings.aliases,
}
"""The keys that name backends, with the other names that each may have."""
_NOT_TEXT = ("strings", "integer", "number", "boolean", "map", "table")


class UserFile:
    """The file that ``config_file`` names, else the user's own; ``warn`` is called with what the audit cannot take."""

    def __init__(self, environ: Mapping[str, str], config_file: str | None, warn: Callable[[str], None]) -> None:
        from arawn.config.sources import locate

        self.path = locate(environ=environ, cwd=os.getcwd(), config_file=config_file)["user"]
        self._environ = environ
        self._warn = warn

    def put(self, key: str, text: str) -> None:
        """Set a key to what a text says. Raises UsageError and ConfigError for what cannot be there."""
        from arawn.config.audit import open_changes
        from arawn.config.edit import set_value

        value = _value(key, text)
        self._require_backends(key, value)
        with open_changes(self._environ, self._warn) as changes:
            set_value(self.path, key, value, recording=changes.of_key(self._named))

    def _require_backends(self, key: str, value: object) -> None:
        """Raise ConfigError for a value that should name a backend, and names none that is defined."""
        from arawn.config.lines import split_key
        from arawn.config.sources import load

        path = split_key(key)
        if path not in _NAMES_OF_BACKENDS:
            return
        try:
            settings = load(environ=self._environ, cwd=os.getcwd(), config_file=self.path, project=False)
        except ConfigError:  # of a file that must be mended first, this key may be the one to mend
            return
        names = {*settings.backend_names, *_NAMES_OF_BACKENDS[path](settings)}
        for name in value if isinstance(value, list) else [value]:
            backend, slash, _ = str(name).partition("/")
            if name not in names and not (slash and backend in names and path == _FALLBACK):
                error = settings.undefined(str(name))
                raise ConfigError(f"{key}: {error.message}", hints=error.hints)

    def remove(self, key: str) -> None:
        """Remove a key. Raises ConfigError where it is not there."""
        from arawn.config.audit import open_changes
        from arawn.config.edit import unset_value

        with open_changes(self._environ, self._warn) as changes:
            unset_value(self.path, key, recording=changes.of_key(self._named))

    @contextmanager
    def edited(self) -> Iterator[None]:
        """Write into the audit log what the block changes in the file."""
        from arawn.config.audit import open_changes

        with (
            open_changes(self._environ, self._warn) as changes,
            changes.of_file(self.path, with_path=bool(self._named)),
        ):
            yield

    @property
    def _named(self) -> str:
        """The path as the audit log has it: only where it is not the user's usual file."""
        from arawn.config.sources import LOCATION_VARIABLES, locate

        names = (name for name in LOCATION_VARIABLES if name != "ARAWN_CONFIG" and name in self._environ)
        environ = {name: self._environ[name] for name in names}
        usual = locate(environ=environ, cwd=os.getcwd(), project=False)["user"]
        return "" if usual == self.path else os.path.abspath(self.path)


def _value(key: str, text: str) -> object:
    """Return what a text means as the value of a key."""
    from arawn.config.decode import value_problems
    from arawn.config.edit import parse_value
    from arawn.config.lines import split_key
    from arawn.config.schema import find
    from arawn.secrets.references import looks_like_secret

    known = find(split_key(key))
    if (known is not None and known.secret and not text.startswith("$")) or looks_like_secret(text):
        name = key.split(".")[1] if key.startswith("backends.") else "NAME"
        raise ConfigError(
            f"{key}: a key does not belong on a command line or in a file",
            hints=[f"keep it in the keyring: arawn secrets set {name}", "or name where it is: '$env:VARIABLE'"],
        )
    value = text if known is not None and known.kind not in _NOT_TEXT else parse_value(text)
    if known is not None and known.kind == "strings" and isinstance(value, str):
        value = [word.strip() for word in value.split(",") if word.strip()]
    for problem in value_problems(_nested(split_key(key), value), lambda _: "command line"):
        if problem.warning:
            raise UsageError(f"{key}: {problem.message}", hints=["arawn config schema lists every key"])
        raise ConfigError(f"{key}: {problem.message}")
    return value


def _nested(parts: tuple[str, ...], value: object) -> dict[str, Any]:
    for part in reversed(parts):
        value = {part: value}
    assert isinstance(value, dict)
    return value
