"""A table of models from elsewhere: what it may hold, and that it is refused whole where it holds anything else."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from arawn.models.catalog import facts_of, find
from arawn.models.prices import Price
from arawn.models.table import MAX_BYTES, MAX_PRICE, parse_table, stored_text

WHOLE = """\
date = "2026-12-15"
source = "https://example.org/models"

[[backends.anthropic.families]]
match = ["*Claude-Opus-6"]
efforts = ["low", "high"]
thinking_on = { thinking = { type = "adaptive" } }
refused = ["temperature"]
binds_prefix = true

[backends.anthropic.models.claude-opus-6]
context_window = 2_000_000
max_input = 1_800_000
max_output = 200_000
capabilities = ["tools", "vision"]
retires = 2027-12-31
successor = "claude-opus-7"
note = "limited"
sure = false
as_of = "2026-12-01"
prices = [
  { input = 5, output = 25.5, cache_read = 0.25, until = 2026-12-31, weekdays = [1, 7], hours_utc = ["01:00-24:00"] },
  { input = 0, output = 1e-3, long_above = 200_000, long_input = 2, batch_input = 1, since = "2027-01-01" },
]
rules = { forced_tool = "never", cache_min_tokens = 512 }

[backends.my-proxy.models."team/model:7b"]
"""
ROW = "[backends.b.models.m]\n"


def parsed(text: str) -> dict[str, dict]:
    return parse_table(f'date = "2026-12-15"\n{text}'.encode())[1]


def refusal(text: str) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        parsed(text)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 400
    return message


def test_a_table_is_read_back_as_it_was_written(tmp_path):
    day, backends = parse_table(WHOLE.encode())
    path = tmp_path / "models.jsonl"
    path.write_text(stored_text(backends))

    facts = find("anthropic", "claude-opus-6", str(path))

    assert day == "2026-12-15"
    assert facts is not None
    assert (facts.context_window, facts.max_input, facts.max_output) == (2_000_000, 1_800_000, 200_000)
    assert facts.capabilities == {"tools", "vision"}
    assert (facts.retires, facts.successor, facts.note) == ("2027-12-31", "claude-opus-7", "limited")
    assert (facts.source, facts.as_of, facts.sure) == ("https://example.org/models", "2026-12-01", False)
    assert facts.prices == (
        Price(
            input=Decimal(5),
            output=Decimal("25.5"),
            cache_read=Decimal("0.25"),
            until="2026-12-31",
            weekdays=(1, 7),
            hours_utc=("01:00-24:00",),
        ),
        Price(
            input=Decimal(0),
            output=Decimal("0.001"),
            long_above=200_000,
            long_input=Decimal(2),
            batch_input=Decimal(1),
            since="2027-01-01",
        ),
    )
    assert (facts.rules.efforts, facts.rules.refused) == (("low", "high"), {"temperature"})
    assert (facts.rules.forced_tool, facts.rules.cache_min_tokens, facts.rules.binds_prefix) == ("never", 512, True)
    assert facts.rules.thinking_on == {"thinking": {"type": "adaptive"}}
    assert facts_of("anthropic", "claude-opus-6-fast", str(path)).rules.efforts == ("low", "high")
    assert find("my-proxy", "team/model:7b", str(path)) is not None


def test_it_stands_before_the_built_in_table_for_its_backends_alone(tmp_path):
    path = tmp_path / "models.jsonl"
    path.write_text(stored_text(parsed("[backends.openai.models.gpt-7]\n")))

    assert find("openai", "gpt-6-luna", str(path)) is None
    assert find("openai-responses", "gpt-7", str(path)) == find("openai", "gpt-7", str(path))
    assert find("anthropic", "claude-opus-5-5", str(path)) == find("anthropic", "claude-opus-5-5")


def test_without_families_of_its_own_a_backend_has_the_built_in_ones(tmp_path):
    path = tmp_path / "models.jsonl"
    path.write_text(stored_text(parsed('[backends.openai.models."gpt-6.3-sol"]\n')))
    known, before = find("openai", "gpt-6.3-sol", str(path)), find("openai", "gpt-6-sol")

    assert known is not None
    assert before is not None
    assert known.rules == before.rules


def test_what_is_stored_is_a_line_of_json_per_backend():
    text = stored_text(parse_table(WHOLE.encode())[1])
    assert [json.loads(line)["backend"] for line in text.splitlines()] == ["anthropic", "my-proxy"]


@pytest.mark.parametrize(
    ("amount", "taken"),
    [
        ("0", True),
        ("0.0000001", True),
        (f"{MAX_PRICE}", True),
        (f"{MAX_PRICE}.01", False),
        ("-0.01", False),
        ("nan", False),
        ("inf", False),
        ("1e999999999999999999999", False),
        ("0.0000000000001", False),
        ("0.000000000001", True),
        ("true", False),
        ('"5"', False),
        ("[5]", False),
    ],
)
def test_a_price_is_a_plain_amount(amount, taken):
    text = f"{ROW}prices = [{{ input = {amount} }}]\n"
    if taken:
        assert parsed(text)["b"]["models"]["m"]["prices"] == [{"input": str(Decimal(amount))}]
    else:
        assert refusal(text)


@pytest.mark.parametrize(
    ("count", "taken"),
    [("0", False), ("1", True), ("1_000_000_000", True), ("1_000_000_001", False), ("1.5", False), ("true", False)],
)
def test_a_window_is_a_number_of_tokens(count, taken):
    text = f"{ROW}context_window = {count}\n"
    if taken:
        assert parsed(text)
    else:
        assert refusal(text).startswith("backends.b.models.m.context_window: expected a number of tokens")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "backends: expected a table"),
        ("backends = 1", "backends: expected a table, got '1'"),
        ("[backends]", "backends: expected tables like [backends.openai]"),
        ("[backends.'A B'.models.m]", "backends: expected tables like [backends.openai]"),
        ("[backends.b]\nmodel = 1", "backends.b: unknown key 'model'"),
        ("extra = 1\n[backends.b]", "the table: unknown key 'extra'"),
        ("[backends.b.models.'']", "backends.b.models: expected the id of a model"),
        ('[backends.b.models."a\\nb"]', "backends.b.models: expected a text on one line"),
        (f"{ROW}price = 5", "backends.b.models.m: unknown key 'price'"),
        (f"{ROW}prices = 5", "backends.b.models.m.prices: expected an array"),
        (f"{ROW}prices = [5]", "backends.b.models.m.prices[0]: expected a table"),
        (f"{ROW}prices = [{{ inputs = 5 }}]", "backends.b.models.m.prices[0]: unknown key 'inputs'"),
        (f"{ROW}prices = [{{ since = 'soon' }}]", "prices[0].since: expected a day like 2026-11-30, got 'soon'"),
        (f"{ROW}prices = [{{ hours_utc = ['9-5'] }}]", "prices[0].hours_utc: expected hours like"),
        (f"{ROW}prices = [{{ weekdays = [0] }}]", "prices[0].weekdays: expected days of the week, 1 to 7"),
        (f"{ROW}prices = [{{ weekdays = [true] }}]", "prices[0].weekdays: expected days of the week, 1 to 7"),
        (f"{ROW}capabilities = ['magic']", "capabilities: expected one of audio"),
        (f"{ROW}retires = 2026-13-01", "at line 3"),
        (f"{ROW}retires = '2026-02-30'", "retires: expected a day like 2026-11-30"),
        (f"{ROW}sure = 1", "sure: expected true or false, got '1'"),
        (f'{ROW}note = "\\u001b[31m"', "note: expected a text on one line"),
        (f"{ROW}rules = {{ effort = 'low' }}", "rules: unknown key 'effort'"),
        (f"{ROW}rules = {{ efforts = ['huge'] }}", "rules.efforts: expected one of"),
        (f"{ROW}rules = {{ forced_tool = 'maybe' }}", "rules.forced_tool: expected one of always"),
        (f"{ROW}rules = {{ refused = ['messages'] }}", "rules.refused: expected one of"),
        (f"{ROW}rules = {{ binds_prefix = 1 }}", "rules.binds_prefix: expected true or false"),
        (f"{ROW}rules = {{ thinking_on = {{ messages = [] }} }}", "rules.thinking_on: unknown key 'messages'"),
        (f"{ROW}rules = {{ thinking_on = {{ model = 'x' }} }}", "rules.thinking_on: unknown key 'model'"),
        (f"{ROW}rules = {{ thinking_on = {{ think = 2026-01-01 }} }}", "rules.thinking_on: expected texts"),
        (f"{ROW}rules = {{ effort_path = 'messages.0.content' }}", "rules.effort_path: no field of thinking"),
        ("[[backends.b.families]]\nefforts = []", "backends.b.families[0].match: expected an array"),
        ("[[backends.b.families]]\nmatch = [1]", "backends.b.families[0].match: expected a text"),
        ("[[backends.b.families]]\nmatch = ['a']\nprices = []", "backends.b.families[0]: unknown key 'prices'"),
        ("[backends.b.models.m]\n[backends.b.models.m]", "Cannot declare"),
        ("x = " + "[" * 10_000, "nested too deeply"),
    ],
)
def test_anything_else_is_refused_and_named(text, said):
    assert said in refusal(text)


def test_a_table_says_its_day():
    with pytest.raises(ValueError, match="date: expected the day of the table"):
        parse_table(b"[backends.b.models.m]\n")


def test_what_is_no_utf_8_is_refused():
    with pytest.raises(ValueError, match="not UTF-8"):
        parse_table(b"date = '\xff'\n")


@pytest.mark.parametrize(("size", "taken"), [(MAX_BYTES - 1, True), (MAX_BYTES, True), (MAX_BYTES + 1, False)])
def test_a_table_has_a_largest_size(size, taken):
    text = f'date = "2026-12-15"\n{ROW}#'.encode()
    whole = text + b"x" * (size - len(text))
    if taken:
        assert parse_table(whole)[0] == "2026-12-15"
    else:
        with pytest.raises(ValueError, match=r"larger than 8,388,608 bytes"):
            parse_table(whole)
