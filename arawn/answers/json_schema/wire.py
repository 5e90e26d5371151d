"""A schema as a provider's dialect takes it.

Two rules keep its meaning.

* A schema is only narrowed where the answers that are left still say all there is to say. An object that lists its
  properties and says nothing of others is closed with ``additionalProperties: false``. One that allows others on
  purpose (``additionalProperties`` true or a schema, ``patternProperties``, no properties at all) is not: closed,
  it would be empty. A property that may be missing is required only where it may be null, since then null says that
  it is missing; elsewhere the model would have to make one up. ``oneOf`` becomes ``anyOf`` only where no value fits
  two of its schemas. So every answer that fits what is sent as exact fits the user's own schema.
* A schema is only widened (a dialect that ``relaxes``) where the answer is checked against the user's own one
  afterwards: true of answers, not of the arguments of tools. What was left out stands in a description.

Annotations refuse nothing and may be left out. Whatever else a dialect cannot say makes the schema unfit for it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from arawn.answers.json_schema import patterns
from arawn.answers.json_schema.keywords import (
    HOLDS_LIST,
    HOLDS_NAMED,
    HOLDS_ONE,
    SchemaError,
    parts,
    type_of,
    types_of,
    with_parts,
)
from arawn.answers.json_schema.normal import NormalSchema, definition_name, normal_form

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from arawn.answers.json_schema.dialects import Dialect
    from arawn.answers.json_schema.keywords import Schema

_MOST_PARTS = 20_000
"""Schemas one is written with at most: definitions that are written where they are used can grow without end."""
_BY_TYPE = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "array": ("minItems", "maxItems", "uniqueItems", "items", "prefixItems", "contains", "minContains", "maxContains"),
    "object": (
        *("properties", "required", "additionalProperties", "minProperties", "maxProperties", "patternProperties"),
        *("propertyNames", "dependentRequired", "dependentSchemas"),
    ),
}
_STRUCTURE = frozenset(
    {"type", "enum", "const", "properties", "required", "additionalProperties", "items", "prefixItems"}
)
_CONSTRAINTS = frozenset({*HOLDS_ONE, *HOLDS_LIST, *HOLDS_NAMED, "type", "enum", "const", "$ref"}).union(
    *_BY_TYPE.values()
)
_FROM_ZERO = frozenset({"minLength", "minItems", "minProperties", "uniqueItems"})
"""Keywords that refuse nothing where they are 0 or false."""
_KEPT = ("title", "description")


class Fitted(NamedTuple):
    """A schema in a dialect, with its numbers of optional properties and unions.

    ``exact`` says that whatever fits it fits the user's own.
    """

    schema: dict[str, Any]
    exact: bool
    optional: int
    unions: int


def fit(definition: Mapping[str, Any], dialect: Dialect, *, checked: bool = True) -> Fitted | None:
    """Return a schema as a dialect takes it, None where it cannot.

    ``checked`` says that what comes is checked against the user's own schema afterwards.
    """
    try:
        return _Writer(normal_form(definition).with_plain_root(), dialect, widens=checked and dialect.relaxes).write()
    except (_UnfitError, SchemaError, RecursionError):
        return None


def without_open_patterns(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema for services that turn it into a grammar, which only know patterns about a whole text.

    https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md
    """

    def change(schema: Schema) -> Schema:
        changed = with_parts(schema, change)
        if isinstance(changed, dict) and "pattern" in changed and not _is_of_grammar(changed["pattern"]):
            del changed["pattern"]
        return changed

    try:
        root, definitions = normal_form(definition)
        written = NormalSchema(change(root), {name: change(schema) for name, schema in definitions.items()})
    except (SchemaError, RecursionError):
        return definition
    return written.document()


def _is_of_grammar(pattern: str) -> bool:
    return patterns.is_anchored(pattern) and not patterns.looks_around(pattern) and not patterns.refers_back(pattern)


class _UnfitError(Exception):
    """The dialect cannot say this."""


class _Writer:
    """Writes one schema in one dialect."""

    def __init__(self, schema: NormalSchema, dialect: Dialect, *, widens: bool) -> None:
        self._normal = schema
        self._dialect = dialect
        self._widens = widens
        self._exact = True
        self._parts = self._properties = self._values = self._optional = self._unions = 0
        self._definitions: dict[str, Any] = {}
        self._waiting: list[str] = []
        self._null_fits: dict[str, bool] = {}
        self._recursive = _recursive(schema)

    def write(self) -> Fitted:
        """Write it. Raises _UnfitError."""
        if self._recursive and not self._dialect.recursive:
            raise _UnfitError
        written = self._schema(self._normal.root, 1)
        if written.get("type") != "object" or "anyOf" in written:
            raise _UnfitError
        counted = self._optional, self._unions  # what stands in definitions is not counted
        while self._waiting:
            name = self._waiting.pop()
            self._definitions[name] = self._schema(self._normal.definitions[name], 1)
        if self._definitions:
            written["$defs"] = self._definitions
        return Fitted(written, self._exact, *counted)

    def _schema(self, schema: Schema, depth: int) -> dict[str, Any]:
        self._parts += 1
        if isinstance(schema, bool) or depth > self._dialect.max_depth or self._parts > _MOST_PARTS:
            raise _UnfitError
        notes = {key: schema[key] for key in _KEPT if isinstance(schema.get(key), str)}
        said = {
            key: value
            for key, value in schema.items()
            if key in _CONSTRAINTS and not (key in _FROM_ZERO and value in (0, False))
        }
        if "$ref" in said:
            return self._reference(said, notes, depth)
        if len(said) == 1 and len(said.get("allOf", ())) == 1:
            return self._schema(_described(said["allOf"][0], notes), depth)
        if "type" not in said and ("anyOf" in said or "oneOf" in said):
            return self._union(said, notes, depth)
        return self._typed(said, notes, depth)

    def _reference(self, said: dict[str, Any], notes: dict[str, str], depth: int) -> dict[str, Any]:
        reference = said["$ref"]
        if len(said) > 1:
            raise _UnfitError
        if reference not in self._recursive and (notes or self._dialect.inlines):
            return self._schema(_described(self._normal.target(reference), notes), depth)
        name = definition_name(reference)
        if reference != "#" and name not in self._definitions:
            self._definitions[name] = {}
            self._waiting.append(name)
        return {"$ref": reference}

    def _union(self, said: dict[str, Any], notes: dict[str, str], depth: int) -> dict[str, Any]:
        """Write ``anyOf`` or ``oneOf``; what else the schema says is left out, or it does not fit."""
        key = "anyOf" if "anyOf" in said else "oneOf"
        lost = {name: said[name] for name in said if name != key}
        choices = said[key]
        if key == "oneOf" and not self._are_apart(choices):
            self._widen()
        notes = self._without(lost, notes)
        self._unions += 1
        if nullable := self._nullable(choices, depth):
            return {**nullable, **notes}
        return {**notes, "anyOf": [self._schema(choice, depth) for choice in choices]}

    def _nullable(self, choices: list[Schema], depth: int) -> dict[str, Any] | None:
        """Return a choice of one type or null as one schema, where definitions are written in place."""
        others = [choice for choice in choices if not (isinstance(choice, dict) and choice.get("type") == "null")]
        if not self._dialect.inlines or len(choices) != 2 or len(others) != 1:
            return None
        written = self._schema(others[0], depth)
        if not isinstance(written.get("type"), str):
            return {"anyOf": [written, {"type": "null"}]}
        written["type"] = [written["type"], "null"]
        return {**written, "enum": [*written["enum"], None]} if "enum" in written else written

    def _typed(self, said: dict[str, Any], notes: dict[str, str], depth: int) -> dict[str, Any]:
        types = types_of(said) or self._types_meant(said)
        others = [name for name in types if name != "null"]
        if len(others) > 1 and {"object", "array"} & set(others):
            raise _UnfitError
        self._unions += len(types) > 1
        written: dict[str, Any] = {"type": types[0] if len(types) == 1 else list(types)}
        written |= self._enumerated(said, types)
        if "object" in types:
            written |= self._object(said, depth)
        if "array" in types:
            written |= self._list(said, depth)
        lost: dict[str, Any] = {}
        for key, value in said.items():
            if key not in _STRUCTURE and _is_about(key, types):
                (written if self._takes(key, value) else lost)[key] = value
        return {**self._without(lost, notes), **written}

    def _types_meant(self, said: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the types of a schema that names none: those of its values, or the one all its keywords are about."""
        values = said.get("enum", [said["const"]] if "const" in said else [])
        found = dict.fromkeys(map(type_of, values)) or {
            name: None for name in ("object", "array") if not set(said).isdisjoint(_BY_TYPE[name])
        }
        if not found or (not values and len(found) > 1):
            raise _UnfitError
        return tuple(found)

    def _enumerated(self, said: Mapping[str, Any], types: tuple[str, ...]) -> dict[str, Any]:
        """Write ``enum``, of the values that the types allow; ``const`` is one of a single value."""
        if "enum" not in said and "const" not in said:
            return {}
        if "const" in said and "enum" in said:
            raise _UnfitError
        given = said.get("enum", [said.get("const")])
        values = list({(type_of(value), json.dumps(value)): value for value in given}.values())
        values = [value for value in values if type_of(value) in types or (type(value) is int and "number" in types)]
        self._values += len(values)
        if not values or self._values > self._dialect.max_enum:
            raise _UnfitError
        if any(isinstance(value, list | dict) for value in values):
            raise _UnfitError
        return {"enum": values}

    def _object(self, said: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties, others = said.get("properties", {}), said.get("additionalProperties")
        if said.get("patternProperties") or (others is not False and (others is not None or not properties)):
            return self._free_object(said, depth)
        self._properties += len(properties)
        if self._properties > self._dialect.max_properties:
            raise _UnfitError
        required = self._required(said, properties)
        self._optional += len(properties) - len(required)
        written = {name: self._schema(part, depth + 1) for name, part in properties.items()}
        closed = {"additionalProperties": False} if self._dialect.closed or others is False else {}
        return {"properties": written, "required": required, **closed}

    def _required(self, said: Mapping[str, Any], properties: Mapping[str, Schema]) -> list[str]:
        required = list(dict.fromkeys(said.get("required", ())))
        if not properties.keys() >= set(required):
            raise _UnfitError
        if not self._dialect.all_required:
            return required
        if not all(name in required or self._takes_null(part) for name, part in properties.items()):
            raise _UnfitError
        return list(properties)

    def _free_object(self, said: Mapping[str, Any], depth: int) -> dict[str, Any]:
        if not self._dialect.free_objects or said.get("patternProperties"):
            raise _UnfitError
        written: dict[str, Any] = {}
        if "properties" in said:
            written["properties"] = {name: self._schema(part, depth + 1) for name, part in said["properties"].items()}
        if "required" in said:
            written["required"] = said["required"]
        others = said.get("additionalProperties", True)
        return {
            **written,
            "additionalProperties": others if isinstance(others, bool) else self._schema(others, depth + 1),
        }

    def _list(self, said: Mapping[str, Any], depth: int) -> dict[str, Any]:
        if "prefixItems" not in said:
            return {"items": self._schema(said.get("items", True), depth + 1)}
        if not self._dialect.tuples or "items" not in said:
            raise _UnfitError
        first = [self._schema(part, depth + 1) for part in said["prefixItems"]]
        if said["items"] is not False:
            return {"prefixItems": first, "items": self._schema(said["items"], depth + 1)}
        return {"prefixItems": first, "maxItems": min(len(first), said.get("maxItems", len(first)))}

    def _takes(self, key: str, value: Any) -> bool:
        dialect = self._dialect
        match key:
            case "format":
                return value in dialect.formats
            case "pattern":
                is_plain = not patterns.looks_around(value) and not (
                    dialect.plain_patterns and patterns.refers_back(value)
                )
                return key in dialect.constraints and is_plain
            case "minItems" if dialect.single_min_items:
                return value in (0, 1)
            case _:
                return key in dialect.constraints

    def _without(self, lost: Mapping[str, Any], notes: dict[str, str]) -> dict[str, str]:
        """Leave out what the dialect cannot say, and say it in the description."""
        if not lost:
            return notes
        self._widen()
        said = json.dumps(dict(lost), ensure_ascii=False)
        before = f"{notes['description']} " if "description" in notes else ""
        return {**notes, "description": f"{before}Must fit {said}"}

    def _widen(self) -> None:
        self._exact = False
        if not self._widens:
            raise _UnfitError

    def _takes_null(self, schema: Schema) -> bool:
        """Say whether null fits a schema; false where that is not plain."""
        if isinstance(schema, bool):
            return schema
        said = {key: schema[key] for key in schema if key in _CONSTRAINTS}
        if "$ref" in said:
            return len(said) == 1 and self._target_takes_null(said["$ref"])
        if set(said) <= {"anyOf"}:
            return any(map(self._takes_null, said.get("anyOf", ())))
        named = "null" in (types_of(said) or ("null",))
        listed = None in said.get("enum", [None]) and said.get("const") is None
        return named and listed and set(said).isdisjoint({"anyOf", "oneOf", "allOf", "not", "if"})

    def _target_takes_null(self, reference: str) -> bool:
        if reference not in self._null_fits:
            self._null_fits[reference] = self._takes_null(self._normal.target(reference))
        return self._null_fits[reference]

    def _are_apart(self, choices: list[Schema]) -> bool:
        """Say whether it is plain that no value fits two of the schemas."""
        seen = [self._resolved(choice) for choice in choices]
        return all(_are_apart(one, other) for place, one in enumerate(seen) for other in seen[:place])

    def _resolved(self, schema: Schema) -> Mapping[str, Any]:
        for _ in range(len(self._normal.definitions) + 1):
            if isinstance(schema, dict) and "$ref" in schema:
                schema = self._normal.target(schema["$ref"])
        return schema if isinstance(schema, dict) else {}


def _described(schema: Schema, notes: Mapping[str, str]) -> Schema:
    """Return a schema with the title and description of the place it is used at."""
    return schema if isinstance(schema, bool) else {**schema, **notes}


def _are_apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether it is plain that no value fits both: other types, or another value in a property both require."""
    types, others = set(types_of(one) or ()), set(types_of(other) or ())
    if types and others and not types & others and not ({"integer", "number"} <= types | others):
        return True
    if types != {"object"} or others != {"object"}:
        return _values_apart(one, other)
    both = set(one.get("required", ())) & set(other.get("required", ()))
    first, second = one.get("properties", {}), other.get("properties", {})
    return any(_values_apart(first.get(name), second.get(name)) for name in both)


def _values_apart(one: Any, other: Any) -> bool:
    values, others = _values_of(one), _values_of(other)
    return bool(values) and bool(others) and not values & others


def _values_of(schema: Any) -> set[str]:
    """Return the texts that are all that fits a schema, none where it is not a matter of texts."""
    if not isinstance(schema, dict):
        return set()
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return set(values) if all(isinstance(value, str) for value in values) else set()


def _is_about(key: str, types: tuple[str, ...]) -> bool:
    """Say whether a keyword can refuse a value of these types."""
    names = {"number" if name == "integer" else name for name in types}
    about = [name for name, keys in _BY_TYPE.items() if key in keys]
    return not about or about[0] in names


def _recursive(schema: NormalSchema) -> set[str]:
    """Return the references that lead back to themselves."""
    edges = {"#": set(_references(schema.root))}
    edges |= {f"#/$defs/{name}": set(_references(part)) for name, part in schema.definitions.items()}
    found = set()
    for start in edges:
        reached: set[str] = set()
        waiting = list(edges[start])
        while waiting:
            reference = waiting.pop()
            if reference not in reached:
                reached.add(reference)
                waiting.extend(edges[reference])
        if start in reached:
            found.add(start)
    return found


def _references(schema: Schema) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"]
        for _, part in parts(schema):
            yield from _references(part)
