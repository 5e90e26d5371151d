"""The normal form of a JSON Schema: the terms of 2020-12, with every reference as ``#`` or ``#/$defs/NAME``.

Drafts 4 to 7 and 2019-09 are rewritten: ``items`` as a list to ``prefixItems``, ``additionalItems`` to ``items``,
``dependencies`` to ``dependentRequired`` and ``dependentSchemas``, a true ``exclusiveMinimum`` to a number, and
``definitions`` to ``$defs``; beside ``$ref`` those drafts pass over all else. ``$id`` and ``$anchor`` are resolved and
left out, only definitions that are referred to are kept, unknown keywords stay. What follows, the checks and what is
sent, knows this form alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from arawn.answers.json_schema import patterns
from arawn.answers.json_schema.keywords import (
    ANNOTATIONS,
    HOLDS_LIST,
    HOLDS_NAMED,
    HOLDS_ONE,
    UNCHECKED,
    SchemaError,
    escaped,
    parts,
    require_kind,
    with_parts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from arawn.answers.json_schema.keywords import Schema

_LEFT_OUT = frozenset({"$schema", "$id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$vocabulary", "$comment"})
_DEFINITIONS = ("$defs", "definitions")
_OLD = ("draft-04", "draft-06", "draft-07")
_PREFIX = "#/$defs/"
_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")


class NormalSchema(NamedTuple):
    """A schema in the normal form: its root, and the definitions that are referred to."""

    root: Schema
    definitions: dict[str, Schema]

    def target(self, reference: str) -> Schema:
        """Return what a reference in the normal form names."""
        return self.root if reference == "#" else self.definitions[definition_name(reference)]

    def document(self) -> dict[str, Any]:
        """Return it as one JSON Schema."""
        root = {"not": {}} if self.root is False else {} if self.root is True else self.root
        return {**root, "$defs": self.definitions} if self.definitions else dict(root)

    def with_plain_root(self) -> NormalSchema:
        """Return the same schema where a root that only refers to a definition is that definition."""
        root: Schema = self.root
        while isinstance(root, dict) and "$ref" in root and root.keys() <= {"$ref", *ANNOTATIONS}:
            root = self.target(root["$ref"])  # comes to an end: circles were refused
        return NormalSchema(root, self.definitions)

    def below_property(self, name: str) -> NormalSchema:
        """Return the schema of an object whose one property has this schema."""
        rest = {"required": [name], "additionalProperties": False}
        return self._below(lambda inner: {"type": "object", "properties": {name: inner}, **rest})

    def below_items(self) -> NormalSchema:
        """Return the schema of a list whose items have this schema."""
        return self._below(lambda inner: {"type": "array", "items": inner})

    def _below(self, root: Callable[[Schema], Schema]) -> NormalSchema:
        moved = f"{_PREFIX}{_unused('root', self.definitions)}"

        def change(schema: Schema) -> Schema:
            changed = with_parts(schema, change)
            if isinstance(changed, dict) and changed.get("$ref") == "#":
                changed["$ref"] = moved
            return changed

        definitions = {key: change(schema) for key, schema in self.definitions.items()}
        inner = change(self.root)
        if any(_refers_to(schema, moved) for schema in (inner, *definitions.values())):
            definitions[definition_name(moved)] = inner
            inner = {"$ref": moved}
        return NormalSchema(root(inner), definitions)


def definition_name(reference: str) -> str:
    """Return the name of the definition a reference in the normal form names."""
    return reference.removeprefix(_PREFIX)


def normal_form(definition: Mapping[str, Any]) -> NormalSchema:
    """Return the normal form of a schema. Raises SchemaError for what is none, or cannot be checked, and says where."""
    try:
        schema = _Reader(dict(definition)).read()
        _refuse_circles(schema)
    except RecursionError:
        raise SchemaError("it is nested too deeply") from None
    return schema


class _Target(NamedTuple):
    """Where a reference leads: the schema, its pointer, and the base of the references in it."""

    schema: Any
    pointer: str
    base: str


class _Reader:
    """Reads one schema."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        dialect = root.get("$schema")
        dialect = dialect if isinstance(dialect, str) else ""
        if "draft-03" in dialect:
            raise SchemaError("$schema: draft 3 is not supported")
        self._is_old = any(name in dialect for name in _OLD)
        self._id_keys = ("$id", "id") if "draft-04" in dialect else ("$id",)
        self._named: dict[str, _Target] = {}
        self._names: dict[int, str] = {}
        self._waiting: list[tuple[str, _Target]] = []
        self._taken: dict[str, Any] = {}

    def read(self) -> NormalSchema:
        """Return the normal form."""
        base = self._base_of(self._root, "")
        self._named[""] = self._named[base] = _Target(self._root, "#", base)
        self._index(self._root, "#", base)
        root = self._schema(self._root, "#", base)
        definitions: dict[str, Schema] = {}
        while self._waiting:
            name, target = self._waiting.pop(0)
            definitions[name] = self._schema(target.schema, target.pointer, target.base)
        return NormalSchema(root, definitions)

    # ---- names: $id, $anchor, $ref ----

    def _index(self, schema: Any, pointer: str, base: str) -> None:
        """Find the names of all schemas, also of those nothing refers to; refuse what cannot be checked."""
        if not isinstance(schema, dict):
            return
        _refuse_unchecked(schema, pointer)
        base = self._base_of(schema, base)
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(schema.get(key), str):
                self._named[f"{base}#{schema[key]}"] = _Target(schema, pointer, base)
        for key in self._id_keys:
            given = schema.get(key)
            if isinstance(given, str) and given.startswith("#"):  # drafts 4 to 7 name a place so
                self._named[base + given] = _Target(schema, pointer, base)
        self._named.setdefault(base, _Target(schema, pointer, base))
        for place, part in _places(schema):
            self._index(part, pointer + place, base)

    def _base_of(self, schema: Mapping[str, Any], base: str) -> str:
        from urllib.parse import urljoin

        for key in self._id_keys:
            given = schema.get(key)
            if isinstance(given, str) and not given.startswith("#"):
                return urljoin(base, given).partition("#")[0]
        return base

    def _reference(self, reference: str, base: str) -> str:
        """Return a reference in the normal form, and read what it names later."""
        target = self._target(reference, base)
        if target.schema is self._root:
            return "#"
        if not isinstance(target.schema, dict | bool):
            raise SchemaError(f"$ref to {reference}: there is no schema")
        key = id(target.schema) if isinstance(target.schema, dict) else hash(target.pointer)
        if key not in self._names:
            name = _unused(_plain_name(target.pointer.rpartition("/")[2]), self._taken)
            self._names[key], self._taken[name] = name, target
            self._waiting.append((name, target))
        return _PREFIX + self._names[key]

    def _target(self, reference: str, base: str) -> _Target:
        from urllib.parse import unquote, urljoin

        address, _, fragment = (base + reference if reference.startswith("#") else urljoin(base, reference)).partition(
            "#"
        )
        if fragment and not fragment.startswith("/"):
            found = self._named.get(f"{address}#{fragment}")
        else:
            found = self._named.get(address)
        if found is None:
            if address in self._named:
                raise SchemaError(f"$ref to {reference}: there is no schema of that name")
            raise SchemaError(f"$ref to {reference}: nothing is fetched", "put what it names under $defs")
        return self._below(found, unquote(fragment), reference) if fragment.startswith("/") else found

    def _below(self, found: _Target, fragment: str, reference: str) -> _Target:
        schema, base = found.schema, found.base
        for token in fragment.split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            try:
                schema = schema[int(name)] if isinstance(schema, list) else schema[name]
            except (KeyError, IndexError, ValueError, TypeError):
                raise SchemaError(f"$ref to {reference}: there is no schema") from None
            if isinstance(schema, dict):
                base = self._base_of(schema, base)
        return _Target(schema, found.pointer + fragment, base)

    # ---- schemas ----

    def _schema(self, schema: Any, pointer: str, base: str) -> Schema:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise SchemaError(f"{pointer}: expected a schema: an object, true or false")
        _refuse_unchecked(schema, pointer)
        base = self._base_of(schema, base)
        terms = _modern(schema, pointer)
        if "$ref" in terms and self._is_old:
            terms = {key: value for key, value in terms.items() if key == "$ref" or key in ANNOTATIONS}
        for key, value in terms.items():
            require_kind(key, value, pointer)
        _require_patterns(terms, pointer)
        read = {key: self._value(key, value, f"{pointer}/{key}", base) for key, value in terms.items()}
        if "$ref" in read:
            read["$ref"] = self._reference(terms["$ref"], base)
        return read

    def _value(self, key: str, value: Any, pointer: str, base: str) -> Any:
        if key in HOLDS_ONE:
            return self._schema(value, pointer, base)
        if key in HOLDS_LIST:
            return [self._schema(part, f"{pointer}/{place}", base) for place, part in enumerate(value)]
        if key in HOLDS_NAMED:
            return {name: self._schema(part, f"{pointer}/{escaped(name)}", base) for name, part in value.items()}
        return value


def _modern(schema: Mapping[str, Any], pointer: str) -> dict[str, Any]:
    """Return a schema in the terms of 2020-12; the schemas in it are as they were."""
    terms = {key: value for key, value in schema.items() if key not in _LEFT_OUT and key not in _DEFINITIONS}
    if isinstance(terms.get("id"), str):
        del terms["id"]
    rest = terms.pop("additionalItems", None)
    if isinstance(terms.get("items"), list):
        first = terms.pop("items")
        terms |= ({"prefixItems": first} if first else {}) | ({} if rest is None else {"items": rest})
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(terms.get(exclusive), bool) and terms.pop(exclusive) and bound in terms:  # draft 4
            terms[exclusive] = terms.pop(bound)
    return _split_dependencies(terms, pointer) if "dependencies" in terms else terms


def _split_dependencies(terms: dict[str, Any], pointer: str) -> dict[str, Any]:
    dependencies = terms.pop("dependencies")
    if not isinstance(dependencies, dict):
        raise SchemaError(f"dependencies at {pointer}: expected an object")
    for name, needed in dependencies.items():
        key = "dependentRequired" if isinstance(needed, list) else "dependentSchemas"
        terms[key] = {name: needed, **terms.get(key, {})}
    return terms


def _places(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what stands where a schema may stand, in any draft, each with its place."""
    for key in (*HOLDS_ONE, "additionalItems"):
        if not isinstance(schema.get(key), list):
            yield f"/{key}", schema.get(key)
    for key in (*HOLDS_LIST, "items"):
        if isinstance(schema.get(key), list):
            yield from ((f"/{key}/{place}", part) for place, part in enumerate(schema[key]))
    for key in (*HOLDS_NAMED, *_DEFINITIONS, "dependencies"):
        if isinstance(schema.get(key), dict):
            yield from ((f"/{key}/{escaped(str(name))}", part) for name, part in schema[key].items())


def _refuse_unchecked(schema: Mapping[str, Any], pointer: str) -> None:
    for key in UNCHECKED:
        if key in schema:
            raise SchemaError(f"{key} at {pointer}/{key} cannot be checked", "leave it out, or say it without")


def _require_patterns(schema: Mapping[str, Any], pointer: str) -> None:
    for pattern in (*([schema["pattern"]] if "pattern" in schema else ()), *schema.get("patternProperties", ())):
        try:
            patterns.compiled(pattern)
        except ValueError as error:
            raise SchemaError(f"pattern at {pointer}: {error}: {pattern[:80]}") from None


def _refuse_circles(schema: NormalSchema) -> None:
    """Raise SchemaError where a schema leads back to itself without going deeper into the value: it says nothing."""
    done: set[str] = set()

    def visit(reference: str, open_: tuple[str, ...]) -> None:
        if reference in open_:
            raise SchemaError(f"$ref to {reference} leads back to itself")
        if reference not in done:
            for inner in _in_place(schema.target(reference)):
                visit(inner, (*open_, reference))
            done.add(reference)

    for reference in ("#", *(_PREFIX + name for name in schema.definitions)):
        visit(reference, ())


def _in_place(schema: Schema) -> Iterator[str]:
    """Yield the references that are about the same value as the schema itself."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"]
        for place, part in parts(schema):
            if place.split("/")[1] in _IN_PLACE:
                yield from _in_place(part)


def _refers_to(schema: Schema, reference: str) -> bool:
    if isinstance(schema, bool):
        return False
    return schema.get("$ref") == reference or any(_refers_to(part, reference) for _, part in parts(schema))


def _plain_name(token: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", token.replace("~1", "/").replace("~0", "~")).lstrip("#") or "schema"


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    found, number = name, 2
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found
