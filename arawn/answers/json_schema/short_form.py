"""A schema in short: ``name, age int, tags [str], email? : the work address``, one field after the other.

Fields stand between commas, or one a line, where a description may have commas. A field is a name, a ``?`` where it
may be missing (it may then be null too), a type, and after a colon what it means. Types are ``str`` (the usual one),
``int``, ``float``, ``bool``, and a list of one of them as ``[int]``.
"""

from __future__ import annotations

import re
from typing import Any

from arawn.answers.json_schema.keywords import SchemaError

_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_NAME = re.compile(r"[^\W\d][\w.-]*|\d[\w.-]*", re.UNICODE)
_TYPE = re.compile(r"\[\s*(\w+)\s*\]|(\w+)")
_EXAMPLE = "a schema in short: name, age int, tags [str]; or JSON, or a file with JSON"


def is_short_form(text: str) -> bool:
    """Say whether a text is meant as a schema in short, and not as the name of a file."""
    return bool(re.search(r"[\s,]", text.strip())) and not re.search(r"[/\\]|\.json\s*$", text.partition(":")[0])


def read_short_form(text: str) -> dict[str, Any]:
    """Return the JSON Schema. Raises SchemaError, which says at which character."""
    properties: dict[str, Any] = {}
    required = []
    separator = "\n" if "\n" in text.strip() else ","
    at = 0
    for piece in text.split(separator):
        if piece.strip():
            name, field, is_optional = _field(piece, at)
            if name in properties:
                raise _wrong(f"the field {name} stands there twice", at, piece)
            properties[name] = field
            required += [] if is_optional else [name]
        elif separator == "," and at + len(piece) < len(text):
            raise _wrong("expected a field", at, piece)
        at += len(piece) + 1
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _field(piece: str, at: int) -> tuple[str, dict[str, Any], bool]:
    declared, _, description = piece.partition(":")
    name = _NAME.match(declared.strip())
    if name is None:
        raise _wrong("expected the name of a field", at, piece)
    start = declared.index(name[0]) + len(name[0])
    rest = declared[start:]
    is_optional = rest.startswith("?")
    word = rest.removeprefix("?").strip()
    place = start + is_optional + len(rest.removeprefix("?")) - len(rest.removeprefix("?").lstrip())
    kind = _TYPE.fullmatch(word or "str")
    found = kind and _TYPES.get(kind[1] or kind[2])
    if kind is None or found is None:
        expected = f"expected a type ({', '.join(_TYPES)}, or a list like [str])"
        raise SchemaError(f"{expected} at character {at + place + 1}: {word[:40]}", _EXAMPLE)
    field: dict[str, Any] = {"type": "array", "items": {"type": found}} if kind[1] else {"type": found}
    if is_optional:
        field["type"] = [field["type"], "null"]
    return name[0], {**field, **({"description": description.strip()} if description.strip() else {})}, is_optional


def _wrong(problem: str, at: int, piece: str) -> SchemaError:
    shown = piece.strip()
    place = at + (piece.index(shown) if shown else 0) + 1
    return SchemaError(f"{problem} at character {place}: {shown[:40]}".rstrip(": "), _EXAMPLE)
