"""The ``NAME=value`` lines of a ``.env`` file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arawn.errors import ArawnError, ConfigError
from arawn.files import read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_QUOTED = r"""(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(?:#.*)?"""
_FILE = ".env"
_FILE_LIMIT = 1 << 20
"""Bytes of the largest file that is looked into."""
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


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


def env_file_hints(variables: Iterable[str]) -> tuple[str, ...]:
    """Return a hint where a ``.env`` file in the working folder, which is not read unasked, has one of the variables.

    It names the first of them, and no value. A file that cannot be read has none.
    """
    try:
        there = parse_env_file(read_file(_FILE, _FILE_LIMIT), _FILE)
    except ArawnError:
        return ()
    return tuple(
        f"{name} is in the file {_FILE} here, which is read only on request: arawn --env-file {_FILE} …"
        for name in list(filter(there.get, variables))[:1]
    )


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
