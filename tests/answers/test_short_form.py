"""Schemas in short."""

from __future__ import annotations

import pytest

from arawn.answers.schema import read_schema
from arawn.errors import UsageError

TEXT = {"type": "string"}


def read(text):
    schema = read_schema(text, "--schema")
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    return schema["properties"], schema["required"]


@pytest.mark.parametrize(
    ("text", "properties"),
    [
        ("name,", {"name": TEXT}),
        ("name, age int", {"name": TEXT, "age": {"type": "integer"}}),
        ("a str, b float,c bool", {"a": TEXT, "b": {"type": "number"}, "c": {"type": "boolean"}}),
        (
            "tags [str], sizes [ int ]",
            {"tags": {"type": "array", "items": TEXT}, "sizes": {"type": "array", "items": {"type": "integer"}}},
        ),
        (
            "name: the whole name, age int: in years",
            {"name": {**TEXT, "description": "the whole name"}, "age": {"type": "integer", "description": "in years"}},
        ),
        (
            "name: first, or last\n\n  age int\n",
            {"name": {**TEXT, "description": "first, or last"}, "age": {"type": "integer"}},
        ),
        ("größe_2 float, a-b", {"größe_2": {"type": "number"}, "a-b": TEXT}),
        ("url: https://x.test/a.json, b", {"url": {**TEXT, "description": "https://x.test/a.json"}, "b": TEXT}),
    ],
)
def test_fields_have_names_types_and_descriptions(text, properties):
    assert read(text) == (properties, list(properties))


def test_a_question_mark_lets_a_field_be_missing_or_null():
    properties, required = read("name, age? int, tags? [str]: if any")
    assert required == ["name"]
    assert properties["age"] == {"type": ["integer", "null"]}
    assert properties["tags"] == {"type": ["array", "null"], "items": TEXT, "description": "if any"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name, age integer", "expected a type (str, int, float, bool, or a list like [str]) at character 11: integer"),
        ("name, age int old", "expected a type (str, int, float, bool, or a list like [str]) at character 11: int old"),
        ("tags [str, a", "expected a type (str, int, float, bool, or a list like [str]) at character 6: [str"),
        ("a,,b", "expected a field at character 3"),
        (", a", "expected a field at character 1"),
        ("a, ?b", "expected the name of a field at character 4: ?b"),
        ("a int, b, a", "the field a stands there twice at character 11: a"),
        ("a: x\nb what\n", "expected a type (str, int, float, bool, or a list like [str]) at character 8: what"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(text, said):
    with pytest.raises(UsageError) as caught:
        read_schema(text, "--schema-multi")
    assert caught.value.message == f"--schema-multi: {said}"
    assert "name, age int, tags [str]" in caught.value.hints[0]


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my schema").write_text('{"type": "null"}')
    assert read_schema("my schema", "--schema") == {"type": "null"}


@pytest.mark.parametrize("name", ["no such/file", "not here.json", "name"])
def test_what_looks_like_a_file_is_one(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="cannot read"):
        read_schema(name, "--schema")


@pytest.mark.parametrize("text", ["\n", "  ", ","])
def test_nothing_is_no_schema(text):
    with pytest.raises(UsageError):
        read_schema(text, "--schema")
