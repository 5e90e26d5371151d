from __future__ import annotations

import re

from support.scripts import ROOT, script

from arawn.config.schema import ADAPTERS
from arawn.models.catalog import BACKENDS, all_models

PAGE = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
SCRIPT = script("backend_facts")


def test_the_tables_are_what_the_script_makes_of_the_facts():
    assert SCRIPT.refreshed(PAGE) == PAGE


def test_a_table_names_each_model_that_is_served_and_none_that_is_not():
    table = SCRIPT.table("fireworks")
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
