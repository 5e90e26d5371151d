"""A hundred ordinary JSON Schemas with values that fit and that do not: by keyword, and as APIs describe data."""

from __future__ import annotations

from typing import Any, NamedTuple


class Ordinary(NamedTuple):
    """A schema, values that fit it, and values that do not."""

    schema: dict[str, Any]
    fits: list[Any]
    misfits: list[Any]


def record(required: str = "", /, **properties: Any) -> dict[str, Any]:
    """The schema of an object; the names of required properties stand in one text."""
    found: dict[str, Any] = {"type": "object", "properties": properties}
    return {**found, "required": required.split()} if required else found


def closed(required: str = "", /, **properties: Any) -> dict[str, Any]:
    return {**record(required, **properties), "additionalProperties": False}


def listed(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def maybe(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def ref(name: str, at: str = "$defs") -> dict[str, str]:
    return {"$ref": f"#/{at}/{name}"}


TEXT, WHOLE, NUMBER, FLAG = ({"type": name} for name in ("string", "integer", "number", "boolean"))
MONEY = closed("amount currency", amount=NUMBER, currency={"enum": ["EUR", "USD"]})
TREE = {**record("name", name=TEXT, children=listed(ref("Node")))}

BY_KEYWORD = {
    "any value": Ordinary({}, [1, "a", None, {}], []),
    "text": Ordinary(TEXT, ["", "a"], [1, None, []]),
    "whole number": Ordinary(WHOLE, [0, -1, 1.0, 10**400], [1.5, True, "1"]),
    "number": Ordinary(NUMBER, [0, 1.5, -0.0, 10**40], [False, "1"]),
    "boolean": Ordinary(FLAG, [True, False], [0, 1, "true"]),
    "null": Ordinary({"type": "null"}, [None], [0, False, ""]),
    "two types": Ordinary({"type": ["string", "null"]}, ["a", None], [1, []]),
    "enum of texts": Ordinary({"enum": ["a", "b"]}, ["a"], ["c", "A", None]),
    "enum of many kinds": Ordinary(
        {"enum": [1, "1", None, True, [0], {"a": 0}]}, [1.0, "1", True, [0]], [0, False, [False]]
    ),
    "enum of 0 is not false": Ordinary({"enum": [0, [1]]}, [0, 0.0, [1.0]], [False, [True]]),
    "const": Ordinary({"const": {"a": [1]}}, [{"a": [1.0]}], [{"a": [True]}, {}]),
    "const of null": Ordinary({"const": None}, [None], [0, False]),
    "minimum": Ordinary({"type": "integer", "minimum": 2}, [2, 3], [1, -2]),
    "maximum": Ordinary({"type": "number", "maximum": 2.5}, [2.5, -9], [2.51]),
    "exclusive bounds": Ordinary({"exclusiveMinimum": 0, "exclusiveMaximum": 1}, [0.5, "a"], [0, 1]),
    "multiples of a fraction": Ordinary({"multipleOf": 0.01}, [19.01, 0, 4.35], [0.005]),
    "multiples of a big number": Ordinary({"multipleOf": 10**20}, [10**40], [10**40 + 1]),
    "length": Ordinary({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "💩💩"], ["a", "abcd"]),
    "length of nothing": Ordinary({"type": "string", "maxLength": 0}, [""], ["a"]),
    "pattern": Ordinary({"type": "string", "pattern": "^a+$"}, ["a", "aa"], ["b", "a\n", ""]),
    "open pattern": Ordinary({"pattern": "b"}, ["abc", 1], ["a"]),
    "digits are ascii": Ordinary({"pattern": r"^\d$"}, ["7"], ["\u0667"]),
    "pattern with a named group": Ordinary({"pattern": r"^(?<year>\d{4})-\d\d$"}, ["2026-11"], ["26-11"]),
    "list": Ordinary(listed(WHOLE), [[], [1, 2]], [[1, "2"], {}]),
    "number of items": Ordinary(listed(TEXT, minItems=1, maxItems=2), [["a"], ["a", "b"]], [[], ["a"] * 3]),
    "items that differ": Ordinary(
        listed({}, uniqueItems=True), [[1, True], [[1], [True]], []], [[1, 1.0], [{"a": 1}] * 2]
    ),
    "items may repeat": Ordinary(listed(TEXT, uniqueItems=False), [["a", "a"]], [[1]]),
    "tuple of draft 7": Ordinary(
        {"items": [WHOLE, TEXT], "additionalItems": False}, [[1, "a"], [1]], [["a"], [1, "a", 2]]
    ),
    "tuple of 2020": Ordinary({"prefixItems": [WHOLE], "items": TEXT}, [[1, "a", "b"], []], [[1, 2], ["a"]]),
    "contains": Ordinary({"contains": {"const": 1}}, [[0, 1], "a"], [[], [2]]),
    "contains two": Ordinary({"contains": WHOLE, "minContains": 2}, [[1, "a", 2]], [[1], [1, "a"]]),
    "contains at most one": Ordinary({"contains": WHOLE, "maxContains": 1}, [[1, "a"]], [[1, 2], []]),
    "contains none": Ordinary({"contains": WHOLE, "minContains": 0}, [[], ["a"]], []),
    "object": Ordinary(record("a", a=WHOLE, b=TEXT), [{"a": 1}, {"a": 1, "x": 0}], [{}, {"a": "1"}, {"a": 1, "b": 2}]),
    "closed object": Ordinary(closed("a", a=WHOLE), [{"a": 1}], [{"a": 1, "x": 0}]),
    "object without properties": Ordinary({"type": "object"}, [{}, {"x": 1}], [[], None]),
    "empty object": Ordinary(closed(), [{}], [{"a": 1}]),
    "map": Ordinary({"type": "object", "additionalProperties": WHOLE}, [{}, {"a": 1}], [{"a": "1"}]),
    "map beside properties": Ordinary(
        {**record("a", a=TEXT), "additionalProperties": WHOLE}, [{"a": "", "b": 1}], [{"a": "", "b": ""}]
    ),
    "properties by pattern": Ordinary(
        {"patternProperties": {"^x-": TEXT}, "additionalProperties": False}, [{"x-a": ""}], [{"x-a": 1}, {"a": ""}]
    ),
    "names of properties": Ordinary({"propertyNames": {"maxLength": 2}}, [{"ab": 1}], [{"abc": 1}]),
    "number of properties": Ordinary(
        {"minProperties": 1, "maxProperties": 2}, [{"a": 1}], [{}, {"a": 1, "b": 1, "c": 1}]
    ),
    "forbidden property": Ordinary({"properties": {"a": False}}, [{}, {"b": 1}], [{"a": 1}]),
    "strange names": Ordinary(
        record('"];', **{'"];': WHOLE, "{x}": TEXT, "a~/b": WHOLE}),
        [{'"];': 1}],
        [{'"];': ""}, {"{x}": 1}],
    ),
    "dependencies of draft 7": Ordinary(
        {"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}, [{"a": 1, "b": 1}, {}], [{"a": 1}, {"c": 1}]
    ),
    "dependent required": Ordinary(
        {"dependentRequired": {"a": ["b", "c"]}}, [{}, {"a": 1, "b": 1, "c": 1}], [{"a": 1, "b": 1}]
    ),
    "dependent schemas": Ordinary(
        {"dependentSchemas": {"a": {"properties": {"b": WHOLE}}}}, [{"b": ""}, {"a": 1, "b": 1}], [{"a": 1, "b": ""}]
    ),
    "all of": Ordinary({"allOf": [record("a", a=WHOLE), record("b", b=TEXT)]}, [{"a": 1, "b": ""}], [{"a": 1}]),
    "any of": Ordinary({"anyOf": [TEXT, {"type": "integer", "minimum": 2}]}, ["a", 2], [1, 1.5]),
    "one of": Ordinary({"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]}, [2, 3], [6, 5]),
    "not": Ordinary({"not": {"type": "string"}}, [1, None], ["a"]),
    "if then else": Ordinary({"if": WHOLE, "then": {"minimum": 5}, "else": TEXT}, [5, "a"], [4, None]),
    "only if": Ordinary(
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}}, [{}, {"a": 1, "b": 1}, 1], [{"a": 1}]
    ),
    "true and false": Ordinary({"properties": {"a": True}, "items": False}, [{"a": 1}, []], [[1]]),
    "reference to definitions": Ordinary(
        {"definitions": {"p": WHOLE}, "type": "array", "items": ref("p", "definitions")}, [[1]], [["a"]]
    ),
    "reference to a property": Ordinary(
        {"properties": {"a": WHOLE, "b": {"$ref": "#/properties/a"}}}, [{"b": 1}], [{"b": ""}]
    ),
    "reference with escapes": Ordinary({"$defs": {"a/b %": TEXT}, "$ref": "#/$defs/a~1b%20%25"}, ["a"], [1]),
    "reference with siblings": Ordinary({"$defs": {"p": WHOLE}, "$ref": "#/$defs/p", "minimum": 3}, [3], [2, "a"]),
    "names that differ in case": Ordinary(
        {"$defs": {"Foo": WHOLE, "foo": TEXT}, "properties": {"a": ref("Foo"), "b": ref("foo")}},
        [{"a": 1, "b": ""}],
        [{"a": ""}, {"b": 1}],
    ),
    "anchor": Ordinary({"$defs": {"p": {"$anchor": "here", **WHOLE}}, "items": {"$ref": "#here"}}, [[1]], [["a"]]),
    "id": Ordinary(
        {
            "$id": "https://example.com/a.json",
            "$defs": {"p": {"$id": "b.json", **TEXT}},
            "items": {"$ref": "https://example.com/b.json"},
        },
        [["a"]],
        [[1]],
    ),
    "id and a reference to the root": Ordinary(
        {"$id": "urn:example:tree", "type": "object", "properties": {"next": {"$ref": "#"}}},
        [{"next": {"next": {}}}],
        [{"next": 1}],
    ),
    "recursive": Ordinary(
        {**ref("Node"), "$defs": {"Node": TREE}},
        [{"name": "a", "children": [{"name": "b"}]}],
        [{"name": "a", "children": [{}]}],
    ),
    "recursive root": Ordinary(
        {"type": "object", "properties": {"left": {"$ref": "#"}, "v": WHOLE}},
        [{"left": {"v": 1}}],
        [{"left": {"v": ""}}],
    ),
    "two that refer to each other": Ordinary(
        {"$defs": {"a": listed(ref("b")), "b": {"type": "object", "additionalProperties": ref("a")}}, **ref("a")},
        [[{"x": [{}]}]],
        [[{"x": [1]}]],
    ),
    "date": Ordinary({"format": "date"}, ["2024-02-29", 1], ["2023-02-29", "20240101"]),
    "date and time": Ordinary(
        {"format": "date-time"},
        ["2026-11-30T23:59:60Z", "2026-11-30t01:02:03.5+01:00"],
        ["2026-11-30", "2026-11-30T25:00:00Z"],
    ),
    "time": Ordinary({"format": "time"}, ["23:59:59Z"], ["23:59", "24:00:00Z"]),
    "duration": Ordinary({"format": "duration"}, ["P1DT2H", "P3W"], ["P", "1D", "PT"]),
    "email": Ordinary({"format": "email"}, ["a.b@example.com"], ["a", "a@", "a b@c"]),
    "hostname": Ordinary({"format": "hostname"}, ["example.com", "a"], ["-a.com", "a_b", ""]),
    "ipv4": Ordinary({"format": "ipv4"}, ["127.0.0.1"], ["127.0.0.256", "1.2.3", "01.2.3.4"]),
    "ipv6": Ordinary({"format": "ipv6"}, ["::1", "2001:db8::1"], ["12345::", "::1%eth0"]),
    "uri": Ordinary({"format": "uri"}, ["https://example.com/a?b#c", "urn:x"], ["/a", "http://a b"]),
    "uuid": Ordinary(
        {"format": "uuid"},
        ["2EB8AA08-AA98-11EA-B4AA-73B441D16380"],
        ["2eb8aa08", "2eb8aa08-aa98-11ea-b4aa-73b441d1638z"],
    ),
    "unknown format": Ordinary({"type": "string", "format": "int64"}, ["anything"], [1]),
    "unknown keyword": Ordinary({"type": "string", "x-order": 1, "nullable": True}, ["a"], [None]),
    "draft 4 bounds": Ordinary(
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "minimum": 1,
            "exclusiveMinimum": True,
            "maximum": 3,
            "exclusiveMaximum": False,
        },
        [2, 3],
        [1, 4],
    ),
    "draft 4 id": Ordinary(
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "id": "http://x.test/root.json",
            "definitions": {"a": {"id": "#foo", **WHOLE}},
            "items": {"$ref": "#foo"},
        },
        [[1]],
        [["a"]],
    ),
    "draft 7 passes over siblings": Ordinary(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": {"p": WHOLE},
            "items": {**ref("p", "definitions"), "minimum": 3},
        },
        [[1]],
        [["a"]],
    ),
}

AS_APIS_DO = {
    "person": Ordinary(
        record("name age", name=TEXT, age={"type": "integer", "minimum": 0}), [{"name": "A", "age": 1}], [{"name": "A"}]
    ),
    "person with an optional note": Ordinary(record("name", name=TEXT, note=TEXT), [{"name": "A"}], [{"note": ""}]),
    "person with a nullable note": Ordinary(
        record("name", name=TEXT, note={"type": ["string", "null"]}), [{"name": "A", "note": None}], [{}]
    ),
    "optional as pydantic writes it": Ordinary(
        record("id", id=WHOLE, tag={**maybe(TEXT), "default": None, "title": "Tag"}),
        [{"id": 1, "tag": None}],
        [{"tag": None}],
    ),
    "list of tags": Ordinary(record("tags", tags=listed(TEXT, minItems=1)), [{"tags": ["a"]}], [{"tags": []}]),
    "order": Ordinary(
        record("id total", id=TEXT, total=MONEY),
        [{"id": "a", "total": {"amount": 1, "currency": "EUR"}}],
        [{"id": "a", "total": {"amount": 1, "currency": "GBP"}}],
    ),
    "definition as a root": Ordinary(
        {"$ref": "#/definitions/Pet", "definitions": {"Pet": record("name", name=TEXT)}}, [{"name": "a"}], [{}]
    ),
    "status of a job": Ordinary(
        closed(
            "status",
            status={"type": "string", "enum": ["queued", "done"]},
            at={"type": "string", "format": "date-time"},
        ),
        [{"status": "done"}],
        [{"status": "gone"}],
    ),
    "labels": Ordinary(
        record("labels", labels={"type": "object", "additionalProperties": TEXT}),
        [{"labels": {"a": "b"}}],
        [{"labels": {"a": 1}}],
    ),
    "anything as metadata": Ordinary(record("meta", meta={"type": "object"}), [{"meta": {"x": [1]}}], [{"meta": 1}]),
    "free value": Ordinary(record("value", value={}), [{"value": None}], [{}]),
    "point": Ordinary(
        closed(
            "type coordinates",
            type={"const": "Point"},
            coordinates={"type": "array", "prefixItems": [NUMBER, NUMBER], "items": False, "minItems": 2},
        ),
        [{"type": "Point", "coordinates": [1, 2]}],
        [{"type": "Point", "coordinates": [1]}],
    ),
    "pet, by a tag": Ordinary(
        record(
            "pet",
            pet={
                "oneOf": [
                    closed("kind bark", kind={"const": "dog"}, bark=FLAG),
                    closed("kind meow", kind={"const": "cat"}, meow=FLAG),
                ]
            },
        ),
        [{"pet": {"kind": "cat", "meow": True}}],
        [{"pet": {"kind": "cat", "bark": True}}],
    ),
    "pet, by definitions with a discriminator": Ordinary(
        {
            **record("pet", pet={"oneOf": [ref("Cat"), ref("Dog")], "discriminator": {"propertyName": "kind"}}),
            "$defs": {"Cat": record("kind", kind={"const": "cat"}), "Dog": record("kind", kind={"const": "dog"})},
        },
        [{"pet": {"kind": "dog"}}],
        [{"pet": {"kind": "cow"}}],
    ),
    "text or number": Ordinary(record("v", v={"oneOf": [TEXT, NUMBER]}), [{"v": 1}], [{"v": None}]),
    "whole or any number": Ordinary(record("v", v={"oneOf": [WHOLE, NUMBER]}), [{"v": 1.5}], [{"v": 1}]),
    "one of that overlaps": Ordinary(
        record("v", v={"oneOf": [record("a", a=WHOLE), record("b", b=WHOLE)]}),
        [{"v": {"a": 1}}],
        [{"v": {"a": 1, "b": 1}}],
    ),
    "base and more": Ordinary(
        {"allOf": [ref("Base"), record("extra", extra=TEXT)], "$defs": {"Base": record("id", id=WHOLE)}},
        [{"id": 1, "extra": ""}],
        [{"id": 1}],
    ),
    "all of one": Ordinary(
        record("a", a={"allOf": [ref("A")], "description": "an A"}) | {"$defs": {"A": record("b", b=WHOLE)}},
        [{"a": {"b": 1}}],
        [{"a": {}}],
    ),
    "reference with a description": Ordinary(
        record("a", a={**ref("A"), "description": "an A"}) | {"$defs": {"A": closed("b", b=WHOLE)}},
        [{"a": {"b": 1}}],
        [{"a": {}}],
    ),
    "comments in a tree": Ordinary(
        {**closed("text replies", text=TEXT, replies=listed({"$ref": "#"}))},
        [{"text": "", "replies": [{"text": "", "replies": []}]}],
        [{"text": "", "replies": [{}]}],
    ),
    "linked list": Ordinary(
        record("head", head=ref("N")) | {"$defs": {"N": closed("v next", v=WHOLE, next=maybe(ref("N")))}},
        [{"head": {"v": 1, "next": None}}],
        [{"head": {"v": 1}}],
    ),
    "page of results": Ordinary(
        record("items total", items=listed(record("id", id=TEXT)), total=WHOLE, next=maybe(TEXT)),
        [{"items": [{"id": "a"}], "total": 1, "next": None}],
        [{"items": [{}], "total": 1}],
    ),
    "matrix": Ordinary(record("rows", rows=listed(listed(NUMBER))), [{"rows": [[1.5], []]}], [{"rows": [1]}]),
    "problem details": Ordinary(
        record(
            "type title",
            type={"type": "string", "format": "uri"},
            title=TEXT,
            status={"type": "integer", "minimum": 100, "maximum": 599},
        ),
        [{"type": "about:blank", "title": "a"}],
        [{"type": "about:blank", "title": "a", "status": 42}],
    ),
    "user name": Ordinary(
        closed("login", login={"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 39}),
        [{"login": "a-b"}],
        [{"login": "-a"}],
    ),
    "password that looks ahead": Ordinary(
        closed("p", p={"type": "string", "pattern": r"^(?=.*\d).{4,}$"}), [{"p": "abc1"}], [{"p": "abcd"}]
    ),
    "limits in words": Ordinary(
        closed("score", score={"type": "number", "minimum": 0, "maximum": 1, "description": "how sure"}),
        [{"score": 0.5}],
        [{"score": 2}],
    ),
    "unique ids": Ordinary(closed("ids", ids=listed(WHOLE, uniqueItems=True)), [{"ids": [1, 2]}], [{"ids": [1, 1]}]),
    "either or": Ordinary(
        {**record(a=TEXT, b=TEXT), "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, [{"a": ""}], [{}]
    ),
    "deep": Ordinary(
        closed("a", a=closed("b", b=closed("c", c=closed("d", d=closed("e", e=FLAG))))),
        [{"a": {"b": {"c": {"d": {"e": True}}}}}],
        [{"a": {"b": {"c": {"d": {}}}}}],
    ),
    "nullable of draft 7": Ordinary(
        closed("a", a={"type": ["object", "null"], "properties": {"b": WHOLE}, "required": ["b"]}),
        [{"a": None}, {"a": {"b": 1}}],
        [{"a": {}}],
    ),
    "no type but properties": Ordinary({"properties": {"a": WHOLE}, "required": ["a"]}, [{"a": 1}], [{}]),
    "number of enum": Ordinary(
        closed("size", size={"type": "integer", "enum": [1, 2, 3]}), [{"size": 1}], [{"size": 4}]
    ),
    "nullable enum": Ordinary(closed("c", c={"enum": ["red", None]}), [{"c": None}], [{"c": "blue"}]),
}

ORDINARY = {**BY_KEYWORD, **AS_APIS_DO}
