"""References to secrets: how they are read, and what they lead to."""

from __future__ import annotations

import subprocess
import sys
import traceback

import keyring
import pytest
from support.canary import CANARY
from support.keyrings import LockedKeyring

from arawn.errors import ArawnError, AuthenticationError, SecretError
from arawn.secrets.references import Reference, parse_reference


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("$keyring:anthropic", Reference("keyring", "anthropic")),
        ("$env:GROQ_API_KEY", Reference("env", "GROQ_API_KEY")),
        ("$file:/run/secrets/key: one", Reference("file", "/run/secrets/key: one")),
        ("sk-plain", None),
        ("", None),
    ],
)
def test_a_reference_is_read(text, reference):
    assert parse_reference(text) == reference
    assert reference is None or str(reference) == text


@pytest.mark.parametrize(
    "text", ["$keyring:", "$env: ", "$file:", "$foo:bar", "$GROQ_API_KEY", "${GROQ}", "$", "$env:A\nB", "$ENV:A"]
)
def test_what_begins_like_a_reference_and_is_none_is_refused_with_the_forms(text):
    with pytest.raises(SecretError) as caught:
        parse_reference(text)

    assert "\n" not in caught.value.message
    assert caught.value.hints == ("a secret is named by $keyring:NAME, $env:NAME, $file:/PATH or $cmd:COMMAND",)


def test_r19_a_bad_reference_is_refused_without_being_quoted():
    with pytest.raises(SecretError) as caught:
        parse_reference(f"${CANARY}")

    assert CANARY not in repr(caught.value)


def test_a_variable_is_resolved_and_stripped(look_up):
    secret = look_up("$env:ANTHROPIC_API_KEY", environ={"ANTHROPIC_API_KEY": f" {CANARY}\r\n"})

    assert secret.reveal() == CANARY
    assert secret.reference == "$env:ANTHROPIC_API_KEY"


def test_a_literal_is_its_own_value(look_up):
    assert look_up(CANARY).reveal() == CANARY


@pytest.mark.parametrize("environ", [{}, {"GROQ_API_KEY": ""}, {"GROQ_API_KEY": " \n"}])
def test_a_variable_that_is_not_set_is_failed_authentication(look_up, environ):
    with pytest.raises(AuthenticationError) as caught:
        look_up("$env:GROQ_API_KEY", environ=environ)

    assert caught.value.message == 'Authentication failed for backend "anthropic"'
    assert caught.value.exit_code == 4
    assert caught.value.hints[0] == "no key: $env:GROQ_API_KEY is not set"
    assert caught.value.hints[1:] == (
        "export GROQ_API_KEY=…",
        "or keep it in the keyring: arawn secrets set anthropic",
    )
    assert caught.value.backend == "anthropic"


def test_an_empty_keyring_is_failed_authentication(look_up, ring):
    with pytest.raises(AuthenticationError) as caught:
        look_up("$keyring:anthropic")

    assert caught.value.hints == (
        "no key: $keyring:anthropic has no entry in the keyring",
        "arawn secrets set anthropic",
    )


def test_a_private_file_is_resolved(look_up, key_file):
    assert look_up(key_file(f"{CANARY}\n".encode())).reveal() == CANARY


def test_a_path_below_home_is_resolved(look_up, key_file, monkeypatch, tmp_path):
    key_file(CANARY.encode())
    monkeypatch.setenv("HOME", str(tmp_path))

    assert look_up("$file:~/key").reveal() == CANARY


def test_a_path_that_depends_on_the_folder_arawn_runs_in_is_refused(look_up, key_file, monkeypatch, tmp_path):
    key_file(CANARY.encode())
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SecretError, match=r"\$file:key needs a path that begins with / or ~/"):
        look_up("$file:key")


def test_an_empty_file_is_failed_authentication(look_up, key_file):
    with pytest.raises(AuthenticationError):
        look_up(key_file(b"\n"))


@pytest.mark.parametrize("path", ["/nowhere/key", "/dev/zero", "/proc/self/environ", "/"])
def test_r37_a_file_that_cannot_be_read_is_a_broken_reference(look_up, path):
    with pytest.raises(SecretError, match=rf"\$file:{path}: cannot read {path}: ") as caught:
        look_up(f"$file:{path}")

    assert caught.value.exit_code == 3


def test_r15_a_file_others_can_read_is_refused(look_up, key_file):
    reference = key_file(CANARY.encode(), mode=0o644)

    with pytest.raises(SecretError, match="can be read by others") as caught:
        look_up(reference)

    assert caught.value.hints[0].startswith("chmod 600 ")


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("“sk-quoted-key”", "a character that no key has"),
        ("sk-two words", "a character that no key has"),
        ("sk-nul\0", "a character that no key has"),
        ("sk-é", "a character that no key has"),
        ("sk-\x7f", "a character that no key has"),
        ("sk-two\nlines", "a line end"),
        ("sk-two\rlines", "a line end"),
        ('"sk-quoted-key"', "a quote"),
        ("'sk-half-quoted", "a quote"),
        ('sk-half-quoted"', "a quote"),
    ],
)
@pytest.mark.parametrize("kind", ["env", "file", "keyring", "literal"])
@pytest.mark.usefixtures("ring")
def test_r19_a_value_that_can_be_no_key_is_refused_by_its_reference(look_up, key_file, kind, value, wrong):
    references = {"env": "$env:KEY", "keyring": "$keyring:anthropic", "literal": value}
    references["file"] = key_file(value.encode())
    keyring.set_password("arawn", "anthropic", value)

    with pytest.raises(SecretError) as caught:
        look_up(references[kind], environ={"KEY": value})

    named = "(literal)" if kind == "literal" else references[kind]
    assert caught.value.message == f"{named} holds {wrong}"
    assert value not in "".join(traceback.format_exception(caught.value))


def test_r17_a_locked_keyring_is_a_broken_reference_not_a_missing_key(look_up, monkeypatch):
    monkeypatch.setattr(keyring.core, "_keyring_backend", LockedKeyring())

    with pytest.raises(SecretError, match="LockedKeyring failed: KeyringLocked") as caught:
        look_up("$keyring:anthropic")

    assert "$env:NAME" in caught.value.hints[0]


def test_r17_a_missing_keyring_package_is_a_broken_reference(look_up, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(SecretError, match="the keyring package is not installed"):
        look_up("$keyring:anthropic")


def test_r18_what_needs_no_keyring_does_not_load_it(tmp_path):
    code = """
import sys
from arawn.secrets.bindings import Bindings
from arawn.secrets.references import resolve
resolve("$env:KEY", backend="b", target="https://b", environ={"KEY": "value"}, bindings=Bindings(sys.argv[1]))
print([name for name in ("keyring", "threading", "hmac", "urllib.parse") if name in sys.modules])
"""

    loaded = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)

    assert loaded.stdout == "[]\n"


def test_every_failure_is_of_our_own_tree(look_up):
    for text in ("$env:NOT_SET", "$file:/nowhere", "$foo:bar", "“”"):
        with pytest.raises(ArawnError):
            look_up(text)
