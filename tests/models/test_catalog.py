from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.recorded_costs import rows

from arawn.messages import Usage
from arawn.models.catalog import BACKENDS, ModelFacts, all_models, cost, find, known_ids, override, successor_hint
from arawn.values import fields_of

DATA = Path(__file__).parents[2] / "arawn" / "data"
FILES = sorted((DATA / "models").glob("*.json"))
ROWS = rows()
DATA_DAY = date(2026, 11, 21)

# The names in the documentation arawn grew from, and what answers in their place.
GONE = [
    ("anthropic", "claude-3-opus-20240229", "2026-01-05", "claude-opus-5-5"),
    ("anthropic", "claude-3-5-sonnet-20241022", "2025-10-28", "claude-sonnet-5-5"),
    ("anthropic", "claude-3-sonnet-20240229", "2025-07-21", "claude-sonnet-5-5"),
    ("anthropic", "claude-3-haiku-20240307", "2026-04-20", "claude-haiku-5-5"),
    ("anthropic", "claude-sonnet-4-20250514", "2026-06-15", "claude-sonnet-5-5"),
    ("anthropic", "claude-opus-4-20250514", "2026-06-15", "claude-opus-5-5"),
    ("groq", "mixtral-8x7b-32768", "2025-03-20", "openai/gpt-oss-120b"),
    ("groq", "llama-3.3-70b-versatile", "2026-08-16", "openai/gpt-oss-120b"),
    ("groq", "llama-3.1-8b-instant", "2026-08-16", "openai/gpt-oss-20b"),
    ("openai", "gpt-4", "2026-10-23", "gpt-5.6-sol"),
    ("openai", "gpt-4-turbo", "2026-10-23", "gpt-5.6-sol"),
    ("openai", "gpt-3.5-turbo", "2026-10-23", "gpt-5.6-terra"),
]


def facts(**known: Any) -> ModelFacts:
    return ModelFacts(backend="anthropic", id="some-model", **known)


class TestTheFiles:
    def test_each_backend_has_one(self):
        assert tuple(file.stem for file in FILES) == BACKENDS

    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
    def test_a_file_is_one_object_with_a_model_per_line_in_order(self, file):
        text = file.read_text(encoding="utf-8")
        first, *lines, last = text.splitlines()
        assert (first, last) == ("{", "}")
        assert [json.loads(f"{{{line.removesuffix(',')}}}") for line in lines] == [
            {model: row} for model, row in sorted(json.loads(text).items())
        ]

    def test_the_rows_hold_texts_flags_and_whole_numbers_and_prices_are_decimal_texts(self):
        for file in FILES:
            for model, row in json.loads(file.read_text(encoding="utf-8")).items():
                prices = [value for key, value in row.items() if key.endswith("_price")]
                assert all(re.fullmatch(r"\d+\.\d+", price) for price in prices), model
                assert all(type(value) in (str, bool, int, list) for value in row.values()), model

    def test_every_model_is_found_with_all_that_its_row_says(self):
        assert len(ROWS) > 300
        for key, row in ROWS.items():
            backend, _, model = key.partition("/")
            expected = row | {"backend": backend, "id": model, "capabilities": frozenset(row.get("capabilities", ()))}
            assert find(backend, model) == ModelFacts(**expected)

    def test_every_price_is_an_exact_decimal_and_only_a_free_model_costs_nothing(self):
        for key, row in ROWS.items():
            prices = {name: value for name, value in row.items() if name.endswith("_price")}
            assert all(isinstance(value, Decimal) for value in prices.values()), key
            assert all(value > 0 for value in prices.values()) or key.endswith(":free"), key

    def test_every_row_says_where_and_from_when_it_is(self):
        for key, row in ROWS.items():
            assert row["source"], key
            assert date(2025, 1, 1) < date.fromisoformat(f"{row['as_of']}-01") <= DATA_DAY, key

    def test_a_model_that_went_went_before_the_table_was_made_and_one_that_goes_goes_after(self):
        for key, row in ROWS.items():
            assert "retired" not in row or date.fromisoformat(row["retired"]) <= DATA_DAY, key
            assert "retires" not in row or date.fromisoformat(row["retires"]) > DATA_DAY, key
            assert "retired" not in row or "successor" in row, key

    def test_every_successor_is_a_known_model_that_still_answers(self):
        for key, row in ROWS.items():
            if "successor" in row:
                successor = ROWS[f"{key.split('/')[0]}/{row['successor']}"]
                assert "retired" not in successor, key

    def test_openrouter_is_a_selection(self):
        assert 30 <= len(all_models("openrouter")) <= 60


class TestFind:
    def test_a_model_without_a_row_is_not_known(self):
        assert find("anthropic", "claude-99") is None

    def test_the_models_of_a_users_own_backend_are_not_known(self):
        assert find("my-proxy", "gpt-5.4") is None

    @pytest.mark.parametrize("name", ["", '"]', "claude-sonnet-5]", 'claude-sonnet-5"]\n["anthropic/claude-sonnet-5'])
    def test_a_strange_name_is_not_known_either(self, name):
        assert find("anthropic", name) is None

    def test_a_dated_name_is_its_undated_model(self):
        assert find("openai", "gpt-5.4-2026-03-05") == find("openai", "gpt-5.4")
        assert find("anthropic", "claude-sonnet-5-20260630") == find("anthropic", "claude-sonnet-5")

    def test_a_dated_name_with_a_row_of_its_own_keeps_its_own_price(self):
        dated = find("openai", "gpt-4o-2024-05-13")
        undated = find("openai", "gpt-4o")
        assert dated is not None
        assert undated is not None
        assert (dated.input_price, undated.input_price) == (Decimal(5), Decimal("2.5"))

    def test_a_name_with_another_ending_is_another_model(self):
        assert find("openai", "gpt-5.4-latest") is None
        assert find("huggingface", "openai/gpt-oss-120b:groq") is None

    def test_azure_has_the_facts_of_openai_but_not_its_days_of_retirement(self):
        there = find("azure", "gpt-4-turbo")
        ours = find("openai", "gpt-4-turbo")
        assert there is not None
        assert ours is not None
        assert (there.input_price, there.context_window) == (ours.input_price, ours.context_window)
        assert ours.retired
        assert (there.retired, there.successor) == ("", "")

    def test_both_ways_to_openai_know_the_same_models(self):
        assert find("openai-responses", "gpt-5.4") == find("openai", "gpt-5.4")
        assert all_models("openai-responses") == all_models("openai")

    def test_it_knows_what_newer_models_refuse(self):
        refusing = {facts.id for facts in all_models("anthropic") if not facts.sampling}
        adaptive = {facts.id for facts in all_models("anthropic") if facts.adaptive_thinking}
        assert (
            refusing
            == adaptive
            == {
                *("claude-haiku-5-5", "claude-sonnet-5", "claude-sonnet-5-5"),
                *("claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "claude-opus-5-5"),
                *("claude-fable-5", "claude-fable-5-1", "claude-mythos-5", "claude-mythos-5-1"),
            }
        )

    def test_it_knows_which_models_answer_only_on_the_responses_api(self):
        only = {facts.id for facts in all_models("openai") if facts.api == "responses"}
        assert only >= {"gpt-5-pro", "gpt-5.4-pro", "gpt-5.5-pro", "o1-pro", "o3-pro", "gpt-5.3-codex"}
        assert not only & {"gpt-5.4", "gpt-5.5", "o3", "gpt-4o"}

    def test_embedding_models_are_known_by_their_capability(self):
        for backend, model in [("openai", "text-embedding-3-large"), ("mistral", "mistral-embed")]:
            known = find(backend, model)
            assert known is not None
            assert known.capabilities == {"embeddings"}

    def test_all_models_of_a_backend_are_its_rows(self):
        models = [f"groq/{facts.id}" for facts in all_models("groq")]
        assert models == [key for key in ROWS if key.startswith("groq/")]
        assert all_models("nobody") == ()

    def test_completion_is_offered_every_model_that_still_answers(self):
        offered = {f"{backend}/{model}" for backend, model in known_ids()}
        assert offered == {key for key, row in ROWS.items() if "retired" not in row}

    def test_importing_it_reads_nothing_and_loads_no_reader(self):
        code = "import sys; before = set(sys.modules); import arawn.models.catalog; print(*(set(sys.modules) - before))"
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        assert not {"decimal", "tomllib", "difflib", "datetime"} & set(loaded)


class TestRetirement:
    @pytest.mark.parametrize(("backend", "model", "day", "successor"), GONE)
    def test_a_retired_name_says_when_it_went_and_what_to_use(self, backend, model, day, successor):
        assert successor_hint(backend, model) == (f'"{model}" was retired on {day}; use "{successor}"',)

    def test_a_dated_name_of_a_retired_model_is_called_as_it_was_asked_for(self):
        hint = '"gpt-4-turbo-2024-04-09" was retired on 2026-10-23; use "gpt-5.6-sol"'
        assert successor_hint("openai", "gpt-4-turbo-2024-04-09") == (hint,)

    def test_a_model_about_to_go_says_when(self):
        assert successor_hint("openai", "gpt-4o") == ('"gpt-4o" retires on 2027-01-14; use "gpt-6-luna"',)

    def test_a_deprecated_model_says_so(self):
        assert successor_hint("mistral", "open-mistral-nemo") == ('"open-mistral-nemo" is deprecated',)

    def test_a_good_model_has_nothing_to_say(self):
        assert successor_hint("anthropic", "claude-opus-5-5") == ()

    def test_a_misspelt_name_is_answered_with_the_nearest(self):
        (hint,) = successor_hint("anthropic", "claude-sonet-5")
        assert hint.startswith('Did you mean "claude-sonnet-5"')

    def test_a_name_near_to_a_retired_one_is_answered_with_its_successor(self):
        (hint,) = successor_hint("groq", "llama-3.3-70b")
        assert "openai/gpt-oss-120b" in hint
        assert "llama" not in hint

    def test_a_name_near_to_nothing_is_answered_with_nothing(self):
        assert successor_hint("anthropic", "zzz") == ()
        assert successor_hint("my-proxy", "claude-sonnet-5") == ()

    def test_the_deployments_of_azure_have_names_of_their_own(self):
        assert successor_hint("azure", "gpt-5.44") == ()


class TestOverride:
    def test_the_users_numbers_go_over_ours_and_the_rest_stays(self):
        base = facts(input_price=Decimal(3), output_price=Decimal(15), context_window=200_000, successor="next")
        changed = override(base, {"input_price": 0.1, "max_output": 8000})
        assert changed == facts(
            input_price=Decimal("0.1"),
            output_price=Decimal(15),
            context_window=200_000,
            max_output=8000,
            successor="next",
        )

    @pytest.mark.parametrize("price", [2, 2.0, "2", Decimal(2)])
    def test_a_price_may_be_any_number(self, price):
        assert override(facts(), {"cache_read_price": price}).cache_read_price == Decimal(2)

    def test_the_users_price_holds_for_long_requests_too(self):
        base = facts(input_price=Decimal(3), long_context=1000, long_input_price=Decimal(6))
        assert cost(Usage(2000), override(base, {"input_price": 1})) == Decimal("0.002")
        assert cost(Usage(2000), override(base, {"max_output": 1})) == Decimal("0.012")

    def test_it_makes_an_unknown_model_known(self):
        priced = override(ModelFacts(backend="ollama", id="llama3"), {"input_price": 0, "output_price": 0})
        assert cost(Usage(10, 10), priced) == 0


class TestCost:
    def test_each_kind_of_token_has_its_price(self):
        usage = Usage(725, 100, cache_read_tokens=600, cache_write_tokens=100)
        assert cost(usage, find("anthropic", "claude-sonnet-4-5")) == Decimal("0.00213")

    def test_cached_input_without_a_price_of_its_own_costs_as_input(self):
        usage = Usage(30, 0, cache_read_tokens=10, cache_write_tokens=10)
        assert cost(usage, facts(input_price=Decimal(2))) == Decimal("0.00006")

    def test_a_long_request_is_charged_the_long_price_as_a_whole(self):
        model = find("gemini", "gemini-3.1-pro-preview")
        assert cost(Usage(200_000, 1000), model) == Decimal("0.412")
        assert cost(Usage(200_001, 1000), model) == Decimal("0.818004")

    def test_a_long_request_without_a_long_cache_price_pays_the_long_input_price(self):
        model = facts(
            input_price=Decimal(1), cache_read_price=Decimal("0.1"), long_context=10, long_input_price=Decimal(2)
        )
        assert cost(Usage(20, 0, cache_read_tokens=20), model) == Decimal("0.00004")

    def test_what_the_provider_says_it_cost_is_what_it_cost(self):
        said = Decimal("0.00013783")
        assert cost(Usage(172, 7, cost=said), find("openrouter", "openai/gpt-4o")) == said
        assert cost(Usage(172, 7, cost=said), None) == said

    @pytest.mark.parametrize("known", [None, facts(), facts(output_price=Decimal(1)), facts(input_price=Decimal(1))])
    def test_an_unknown_price_makes_the_cost_unknown(self, known):
        assert cost(Usage(10, 10), known) is None

    def test_no_tokens_of_a_model_without_prices_are_not_free(self):
        assert cost(Usage(), facts()) is None

    def test_an_embedding_needs_no_price_of_output(self):
        assert cost(Usage(1_000_000), find("openai", "text-embedding-3-small")) == Decimal("0.02")

    def test_more_cached_tokens_than_input_never_give_money_back(self):
        assert cost(Usage(5, 0, cache_read_tokens=10), facts(input_price=Decimal(1))) == Decimal("0.00001")


class TestDefaults:
    def test_tiers_and_default_models_are_known_and_still_answer(self):
        path = DATA / "defaults.toml"
        if not path.exists():
            pytest.skip("there is no defaults.toml")
        defaults = tomllib.loads(path.read_text(encoding="utf-8"))
        named = [target.split("/", 1) for target in defaults.get("tiers", {}).values()]
        for role in ("backends", "embeddings"):
            named += [(name, table["model"]) for name, table in defaults.get(role, {}).items() if "model" in table]
        listed = {backend for backend, _ in known_ids()}
        checked = [pair for pair in named if pair[0] in listed and pair[1] != "openrouter/auto"]
        assert len(checked) >= 3
        for backend, model in checked:
            known = find(backend, model)
            assert known is not None, (backend, model)
            assert not known.retired, (backend, model)


def test_every_key_of_the_files_is_a_field():
    named = set(fields_of(ModelFacts))
    assert all(row.keys() <= named for row in ROWS.values())
