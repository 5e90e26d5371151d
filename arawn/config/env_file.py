"""The ``NAME=value`` lines of a ``.env`` file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arawn.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUOTED = r"""(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(?:#.*)?"""
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
