from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.recorded_costs import rows

from arawn.adapters.rules import ModelRules
from arawn.config.schema import KEYS
from arawn.messages import Usage
from arawn.models.catalog import (
    BACKENDS,
    RULE_KEYS,
    ModelFacts,
    all_models,
    facts_of,
    find,
    known_ids,
    override,
    successor_hint,
)
from arawn.models.catalog import cost as cost_at
from arawn.models.prices import PRICE_FIELDS, Price, price_at
from arawn.values import fields_of, replace

DATA = Path(__file__).parents[2] / "arawn" / "data"
FILES = sorted((DATA / "models").glob("*.json"))
ROWS = rows()
TODAY = "2026-11-30"
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()

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


def priced(**price: Any) -> ModelFacts:
    return facts(prices=(Price(**price),))


def cost(usage: Usage, known: ModelFacts | None, at: float = NOON) -> Decimal | None:
    return cost_at(usage, known, at)


def tables() -> dict[str, dict[str, Any]]:
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in FILES}


class TestTheFiles:
    def test_each_backend_has_one(self):
        assert tuple(file.stem for file in FILES) == BACKENDS

    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
    def test_a_file_is_one_object_with_a_family_and_a_model_per_line_in_order(self, file):
        lines = file.read_text(encoding="utf-8").splitlines()
        table = json.loads("\n".join(lines))
        middle = lines.index('],"models":{')
        assert (lines[0], lines[-1]) == ('{"families":[', "}}")
        assert [json.loads(line.removesuffix(",")) for line in lines[1:middle] if line] == table["families"]
        assert [json.loads(f"{{{line.removesuffix(',')}}}") for line in lines[middle + 1 : -1] if line] == [
            {model: row} for model, row in sorted(table["models"].items())
        ]

    def test_prices_are_decimal_texts_and_none_is_for_nothing_but_of_free_models(self):
        free = ("gemini/gemma", "openrouter/google/gemma-4-31b-it:free")
        for name, table in tables().items():
            for model, row in table["models"].items():
                for price in row.get("prices", []):
                    amounts = [value for key, value in price.items() if key in PRICE_FIELDS]
                    assert all(re.fullmatch(r"\d+\.\d+", amount) for amount in amounts), model
                    assert all(map(Decimal, amounts)) or f"{name}/{model}".startswith(free), model
                    assert price.keys() <= set(fields_of(Price)), model

    def test_every_model_is_found_with_all_that_its_row_says(self):
        assert len(ROWS) > 500
        for key, row in ROWS.items():
            backend, _, model = key.partition("/")
            found = find(backend, model)
            assert found is not None
            assert found.prices == tuple(Price(**{**price, **_tuples(price)}) for price in row["prices"]), key
            assert found.capabilities == frozenset(row.get("capabilities", ()))
            other = row.keys() - {"prices", "capabilities", "rules"}
            assert {name: getattr(found, name) for name in other} == {name: row[name] for name in other}, key
            rules = row.get("rules", {})
            assert {name: _plain(getattr(found.rules, name)) for name in rules} == rules, key

    def test_every_row_and_every_family_says_where_and_from_which_day_it_is(self):
        families = [family for table in tables().values() for family in table["families"]]
        assert len(families) > 100
        for row in (*ROWS.values(), *families):
            assert row["source"], row
            assert date(2026, 1, 1) < date.fromisoformat(row["as_of"]) <= date.fromisoformat(TODAY), row

    def test_a_family_has_rules_and_nothing_else(self):
        for name, table in tables().items():
            for family in table["families"]:
                assert family.keys() <= RULE_KEYS | {"match", "source", "as_of", "sure"}, name
                assert all(word == word.lower() for word in family["match"]), family

    def test_no_family_hides_another_one_of_the_same_name(self):
        for name, table in tables().items():
            words = [word for family in table["families"] for word in family["match"]]
            for at, word in enumerate(words):
                assert not any(_covers(before, word) for before in words[:at]), (name, word)

    def test_every_day_is_a_day(self):
        for key, row in ROWS.items():
            days = [row.get("retires", TODAY)]
            days += [price[name] for price in row["prices"] for name in ("since", "until") if name in price]
            assert [date.fromisoformat(day).isoformat() for day in days] == days, key

    def test_a_price_that_ends_is_followed_by_the_next_one(self):
        for key, row in ROWS.items():
            ends = [date.fromisoformat(price["until"]) for price in row["prices"] if "until" in price]
            begins = {date.fromisoformat(price["since"]) for price in row["prices"] if "since" in price}
            assert {end + timedelta(1) for end in ends} <= begins, key

    def test_every_successor_is_a_known_model_that_is_still_served(self):
        for key, row in ROWS.items():
            if "successor" in row:
                backend, successor = key.split("/")[0], row["successor"]
                known = find(backend, successor)
                assert known is not None, key
                assert not known.retired(TODAY), key

    def test_every_model_in_service_has_a_window_and_a_price_or_a_reason(self):
        for key in ROWS:
            backend, _, model = key.partition("/")
            known = find(backend, model)
            assert known is not None
            if known.retired(TODAY) or known.deprecated or not known.sure:
                continue
            assert known.context_window, key
            assert price_at(known.prices, NOON) is not None or known.note, key
            assert "embeddings" in known.capabilities or known.max_output or backend == "xai", key

    def test_openrouter_is_a_selection(self):
        assert 60 <= len(all_models("openrouter")) <= 100


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
        assert [known.prices[0].input for known in (dated, undated)] == [Decimal(5), Decimal("2.5")]

    def test_a_name_with_another_ending_is_another_model(self):
        assert find("openai", "gpt-5.4-latest") is None
        assert find("huggingface", "openai/gpt-oss-120b:groq") is None

    def test_azure_has_the_facts_of_openai_but_its_own_days_of_retirement(self):
        for model, day in [("gpt-4-turbo", ""), ("gpt-5", "2027-02-09"), ("gpt-4o", "2027-04-14")]:
            there, ours = find("azure", model), find("openai", model)
            assert there is not None
            assert ours is not None
            assert (there.prices, there.context_window, there.rules) == (ours.prices, ours.context_window, ours.rules)
            assert (there.retires, there.retires != ours.retires) == (day, True)

    def test_both_ways_to_openai_know_the_same_models(self):
        assert find("openai-responses", "gpt-5.4") == find("openai", "gpt-5.4")
        assert all_models("openai-responses") == all_models("openai")

    def test_a_new_model_of_a_known_family_has_its_rules_and_nothing_else(self):
        known = facts_of("anthropic", "claude-opus-5-5-v2")
        undated = find("anthropic", "claude-opus-5-5")
        assert find("anthropic", "claude-opus-5-5-v2") is None
        assert undated is not None
        assert known == ModelFacts(backend="anthropic", id="claude-opus-5-5-v2", rules=undated.rules)

    def test_a_model_of_no_known_family_has_no_facts(self):
        assert facts_of("anthropic", "some-model") is None
        assert facts_of("my-proxy", "gpt-5.4") is None

    def test_a_server_on_this_machine_has_families_and_no_models(self):
        known = facts_of("ollama", "hf.co/unsloth/Qwen3-8B-GGUF:Q4_K_M")
        assert all_models("ollama") == ()
        assert known is not None
        assert known.rules.thinking_off == {"think": False}

    def test_embedding_models_are_known_by_their_capability(self):
        for backend, model in [("openai", "text-embedding-3-large"), ("mistral", "mistral-embed")]:
            known = find(backend, model)
            assert known is not None
            assert known.capabilities == {"embeddings"}

    def test_all_models_of_a_backend_are_its_rows(self):
        models = [f"groq/{facts.id}" for facts in all_models("groq")]
        assert models == [key for key in ROWS if key.startswith("groq/")]
        assert all_models("nobody") == ()

    def test_completion_is_offered_every_model_that_is_still_served(self):
        offered = {f"{backend}/{model}" for backend, model in known_ids(TODAY)}
        assert offered == {key for key, row in ROWS.items() if row.get("retires", "9") > TODAY}

    def test_importing_it_reads_nothing_and_loads_no_reader(self):
        code = "import sys; before = set(sys.modules); import arawn.models.catalog; print(*(set(sys.modules) - before))"
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        assert not {"decimal", "tomllib", "difflib", "datetime"} & set(loaded)


class TestRetirement:
    @pytest.mark.parametrize(("backend", "model", "day", "successor"), GONE)
    def test_a_retired_name_says_when_it_went_and_what_to_use(self, backend, model, day, successor):
        assert successor_hint(backend, model, TODAY) == (f'"{model}" was retired on {day}; use "{successor}"',)

    def test_a_dated_name_of_a_retired_model_is_called_as_it_was_asked_for(self):
        hint = '"gpt-4-turbo-2024-04-09" was retired on 2026-10-23; use "gpt-5.6-sol"'
        assert successor_hint("openai", "gpt-4-turbo-2024-04-09", TODAY) == (hint,)

    def test_a_model_about_to_go_says_when(self):
        assert successor_hint("openai", "gpt-4o", TODAY) == ('"gpt-4o" retires on 2027-01-14; use "gpt-6-luna"',)

    def test_a_deprecated_model_says_so(self):
        assert successor_hint("groq", "groq/compound", TODAY) == ('"groq/compound" is deprecated',)

    @pytest.mark.parametrize(
        ("today", "word"), [("2026-12-10", "retires"), ("2026-12-11", "was retired"), ("2026-12-12", "was retired")]
    )
    def test_a_model_is_retired_from_its_day_on(self, today, word):
        assert successor_hint("openai", "gpt-5", today) == (f'"gpt-5" {word} on 2026-12-11; use "gpt-6.1-sol"',)

    def test_a_good_model_has_nothing_to_say(self):
        assert successor_hint("anthropic", "claude-opus-5-5", TODAY) == ()

    def test_a_misspelt_name_is_answered_with_the_nearest(self):
        (hint,) = successor_hint("anthropic", "claude-sonet-5", TODAY)
        assert hint.startswith('Did you mean "claude-sonnet-5"')

    def test_a_name_near_to_a_retired_one_is_answered_with_its_successor(self):
        (hint,) = successor_hint("groq", "llama-3.3-70b", TODAY)
        assert "openai/gpt-oss-120b" in hint
        assert "llama" not in hint

    def test_a_name_near_to_nothing_is_answered_with_nothing(self):
        assert successor_hint("anthropic", "zzz", TODAY) == ()
        assert successor_hint("my-proxy", "claude-sonnet-5", TODAY) == ()

    def test_the_deployments_of_azure_have_names_of_their_own(self):
        assert successor_hint("azure", "gpt-5.44", TODAY) == ()


class TestOverride:
    def test_the_users_numbers_go_over_ours_and_the_rest_stays(self):
        base = replace(priced(input=Decimal(3), output=Decimal(15)), context_window=200_000, successor="next")
        changed = override(base, {"input_price": 0.1, "max_output": 8000})
        assert changed == facts(
            prices=(Price(input=Decimal("0.1"), output=Decimal(15)),),
            own_price=True,
            context_window=200_000,
            max_output=8000,
            successor="next",
        )

    @pytest.mark.parametrize("price", [2, 2.0, "2", Decimal(2)])
    def test_a_price_may_be_any_number(self, price):
        assert override(facts(), {"cache_read_price": price}).prices == (Price(cache_read=Decimal(2)),)

    def test_the_users_price_holds_for_long_requests_too(self):
        base = priced(input=Decimal(3), long_above=1000, long_input=Decimal(6))
        assert cost(Usage(2000), override(base, {"input_price": 1})) == Decimal("0.002")
        assert cost(Usage(2000), override(base, {"max_output": 1})) == Decimal("0.012")

    def test_the_users_price_holds_at_all_times(self):
        base = find("deepseek", "deepseek-flash")
        assert base is not None
        own = override(base, {"input_price": 5})
        assert {price.input for price in own.prices} == {Decimal(5)}
        assert len(own.prices) == 2

    def test_it_makes_an_unknown_model_known(self):
        own = override(ModelFacts(backend="ollama", id="llama3"), {"input_price": 0, "output_price": 0})
        assert cost(Usage(10, 10), own) == 0

    def test_rules_go_over_those_of_the_family(self):
        base = find("anthropic", "claude-opus-5-5")
        assert base is not None
        own = override(base, {"efforts": ["low"], "refused": [], "thinking_on": {}, "forced_tool": "always"}).rules
        assert own == replace(base.rules, efforts=("low",), refused=frozenset(), thinking_on={}, forced_tool="always")

    def test_every_rule_and_every_price_is_a_key_of_the_configuration(self):
        keys = {key.path.removeprefix("models.NAME.") for key in KEYS if key.path.startswith("models.")}
        numbers = {"context_window", "max_input", "max_output"}
        assert keys == set(fields_of(ModelRules)) | numbers | {f"{name}_price" for name in PRICE_FIELDS[:5]}


class TestCost:
    def test_each_kind_of_token_has_its_price(self):
        usage = Usage(725, 100, cache_read_tokens=600, cache_write_tokens=100)
        assert cost(usage, find("anthropic", "claude-sonnet-4-5")) == Decimal("0.00213")

    def test_cached_input_without_a_price_of_its_own_costs_as_input(self):
        usage = Usage(30, 0, cache_read_tokens=10, cache_write_tokens=10)
        assert cost(usage, priced(input=Decimal(2))) == Decimal("0.00006")

    def test_a_long_request_is_charged_the_long_price_as_a_whole(self):
        model = find("gemini", "gemini-3.1-pro-preview")
        assert cost(Usage(200_000, 1000), model) == Decimal("0.412")
        assert cost(Usage(200_001, 1000), model) == Decimal("0.818004")

    def test_a_long_request_without_a_long_cache_price_pays_the_long_input_price(self):
        model = priced(input=Decimal(1), cache_read=Decimal("0.1"), long_above=10, long_input=Decimal(2))
        assert cost(Usage(20, 0, cache_read_tokens=20), model) == Decimal("0.00004")

    def test_what_the_provider_says_it_cost_is_what_it_cost(self):
        said = Decimal("0.00013783")
        assert cost(Usage(172, 7, cost=said), find("openrouter", "openai/gpt-4o")) == said
        assert cost(Usage(172, 7, cost=said), None) == said

    @pytest.mark.parametrize("known", [None, facts(), priced(output=Decimal(1)), priced(input=Decimal(1))])
    def test_an_unknown_price_makes_the_cost_unknown(self, known):
        assert cost(Usage(10, 10), known) is None

    def test_no_tokens_of_a_model_without_prices_are_not_free(self):
        assert cost(Usage(), facts()) is None

    def test_an_embedding_needs_no_price_of_output(self):
        assert cost(Usage(1_000_000), find("openai", "text-embedding-3-small")) == Decimal("0.02")

    def test_more_cached_tokens_than_input_never_give_money_back(self):
        assert cost(Usage(5, 0, cache_read_tokens=10), priced(input=Decimal(1))) == Decimal("0.00001")


class TestDefaults:
    def test_tiers_and_default_models_are_known_and_still_answer(self):
        path = DATA / "defaults.toml"
        if not path.exists():
            pytest.skip("there is no defaults.toml")
        defaults = tomllib.loads(path.read_text(encoding="utf-8"))
        named = [target.split("/", 1) for target in defaults.get("tiers", {}).values()]
        for role in ("backends", "embeddings"):
            named += [(name, table["model"]) for name, table in defaults.get(role, {}).items() if "model" in table]
        listed = {backend for backend, _ in known_ids(TODAY)}
        checked = [pair for pair in named if pair[0] in listed and pair[1] != "openrouter/auto"]
        assert len(checked) >= 3
        for backend, model in checked:
            known = find(backend, model)
            assert known is not None, (backend, model)
            assert not known.retired(TODAY), (backend, model)


def test_every_key_of_the_files_is_a_field():
    named = set(fields_of(ModelFacts))
    assert all(row.keys() <= named for row in ROWS.values())


def _tuples(price: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(price[key]) for key in ("hours_utc", "weekdays") if key in price}


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else list(value) if isinstance(value, tuple) else value


def _covers(before: str, word: str) -> bool:
    return before[1:] in word.lstrip("*") if before.startswith("*") else word.startswith(before)
