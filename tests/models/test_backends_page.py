from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arawn.config.schema import ADAPTERS
from arawn.models.catalog import BACKENDS, all_models

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("backend_facts", ROOT / "scripts" / "backend_facts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_what_the_script_makes_of_the_facts(script):
    assert script.refreshed(PAGE) == PAGE


def test_a_table_names_each_model_that_is_served_and_none_that_is_not(script):
    table = script.table("fireworks")
    assert "`accounts/fireworks/models/glm-5p3`" in table
    assert "gpt-oss-120b" not in table


def test_every_built_in_backend_has_a_section():
    defaults = (ROOT / "arawn" / "data" / "defaults.toml").read_text(encoding="utf-8")
    names = re.findall(r"^\[backends\.([\w-]+)\]", defaults, re.MULTILINE)
    assert len(names) > len(ADAPTERS)
    assert [name for name in names if f"-b {name}`" not in PAGE] == []


def test_every_backend_with_models_of_its_own_shows_them():
    tables = re.findall(r"<!-- facts: ([\w-]+) -->", PAGE)
    assert sorted(set(tables)) == sorted(tables)
    assert [name for name in BACKENDS if all_models(name) and name not in tables] == []
