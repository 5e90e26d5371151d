"""Which backend and which model a call goes to."""

from __future__ import annotations

import pytest

from arawn.config.roles import Choice, first_available, resolve_model
from arawn.errors import ConfigError

GROQ = '[llm]\nbackend = "groq"\nmodel = "openai/gpt-oss-20b"\n'
ROUTER = '[llm]\nbackend = "openrouter"\n'


def knows(backend: str, model: str) -> bool:
    return (backend, model) in {("openrouter", "anthropic/claude-sonnet-5"), ("groq", "openai/gpt-oss-120b")}


@pytest.mark.parametrize(
    ("text", "backend", "model", "expected"),
    [
        # nothing named: the pair in [llm], word for word, else the backend's own model
        (GROQ, None, None, ("groq", "openai/gpt-oss-20b")),
        ('[llm]\nbackend = "ollama"\nmodel = "qwen"\n', None, None, ("ollama", "qwen")),
        ('[llm]\nbackend = "anthropic"\nmodel = "haiku"\n', None, None, ("anthropic", "claude-haiku-5-5")),
        ('[llm]\nbackend = "groq"\n', None, None, ("groq", "openai/gpt-oss-120b")),
        ('[llm]\nmodel = "sonnet"\n', None, None, ("anthropic", "claude-sonnet-5-5")),
        ('[llm]\nmodel = "ollama/llama3:8b"\n', None, None, ("ollama", "llama3:8b")),
        # a backend named: its own model, or the id word for word
        (GROQ, "ollama", None, ("ollama", "qwen3:8b")),
        (GROQ, "groq", None, ("groq", "openai/gpt-oss-20b")),
        (GROQ, "ollama", "qwen2.5:1.5b", ("ollama", "qwen2.5:1.5b")),
        (GROQ, "openrouter", "anthropic/claude-sonnet-5", ("openrouter", "anthropic/claude-sonnet-5")),
        (GROQ, "anthropic", "sonnet", ("anthropic", "claude-sonnet-5-5")),
        (GROQ, "ollama", "sonnet", ("ollama", "sonnet")),
        ('[llm]\nmodel = "sonnet"\n', "anthropic", None, ("anthropic", "claude-sonnet-5-5")),
        # a model named: alias or tier, then the configured backend's ids, then backend/model, then an id
        (GROQ, None, "opus", ("anthropic", "claude-opus-5-5")),
        (GROQ, None, "qwen", ("vllm", "Qwen/Qwen3-8B")),
        (GROQ + '[aliases]\nfast = "cerebras/gpt-oss-120b"\n', None, "fast", ("cerebras", "gpt-oss-120b")),
        (GROQ + '[aliases]\nopus = "groq/big"\n', None, "opus", ("groq", "big")),
        (GROQ + '[aliases]\nmine = "llama-x"\n', None, "mine", ("groq", "llama-x")),
        (GROQ, None, "openai/gpt-oss-120b", ("groq", "openai/gpt-oss-120b")),
        (GROQ, None, "openai/gpt-oss-20b", ("groq", "openai/gpt-oss-20b")),
        (GROQ, None, "openai/gpt-5.4", ("openai", "gpt-5.4")),
        (ROUTER, None, "anthropic/claude-sonnet-5", ("openrouter", "anthropic/claude-sonnet-5")),
        (ROUTER, None, "anthropic/claude-opus-5", ("anthropic", "claude-opus-5")),
        (ROUTER, None, "openrouter/anthropic/claude-opus-5", ("openrouter", "anthropic/claude-opus-5")),
        (ROUTER, None, "meta/llama:free", ("openrouter", "meta/llama:free")),
        ("", None, "ollama/llama3:70b", ("ollama", "llama3:70b")),
        (GROQ, None, "huggingface/Qwen/Qwen3:groq", ("huggingface", "Qwen/Qwen3:groq")),
    ],
)
def test_a_choice_is_what_was_meant(home, text, backend, model, expected):
    home.user(text)

    assert resolve_model(home.load(), backend, model, knows=knows) == (*expected, "")


def test_background_work_uses_the_role_of_answering_where_it_has_none(home):
    home.user(GROQ)
    assert resolve_model(home.load(), None, None, "indexing")[:2] == ("groq", "openai/gpt-oss-20b")

    home.user(GROQ + '[memory.indexing]\nbackend = "anthropic"\nmodel = "haiku"\n')
    assert resolve_model(home.load(), None, None, "indexing")[:2] == ("anthropic", "claude-haiku-5-5")


def test_vectors_use_the_embedding_model_and_never_the_chat_model(home):
    home.user('[embeddings]\nbackend = "openai"\n')
    settings = home.load()

    assert resolve_model(settings, None, None, "embeddings")[:2] == ("openai", "text-embedding-3-small")
    assert resolve_model(settings, "ollama", None, "embeddings")[:2] == ("ollama", "nomic-embed-text")
    with pytest.raises(ConfigError, match='backend "groq" has no model to use'):
        resolve_model(settings, "groq", None, "embeddings")


def test_without_a_backend_for_vectors_it_says_how_to_set_one(home):
    with pytest.raises(ConfigError) as caught:
        resolve_model(home.load(), None, None, "embeddings")

    assert caught.value.hints[0] == "arawn config set embeddings.backend NAME"


@pytest.mark.parametrize(("backend", "model"), [("grok", None), ("grok", "x")])
def test_an_undefined_backend_is_an_error_with_the_nearest(home, backend, model):
    with pytest.raises(ConfigError) as caught:
        resolve_model(home.load(), backend, model)

    assert (caught.value.message, caught.value.hints[0]) == ('no backend "grok"', 'did you mean "groq"?')


def test_a_backend_without_a_model_says_how_to_name_one(home):
    with pytest.raises(ConfigError) as caught:
        resolve_model(home.load(), "lmstudio", None)

    assert caught.value.message == 'backend "lmstudio" has no model to use'
    assert caught.value.hints == ("name one: -m MODEL", "or for always: arawn config set backends.lmstudio.model MODEL")


def test_azure_without_its_address_says_how_to_set_it(home):
    with pytest.raises(ConfigError) as caught:
        resolve_model(home.load(), "azure", "my-deployment")

    assert caught.value.message == 'backend "azure" has no base_url'
    assert caught.value.hints[0].startswith("arawn config set backends.azure.base_url")


def test_with_nothing_configured_the_first_backend_with_a_key_is_taken_and_said(home):
    home.env |= {"GROQ_API_KEY": "g", "OPENAI_API_KEY": "o", "AZURE_OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": ""}
    settings = home.load()

    found = resolve_model(
        settings, None, None, available=lambda: first_available(settings, home.environ, lambda _: pytest.fail("asked"))
    )

    assert found == Choice("openai", "gpt-6-luna", "using openai: OPENAI_API_KEY is set")


def test_a_model_named_alone_goes_to_that_backend(home):
    home.env["GROQ_API_KEY"] = "g"
    settings = home.load()

    found = resolve_model(
        settings, None, "llama-x", available=lambda: first_available(settings, home.environ, lambda _: None)
    )

    assert found == Choice("groq", "llama-x", "using groq: GROQ_API_KEY is set")


@pytest.mark.parametrize("key", ["$keyring:anthropic", "$file:/run/key", "sk-ant-literal"])
def test_a_key_the_users_file_gives_counts_and_is_not_looked_up(home, key):
    home.user(f'[backends.anthropic]\napi_key = "{key}"\n')
    settings = home.load()

    found = first_available(settings, home.environ, lambda _: None)

    assert found.backend == "anthropic"
    assert found.why == "using anthropic: your configuration has its key"


def test_without_any_key_a_running_ollama_is_taken(home):
    asked = []
    settings = home.load()

    def probe(backend):
        asked.append(backend.name)
        return "qwen2.5:1.5b"

    found = first_available(settings, home.environ, probe)

    assert (found.backend, found.model, asked) == ("ollama", "qwen2.5:1.5b", ["ollama"])
    assert found.why == "using ollama: it is running at http://localhost:11434, and no key is set"


def test_without_anything_it_explains_in_five_lines_how_to_get_a_backend(home):
    with pytest.raises(ConfigError) as caught:
        first_available(home.load(), home.environ, lambda _: None)

    assert caught.value.exit_code == 3
    assert len(caught.value.hints) == 5
    assert "ANTHROPIC_API_KEY" in caught.value.hints[0]
    assert all(word in "".join(caught.value.hints) for word in ("secrets set", "ollama pull", "mock", "docs/"))


# ---- A section of its own for embeddings, and models in this process ----


@pytest.mark.parametrize(
    ("text", "env", "expected"),
    [
        ('[embeddings.openai]\napi_key = "$env:OPENAI_API_KEY"\n', {}, ("openai", "text-embedding-3-small")),
        ('[embeddings.openai]\nmodel = "text-embedding-3-large"\n', {}, ("openai", "text-embedding-3-large")),
        (
            '[embeddings.ollama]\nmodel = "e"\n[embeddings.openai]\nmodel = "f"\n',
            {"OPENAI_API_KEY": "k"},
            ("openai", "f"),
        ),
        ('[embeddings]\nbackend = "ollama"\n[embeddings.openai]\nmodel = "f"\n', {}, ("ollama", "nomic-embed-text")),
        ('[embeddings]\nmodel = "g"\n[embeddings.openai]\nmodel = "f"\n', {}, ("openai", "g")),
    ],
)
def test_a_table_for_embeddings_alone_chooses_its_backend(home, text, env, expected):
    home.user(text)
    home.env |= env

    assert resolve_model(home.load(), None, None, "embeddings")[:2] == expected


@pytest.mark.parametrize("keys", [{}, {"OPENAI_API_KEY": "k", "MISTRAL_API_KEY": "k"}])
def test_of_several_tables_for_embeddings_one_must_be_chosen(home, keys):
    home.user('[embeddings.openai]\nmodel = "e"\n[embeddings.mistral]\nmodel = "f"\n')
    home.env |= keys

    with pytest.raises(ConfigError, match=r"no backend is configured for \[embeddings\]"):
        resolve_model(home.load(), None, None, "embeddings")


@pytest.fixture
def mlx_lm(tmp_path, monkeypatch):
    (tmp_path / "site" / "mlx_lm").mkdir(parents=True)
    (tmp_path / "site" / "mlx_lm" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


@pytest.mark.usefixtures("mlx_lm")
@pytest.mark.parametrize(("model", "expected"), [(None, "mlx-community/Qwen2.5-3B-Instruct-4bit"), ("m", "m")])
def test_mlx_runs_in_this_process_where_its_package_is_installed(home, model, expected):
    home.env["LLM_BACKEND"] = "mlx"

    why = "using mlx-lm: the package mlx_lm is installed"
    assert resolve_model(home.load(), None, model) == Choice("mlx-lm", expected, why)
    assert resolve_model(home.load(), "mlx", model) == Choice("mlx-lm", expected, why)


def test_mlx_is_its_server_where_the_package_is_not_installed(home):
    home.env["LLM_BACKEND"] = "mlx"

    why = "using mlx at http://localhost:8080/v1: the package mlx_lm for mlx-lm is not installed"
    assert resolve_model(home.load(), None, None) == Choice("mlx", "default_model", why)


@pytest.mark.usefixtures("mlx_lm")
@pytest.mark.parametrize(
    ("text", "env"),
    [("", {"LLM_API_BASE": "http://mac:1"}), ('[backends.mlx]\nbase_url = "http://mac:1/v1"\n', {})],
    ids=["variable", "file"],
)
def test_an_mlx_server_whose_address_is_given_is_meant(home, text, env):
    home.user(text)
    home.env |= {"LLM_BACKEND": "mlx", **env}

    assert resolve_model(home.load(), None, None) == Choice("mlx", "default_model", "")


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (
            {"OPENAI_BASE_URL": "http://relay:1", "OPENAI_API_KEY": "k"},
            "using openai at http://relay:1/v1 (OPENAI_BASE_URL): OPENAI_API_KEY is set",
        ),
        ({"OPENAI_BASE_URL": "http://relay:1"}, "using openai at http://relay:1/v1 (OPENAI_BASE_URL): no key is set"),
        ({"VLLM_ENDPOINT": "http://gpu:1"}, "using vllm at http://gpu:1/v1 (VLLM_ENDPOINT): no key is set"),
    ],
)
def test_the_address_that_a_variable_names_is_said_where_nothing_is_configured(home, env, expected):
    home.env |= env
    settings = home.load()

    assert first_available(settings, settings.environ, lambda _: None).why == expected


def test_a_file_of_variables_that_is_not_read_is_named_where_it_has_a_key(home, monkeypatch):
    monkeypatch.chdir(home.root)
    home.write(home.root / ".env", "OTHER=1\nGROQ_API_KEY=gsk-secret\n")
    settings = home.load()

    with pytest.raises(ConfigError) as caught:
        first_available(settings, settings.environ, lambda _: None)

    named = "GROQ_API_KEY is in the file .env here, which is read only on request: arawn --env-file .env …"
    assert caught.value.hints[0] == named
    assert "gsk-secret" not in str(caught.value.hints)


@pytest.mark.parametrize("content", [b"", b"GROQ_API_KEY=\n", b"PATH=x\n", b"\xff\xfe", b"no assignment\n", None])
def test_a_file_of_variables_without_a_key_is_not_named(home, monkeypatch, content):
    monkeypatch.chdir(home.root)
    if content is None:
        (home.root / ".env").mkdir()
    else:
        home.write(home.root / ".env", content)
    settings = home.load()

    with pytest.raises(ConfigError) as caught:
        first_available(settings, settings.environ, lambda _: None)

    assert caught.value.hints[0].startswith("a key in the environment")
