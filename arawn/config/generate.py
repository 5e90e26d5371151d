"""Generates the example file, the tables of the docs and the JSON Schema for editors from the schema.

``python -m arawn.config.generate`` in the project's folder writes all three; a test compares them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arawn.config.schema import KEYS, SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from arawn.config.key import Key

BEGIN, END = "<!-- keys: begin -->", "<!-- keys: end -->"
_HEAD = """\
# The configuration of arawn. Every key is here and switched off: remove the "#" before one, and before the [table]
# it stands in. `arawn config path` says where this file belongs, docs/configuration.md what it means.
# For an editor that knows TOML schemas: arawn config schema > arawn.schema.json, and as the first line of this file
# "#:schema ./arawn.schema.json".
"""
_NAMES = {
    "embeddings.NAME": "embeddings.openai",
    "backends.NAME": "backends.my-server",
    "backends.NAME.replies": "backends.mock.replies",
    "models.NAME": 'models."gpt-5.4-mini"',
    "budget.backends.NAME": "budget.backends.anthropic",
}
_KEY_NAMES = {"tiers": "haiku", "aliases": "fast"}
_JSON_TYPES = {
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "map": "object",
    "table": "object",
    "strings": "array",
}
_EXCLUDING_REPLIES = ("tool_call", "error")


def example() -> str:
    """Return config.example.toml: every key with its sentence, commented out."""
    blocks = [_HEAD]
    for section, sentence in SECTIONS.items():
        header = f"[[{_NAMES[section]}]]" if section.endswith("replies") else f"[{_NAMES.get(section, section)}]"
        lines = [f"# {sentence}", f"#{header}"]
        for key in _keys_of(section):
            name = _KEY_NAMES.get(section) or _name(key)
            if name in _EXCLUDING_REPLIES and section.endswith("replies"):
                lines.append(f"#{header}")
            lines += [f"# {key.doc}{_limits(key)}", f"#{name} = {toml(key.example)}"]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def json_schema() -> dict[str, Any]:
    """Return a JSON Schema (draft 4, which is what Taplo reads) of a configuration file."""
    schema: dict[str, Any] = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "title": "arawn configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": {},
    }
    for key in KEYS:
        *tables, last = key.path.split(".")
        table = schema
        for name in tables:
            table = _inner(table, name)
        if last == "NAME":
            table["additionalProperties"] = _json_key(key)
        else:
            table["properties"][last] = _json_key(key)
    return schema


def docs(current: str) -> str:
    """Return docs/configuration.md with its tables of keys replaced; the text around them stays."""
    before, _, rest = current.partition(BEGIN)
    after = rest.partition(END)[2]
    tables = "\n".join(_tables())
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def toml(value: object) -> str:
    """Write a value as TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def main() -> None:
    """Write the three files into the folder this runs in."""
    with open("docs/configuration.md", encoding="utf-8") as file:
        configuration = docs(file.read())
    made = {
        "config.example.toml": example(),
        "docs/arawn.schema.json": json.dumps(json_schema(), indent=1) + "\n",
        "docs/configuration.md": configuration,
    }
    for path, text in made.items():
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)


def _keys_of(section: str) -> list[Key]:
    return [key for key in KEYS if key.path.rpartition(".")[0].removesuffix(".[]") == section]


def _name(key: Key) -> str:
    return key.path.rpartition(".")[2]


def _limits(key: Key) -> str:
    """Return in brackets what a value may be, and its default."""
    low = f">= {key.minimum:g}" if key.minimum is not None else f"> {key.above:g}" if key.above is not None else ""
    high = f"<= {key.maximum:g}" if key.maximum is not None else ""
    parts = [", ".join(key.choices), low, high]
    if key.default is not None:
        parts.append(f"default {toml(key.default)}")
    said = "; ".join(part for part in parts if part)
    return f" ({said})" if said else ""


def _tables() -> Iterator[str]:
    for section, sentence in SECTIONS.items():
        title = f"[[{section}]]" if section.endswith("replies") else f"[{section}]"
        yield f"### `{title}`\n\n{sentence}\n\n| key | type | meaning | example |\n|---|---|---|---|"
        for key in _keys_of(section):
            mark = "" if key.project else " ⁺"
            yield f"| `{_name(key)}`{mark} | {key.kind} | {key.doc}{_limits(key)} | `{toml(key.example)}` |"
        yield ""


def _inner(table: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the schema of a table inside another, created where it is missing."""
    new = {"type": "object", "additionalProperties": False, "properties": {}}
    if name == "NAME":
        if table["additionalProperties"] is False:
            table["additionalProperties"] = new
        inner: dict[str, Any] = table["additionalProperties"]
    elif name == "[]":
        table.pop("properties", None)
        table.pop("additionalProperties", None)
        table["type"] = "array"
        inner = table.setdefault("items", new)
    else:
        inner = table["properties"].setdefault(name, new)
    return inner


def _json_key(key: Key) -> Mapping[str, Any]:
    schema: dict[str, Any] = {"description": key.doc, "type": _JSON_TYPES.get(key.kind, "string")}
    if key.choices and key.kind != "strings":
        schema["enum"] = list(key.choices)
    if key.minimum is not None:
        schema["minimum"] = key.minimum
    if key.above is not None:
        schema |= {"minimum": key.above, "exclusiveMinimum": True}
    if key.maximum is not None:
        schema["maximum"] = key.maximum
    if key.default is not None:
        schema["default"] = key.default
    if key.kind == "strings":
        schema["items"] = {"type": "string"} | ({"enum": list(key.choices)} if key.choices else {})
    if key.kind == "map":
        schema["additionalProperties"] = {"type": "string"}
    return schema


if __name__ == "__main__":
    main()
