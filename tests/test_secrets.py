from __future__ import annotations

import base64
import copy
import json
import pickle
import subprocess
import sys
import traceback
from dataclasses import asdict, dataclass

import keyring
import pytest
from keyrings import LockedRing, MemoryRing, TalkativeRing

from arawn.bindings import Bindings
from arawn.errors import ArawnError, AuthenticationError, ConfigError, SecretError
from arawn.keychain import Keychain
from arawn.secrets import (
    Finding,
    Reference,
    Secret,
    check,
    delete_secret,
    looks_like_secret,
    mask,
    parse_reference,
    resolve,
    store_secret,
)

CANARY = "sk-canary-4711-0815-7fQA"
ANTHROPIC = "https://api.anthropic.com"


@pytest.fixture
def bindings(tmp_path):
    return Bindings(str(tmp_path / "config" / "secrets.json"))


@pytest.fixture
def ring(monkeypatch):
    working = MemoryRing()
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


# A secret that cannot print itself


@dataclass(frozen=True)
class Holder:
    secret: Secret


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        "{}".format,
        "{:>60}".format,
        "{!r}".format,
        "%s".__mod__,
        lambda secret: f"Bearer {secret}",
        lambda secret: json.dumps({"key": secret}, default=str),
        lambda secret: repr([secret, {"a": secret}]),
        lambda secret: repr(Holder(secret)),
        lambda secret: repr(asdict(Holder(secret))),
        lambda secret: repr(copy.copy(secret)) + repr(copy.deepcopy([secret])),
        lambda secret: repr(ValueError(secret)),
    ],
)
def test_r14_a_secret_shows_its_reference_and_never_its_value(show):
    shown = show(Secret(CANARY, "$keyring:anthropic"))

    assert "Secret('$keyring:anthropic')" in shown
    assert CANARY not in shown


@pytest.mark.parametrize(
    "leave",
    [
        json.dumps,
        pickle.dumps,
        lambda secret: pickle.dumps([secret], protocol=0),
        lambda secret: secret.__getstate__(),
        vars,
        lambda secret: secret + "",
        bytes,
    ],
)
def test_r14_a_secret_does_not_leave_by_another_door(leave):
    with pytest.raises(TypeError) as caught:
        leave(Secret(CANARY, "$keyring:anthropic"))

    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_the_value_is_given_to_who_asks_for_it():
    assert Secret(CANARY, "$env:KEY").reveal() == CANARY


def test_secrets_are_equal_by_value():
    assert Secret(CANARY, "$env:A") == Secret(CANARY, "$keyring:b")
    assert hash(Secret(CANARY, "$env:A")) == hash(Secret(CANARY, "$keyring:b"))
    assert Secret(CANARY, "$env:A") != Secret(CANARY + "x", "$env:A")
    assert Secret(CANARY, "$env:A") != CANARY
    assert Secret("schlüssel", "$env:A") == Secret("schlüssel", "$env:A")


@pytest.mark.parametrize(
    ("value", "tail"), [("k" * 104 + "7fQA", "…7fQA (108)"), ("12345678abcd", "…abcd (12)"), ("12345678abc", "… (11)")]
)
def test_r14_a_tail_has_four_characters_at_most_and_a_short_secret_none(value, tail):
    assert Secret(value, "$env:KEY").tail() == tail


# References


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
    assert caught.value.hints == ("a secret is named by $keyring:NAME, $env:NAME or $file:/PATH",)


def test_r19_a_bad_reference_is_refused_without_being_quoted():
    with pytest.raises(SecretError) as caught:
        parse_reference(f"${CANARY}")

    assert CANARY not in repr(caught.value)


# Resolving


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


@pytest.mark.parametrize("value", ["“sk-quoted-key”", "sk-two words", "sk-two\nlines", "sk-nul\0", "sk-é", "sk-\x7f"])
@pytest.mark.parametrize("kind", ["env", "file", "keyring", "literal"])
def test_r19_a_value_that_can_be_no_key_is_refused_by_its_reference(look_up, key_file, ring, kind, value):
    references = {"env": "$env:KEY", "keyring": "$keyring:anthropic", "literal": value}
    references["file"] = key_file(value.encode())
    ring.set_password("arawn", "anthropic", value)

    with pytest.raises(SecretError) as caught:
        look_up(references[kind], environ={"KEY": value})

    named = "(literal)" if kind == "literal" else references[kind]
    assert caught.value.message == f"{named} holds a character that no key has"
    assert value not in "".join(traceback.format_exception(caught.value))


def test_r17_a_locked_keyring_is_a_broken_reference_not_a_missing_key(look_up, monkeypatch):
    monkeypatch.setattr(keyring.core, "_keyring_backend", LockedRing())

    with pytest.raises(SecretError, match="LockedRing failed: KeyringLocked") as caught:
        look_up("$keyring:anthropic")

    assert "$env:NAME" in caught.value.hints[0]


def test_r17_a_missing_keyring_package_is_a_broken_reference(look_up, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(SecretError, match="the keyring package is not installed"):
        look_up("$keyring:anthropic")


def test_r18_what_needs_no_keyring_does_not_load_it(tmp_path):
    code = """
import sys
from arawn.bindings import Bindings
from arawn.secrets import resolve
resolve("$env:KEY", backend="b", target="https://b", environ={"KEY": "value"}, bindings=Bindings(sys.argv[1]))
print([name for name in ("keyring", "threading", "hmac", "urllib.parse") if name in sys.modules])
"""

    loaded = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)

    assert loaded.stdout == "[]\n"


# Binding


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
    monkeypatch.setattr(keyring.core, "_keyring_backend", LockedRing())
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


def test_an_index_that_cannot_be_written_stops_nobody(look_up, ring, tmp_path):
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


# Storing


def test_a_secret_is_stored_stripped(ring, bindings):
    secret = store_secret("anthropic", f" {CANARY}\n", ANTHROPIC, bindings=bindings)

    assert ring.kept == {("arawn", "anthropic"): CANARY}
    assert secret.reference == "$keyring:anthropic"
    assert bindings.entries()["anthropic"].store.endswith(".MemoryRing")


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
    monkeypatch.setattr(keyring.core, "_keyring_backend", TalkativeRing())

    with pytest.raises(SecretError) as caught:
        store_secret("anthropic", CANARY, ANTHROPIC, bindings=bindings)

    assert CANARY not in "".join(traceback.format_exception(caught.value))


# Saying what is found


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


def test_a_locked_keyring_is_told_from_a_missing_entry(examine, monkeypatch):
    monkeypatch.setattr(keyring.core, "_keyring_backend", LockedRing())

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


# Masking

KEYS = [
    "sk-ant-api03-abcdefghijkl_mnop-qrst",
    "sk-proj-abcdefghijklmnop",
    "sk-or-v1-0123456789abcdef",
    "gsk_0123456789abcdefghij",
    "hf_abcdefghijklmnopqrst",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "AIzaSyA-0123456789abcdefghijklmnop",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
]


@pytest.mark.parametrize("key", KEYS)
def test_r13_a_key_is_recognised(key):
    assert looks_like_secret(key)
    assert looks_like_secret(f"https://user:{key}@host/v1")


@pytest.mark.parametrize(
    "value",
    [
        "claude-sonnet-4-20250514",
        "meta-llama/Llama-3.3-70B-Instruct",
        "https://api.groq.com/openai/v1",
        "http://user@localhost:8080",
        "$keyring:anthropic",
        "task-0123456789abcdef",
        "sk-",
        "12",
        "",
    ],
)
def test_an_ordinary_value_is_not_taken_for_a_key(value):
    assert not looks_like_secret(value)


@pytest.mark.parametrize("key", [*KEYS, "0123456789abcdef0123456789abcdef"])
@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer {}",
        "(b'Authorization', b'Bearer {}')",
        "(b'x-api-key', b'{}')",
        '"api_key": "{}", "model": "m"',
        "api-key={}&b=c",
        "token = '{}'",
        "proxy http://user:{}@localhost:3128 refused",
    ],
)
def test_r14_what_looks_like_a_key_is_masked(text, key):
    masked = mask(text.format(key))

    assert key not in masked
    assert "…" in masked


def test_r14_masking_leaves_the_rest_and_the_references():
    text = "api_key='$env:GROQ_API_KEY' for Secret('$keyring:groq') at https://api.groq.com:443/v1, see config.toml:14"

    assert mask(text) == text
    assert mask("a sk-abcdefghijklmnop b") == "a sk-… b"


def test_r14_a_known_secret_is_masked_whatever_it_looks_like():
    assert mask("it was hunter2!", [Secret("hunter2", "$env:KEY")]) == "it was …!"


def test_every_failure_is_of_our_own_tree(look_up):
    for text in ("$env:NOT_SET", "$file:/nowhere", "$foo:bar", "“”"):
        with pytest.raises(ArawnError):
            look_up(text)
