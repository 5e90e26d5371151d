"""A program of its own: a fresh home, and nothing of the machine that runs the tests."""

from __future__ import annotations

import os

import pytest
from support.python_api import configure

KEPT = ("PATH", "SYSTEMROOT", "COVERAGE_PROCESS_START")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A fresh ARAWN_HOME, no key in the environment, and no Ollama where one would be looked for."""
    for name in set(os.environ) - set(KEPT):
        if not name.startswith("PYTEST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ARAWN_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    configure(tmp_path)
    return tmp_path
