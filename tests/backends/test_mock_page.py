"""The examples of docs/mock.md."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from arawn.backends.mock import ERROR_KINDS
from arawn.backends.mock_tables import from_table

PAGE = Path(__file__).parents[2] / "docs" / "mock.md"


def blocks(language):
    """Return the fenced examples of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("index", range(len(blocks("toml"))))
def test_the_toml_examples_of_the_page_load(index):
    tables = tomllib.loads(blocks("toml")[index])["backends"]

    for name, content in tables.items():
        assert content["adapter"] == "mock"
        assert from_table(name, content).name == name


@pytest.mark.parametrize("index", range(len(blocks("python"))))
def test_the_python_examples_of_the_page_run(index):
    done = subprocess.run([sys.executable, "-c", blocks("python")[index]], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_names_every_failure():
    assert [kind for kind in ERROR_KINDS if f"`{kind}`" not in PAGE.read_text(encoding="utf-8")] == []
