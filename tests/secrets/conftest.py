"""A keyring, an index of where keys may go, and the two ways to follow a reference."""

from __future__ import annotations

import keyring
import pytest
from support.canary import ANTHROPIC
from support.keyrings import MemoryKeyring

from arawn.secrets.bindings import Bindings
from arawn.secrets.references import check, resolve


@pytest.fixture
def bindings(tmp_path):
    return Bindings(str(tmp_path / "config" / "secrets.json"))


@pytest.fixture
def ring(monkeypatch):
    working = MemoryKeyring()
    monkeypatch.setattr(keyring.core, "_keyring_backend", working)
    return working


@pytest.fixture
def look_up(bindings):
    def call(text, *, target=ANTHROPIC, environ=None):
        return resolve(text, backend="anthropic", target=target, environ=environ or {}, bindings=bindings)

    return call


@pytest.fixture
def examine(bindings):
    def call(text, *, target=ANTHROPIC, environ=None):
        return check(text, backend="anthropic", target=target, environ=environ or {}, bindings=bindings)

    return call


@pytest.fixture
def key_file(tmp_path):
    def write(content, mode=0o600):
        file = tmp_path / "key"
        file.write_bytes(content)
        file.chmod(mode)
        return f"$file:{file}"

    return write
