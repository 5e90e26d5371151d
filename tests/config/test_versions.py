"""A configuration of every released version loads without a warning, and means what it meant."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

VERSIONS = sorted((Path(__file__).parent / "versions").glob("*.toml"))


@pytest.fixture(params=VERSIONS, ids=lambda path: path.stem)
def written(request):
    return request.param.read_text(encoding="utf-8")


def keys_of(tree, path=()):
    """Yield every key of a tree with its value; a table that the schema takes as a whole is among them in parts."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from keys_of(value, (*path, name))
        else:
            yield (*path, name), value


def test_0_1_0_is_among_them():
    assert "0.1.0" in [path.stem for path in VERSIONS]


def test_it_loads_without_a_warning_and_keeps_every_value(home, written):
    home.user(written)
    home.write(home.user_file.parent / ".env", "")

    settings = home.load()

    assert settings.warnings == ()
    for path, value in keys_of(tomllib.loads(written)):
        found = settings.tree
        for name in path:
            found = found[name]
        assert found == value, path


def test_its_roles_and_backends_can_be_used(home, written):
    home.user(written)
    home.write(home.user_file.parent / ".env", "")

    settings = home.load()

    assert [settings.backend(name).name for name in settings.backend_names] == list(settings.backend_names)
    assert settings.llm.backend in settings.backend_names
    assert settings.embeddings.backend in settings.backend_names
