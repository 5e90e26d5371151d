"""What looks like a key, or is a known one, is masked."""

from __future__ import annotations

import pytest

from arawn.secrets.references import Secret, looks_like_secret, mask

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
