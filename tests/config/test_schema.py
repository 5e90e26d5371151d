"""The table of keys agrees with everything else that knows them."""

from __future__ import annotations

from typing import get_args

import pytest

from arawn.adapters.base import Quirks
from arawn.backends.mock import ERROR_KINDS
from arawn.backends.mock_tables import from_table
from arawn.config import schema
from arawn.config.decode import problems
from arawn.config.key import Key
from arawn.config.schema import KEYS, find, key_tree
from arawn.config.settings import BackendSettings, RoleSettings
from arawn.config.sources import BUILT_IN, load
from arawn.messages import Effort, FinishReason
from arawn.models import catalog
from arawn.values import as_dict, fields_of

TODAY = "2026-11-30"
"""The day the defaults were checked."""

BACKEND_KEYS = {
    key.path.removeprefix("backends.NAME."): key
    for key in KEYS
    if key.path.startswith("backends.NAME.") and "[]" not in key.path
}


@pytest.fixture
def settings():
    return load(environ={"ARAWN_HOME": "/nowhere"}, cwd="/")


def test_every_setting_of_a_backend_is_a_key_and_every_key_a_setting():
    plain = set(fields_of(BackendSettings)) - {"name", "quirks", "api_key_withheld", "api_key_unset", "replies"}
    quirks = set(fields_of(Quirks)) - {"rules"}

    assert set(BACKEND_KEYS) == plain | quirks | {"base_url_env"}  # read before there is a backend


@pytest.mark.parametrize("value", [BackendSettings(name="", adapter=""), Quirks()], ids=["backend", "quirks"])
def test_what_a_key_is_when_left_out_is_what_the_program_does(value):
    for name, default in as_dict(value).items():
        if name in BACKEND_KEYS and isinstance(default, bool | int | float | str):
            assert (BACKEND_KEYS[name].default or "") == (default or ""), name


def test_a_role_has_the_keys_of_its_sections():
    names = {key.path.rpartition(".")[2] for key in KEYS if key.path.startswith(("llm.", "memory.", "embeddings."))}

    assert names - {"api_key", "base_url"} == set(fields_of(RoleSettings))


def test_words_to_choose_from_are_those_of_the_program():
    assert get_args(Effort) == schema.EFFORTS
    assert tuple(FinishReason) == schema.FINISH_REASONS
    assert set(ERROR_KINDS) == set(schema.MOCK_ERRORS)


def test_r8_a_project_file_may_set_models_roles_and_nothing_that_names_a_host_or_a_secret():
    assert {key.path for key in KEYS if key.project} == {
        "llm.backend",
        "llm.model",
        "llm.system",
        "llm.temperature",
        "llm.max_tokens",
        "llm.effort",
        "llm.fallback",
        "memory.indexing.backend",
        "memory.indexing.model",
        "embeddings.backend",
        "embeddings.model",
        "embeddings.dimensions",
        "tiers.NAME",
        "aliases.NAME",
    }


def test_a_key_is_found_by_its_path():
    assert find(("backends", "groq", "api_key")).secret
    assert find(("backends", "m", "replies", 3, "text")).kind == "text"
    assert find(("embeddings", "model")).path == "embeddings.model"
    assert find(("embeddings", "x", "model")).path == "embeddings.NAME.model"
    assert find(("backends", "groq")) is None
    assert find(("llm", "model", "x")) is None
    assert find(("nothing",)) is None


def test_no_key_is_written_twice():
    def count(node) -> int:
        return 1 if isinstance(node, Key) else sum(map(count, node.values()))

    assert count(key_tree()) == len(KEYS)


def test_the_built_in_configuration_has_nothing_wrong_in_it(settings):
    (layer,) = (layer for layer in settings.layers if layer.name == "built-in")

    assert problems(layer.tree, layer.text, BUILT_IN) == []


def test_every_built_in_backend_decodes_and_is_labelled(settings):
    for name in settings.backend_names:
        backend = settings.backend(name)
        assert backend.adapter in schema.ADAPTERS
        assert backend.label != name
        assert backend.base_url.startswith(("https://", "http://localhost:")) or name in ("azure", "mlx-lm", "mock")


def test_no_built_in_model_is_retired_and_those_of_priced_services_are_known(settings):
    named = [(name, settings.backend(name).model) for name in settings.backend_names]
    named += [tuple(target.split("/", 1)) for target in settings.aliases.values()]
    known = {backend for backend, _ in catalog.known_ids(TODAY)}

    for backend, model in named:
        facts = catalog.find(backend, model) if model else None
        assert facts is not None or backend not in known or not model, (backend, model)
        assert facts is None or not (facts.retired(TODAY) or facts.deprecated), model


def test_every_tier_leads_to_a_backend(settings):
    assert set(settings.aliases) == {"haiku", "sonnet", "opus", "fable", "qwen"}
    assert {target.partition("/")[0] for target in settings.aliases.values()} <= set(settings.backend_names)


def test_the_built_in_mock_answers(settings):
    mock = settings.backend("mock")

    assert from_table("mock", {"mode": mock.mode, "model": mock.model}).name == "mock"


def test_services_with_a_price_have_a_key_and_servers_on_this_machine_have_none(settings):
    for name in settings.backend_names:
        backend = settings.backend(name)
        assert (backend.api_key is None) == (backend.base_url.startswith("http://") or name in ("mlx-lm", "mock")), name
