"""A stored secret goes where it was bound, and nowhere else."""

from __future__ import annotations

import base64

import keyring
import pytest
from support.canary import ANTHROPIC, CANARY
from support.keyrings import LockedKeyring

from arawn.errors import AuthenticationError, SecretError
from arawn.secrets.references import delete_secret, store_secret


def test_r11_a_stored_secret_goes_where_it_was_bound_and_nowhere_else(look_up, ring, bindings):
    store_secret("anthropic", CANARY, f"{ANTHROPIC}/v1", bindings=bindings)

    assert look_up("$keyring:anthropic", target=f"{ANTHROPIC}:443/other").reveal() == CANARY
    for target in ("http://api.anthropic.com", f"{ANTHROPIC}:8443", "http://evil:8080", f"{ANTHROPIC}@evil:8080"):
        with pytest.raises(
            SecretError, match=r'the secret "anthropic" is bound to https://api\.anthropic\.com, not to '
        ):
            look_up("$keyring:anthropic", target=target)


def test_r11_the_refusal_says_how_to_consent_and_consent_counts(look_up, ring, bindings):
    store_secret("anthropic", CANARY, ANTHROPIC, bindings=bindings)

    with pytest.raises(SecretError) as caught:
        look_up("$keyring:anthropic", target="http://localhost:4000/v1")
    bindings.bind("anthropic", "http://localhost:4000")

    assert caught.value.hints == ("if that is meant: arawn secrets allow anthropic --for http://localhost:4000",)
    assert look_up("$keyring:anthropic", target="http://localhost:4000/v1").reveal() == CANARY


def test_r11_a_refused_secret_is_not_even_read(look_up, monkeypatch, bindings):
    monkeypatch.setattr(keyring.core, "_keyring_backend", LockedKeyring())
    bindings.bind("anthropic", ANTHROPIC)

    with pytest.raises(SecretError, match="is bound to"):
        look_up("$keyring:anthropic", target="http://evil:8080")


def test_r11_a_secret_stored_by_another_program_is_bound_when_first_used(look_up, ring, bindings):
    ring.set_password("arawn", "anthropic", CANARY)

    look_up("$keyring:anthropic")

    assert bindings.origins("anthropic") == (ANTHROPIC,)
    with pytest.raises(SecretError, match="is bound to"):
        look_up("$keyring:anthropic", target="http://evil:8080")


def test_r11_a_secret_that_was_not_found_is_not_bound(look_up, ring, bindings):
    with pytest.raises(AuthenticationError):
        look_up("$keyring:anthropic")

    assert bindings.names() == ()


def test_an_index_that_cannot_be_written_does_not_stop_a_call(look_up, ring, tmp_path):
    (tmp_path / "config" / ".secrets.json.lock").mkdir(parents=True)
    ring.set_password("arawn", "anthropic", CANARY)

    assert look_up("$keyring:anthropic").reveal() == CANARY


def test_r11_a_damaged_index_stops_everybody(look_up, ring, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "secrets.json").write_text("{")
    ring.set_password("arawn", "anthropic", CANARY)

    with pytest.raises(SecretError, match="damaged"):
        look_up("$keyring:anthropic")


def test_r14_the_index_holds_no_value(ring, bindings, tmp_path):
    store_secret("anthropic", CANARY, ANTHROPIC, bindings=bindings)
    delete_secret("anthropic", bindings=bindings)
    store_secret("anthropic", CANARY, ANTHROPIC, bindings=bindings)

    for file in (tmp_path / "config").iterdir():
        assert CANARY not in file.read_text()
        assert base64.b64encode(CANARY.encode()).decode() not in file.read_text()
