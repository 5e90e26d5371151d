from __future__ import annotations

import json
import re
import stat

import pytest

from arawn.errors import SecretError
from arawn.secrets.bindings import Bindings, origin_of


@pytest.fixture
def bindings(tmp_path):
    return Bindings(str(tmp_path / "arawn" / "secrets.json"))


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.anthropic.com", "https://api.anthropic.com"),
        ("https://API.Anthropic.com:443/v1/messages?a=b", "https://api.anthropic.com"),
        ("http://localhost:11434/v1", "http://localhost:11434"),
        ("http://evil:80", "http://evil"),
        ("https://evil:80", "https://evil:80"),
        ("https://api.anthropic.com@evil.example/", "https://evil.example"),
        ("https://api.anthropic.com:443@evil.example:8443", "https://evil.example:8443"),
        ("https://[::1]:8080/v1", "https://[::1]:8080"),
    ],
)
def test_r11_an_origin_is_scheme_host_and_port(url, origin):
    assert origin_of(url) == origin


@pytest.mark.parametrize("url", ["", "api.anthropic.com", "https://", "https://host:port", "http://[::1", "file:///x"])
def test_r11_what_is_no_address_cannot_be_bound_to(url):
    with pytest.raises(SecretError, match="no address"):
        origin_of(url)


def test_r11_a_secret_may_go_where_it_was_bound(bindings):
    bindings.record("groq", "https://api.groq.com/openai/v1", "SecretService")
    bindings.bind("groq", "http://localhost:4000")
    bindings.bind("groq", "https://api.groq.com")

    assert bindings.origins("groq") == ("https://api.groq.com", "http://localhost:4000")
    assert bindings.origins("other") == ()


def test_r11_a_secret_stored_anew_forgets_where_the_old_one_went(bindings):
    bindings.record("groq", "https://api.groq.com", "SecretService")
    bindings.bind("groq", "http://localhost:4000")

    bindings.record("groq", "https://new.example", "SecretService")

    assert bindings.origins("groq") == ("https://new.example",)


def test_a_forgotten_name_is_gone(bindings):
    bindings.bind("a", "https://a.example")
    bindings.bind("b", "https://b.example")

    bindings.forget("a")
    bindings.forget("never known")

    assert bindings.names() == ("b",)


def test_the_index_says_since_when_and_where_a_secret_is_kept(bindings):
    bindings.record("groq", "https://api.groq.com", "keyring.backends.SecretService.Keyring")

    [(name, entry)] = bindings.entries().items()
    assert name == "groq"
    assert entry.store == "keyring.backends.SecretService.Keyring"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", entry.created)


def test_r15_the_index_is_private(bindings, tmp_path):
    bindings.bind("groq", "https://api.groq.com")

    for file in (tmp_path / "arawn").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"secrets": []}',
        '{"secrets": {"a": 1}}',
        '{"secrets": {"a": {}}}',
        '{"secrets": {"a": {"origins": "https://evil.example"}}}',
        "[" * 100_000,
    ],
)
def test_r11_a_damaged_index_closes_and_is_kept(bindings, tmp_path, content):
    index = tmp_path / "arawn" / "secrets.json"
    index.parent.mkdir()
    index.write_text(content)

    with pytest.raises(SecretError, match=r"secrets\.json is damaged"):
        bindings.origins("a")
    with pytest.raises(SecretError):
        bindings.bind("a", "https://a.example")

    assert index.read_text() == content


def test_the_index_is_json_that_other_programs_can_read(bindings, tmp_path):
    bindings.bind("groq", "https://api.groq.com")

    data = json.loads((tmp_path / "arawn" / "secrets.json").read_text())

    assert data["version"] == 1
    assert data["secrets"]["groq"]["origins"] == ["https://api.groq.com"]
