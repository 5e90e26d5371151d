"""The package ``mlx_lm``, for one test: its stand-in."""

from __future__ import annotations

import sys
import textwrap

import pytest
from support.mlx_stand_in import PACKAGE, SAMPLING


@pytest.fixture
def mlx_lm(tmp_path, monkeypatch):
    folder = tmp_path / "mlx_lm"
    folder.mkdir()
    (folder / "__init__.py").write_text(textwrap.dedent(PACKAGE), encoding="utf-8")
    (folder / "sample_utils.py").write_text(textwrap.dedent(SAMPLING), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import mlx_lm

    yield mlx_lm
    for name in ("mlx_lm", "mlx_lm.sample_utils"):
        sys.modules.pop(name, None)
