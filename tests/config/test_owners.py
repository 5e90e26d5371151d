"""Where a model goes that was named alone, and what is said of one that a backend does not have."""

from __future__ import annotations

from collections import defaultdict

import pytest

from arawn.config.owners import owner_hints
from arawn.config.roles import Choice, first_available, resolve_model
from arawn.errors import UsageError
from arawn.models import catalog

OF_OPENAI, OF_ANTHROPIC = "gpt-5.4-mini", "claude-haiku-5-5"
KEYS = {"ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "o"}


def shared_id():
    """An id that several backends have, and anthropic does not; and who has it."""
    found = defaultdict(list)
    for backend, model in catalog.known_ids("2026-11-30"):
        if catalog.offers(backend, model):
            found[model].append(backend)
    return next((model, names) for model, names in found.items() if len(names) > 1 and "anthropic" not in names)


def choose(home, model, backend=None, **env):
    home.env |= env
    settings = home.load()
    return resolve_model(
        settings,
        backend,
        model,
        knows=lambda name, wanted: catalog.find(name, wanted) is not None,
        available=lambda: first_available(settings, settings.environ, lambda _: None),
    )


def test_a_model_of_another_backend_whose_key_is_set_goes_there_and_it_is_said(home):
    home.user('[llm]\nbackend = "anthropic"\n')

    assert choose(home, OF_OPENAI, **KEYS) == Choice(
        "openai", OF_OPENAI, f'using openai: "{OF_OPENAI}" is one of its models, and anthropic does not have it'
    )
    assert choose(home, OF_ANTHROPIC)[:2] == ("anthropic", OF_ANTHROPIC)


def test_with_nothing_configured_a_model_goes_to_the_backend_that_has_it(home):
    assert choose(home, OF_OPENAI, **KEYS)[:2] == ("openai", OF_OPENAI)
    assert choose(home, OF_ANTHROPIC)[:2] == ("anthropic", OF_ANTHROPIC)
    assert choose(home, None, LLM_MODEL=OF_OPENAI)[:2] == ("openai", OF_OPENAI)


@pytest.mark.parametrize(
    ("text", "env"),
    [
        ('[llm]\nbackend = "anthropic"\n', {"ANTHROPIC_API_KEY": "a"}),  # the other has no key
        ('[llm]\nbackend = "anthropic"\n', {**KEYS, "OPENAI_API_KEY": ""}),
        ('[llm]\nbackend = "groq"\n', {**KEYS, "LLM_BACKEND": "anthropic"}),  # a variable names it
        ("", {**KEYS, "ARAWN_LLM__BACKEND": "anthropic"}),
        ('[llm]\nbackend = "anthropic"\n[backends.anthropic]\nmodel = "gpt-5.4-mini"\n', KEYS),
        ('[llm]\nbackend = "anthropic"\nmodel = "gpt-5.4-mini"\n', KEYS),
        ('[llm]\nbackend = "anthropic"\n', {**KEYS, "ANTHROPIC_BASE_URL": "https://gateway.example"}),
        ('[llm]\nbackend = "anthropic"\n', {**KEYS, "ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}),
        ('[llm]\nbackend = "anthropic"\n[backends.anthropic]\nbase_url = "https://gateway.example"\n', KEYS),
        ('[llm]\nbackend = "openrouter"\n', {**KEYS, "OPENROUTER_API_KEY": "k"}),
        ('[llm]\nbackend = "huggingface"\n', {**KEYS, "HF_TOKEN": "k"}),
        ('[llm]\nbackend = "azure"\n[backends.azure]\nbase_url = "https://r.example/v1"\n', KEYS),
        ('[llm]\nbackend = "ollama"\n', KEYS),
        ('[llm]\nbackend = "lab"\n[backends.lab]\nadapter = "openai_chat"\nbase_url = "https://lab.example"\n', KEYS),
        ('[llm]\nbackend = "mock"\n', KEYS),
    ],
)
def test_a_model_stays_where_it_may_be_or_where_a_variable_says(home, text, env):
    home.user(text)
    home.env |= env
    configured = home.load().llm.backend

    assert choose(home, OF_OPENAI)[:2] == (configured, OF_OPENAI)


def test_a_named_backend_is_taken_at_its_word(home):
    assert choose(home, OF_OPENAI, backend="anthropic", **KEYS)[:2] == ("anthropic", OF_OPENAI)


def test_a_model_that_is_nowhere_known_stays(home):
    home.user('[llm]\nbackend = "anthropic"\n')

    assert choose(home, "brand-new-9", **KEYS)[:2] == ("anthropic", "brand-new-9")


def test_an_alias_is_no_id_and_moves_nothing(home):
    home.user(f'[llm]\nbackend = "anthropic"\n[aliases]\nmine = "{OF_OPENAI}"\n')

    assert choose(home, "mine", **KEYS)[:2] == ("anthropic", OF_OPENAI)


def test_one_service_under_two_names_is_one(home):
    home.user('[llm]\nbackend = "anthropic"\n')

    assert choose(home, OF_OPENAI, **KEYS).backend == "openai"
    assert catalog.offers("openai-responses", OF_OPENAI)


def test_a_model_that_several_backends_have_needs_a_name(home):
    model, names = shared_id()
    home.user('[llm]\nbackend = "anthropic"\n')
    settings = home.load()
    keys = [settings.tree["backends"][name]["api_key"].removeprefix("$env:") for name in names]

    with pytest.raises(UsageError) as caught:
        choose(home, model, **dict.fromkeys(keys, "k"))

    assert caught.value.exit_code == 2
    assert set(caught.value.hints) == {f"arawn ask -b {name} -m {model} …" for name in names}
    home.env |= dict.fromkeys(keys[1:], "")
    assert choose(home, model).backend == names[0]


@pytest.mark.parametrize("usual", ["lmstudio", "ollama", "vllm"])
def test_a_question_for_a_local_server_does_not_leave_it_for_an_id_that_begins_like_a_backend(home, usual):
    home.user(f'[llm]\nbackend = "{usual}"\n')

    assert choose(home, "openai/gpt-oss-20b", **KEYS)[:2] == (usual, "openai/gpt-oss-20b")
    assert choose(home, f"openai/{OF_OPENAI}")[:2] == ("openai", OF_OPENAI)
    assert choose(home, "openai-responses/gpt-5.4")[:2] == ("openai-responses", "gpt-5.4")


def test_a_whole_id_that_begins_like_a_backend_is_looked_for_as_it_is(home):
    assert choose(home, "openai/gpt-oss-120b", OPENAI_API_KEY="o", GROQ_API_KEY="g")[:2] == (
        "groq",
        "openai/gpt-oss-120b",
    )


def test_a_new_model_named_with_its_backend_goes_there_though_nothing_is_known_of_it(home):
    home.user('[llm]\nbackend = "anthropic"\n')

    assert choose(home, "openai/brand-new-9", **KEYS)[:2] == ("openai", "brand-new-9")


# ---- After a refusal ----


def test_a_refused_model_of_another_backend_is_named_with_the_command(home):
    home.env["OPENAI_API_KEY"] = "o"

    assert owner_hints(home.load(), "anthropic", OF_OPENAI) == (
        f'"{OF_OPENAI}" is a model of openai: arawn ask -b openai -m {OF_OPENAI} …',
    )


def test_a_refused_model_is_named_also_where_that_backend_has_no_key(home):
    (hint,) = owner_hints(home.load(), "groq", OF_ANTHROPIC)

    owner, _, command = hint.partition(": ")
    assert owner == f'"{OF_ANTHROPIC}" is a model of anthropic (ANTHROPIC_API_KEY is not set)'
    assert command == f"arawn ask -b anthropic -m {OF_ANTHROPIC} …"


@pytest.mark.parametrize(
    ("backend", "model"), [("anthropic", OF_ANTHROPIC), ("anthropic", "brand-new-9"), ("mock", "m")]
)
def test_nothing_is_said_of_a_backends_own_model_and_of_an_unknown_one(home, backend, model):
    assert owner_hints(home.load(), backend, model) == ()


def test_at_most_three_owners_are_named(home):
    model, names = shared_id()

    assert len(owner_hints(home.load(), "ollama", model)) == min(3, len(names))
