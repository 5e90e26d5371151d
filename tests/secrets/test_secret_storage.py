"""Secrets are stored and deleted."""

from __future__ import annotations

import traceback

import keyring
import pytest
from support.canary import ANTHROPIC, CANARY
from support.keyrings import RevealingKeyring

from arawn.errors import ConfigError, SecretError
from arawn.secrets.references import delete_secret, store_secret


def test_a_secret_is_stored_stripped(ring, bindings):
    secret = store_secret("anthropic", f" {CANARY}\n", ANTHROPIC, bindings=bindings)

    assert ring.kept == {("arawn", "anthropic"): CANARY}
    assert secret.reference == "$keyring:anthropic"
    assert bindings.entries()["anthropic"].store.endswith(".MemoryKeyring")


@pytest.mark.parametrize("value", ["", " \n", "two words", "“quoted”"])
def test_r19_what_can_be_no_key_is_not_stored(ring, bindings, value):
    with pytest.raises(SecretError, match=r"\$keyring:anthropic (is empty|holds a character that no key has)"):
        store_secret("anthropic", value, ANTHROPIC, bindings=bindings)

    assert ring.kept == {}


@pytest.mark.parametrize(("name", "url"), [("", ANTHROPIC), ("anthropic", "no address")])
def test_a_secret_needs_a_name_and_an_address(ring, bindings, name, url):
    with pytest.raises(SecretError):
        store_secret(name, CANARY, url, bindings=bindings)

    assert ring.kept == {}


def test_r11_a_secret_that_cannot_be_bound_is_not_kept(ring, bindings, tmp_path):
    (tmp_path / "config" / ".secrets.json.lock").mkdir(parents=True)

    with pytest.raises(ConfigError, match=r"secrets\.json\.lock"):
        store_secret("anthropic", CANARY, ANTHROPIC, bindings=bindings)

    assert ring.kept == {}


def test_a_deleted_secret_is_gone_from_keyring_and_index(ring, bindings):
    store_secret("anthropic", CANARY, ANTHROPIC, bindings=bindings)

    assert delete_secret("anthropic", bindings=bindings)
    assert not delete_secret("anthropic", bindings=bindings)
    assert ring.kept == {}
    assert bindings.names() == ()


def test_r14_no_traceback_of_a_failed_store_holds_the_value(bindings, monkeypatch):
    monkeypatch.setattr(keyring.core, "_keyring_backend", RevealingKeyring())

    with pytest.raises(SecretError) as caught:
        store_secret("anthropic", CANARY, ANTHROPIC, bindings=bindings)

    assert CANARY not in "".join(traceback.format_exception(caught.value))
