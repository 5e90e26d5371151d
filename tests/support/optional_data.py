"""What only some runs have: data in folders that variables name (``needs``, ``folder_of``), and time (``THOROUGH``)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

THOROUGH = os.environ.get("ARAWN_E2E") == "1"
"""Whether a run may take its time: tests that do something many times do it more often then."""
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
