"""The layers: what is read from where, what wins, and what arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from arawn.config.settings import Origin
from arawn.config.sources import BUILT_IN, load, locate
from arawn.folders import config_folder


def test_without_any_file_the_built_in_backends_are_there(home):
    settings = home.load()

    assert settings.backend_names[:2] == ("anthropic", "openai")
    assert settings.backend("ollama").base_url == "http://localhost:11434"
    assert settings.llm.backend is None
    assert settings.warnings == ()


def test_each_layer_is_stronger_than_the_one_before(home):
    seen = []
    home.write(home.root / "etc" / "config.toml", "[llm]\nmax_tokens = 1\n")
    seen.append(home.load())
    home.user("[llm]\nmax_tokens = 2\n")
    seen.append(home.load())
    home.project("[llm]\nmax_tokens = 3\n")
    seen.append(home.load())
    home.env["ARAWN_LLM__MAX_TOKENS"] = "4"
    seen.append(home.load())
    seen.append(home.load(overrides={"llm.max_tokens": 5}))

    assert [settings.llm.max_tokens for settings in seen] == [1, 2, 3, 4, 5]
    assert [settings.origin("llm.max_tokens").layer for settings in seen] == [
        "system",
        "user",
        "project",
        "environment",
        "command line",
    ]


def test_every_value_knows_its_file_and_line(home):
    path = home.user('[llm]\n\nmodel = "m"\n\n[backends.groq]\n# mine\ntimeout = 5\n')
    home.env["LLM_BACKEND"] = "groq"

    settings = home.load()

    assert settings.origin("llm.model") == Origin("user", str(path), 3)
    assert settings.origin("backends.groq.timeout") == Origin("user", str(path), 7)
    assert settings.origin("llm.backend") == Origin("environment", "LLM_BACKEND")
    assert settings.origin("llm.effort") == Origin("default")
    built_in = settings.origin("backends.groq.base_url")
    assert (built_in.layer, built_in.path) == ("built-in", BUILT_IN)
    assert "api.groq.com" in Path(BUILT_IN).read_text().splitlines()[built_in.line - 1]


def test_tables_merge_and_everything_else_is_replaced(home):
    home.user('[backends.vllm]\nextra = { a = 1, b = { c = 2 } }\nheaders = { x = "1" }\n')
    home.project('[backends.vllm]\nextra = { b = { d = 3 } }\n[backends.groq]\nmodel = "m"\n', trusted=True)

    settings = home.load()

    assert settings.backend("vllm").quirks.extra == {"a": 1, "b": {"c": 2, "d": 3}}
    assert settings.backend("groq").base_url == "https://api.groq.com/openai/v1"
    assert settings.value("backends.vllm.headers.x") == "1"


def test_a_model_does_not_outlive_the_backend_it_was_named_for(home):
    home.user('[llm]\nbackend = "groq"\nmodel = "openai/gpt-oss-20b"\ntemperature = 0.5\n')
    home.env["LLM_BACKEND"] = "ollama"

    settings = home.load()

    assert (settings.llm.backend, settings.llm.model, settings.llm.temperature) == ("ollama", None, 0.5)
    assert settings.origin("llm.model").layer == "default"


def test_a_model_named_without_a_backend_stays(home):
    home.user('[llm]\nmodel = "sonnet"\n')
    home.env["LLM_BACKEND"] = "anthropic"

    assert home.load().llm.model == "sonnet"


def test_the_project_file_is_found_from_below_it_and_not_above_home(home):
    home.project('[llm]\nmodel = "p"\n')
    assert home.load().llm.model == "p"
    assert home.load(project=False).llm.model is None

    inner = home.root / "work"
    settings = load(environ={"HOME": str(inner / "repo" / "src")}, cwd=str(home.cwd))

    assert settings.llm.model is None


@pytest.mark.parametrize("way", ["argument", "ARAWN_CONFIG", "ARAWN_HOME", "XDG_CONFIG_HOME", "HOME"])
def test_the_user_file_is_where_it_is_said_to_be(home, way):
    text = '[llm]\nmodel = "here"\n'
    if way == "HOME":
        home.user(text)
    elif way == "XDG_CONFIG_HOME":
        home.write(home.root / "xdg" / "arawn" / "config.toml", text)
        home.env[way] = str(home.root / "xdg")
    elif way == "ARAWN_HOME":
        home.write(home.root / "portable" / "config.toml", text)
        home.env[way] = str(home.root / "portable")
    else:
        path = str(home.write(home.root / "other.toml", text))
        home.env |= {"ARAWN_CONFIG": path} if way == "ARAWN_CONFIG" else {}
        assert home.load(config_file=path if way == "argument" else None).llm.model == "here"
        return

    assert home.load().llm.model == "here"


def test_a_portable_home_reads_nothing_of_the_system(home):
    home.write(home.root / "etc" / "config.toml", '[llm]\nmodel = "system"\n')
    home.env["ARAWN_HOME"] = str(home.root / "portable")

    assert home.load().llm.model is None
    assert config_folder(home.environ) == str(home.root / "portable")
    assert locate(environ=home.environ, cwd="/")["system"] == ""


def test_a_named_file_that_is_not_there_is_said_and_no_error(home):
    home.env["ARAWN_CONFIG"] = str(home.root / "nowhere.toml")

    assert home.load().warnings == (f"{home.root}/nowhere.toml: there is no such configuration file",)


def test_the_files_are_listed_with_what_became_of_them(home):
    home.user("")
    home.project('[env]\nfile = "x"\n')

    files = [(layer.name, layer.exists, layer.trusted) for layer in home.load().files]

    assert files == [
        ("built-in", True, True),
        ("system", False, True),
        ("user", True, True),
        ("project", True, False),
    ]


def test_a_key_that_stands_in_the_file_is_not_in_any_repr(home):
    home.user('[backends.groq]\napi_key = "sk-very-secret"\n[backends.openai]\napi_key = "$keyring:x"\n').chmod(0o600)
    settings = home.load()

    assert settings.backend("groq").api_key == "sk-very-secret"
    assert "sk-very-secret" not in repr(settings) + repr(settings.backend("groq")) + repr(settings.files)
    assert "$keyring:x" in repr(settings.backend("openai"))


def test_r15_a_file_with_a_key_in_it_is_taken_back_from_others_and_that_is_said(home):
    path = home.user('[backends.groq]\napi_key = "sk-very-secret"\n')
    path.chmod(0o644)

    (warning,) = home.load().warnings

    assert path.stat().st_mode & 0o777 == 0o600
    assert "could be read by others" in warning
    assert home.load().warnings == ()


def test_every_setting_of_a_backend_arrives(home):
    home.user(
        '[backends.lab]\nadapter = "openai_chat"\nbase_url = "http://LAB:8000/v1/"\ntimeout = 5\nchat_path = "/c"\n'
        'query = { v = "1" }\nmax_retries = 0\ninsecure_tls = true\nstream_usage = false\nhourly_rate = 0.5\n'
    )
    backend = home.load().backend("lab")

    assert (backend.label, backend.base_url, backend.timeout, backend.max_retries) == (
        "lab",
        "http://LAB:8000/v1",
        5,
        0,
    )
    assert (backend.insecure_tls, backend.hourly_rate, backend.api_key) == (True, 0.5, None)
    assert (backend.quirks.chat_path, backend.quirks.query, backend.quirks.stream_usage) == ("/c", {"v": "1"}, False)


def test_vectors_have_their_own_model_and_may_have_their_own_address_and_key(home):
    home.user('[embeddings.groq]\nbase_url = "https://e.example/v1"\napi_key = "$env:E"\nmodel = "e"\n')
    settings = home.load()

    groq, plain = settings.embeddings_backend("groq"), settings.embeddings_backend("together")

    assert (groq.base_url, groq.api_key, groq.model) == ("https://e.example/v1", "$env:E", "e")
    assert (plain.base_url, plain.model) == (settings.backend("together").base_url, None)
    assert settings.backend("groq").base_url == "https://api.groq.com/openai/v1"


def test_aliases_come_before_tiers_and_a_model_can_be_described(home):
    home.user('[aliases]\nsonnet = "groq/x"\n[models."a/b:c"]\ninput_price = 1.5\n')
    settings = home.load()

    assert settings.aliases["sonnet"] == "groq/x"
    assert settings.aliases["qwen"] == "vllm/Qwen/Qwen3-8B"
    assert settings.model_overrides("a/b:c") == {"input_price": 1.5}
    assert settings.model_overrides("other") == {}
    assert settings.value('models."a/b:c".input_price') == 1.5
