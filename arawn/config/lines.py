"""The line of a key in a TOML text: a scanner that maps dotted keys to lines, for messages and ``--origin``.

The text has been parsed already, so the scanner may assume that it is valid.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Path: TypeAlias = tuple[str | int, ...]

# Patterns are compiled on their first use: a run without an error needs none of them.
_BARE = r"[A-Za-z0-9_-]+"
_PART = r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
_DOT = r"[ \t]*\.[ \t]*"
_BETWEEN = r"(?:\s|#[^\n]*)+"
_VALUE = (
    r'''(?s)"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}'''
    r"""|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|[\[\]{}\n]|[^"'#\[\]{}\n]+"""
)


class Place(NamedTuple):
    """The place of a key or a table header; lines and columns count from 1."""

    path: Path
    line: int
    column: int


def find_place(text: str, path: Path) -> Place | None:
    """Return the place of a key, or, when it has no line of its own, of its first sub-key or of its table."""
    return find_places(text, [path])[0]


def find_places(text: str, paths: Sequence[Path]) -> list[Place | None]:
    """Return the places of many keys in one scan."""
    places = _places(text)
    exact = {place.path: place for place in reversed(places)}
    return [exact.get(path) or _nearest(places, path) for path in paths]


def split_key(dotted: str) -> tuple[str, ...]:
    """Split ``models."gpt-4.1".input_price`` into its parts. Raises ValueError when it is not a dotted key."""
    parts, end = _key_at(dotted, 0)
    if not parts or end != len(dotted):
        raise ValueError(f"{shown(dotted)} is not a key")
    return parts


def join_key(path: Path) -> str:
    """Write a path as TOML writes a dotted key, in one line of printable characters: ``a."b c"[0].d``."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            written += ("." if written else "") + (part if re.fullmatch(_BARE, part) else _quoted(part))
    return written


def shown(text: str) -> str:
    """Quote a text for a message: on one line, at most 60 characters, unprintable ones escaped."""
    return _quoted(text if len(text) <= 60 else text[:60] + "…")


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"


def _nearest(places: list[Place], path: Path) -> Place | None:
    nearest: Place | None = None
    for place in places:
        if place.path[: len(path)] == path or path[: len(place.path)] == place.path:
            nearest = place if nearest is None or _nearer(place, nearest, path) else nearest
    return nearest


def _nearer(place: Place, nearest: Place, path: Path) -> bool:
    """Prefer what is below the path (the first of them) to what is above it (the longest of them)."""
    below, was_below = len(place.path) > len(path), len(nearest.path) > len(path)
    return (below and not was_below) or (not was_below and len(place.path) > len(nearest.path))


def _places(text: str) -> list[Place]:
    places = []
    table: Path = ()
    counts: dict[Path, int] = {}
    position, line, line_start = 0, 1, 0
    while position < len(text):
        start = position
        if between := re.compile(_BETWEEN).match(text, position):
            position = between.end()
        elif text[position] == "[":
            array = text.startswith("[[", position)
            keys, end = _key_at(text, _after_blanks(text, position + 1 + array))
            table = _table(keys, counts, array=array)
            places.append(Place(table, line, position - line_start + 1))
            position = _end_of_line(text, end)
        else:
            keys, end = _key_at(text, position)
            places.append(Place((*table, *keys), line, position - line_start + 1))
            position = _end_of_value(text, max(end, position + 1))
        newlines = text.count("\n", start, position)
        if newlines:
            line, line_start = line + newlines, text.rindex("\n", start, position) + 1
    return places


def _table(keys: tuple[str, ...], counts: dict[Path, int], *, array: bool) -> Path:
    """Return the path of a header; the name of an array of tables means its last table."""
    path: Path = ()
    for position, key in enumerate(keys):
        path = (*path, key)
        if array and position == len(keys) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _key_at(text: str, position: int) -> tuple[tuple[str, ...], int]:
    parts: list[str] = []
    while part := re.compile(_PART).match(text, position):
        parts.append(_plain(part.group()))
        position = part.end()
        dot = re.compile(_DOT).match(text, position)
        if dot is None or not re.compile(_PART).match(text, dot.end()):
            break
        position = dot.end()
    return tuple(parts), position


def _plain(part: str) -> str:
    if part[0] == "'":
        return part[1:-1]
    if part[0] != '"':
        return part
    import tomllib

    return next(iter(tomllib.loads(f"{part} = 0")))


def _after_blanks(text: str, position: int) -> int:
    while text[position : position + 1] in (" ", "\t"):
        position += 1
    return position


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _end_of_value(text: str, position: int) -> int:
    depth = 0
    while token := re.compile(_VALUE).match(text, position):
        if token.group() == "\n" and not depth:
            break
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.group(), 0)
        position = token.end()
    return position
