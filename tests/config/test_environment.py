"""What the environment sets."""

from __future__ import annotations

import pytest

from arawn.config.addresses import ollama_address
from arawn.config.environment import Environment
from arawn.errors import ConfigError


@pytest.mark.parametrize(
    ("variable", "value", "key", "expected"),
    [
        ("LLM_BACKEND", "groq", "llm.backend", "groq"),
        ("LLM_MODEL", "qwen2.5:1.5b", "llm.model", "qwen2.5:1.5b"),
        ("LLM_TIMEOUT_SECONDS", "120", "llm.timeout", 120),
        ("LLM_TIMEOUT_SECONDS", "1.5", "llm.timeout", 1.5),
        ("LLM_TIMEOUT_SECONDS", "060", "llm.timeout", 60),
        ("VLLM_HOURLY_RATE", "0.25", "backends.vllm.hourly_rate", 0.25),
        ("VLLM_ENDPOINT", "http://gpu:8000", "backends.vllm.base_url", "http://gpu:8000/v1"),
        ("VLLM_ENDPOINT", "http://gpu:8000/v1/", "backends.vllm.base_url", "http://gpu:8000/v1"),
        ("ARAWN_LLM__MODEL", "m", "llm.model", "m"),
        ("ARAWN_MEMORY__INDEXING__BACKEND", "groq", "memory.indexing.backend", "groq"),
        ("ARAWN_BACKENDS__GROQ__INSECURE_TLS", "true", "backends.groq.insecure_tls", True),
        ("ARAWN_BACKENDS__GROQ__MAX_RETRIES", "0", "backends.groq.max_retries", 0),
        ("ARAWN_BACKENDS__GROQ__EXTRA", '{ seed = 7, stop = ["x"] }', "backends.groq.extra.seed", 7),
        ("ARAWN_BACKENDS__OPENAI_RESPONSES__MODEL", "m", "backends.openai-responses.model", "m"),
        ("ARAWN_ALIASES__FAST", "groq/x", "aliases.fast", "groq/x"),
        ("ARAWN_LLM__MODEL", "42", "llm.model", "42"),
    ],
)
def test_a_variable_sets_its_key(home, variable, value, key, expected):
    home.env[variable] = value
    settings = home.load()

    assert settings.value(key) == expected
    assert settings.warnings == ()


@pytest.mark.parametrize(
    ("environ", "backend", "address"),
    [
        ({"LLM_BACKEND": "ollama", "LLM_API_BASE": "http://pi:11434"}, "ollama", "http://pi:11434"),
        ({"LLM_BACKEND": "remote", "LLM_API_BASE": "http://ai.example:8080/v1"}, "remote", "http://ai.example:8080/v1"),
        ({"LLM_BACKEND": "remote", "LLM_API_BASE": "http://ai.example:8080/"}, "remote", "http://ai.example:8080/v1"),
        ({"LLM_BACKEND": "anthropic", "LLM_API_BASE": "https://relay.example"}, "anthropic", "https://relay.example"),
        ({"LLM_API_BASE": "http://ai.example/x"}, "remote", "http://ai.example/x"),
        ({"LLM_BACKEND": "ollama", "LLM_API_BASE": "http://a:1", "OLLAMA_HOST": "b:2"}, "ollama", "http://a:1"),
        (
            {"VLLM_ENDPOINT": "http://a:1", "ARAWN_BACKENDS__VLLM__BASE_URL": "http://b:2/v1"},
            "vllm",
            "http://b:2/v1",
        ),
    ],
)
def test_an_address_goes_to_the_backend_it_is_meant_for(home, environ, backend, address):
    home.env |= environ

    assert home.load().backend(backend).base_url == address


def test_a_file_that_chooses_ollama_gives_it_the_address(home):
    home.user('[llm]\nbackend = "ollama"\n')
    home.env["LLM_API_BASE"] = "http://pi:11434"

    assert home.load().backend("ollama").base_url == "http://pi:11434"


def test_r11_an_address_left_in_the_environment_does_not_move_another_backend(home):
    home.user('[llm]\nbackend = "anthropic"\n')
    home.env["LLM_API_BASE"] = "http://pi:11434"
    settings = home.load(overrides={"llm.backend": "openai"})

    for name in set(settings.backend_names) - {"anthropic", "remote"}:
        assert "pi:11434" not in settings.backend(name).base_url


def test_remote_uses_the_openai_key_at_the_address_the_user_set(home):
    home.env |= {"LLM_BACKEND": "remote", "LLM_API_BASE": "http://ai.example/v1", "OPENAI_API_KEY": "k"}
    remote = home.load().backend("remote")

    assert (remote.api_key, remote.api_key_withheld) == ("$env:OPENAI_API_KEY", "")


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("pi", "http://pi:11434"),
        ("pi:80", "http://pi:80"),
        (":8080", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:1234", "http://127.0.0.1:1234"),
        ("[::]:1234", "http://[::1]:1234"),
        ("[::1]", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("http://pi", "http://pi:80"),
        ("https://ollama.example", "https://ollama.example:443"),
        ("https://ollama.example/base/", "https://ollama.example:443/base"),
        (' "pi:1" ', "http://pi:1"),
    ],
)
def test_the_address_of_ollama_may_be_written_as_ollama_allows(home, written, address):
    home.env["OLLAMA_HOST"] = written

    assert ollama_address(written) == address
    assert home.load().backend("ollama").base_url == address


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("LLM_TIMEOUT_SECONDS", "soon", 'LLM_TIMEOUT_SECONDS: llm.timeout: expected a number > 0, got "soon"'),
        ("LLM_TIMEOUT_SECONDS", "-1", "LLM_TIMEOUT_SECONDS: llm.timeout: expected a number > 0, got -1"),
        (
            "VLLM_ENDPOINT",
            "gpu",
            "VLLM_ENDPOINT: backends.vllm.base_url: expected an address like https://host/v1, got",
        ),
        ("OLLAMA_HOST", "a b", "OLLAMA_HOST: backends.ollama.base_url: expected an address"),
        ("ARAWN_BACKENDS__GROQ__MAX_TOKENS", "4k", "ARAWN_BACKENDS__GROQ__MAX_TOKENS: backends.groq.max_tokens"),
        ("ARAWN_LLM", "", None),
    ],
)
def test_a_wrong_variable_is_an_error_that_names_it(home, variable, value, expected):
    home.env[variable] = value
    if expected is None:
        home.load()
        return

    with pytest.raises(ConfigError) as caught:
        home.load()

    assert caught.value.message.startswith(expected)


def test_an_unknown_variable_of_ours_is_a_warning(home):
    home.env["ARAWN_LLM__MODLE"] = "m"

    assert home.load().warnings == ('ARAWN_LLM__MODLE: llm.modle: unknown key, did you mean "model"?',)


@pytest.mark.parametrize("name", ["BUDGET_LIMIT", "ARAWN_CONFIG", "ARAWN_X", "LLM_BACKEND", "ARAWN_LLM__MODEL", "PATH"])
def test_nothing_is_said_of_empty_and_foreign_variables(home, name):
    home.env[name] = "100.0" if name == "BUDGET_LIMIT" else ""
    settings = home.load()

    assert settings.warnings == ()
    assert settings.llm.backend is None


def test_a_key_of_a_provider_is_referred_to_and_not_read(home):
    home.env["ANTHROPIC_API_KEY"] = "sk-ant-secret"
    settings = home.load()

    assert settings.backend("anthropic").api_key == "$env:ANTHROPIC_API_KEY"
    assert "sk-ant-secret" not in repr(settings) + str(settings.tree)


# ---- As files for other readers deliver them ----


@pytest.mark.parametrize(
    ("delivered", "meant"),
    [
        ("groq", "groq"),
        ("groq\r", "groq"),
        ("groq\r\n", "groq"),
        ('"groq"', "groq"),
        ("'groq'", "groq"),
        ('"groq"\r', "groq"),
        ('"groq\r"', "groq"),
        (' "groq" ', "groq"),
        ('""', ""),
        ("", ""),
        ('Say "yes"', 'Say "yes"'),
        ('"a" and "b"', '"a" and "b"'),
        ("don't", "don't"),
        ("'tis the season", "'tis the season"),
        ("trailing blank ", "trailing blank "),
        ("a\nb", "a\nb"),
    ],
)
def test_quotes_and_line_ends_around_a_value_do_not_belong_to_it(delivered, meant):
    environ = Environment({"NAME": delivered})

    assert environ["NAME"] == environ.get("NAME") == meant
    assert environ.raw["NAME"] == delivered
    assert ("NAME" in environ, "OTHER" in environ, list(environ), len(environ)) == (True, False, ["NAME"], 1)


@pytest.mark.parametrize("delivered", ['"sk-secret', 'sk-secret"', "'sk-secret", "sk-secret'\r", '"'])
def test_half_a_quote_is_refused_by_the_name_of_its_variable(delivered):
    with pytest.raises(ConfigError) as caught:
        Environment({"NAME": delivered})["NAME"]

    assert caught.value.message.startswith("NAME: there is half a quote (")
    assert "secret" not in caught.value.message + str(caught.value.hints)


QUOTED = {
    "LLM_BACKEND": ("groq", "llm.backend", "groq"),
    "LLM_MODEL": ("m", "llm.model", "m"),
    "LLM_TIMEOUT_SECONDS": ("7", "llm.timeout", 7),
    "BUDGET_LIMIT": ("2.5", "budget.limit", 2.5),
    "VLLM_ENDPOINT": ("http://gpu:1", "backends.vllm.base_url", "http://gpu:1/v1"),
    "VLLM_HOURLY_RATE": ("0.5", "backends.vllm.hourly_rate", 0.5),
    "OLLAMA_HOST": ("pi", "backends.ollama.base_url", "http://pi:11434"),
    "LLM_API_BASE": ("http://pi:1", "backends.remote.base_url", "http://pi:1/v1"),
    "OPENAI_BASE_URL": ("http://pi:1", "backends.openai.base_url", "http://pi:1/v1"),
    "ARAWN_CACHE__ENABLED": ("true", "cache.enabled", True),
}


@pytest.mark.parametrize("form", ['"{}"', "'{}'", "{}\r", '"{}"\r\n'])
@pytest.mark.parametrize("variable", QUOTED)
def test_every_variable_is_understood_in_quotes_and_with_the_line_end_of_windows(home, variable, form):
    value, key, expected = QUOTED[variable]
    home.env[variable] = form.format(value)

    assert home.load().value(key) == expected


@pytest.mark.parametrize("variable", QUOTED)
def test_every_variable_with_a_line_end_inside_is_refused_by_its_name(home, variable):
    home.env[variable] = f"{QUOTED[variable][0]}\nx"

    with pytest.raises(ConfigError, match=f"^{variable}: there is a line end inside the value$"):
        home.load()


def test_a_system_prompt_may_have_several_lines(home):
    home.env["ARAWN_LLM__SYSTEM"] = "one\ntwo"

    assert home.load().llm.system == "one\ntwo"


def test_the_place_of_the_configuration_may_be_in_quotes(home):
    home.write(home.root / "mine" / "config.toml", '[llm]\nmodel = "m"\n')
    home.env["ARAWN_HOME"] = f'"{home.root}/mine"\r'

    assert home.load().llm.model == "m"


def test_foreign_variables_may_hold_anything(home):
    home.env |= {"PS1": '"', "GREETING": "'hello", "BLOCK": "a\nb"}

    assert home.load().warnings == ()
