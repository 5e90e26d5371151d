from __future__ import annotations

import sys
from threading import Event

import keyring
import pytest
from keyring.backends import fail, null
from support.keyrings import (
    ChainedKeyrings,
    ForgetfulKeyring,
    HangingKeyring,
    LockedKeyring,
    MemoryKeyring,
    NoSessionBusKeyring,
    PlaintextKeyring,
    RevealingKeyring,
)

from arawn.errors import SecretError
from arawn.secrets.keychain import Keychain, Unresolved

CANARY = "canary-4711-value"


@pytest.fixture
def use(monkeypatch):
    """Make a keyring the one in use, as the user's keyring configuration would."""

    def choose(ring):
        monkeypatch.setattr(keyring.core, "_keyring_backend", ring)
        return ring

    yield choose
    HangingKeyring.released.set()
    HangingKeyring.released = Event()


def test_r17_a_secret_is_stored_read_and_deleted(use):
    ring = use(MemoryKeyring())

    kind = Keychain().write("groq", CANARY)

    assert kind.endswith(".MemoryKeyring")
    assert ring.kept == {("arawn", "groq"): CANARY}
    assert Keychain().read("groq") == CANARY
    assert Keychain().delete("groq")
    assert not Keychain().delete("groq")


def test_a_name_without_an_entry_is_missing(use):
    use(MemoryKeyring())

    failure = Keychain().read("groq")

    assert failure == Unresolved("MISSING", "$keyring:groq has no entry in the keyring", ("arawn secrets set groq",))


def test_r17_a_call_ends_within_three_seconds():
    assert Keychain().seconds <= 3


def test_r17_a_hung_keyring_is_left_behind(use):
    use(HangingKeyring())
    keychain = Keychain(seconds=0.05)

    failure = keychain.read("groq")

    assert isinstance(failure, Unresolved)
    assert failure.state == "BROKEN"
    assert failure.sentence.endswith(".HangingKeyring did not answer within 0.05 s")
    with pytest.raises(SecretError, match="HangingKeyring did not answer within"):
        keychain.write("groq", CANARY)


@pytest.mark.parametrize(
    ("ring", "state", "cause"),
    [
        (LockedKeyring(), "LOCKED", "LockedKeyring failed: KeyringLocked: Failed to unlock the collection!"),
        (NoSessionBusKeyring(), "LOCKED", "NoSessionBusKeyring failed: InitError: no session bus"),
        (fail.Keyring(), "BROKEN", "keyring.backends.fail.Keyring failed: NoKeyringError: No recommended backend"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_r17_a_failure_names_backend_cause_and_two_ways_out(use, ring, state, cause):
    use(ring)

    failure = Keychain().read("groq")

    assert isinstance(failure, Unresolved)
    assert failure.state == state
    assert cause in failure.sentence
    assert "\n" not in failure.sentence
    assert "$env:NAME" in failure.hints[0]
    assert "$file:/PATH" in failure.hints[0]


@pytest.mark.parametrize(
    "ring",
    [null.Keyring(), fail.Keyring(), PlaintextKeyring(), ChainedKeyrings()],
    ids=lambda ring: type(ring).__module__,
)
def test_r17_a_keyring_that_keeps_nothing_safe_stores_nothing(use, ring):
    use(ring)

    with pytest.raises(SecretError, match=r"does not keep secrets safely: nothing was stored") as caught:
        Keychain().write("groq", CANARY)

    assert "$env:NAME" in caught.value.hints[0]
    assert getattr(ring, "kept", {}) == {}


def test_r17_a_plaintext_keyring_stores_when_it_is_allowed_by_name(use):
    ring = use(PlaintextKeyring())
    kind = f"{PlaintextKeyring.__module__}.PlaintextKeyring"

    assert Keychain(allow_backend=kind).write("groq", CANARY) == kind
    assert ring.kept == {("arawn", "groq"): CANARY}


@pytest.mark.parametrize("ring", [ForgetfulKeyring(), null.Keyring()], ids=["forgetful", "null"])
def test_r17_a_write_that_did_not_happen_is_noticed(use, ring):
    use(ring)
    kind = f"{type(ring).__module__}.{type(ring).__qualname__}"

    with pytest.raises(SecretError, match="did not keep 'groq', though it said so"):
        Keychain(allow_backend=kind).write("groq", CANARY)


def test_r14_a_keyring_that_quotes_the_value_is_not_quoted(use):
    use(RevealingKeyring())

    with pytest.raises(SecretError, match="PasswordSetError: could not store …") as caught:
        Keychain().write("groq", CANARY)

    assert CANARY not in repr(caught.value)


def test_r17_without_the_keyring_package_the_alternatives_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)

    failure = Keychain().read("groq")

    assert isinstance(failure, Unresolved)
    assert failure.sentence == "the keyring package is not installed"
    assert "$env:NAME" in failure.hints[0]
    assert failure.hints[1] == "or: pip install keyring"
