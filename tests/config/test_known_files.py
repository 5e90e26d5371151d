"""Documented configurations load without a warning, and mean what the documentation says."""

from __future__ import annotations

import pytest
from jsonschema import Draft4Validator

from arawn.config.generate import json_schema
from arawn.config.roles import resolve_model

SINGLE = [
    '[backends.anthropic]\napi_key = "$keyring:anthropic_api_key"\nmodel = "claude-opus-4-20250514"\nmax_tokens = 9\n',
    '[backends.openai]\napi_key = "$env:OPENAI_API_KEY"\nmodel = "gpt-4o"\nmax_tokens = 4096\n',
    '[embeddings.openai]\napi_key = "$env:OPENAI_API_KEY"\nmodel = "text-embedding-3-small"\n',
    '[backends.groq]\napi_key = "$env:GROQ_API_KEY"\nmodel = "llama-3.3-70b-versatile"\nmax_tokens = 4096\n',
    '[backends.ollama]\nbase_url = "http://localhost:11434"\nmodel = "llama3"\n',
]
SEVERAL = """\
[llm]
backend = "groq"
model = "llama-3.3-70b"

[memory.indexing]
backend = "anthropic"
model = "claude-3-haiku-20240307"

[embeddings]
backend = "local"
model = "all-MiniLM-L6-v2"

[backends.anthropic]
api_key = "$keyring:anthropic"
model = "claude-sonnet-4-20250514"

[backends.groq]
api_key = "$env:GROQ_API_KEY"
model = "llama-3.3-70b-versatile"
"""
ENVIRONMENTS = [
    (
        {"LLM_BACKEND": "anthropic", "LLM_MODEL": "claude-3-5-sonnet-20241022", "ANTHROPIC_API_KEY": "k"},
        ("anthropic", "claude-3-5-sonnet-20241022"),
    ),
    ({"LLM_BACKEND": "remote", "LLM_MODEL": "gpt-4o-mini", "OPENAI_API_KEY": "k"}, ("remote", "gpt-4o-mini")),
    (
        {"LLM_BACKEND": "huggingface", "LLM_MODEL": "Qwen/Qwen2.5-72B-Instruct", "HF_TOKEN": "k"},
        ("huggingface", "Qwen/Qwen2.5-72B-Instruct"),
    ),
    (
        {"LLM_BACKEND": "ollama", "LLM_MODEL": "qwen2.5:1.5b", "LLM_API_BASE": "http://localhost:11434"},
        ("ollama", "qwen2.5:1.5b"),
    ),
    (
        {"LLM_BACKEND": "mlx", "LLM_MODEL": "mlx-community/Qwen2.5-3B-Instruct"},
        ("mlx", "mlx-community/Qwen2.5-3B-Instruct"),
    ),
    ({"LLM_BACKEND": "ollama"}, ("ollama", "qwen3:8b")),
    (
        {"LLM_BACKEND": "huggingface", "HF_TOKEN": "k", "LLM_TIMEOUT_SECONDS": "120"},
        ("huggingface", "openai/gpt-oss-120b"),
    ),
]


@pytest.mark.parametrize("text", [*SINGLE, SEVERAL])
def test_a_documented_file_loads_without_a_warning(home, text):
    home.user(text)
    settings = home.load()

    assert settings.warnings == ()
    assert list(Draft4Validator(json_schema()).iter_errors(settings.layers[2].tree)) == []


def test_roles_go_to_the_backends_the_file_names(home):
    home.user(SEVERAL)
    settings = home.load()

    assert resolve_model(settings, None, None)[:2] == ("groq", "llama-3.3-70b")
    assert resolve_model(settings, None, None, "indexing")[:2] == ("anthropic", "claude-3-haiku-20240307")
    assert settings.embeddings.backend == "local"
    assert settings.backend("anthropic").api_key == "$keyring:anthropic"


@pytest.mark.parametrize(("environ", "choice"), ENVIRONMENTS)
def test_a_documented_environment_selects_what_it_names(home, environ, choice):
    home.env |= environ
    settings = home.load()

    assert resolve_model(settings, None, None)[:2] == choice
    assert settings.warnings == ()


def test_a_self_hosted_server_is_set_by_three_variables(home):
    home.env |= {"VLLM_ENDPOINT": "http://your-vllm-server:8000", "BUDGET_LIMIT": "100.0", "VLLM_HOURLY_RATE": "0.2"}
    settings = home.load()
    vllm = settings.backend("vllm")

    assert (vllm.base_url, vllm.hourly_rate, settings.warnings) == ("http://your-vllm-server:8000/v1", 0.2, ())
    assert resolve_model(settings, None, "qwen")[:2] == ("vllm", "Qwen/Qwen3-8B")
