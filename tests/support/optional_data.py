"""Data that is not part of the project, in folders that environment variables name: ``needs`` and ``folder_of``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CONTENTS = {
    "ARAWN_RECORDINGS": "recorded traffic of services",
    "ARAWN_CORPORA": "test suites for JSON, TOML, Markdown and event streams",
    "ARAWN_CATALOGUE": "public price lists",
}


def needs(variable: str) -> pytest.MarkDecorator:
    """Return the mark that skips a test where the variable names no folder."""
    return pytest.mark.skipif(not os.environ.get(variable), reason=_reason(variable))


def folder_of(variable: str) -> Path:
    """Return the folder that the variable names; skip the test where it names none."""
    named = os.environ.get(variable)
    if not named:
        pytest.skip(_reason(variable))
    return Path(named)


def _reason(variable: str) -> str:
    return f"needs {variable} ({CONTENTS[variable]})"
