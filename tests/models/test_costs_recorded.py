"""Every recorded answer costs what a second calculation, which shares no code with ours, makes of its raw JSON."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from support.expected_answers import adapter_for
from support.optional_data import needs
from support.recorded_costs import (
    SPOKEN,
    bill_of,
    dollars,
    in_force,
    listed_row,
    models_of,
    row_of,
    rows,
    ticks_of,
)
from support.recordings import events_of, recordings, response_of

from arawn.config.sources import load
from arawn.models import catalog
from arawn.models.catalog import cost
from arawn.values import replace

if TYPE_CHECKING:
    from decimal import Decimal

    from support.recorded_costs import Bill
    from support.recordings import Recording

    from arawn.config.settings import Settings
    from arawn.messages import Usage
    from arawn.models.catalog import ModelFacts

LIST_DAY = "2026-07-31"
THEN = datetime(2026, 7, 31, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
# Why the public list may ask for something else, though it knows the model.
LISTED_OTHERWISE = {
    "deepseek/deepseek-chat": "the list still has the model this name led to before",
    "mistral/mistral-large-latest": "the name moved on",
    "mistral/mistral-small-latest": "the name moved on",
    "openrouter/deepseek/deepseek-chat-v3-0324": "the price moves with the route",
    "openrouter/qwen/qwen3-vl-8b-instruct": "the price moves with the route",
}
# What OpenRouter routed to a more expensive provider than the one whose price it shows.
ROUTED_ELSEWHERE = {"openrouter/deepseek/deepseek-chat-v3-0324", "openrouter/qwen/qwen3-vl-8b-instruct"}
OK = 200


def kind_of(recording: Recording) -> str:
    """Return what can be said of a recording's cost, and if nothing, why."""
    if recording.status != OK or "error" in recording.expected:
        return "skipped: the call failed"
    if recording.api not in SPOKEN:
        return f"skipped: {recording.api} reports no usage that arawn reads"
    bill = bill_of(recording)
    if bill is None:
        return "uncounted"
    if bill.charged is not None:
        return "charged"
    return "priced" if dollars(bill, in_force(row_of(recording)[1], NOW)) is not None else "unpriced"


ALL = recordings(lambda line: True)
KINDS = {case.id: kind_of(case.values[0]) for case in ALL}


def those(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("recording", [case for case in ALL if KINDS[case.id] in kinds])


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = str(tmp_path_factory.mktemp("home"))
    return load(environ={"HOME": home}, cwd=home)


def usage_of(recording: Recording, settings: Settings) -> Usage:
    """Return what arawn's adapter, as the built-in table of the service sets it up, counts."""
    adapter = adapter_for(recording, settings.backend(recording.meta["provider"]).quirks)
    if hasattr(adapter, "parse_embed"):
        usage: Usage = adapter.parse_embed(recording.body).usage
        return usage
    whole = [recording.body]
    events = events_of(adapter.stream_parser(), whole) if recording.stream else adapter.parse_chat(recording.body)
    return response_of(events).usage


def facts_of(recording: Recording) -> ModelFacts | None:
    ours = {("openai", "openai-responses"): "openai-responses"}
    backend = ours.get((recording.meta["provider"], recording.api), recording.meta["provider"])
    return next((found for name in models_of(recording) if (found := catalog.find(backend, name))), None)


def cost_of(recording: Recording, settings: Settings) -> Decimal | None:
    return cost(usage_of(recording, settings), facts_of(recording), NOW.timestamp())


def known_bill(recording: Recording) -> Bill:
    bill = bill_of(recording)
    assert bill is not None
    return bill


@needs("ARAWN_RECORDINGS")
@those("priced", "charged", "unpriced")
def test_it_counts_what_the_body_counts(recording: Recording, settings: Settings) -> None:
    usage, bill = usage_of(recording, settings), known_bill(recording)
    assert not usage.estimated
    assert (usage.input_tokens, usage.output_tokens) == (bill.input, bill.output)
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (bill.read, bill.written)


@needs("ARAWN_RECORDINGS")
@those("priced")
def test_it_costs_tokens_times_the_prices_of_its_line(recording: Recording, settings: Settings) -> None:
    assert cost_of(recording, settings) == dollars(known_bill(recording), in_force(row_of(recording)[1], NOW))


@needs("ARAWN_RECORDINGS")
@those("charged")
def test_it_costs_what_the_service_says_it_charged(recording: Recording, settings: Settings) -> None:
    charged = known_bill(recording).charged
    assert usage_of(recording, settings).cost == charged
    assert cost_of(recording, settings) == charged


@needs("ARAWN_RECORDINGS")
@those("unpriced")
def test_a_model_without_a_known_price_has_no_cost_rather_than_none_to_pay(
    recording: Recording, settings: Settings
) -> None:
    assert cost_of(recording, settings) is None


@needs("ARAWN_RECORDINGS")
@those("uncounted")
def test_what_the_service_did_not_count_is_marked_as_a_guess(recording: Recording, settings: Settings) -> None:
    assert usage_of(recording, settings).estimated


@needs("ARAWN_RECORDINGS")
@needs("ARAWN_CATALOGUE")
def test_a_public_list_of_prices_asks_the_same_for_it(settings: Settings) -> None:
    compared, other = 0, set()
    for recording in of_kinds("priced", "charged"):
        key, _ = row_of(recording)
        listed = listed_row(key, LIST_DAY)
        if listed is None:
            continue
        usage = replace(usage_of(recording, settings), cost=None)
        asked = dollars(known_bill(recording), listed)
        compared += 1
        if cost(usage, facts_of(recording), THEN.timestamp()) != asked:
            other.add(key)
    assert other == set(LISTED_OTHERWISE)
    assert compared >= 105


@needs("ARAWN_RECORDINGS")
def test_the_services_that_say_what_they_charged_charged_our_prices(settings: Settings) -> None:
    charged: Counter[str] = Counter()
    for recording in of_kinds("priced", "charged"):
        key, _ = row_of(recording)
        charge = ticks_of(recording) or known_bill(recording).charged
        if charge is not None and key and key not in ROUTED_ELSEWHERE:
            usage = replace(usage_of(recording, settings), cost=None)
            assert cost(usage, facts_of(recording), THEN.timestamp()) == charge, recording.folder
            charged[recording.meta["provider"]] += 1
    assert charged["xai"] >= 3
    assert charged["openrouter"] >= 12


@needs("ARAWN_CATALOGUE")
def test_a_line_that_names_the_public_list_has_the_prices_of_the_list() -> None:
    compared = 0
    for key, row in rows().items():
        if "genai-prices" in row["source"] and row["as_of"] == LIST_DAY:
            assert row["prices"] == [listed_row(key, LIST_DAY)], key
            compared += 1
    assert compared >= 39


@needs("ARAWN_RECORDINGS")
def test_most_recorded_answers_are_compared_and_none_is_left_out_without_a_reason() -> None:
    counts = Counter(KINDS.values())
    print(*(f"{count:4} {kind}" for kind, count in counts.most_common()), sep="\n")
    print(*(f"{name}: {kind}" for name, kind in KINDS.items() if kind not in ("priced", "charged")), sep="\n")
    root = os.environ["ARAWN_RECORDINGS"]
    assert len(KINDS) == sum("meta.json" in files for _, _, files in os.walk(root))
    assert counts["priced"] >= 100
    assert counts["charged"] >= 15
    assert counts["uncounted"] <= 8
    unpriced = Counter(case.values[0].meta["provider"] for case in ALL if KINDS[case.id] == "unpriced")
    hosted = {"azure", "gemini", "groq", "huggingface"}
    assert set(unpriced) == hosted | {"llamacpp", "lmstudio", "ollama", "vllm"}
    assert sum(unpriced[name] for name in hosted) <= 20


def of_kinds(*kinds: str) -> list[Recording]:
    return [case.values[0] for case in ALL if KINDS[case.id] in kinds]
