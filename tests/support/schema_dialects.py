"""The JSON Schema subsets that providers document, as checkers: each returns what in a schema they would refuse.

Written from their documentation alone, not from how arawn writes schemas; see docs/schemas.md for the pages.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ANNOTATIONS = {"title", "description"}
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
STRICT_KEYS = {
    *("type", "enum", "properties", "required", "additionalProperties", "items", "anyOf", "$ref", "$defs"),
    *("pattern", "format", "minItems", "maxItems", *BOUNDS, *ANNOTATIONS),
}
ANTHROPIC_KEYS = {
    *("type", "enum", "const", "properties", "required", "additionalProperties", "items", "anyOf", "allOf", "$ref"),
    *("$defs", "pattern", "format", "minItems", "default", *ANNOTATIONS),
}
GEMINI_KEYS = {
    *("type", "enum", "properties", "required", "additionalProperties", "items", "prefixItems", "anyOf", "format"),
    *("minimum", "maximum", "minItems", "maxItems", *ANNOTATIONS),
}
LOOKS_AROUND = re.compile(r"\(\?<?[=!]")
Found = "Iterator[str]"


def schemas_in(schema: Any, at: str = "#", depth: int = 1) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Every schema in one, with its place and how deep it stands; definitions begin anew."""
    assert isinstance(schema, dict), f"{at}: a provider takes no true or false for a schema"
    yield at, schema, depth
    for name, part in schema.get("$defs", {}).items():
        yield from schemas_in(part, f"#/$defs/{name}")
    for name, part in schema.get("properties", {}).items():
        yield from schemas_in(part, f"{at}/properties/{name}", depth + 1)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from schemas_in(schema[key], f"{at}/{key}", depth + 1)
    for key in ("anyOf", "allOf", "oneOf", "prefixItems"):
        for place, part in enumerate(schema.get(key, ())):
            yield from schemas_in(part, f"{at}/{key}/{place}", depth)


def openai_strict(schema: dict[str, Any]) -> list[str]:
    """What the structured outputs of OpenAI refuse under ``strict: true``."""
    found = [] if schema.get("type") == "object" and "anyOf" not in schema else ["#: the root is no plain object"]
    properties = values = 0
    for at, part, depth in schemas_in(schema):
        found += _foreign(at, part, STRICT_KEYS) + _open_object(at, part)
        properties += len(part.get("properties", {}))
        values += len(part.get("enum", ()))
        if depth > 10:
            found.append(f"{at}: deeper than 10")
        if set(part.get("required", ())) != set(part.get("properties", {})):
            found.append(f"{at}: not every property is required")
        if "$ref" in part and (len(part) > 1 or not re.fullmatch(r"#|#/\$defs/[^/]+", part["$ref"])):
            found.append(f"{at}: a reference elsewhere, or with siblings")
        if not {"type", "anyOf", "$ref"} & set(part):
            found.append(f"{at}: no type")
        if LOOKS_AROUND.search(part.get("pattern", "")):
            found.append(f"{at}: a pattern that looks around")
    return found + ["too many properties"] * (properties > 5000) + ["too many values"] * (values > 1000)


def anthropic(schema: dict[str, Any]) -> list[str]:
    """What the structured outputs of Anthropic refuse."""
    found = [] if schema.get("type") == "object" else ["#: the root is no object"]
    for at, part, _ in schemas_in(schema):
        found += _foreign(at, part, ANTHROPIC_KEYS, FORMATS | {"uri"}) + _open_object(at, part)
        if part.get("minItems", 0) not in (0, 1):
            found.append(f"{at}: minItems above 1")
        if any(isinstance(value, list | dict) for value in part.get("enum", ())):
            found.append(f"{at}: an enum of objects")
        if re.search(r"\\[1-9bBk]", part.get("pattern", "")) or LOOKS_AROUND.search(part.get("pattern", "")):
            found.append(f"{at}: a pattern with more than the basics")
    optional, unions = anthropic_counts(schema)
    found += [f"{optional} optional properties"] * (optional > 24) + [f"{unions} unions"] * (unions > 16)
    return found + _recursive(schema)


def anthropic_counts(schema: dict[str, Any]) -> tuple[int, int]:
    """The optional properties and the unions, without following references."""
    parts = [part for at, part, _ in schemas_in(schema) if not at.startswith("#/$defs/")]
    optional = sum(len(set(part.get("properties", {})) - set(part.get("required", ()))) for part in parts)
    return optional, sum("anyOf" in part or isinstance(part.get("type"), list) for part in parts)


def gemini(schema: dict[str, Any]) -> list[str]:
    """What Gemini's response schema does not know; references are not followed behind its OpenAI address."""
    found = []
    for at, part, _ in schemas_in(schema):
        found += _foreign(at, part, GEMINI_KEYS, {"date-time", "date", "time"})
    return found


def groq(schema: dict[str, Any]) -> list[str]:
    """What Groq refuses under ``strict: true``."""
    return openai_strict(schema) + _recursive(schema)


def _foreign(at: str, part: dict[str, Any], keys: set[str], formats: set[str] = FORMATS) -> list[str]:
    found = [f"{at}: {key}" for key in sorted(set(part) - keys)]
    return found + [f"{at}: format {part.get('format')}"] * (part.get("format", "date") not in formats)


def _open_object(at: str, part: dict[str, Any]) -> list[str]:
    names = part.get("type", [])
    is_object = "object" in ([names] if isinstance(names, str) else names)
    return [f"{at}: open to other properties"] * (is_object and part.get("additionalProperties") is not False)


def _recursive(schema: dict[str, Any]) -> list[str]:
    """Names of definitions that lead back to themselves."""
    edges: dict[str, set[str]] = {"#": set()}
    for at, part, _ in schemas_in(schema):
        owner = at.split("/")[2] if at.startswith("#/$defs/") else "#"
        edges.setdefault(owner, set()).update([part["$ref"].rpartition("/")[2]] if "$ref" in part else [])
    found = []
    for start, first in edges.items():
        reached, waiting = set(), set(first)
        while waiting:
            name = waiting.pop()
            reached.add(name)
            waiting |= edges.get(name, set()) - reached
        found += [f"{start}: recursive"] * (start in reached)
    return found


CHECKERS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "openai-strict": openai_strict,
    "anthropic": anthropic,
    "gemini": gemini,
    "groq": groq,
}
