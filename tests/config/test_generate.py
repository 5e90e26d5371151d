"""The example file, the docs and the JSON Schema are what the table of keys says."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft4Validator

from arawn.backends.mock_tables import from_table
from arawn.config.generate import docs, example, json_schema
from arawn.config.schema import KEYS, SECTIONS
from arawn.config.sources import BUILT_IN

ROOT = Path(__file__).parents[2]
SWITCHED_OFF = re.compile(r"^#(?=[^ ])", re.MULTILINE)


def sections() -> list[str]:
    return example().split("\n\n")[1:]


def test_the_example_file_is_the_one_in_the_project():
    assert (ROOT / "config.example.toml").read_text(encoding="utf-8") == example()


def test_the_json_schema_is_the_one_in_the_project():
    assert json.loads((ROOT / "docs" / "arawn.schema.json").read_text(encoding="utf-8")) == json_schema()


def test_the_docs_have_the_keys_there_are():
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

    assert docs(text) == text
    assert all(f"| `{key.path.rpartition('.')[2]}`" in text for key in KEYS)


def test_the_example_loads_as_it_is(home):
    home.user(example())
    settings = home.load()

    assert settings.warnings == ()
    assert settings.tree == settings.layers[0].tree


@pytest.mark.parametrize("section", sections(), ids=list(SECTIONS))
def test_every_section_of_the_example_loads_when_it_is_switched_on(home, section):
    home.write(home.user_file.parent / ".env", "")
    home.user(SWITCHED_OFF.sub("", section))
    settings = home.load()

    assert settings.warnings == ()
    assert settings.layers[2].tree != {}


def test_the_whole_example_switched_on_sets_every_key(home):
    home.write(home.user_file.parent / ".env", "")
    home.user(SWITCHED_OFF.sub("", example().partition("\n\n")[2]))
    settings = home.load()
    written = str(sorted(_names(settings.layers[2].tree)))

    assert settings.warnings == ()
    assert all(key.path.rpartition(".")[2] in written for key in KEYS if not key.path.endswith("NAME"))
    assert settings.backend("my-server").quirks.extra == {"seed": 7}
    assert from_table("mock", {"replies": settings.backend("mock").replies}).name == "mock"


def _names(tree):
    for name, value in tree.items():
        yield name
        rows = value if isinstance(value, list) else [value]
        for row in rows:
            yield from _names(row) if isinstance(row, dict) else ()


def test_the_json_schema_is_a_schema_that_the_built_in_configuration_fits():
    Draft4Validator.check_schema(json_schema())
    tree = tomllib.loads(Path(BUILT_IN).read_text(encoding="utf-8"))

    assert list(Draft4Validator(json_schema()).iter_errors(tree)) == []


def test_the_json_schema_accepts_the_example_switched_on():
    tree = tomllib.loads(SWITCHED_OFF.sub("", example().partition("\n\n")[2]))

    assert list(Draft4Validator(json_schema()).iter_errors(tree)) == []


@pytest.mark.parametrize(
    "text",
    [
        "[llm]\nmodle = 'x'",
        "[llm]\ntimeout = 0",
        "[llm]\ntemperature = 2.5",
        "[llm]\neffort = 'hihg'",
        "[bakends.x]",
        "[backends.x]\nadapter = 'openapi'",
        "[backends.x]\nheaders = { a = 1 }",
        "[backends.x]\nreplies = [{ txt = 'x' }]",
        "[tiers]\nx = 1",
        "[models.x]\nprice = 1",
    ],
)
def test_the_json_schema_refuses_what_arawn_refuses_or_warns_of(text):
    assert list(Draft4Validator(json_schema()).iter_errors(tomllib.loads(text)))
