"""What is said of a key, found or not, without showing it."""

from __future__ import annotations

import keyring
import pytest
from support.canary import ANTHROPIC, CANARY
from support.keyrings import LockedKeyring

from arawn.secrets.keychain import Keychain
from arawn.secrets.references import Finding, check


def test_a_key_that_resolves_is_ok_with_its_tail(examine, key_file):
    reference = key_file(CANARY.encode())

    assert examine("$env:KEY", environ={"KEY": CANARY}) == Finding("$env:KEY", "environment", "ok", "…7fQA (24)")
    assert examine(reference) == Finding(reference, "file", "ok", "…7fQA (24)")


def test_a_literal_is_found_plain_and_should_move(examine):
    found = examine(CANARY)

    assert found == Finding("(literal)", "file", "PLAIN", "…7fQA (24)", "move it: arawn secrets set anthropic")


@pytest.mark.parametrize(
    ("text", "state", "sentence"),
    [
        ("$env:KEY", "MISSING", "$env:KEY is not set"),
        ("$keyring:other", "MISSING", "$keyring:other has no entry in the keyring"),
        ("$keyring:bound", "REFUSED", 'the secret "bound" is bound to https://elsewhere.example, not to '),
        ("$file:/nowhere", "BROKEN", "$file:/nowhere: cannot read /nowhere: "),
        ("$file:relative", "BROKEN", "$file:relative needs a path"),
        ("$foo:bar", "BROKEN", "this is none of them"),
        ("schlüssel", "BROKEN", "(literal) holds a character"),
    ],
)
@pytest.mark.usefixtures("ring")
def test_a_key_that_does_not_resolve_says_why(examine, bindings, text, state, sentence):
    bindings.bind("bound", "https://elsewhere.example")

    found = examine(text)

    assert found.state == state
    assert sentence in found.sentence
    assert found.tail == ""


def test_a_locked_keyring_is_not_a_missing_entry(examine, monkeypatch):
    monkeypatch.setattr(keyring.core, "_keyring_backend", LockedKeyring())

    assert examine("$keyring:anthropic").state == "LOCKED"


@pytest.mark.parametrize("target", ["", "no address", "https://"])
def test_looking_never_fails(examine, ring, tmp_path, target):
    assert examine("$keyring:anthropic", target=target).state == "BROKEN"
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "secrets.json").write_text("{")
    assert "damaged" in examine("$keyring:anthropic").sentence


def test_looking_does_not_bind(examine, ring, bindings):
    ring.set_password("arawn", "anthropic", CANARY)

    assert examine("$keyring:anthropic").state == "ok"
    assert bindings.names() == ()


def test_r17_a_deadline_can_be_handed_in(bindings, ring):
    found = check(
        "$keyring:a", backend="b", target=ANTHROPIC, environ={}, bindings=bindings, keychain=Keychain(seconds=2)
    )

    assert found.state == "MISSING"
