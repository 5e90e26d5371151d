"""The keywords of JSON Schema: which hold schemas, and how each value is checked before anything relies on it.

https://json-schema.org/draft/2020-12/json-schema-core and json-schema-validation; what drafts 4 to 7 and 2019-09 write
otherwise is in ``normal``.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Schema: TypeAlias = "dict[str, Any] | bool"

TYPES = ("null", "boolean", "object", "array", "number", "string", "integer")
HOLDS_ONE = ("additionalProperties", "items", "contains", "propertyNames", "not", "if", "then", "else")
HOLDS_LIST = ("prefixItems", "allOf", "anyOf", "oneOf")
HOLDS_NAMED = ("properties", "patternProperties", "dependentSchemas")
UNCHECKED = ("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef")
"""Keywords whose meaning depends on what other schemas did: refused, since a check would pass them over."""
ANNOTATIONS = ("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment")


class SchemaError(ValueError):
    """Something is no JSON Schema, or one that cannot be checked here; one line, with its JSON pointer."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Schema]]:
    """Yield the schemas that stand directly in one, in the normal form, each with its place below it."""
    for key in HOLDS_ONE:
        if key in schema:
            yield f"/{key}", schema[key]
    for key in HOLDS_LIST:
        for place, part in enumerate(schema.get(key, ())):
            yield f"/{key}/{place}", part
    for key in HOLDS_NAMED:
        for name, part in schema.get(key, {}).items():
            yield f"/{key}/{escaped(name)}", part


def with_parts(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Return a copy of a schema in which each schema that stands directly in it is changed."""
    if isinstance(schema, bool):
        return schema
    changed = dict(schema)
    for key in HOLDS_ONE:
        if key in schema:
            changed[key] = change(schema[key])
    for key in HOLDS_LIST:
        if key in schema:
            changed[key] = [change(part) for part in schema[key]]
    for key in HOLDS_NAMED:
        if key in schema:
            changed[key] = {name: change(part) for name, part in schema[key].items()}
    return changed


def escaped(name: str) -> str:
    """Return a name as a token of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def type_of(value: Any) -> str:
    """Return the type of a JSON value; that of a whole number is integer."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def require_kind(key: str, value: Any, pointer: str) -> None:
    """Raise SchemaError where a keyword has a value that it cannot have; unknown keywords may have any."""
    if key in _KINDS:
        is_right, expected = _KINDS[key]
        if not is_right(value):
            raise SchemaError(f"{key} at {pointer}: expected {expected}")


def types_of(schema: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the types a schema names, None where it names none."""
    given = schema.get("type")
    return (given,) if isinstance(given, str) else None if given is None else tuple(given)


def is_number(value: Any) -> bool:
    """Say whether a JSON value is a number that can be computed with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite_number(value)


def isfinite_number(value: float) -> bool:
    """Say whether a number is finite; a whole number of any size is."""
    return isinstance(value, int) or isfinite(value)


def _is_count(value: Any) -> bool:
    return is_number(value) and value >= 0 and value == int(value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_type(value: Any) -> bool:
    names = [value] if isinstance(value, str) else value
    return (
        isinstance(names, list)
        and bool(names)
        and all(name in TYPES for name in names if isinstance(name, str))
        and _is_names(names)
    )


def _is_dependent(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_names, value.values()))


_NUMBER = (is_number, "a number")
_COUNT = (_is_count, "a whole number from 0 up")
_TEXT = (lambda value: isinstance(value, str), "a text")
_LIST = (lambda value: isinstance(value, list), "a list")
_SCHEMAS = (lambda value: isinstance(value, list) and bool(value), "a list of schemas that is not empty")
_OBJECT = (lambda value: isinstance(value, dict), "an object")
_FLAG = (lambda value: isinstance(value, bool), "true or false")

_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "type": (_is_type, "one or more of " + ", ".join(TYPES)),
    "enum": _LIST,
    "$ref": _TEXT,
    "pattern": _TEXT,
    "format": _TEXT,
    "description": _TEXT,
    "title": _TEXT,
    "required": (_is_names, "a list of names"),
    "dependentRequired": (_is_dependent, "an object of lists of names"),
    "uniqueItems": _FLAG,
    "multipleOf": (lambda value: is_number(value) and value > 0, "a number above 0"),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _NUMBER),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _COUNT),
    **dict.fromkeys(("minContains", "maxContains"), _COUNT),
    **dict.fromkeys(HOLDS_LIST, _SCHEMAS),
    **dict.fromkeys(HOLDS_NAMED, _OBJECT),
}
