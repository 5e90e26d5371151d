"""Which address a backend has: from a service's own variables, LLM_API_BASE, or a file."""

from __future__ import annotations

import pytest

from arawn.config.addresses import completed
from arawn.config.settings import Origin


def address(home, backend, **env):
    home.env |= env
    return home.load().backend(backend).base_url


@pytest.mark.parametrize(
    ("backend", "variable", "value", "expected"),
    [
        ("openai", "OPENAI_BASE_URL", "http://relay:1/v1", "http://relay:1/v1"),
        ("openai", "OPENAI_BASE_URL", "http://relay:1/v1/", "http://relay:1/v1"),
        ("openai", "OPENAI_BASE_URL", "http://relay:1", "http://relay:1/v1"),
        ("openai", "OPENAI_BASE_URL", "https://gateway.example/id/openai", "https://gateway.example/id/openai"),
        ("openai", "OPENAI_API_BASE", "http://relay:1/v1", "http://relay:1/v1"),
        ("openai", "OPENAI_API_BASE", "http://relay:1/", "http://relay:1/v1"),
        ("openai-responses", "OPENAI_BASE_URL", "http://relay:1/v1", "http://relay:1/v1"),
        ("remote", "OPENAI_BASE_URL", "http://relay:1/v1", "http://relay:1/v1"),
        ("anthropic", "ANTHROPIC_BASE_URL", "http://relay:1", "http://relay:1"),
        ("anthropic", "ANTHROPIC_BASE_URL", "http://relay:1/v1/", "http://relay:1"),
        ("anthropic", "ANTHROPIC_BASE_URL", "https://z.example/api/anthropic", "https://z.example/api/anthropic"),
        ("azure", "AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1"),
        ("azure", "AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/", "https://r.openai.azure.com/openai/v1"),
        ("azure", "AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/openai", "https://r.openai.azure.com/openai/v1"),
        (
            "azure",
            "AZURE_OPENAI_ENDPOINT",
            "https://r.openai.azure.com/openai/v1/",
            "https://r.openai.azure.com/openai/v1",
        ),
        ("groq", "GROQ_BASE_URL", "http://relay:1", "http://relay:1/openai/v1"),
        ("groq", "GROQ_BASE_URL", "http://relay:1/groq", "http://relay:1/groq/openai/v1"),
        ("groq", "GROQ_BASE_URL", "http://relay:1/openai/v1", "http://relay:1/openai/v1"),
        ("cerebras", "CEREBRAS_BASE_URL", "http://relay:1", "http://relay:1/v1"),
        ("together", "TOGETHER_BASE_URL", "http://relay:1/v1", "http://relay:1/v1"),
        ("fireworks", "FIREWORKS_BASE_URL", "http://relay:1", "http://relay:1/inference/v1"),
        ("gemini", "GOOGLE_GEMINI_BASE_URL", "http://relay:1", "http://relay:1/v1beta/openai"),
        ("ollama", "OLLAMA_HOST", "relay", "http://relay:11434"),
    ],
)
def test_a_service_is_where_its_own_variable_says(home, backend, variable, value, expected):
    assert address(home, backend, **{variable: value}) == expected
    assert home.load().origin(f"backends.{backend}.base_url") == Origin("environment", variable)


@pytest.mark.parametrize("value", ["", " ", "\r\n", '""'])
def test_an_empty_variable_names_no_address(home, value):
    assert address(home, "openai", OPENAI_BASE_URL=value) == "https://api.openai.com/v1"
    assert address(home, "openai", OPENAI_API_BASE="http://second:1/v1") == "http://second:1/v1"


def test_of_two_variables_of_a_service_the_first_counts(home):
    assert address(home, "openai", OPENAI_API_BASE="http://b:1/v1", OPENAI_BASE_URL="http://a:1/v1") == "http://a:1/v1"


def test_one_services_variable_moves_no_other(home):
    home.env["OPENAI_BASE_URL"] = "http://relay:1/v1"
    moved = {name for name in home.load().backend_names if "relay" in home.load().backend(name).base_url}

    assert moved == {"openai", "openai-responses", "remote"}


@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
def test_an_address_in_a_file_beats_the_services_variable(home, variable):
    home.user('[backends.openai]\nbase_url = "https://mine.example/v1"\n')

    assert address(home, "openai", **{variable: "http://relay:1/v1"}) == "https://mine.example/v1"
    assert address(home, "openai-responses") == "http://relay:1/v1"


def test_the_public_address_in_a_file_is_meant_too(home):
    home.user('[backends.openai]\nbase_url = "https://api.openai.com/v1"\n')

    assert address(home, "openai", OPENAI_BASE_URL="http://relay:1/v1") == "https://api.openai.com/v1"


def test_a_model_in_a_file_leaves_the_address_to_the_variable(home):
    home.user('[backends.openai]\nmodel = "m"\n')

    assert address(home, "openai", OPENAI_BASE_URL="http://relay:1/v1") == "http://relay:1/v1"


@pytest.mark.parametrize(
    ("text", "env"), [('[llm]\nbackend = "openai"\n', {}), ("", {"LLM_BACKEND": "openai"})], ids=["file", "variable"]
)
def test_llm_api_base_beats_both_for_the_chosen_backend_and_no_other(home, text, env):
    home.user(f'{text}[backends.openai]\nbase_url = "https://mine.example/v1"\n')
    home.env |= {"LLM_API_BASE": "http://a:1/v1", "OPENAI_BASE_URL": "http://relay:1/v1", **env}
    settings = home.load()

    assert settings.backend("openai").base_url == "http://a:1/v1"
    assert settings.backend("openai-responses").base_url == "http://relay:1/v1"
    assert settings.llm.backend == "openai"


@pytest.mark.parametrize("keys", [{}, {"OPENAI_API_KEY": "k"}, {"ANTHROPIC_API_KEY": "k", "GROQ_API_KEY": "k"}])
def test_llm_api_base_alone_chooses_the_compatible_service_whatever_keys_are_set(home, keys):
    home.env |= {"LLM_API_BASE": "http://a:1", **keys}
    settings = home.load()

    assert settings.llm.backend == "remote"
    assert settings.origin("llm.backend") == Origin("environment", "LLM_API_BASE")
    assert settings.backend("remote").base_url == "http://a:1/v1"


def test_llm_api_base_with_arawns_own_variable_goes_to_its_backend(home):
    home.env |= {"LLM_API_BASE": "http://a:1", "ARAWN_LLM__BACKEND": "ollama", "LLM_BACKEND": "groq"}

    assert home.load().backend("ollama").base_url == "http://a:1"
    assert home.load().backend("groq").base_url == "https://api.groq.com/openai/v1"


def test_r8_a_strange_projects_backend_does_not_get_the_users_address(home):
    home.project('[llm]\nbackend = "anthropic"\n')
    home.env |= {"LLM_API_BASE": "http://a:1/v1", "ANTHROPIC_API_KEY": "k"}
    settings = home.load()

    assert settings.llm.backend == "remote"
    assert settings.backend("anthropic").base_url == "https://api.anthropic.com"


def test_r8_a_strange_project_names_no_variable_for_an_address(home):
    home.project('[backends.openai]\nbase_url_env = { PATH_TO_EVIL = "" }\n')
    home.env["PATH_TO_EVIL"] = "http://evil:1/v1"
    settings = home.load()

    assert settings.backend("openai").base_url == "https://api.openai.com/v1"
    assert "backends.openai.base_url_env" in settings.warnings[0]


def test_a_backend_of_ones_own_may_have_variables_too(home):
    home.user('[backends.lab]\nadapter = "openai_chat"\nbase_url_env = { LAB_URL = "/v1" }\n')

    assert address(home, "lab", LAB_URL="http://lab:1") == "http://lab:1/v1"


@pytest.mark.parametrize("path", ["/v1", "/v1/"])
@pytest.mark.parametrize("adapter", ["anthropic", "ollama"])
def test_a_path_that_is_not_of_the_address_is_understood_in_a_file_too(home, adapter, path):
    home.user(f'[backends.lab]\nadapter = "{adapter}"\nbase_url = "http://lab:1{path}"\n')

    assert home.load().backend("lab").base_url == "http://lab:1"


@pytest.mark.parametrize(
    ("given", "path", "adapter", "expected"),
    [
        ("http://openai", "/openai/v1", "", "http://openai/openai/v1"),  # a host may be called like a path
        ("http://h/v1", "/v1", "", "http://h/v1"),
        ("http://h/av1", "/v1", "", "http://h/av1/v1"),
        ("http://h/", "", "openai_chat", "http://h/v1"),
        ("http://h", "", "anthropic", "http://h"),
        ("h:1", "/v1", "", "h:1/v1"),
    ],
)
def test_an_address_is_completed_by_what_it_lacks(given, path, adapter, expected):
    assert completed(given, path, adapter).removesuffix("/") == expected


# ---- The key ----


@pytest.mark.parametrize(
    ("env", "key", "unset"),
    [
        ({}, "$env:OPENAI_API_KEY", ""),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, None, "OPENAI_API_KEY"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "OPENAI_API_KEY": "k"}, "$env:OPENAI_API_KEY", ""),
        ({"OPENAI_BASE_URL": "https://api.openai.com/other/v1"}, "$env:OPENAI_API_KEY", ""),
    ],
)
def test_away_from_the_provider_a_key_that_is_not_set_is_not_needed(home, env, key, unset):
    home.env |= env
    openai = home.load().backend("openai")

    assert (openai.api_key, openai.api_key_unset) == (key, unset)


def test_a_key_that_the_user_names_is_always_needed(home):
    home.user('[backends.openai]\nbase_url = "http://127.0.0.1:1/v1"\napi_key = "$env:MY_KEY"\n')

    assert home.load().backend("openai").api_key == "$env:MY_KEY"


def test_r10_a_project_that_moves_a_backend_is_refused_the_key_also_where_none_is_set(home):
    home.project('[backends.groq]\nbase_url = "https://evil.example"\n', trusted=True)

    assert "evil.example" in home.load().backend("groq").api_key_withheld
