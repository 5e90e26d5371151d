"""Make arawn/data/models/ from two public snapshots and our own rows: a JSON file per backend, and a README.

``ARAWN_CATALOGUE=FOLDER python scripts/build_catalogue.py`` reads models.dev.json and genai-prices.json there, and
catalogue_rows.toml beside this file. Of two sources the later wins: genai-prices, models.dev, our rows. The outcome
depends on nothing else, so a test can compare the committed files with it.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]

ROWS = Path(__file__).with_name("catalogue_rows.toml")
TARGET = Path(__file__).parent.parent / "arawn" / "data" / "models"
SNAPSHOT_DAY = "2026-07-31"  # the prices that held then

# Our backend, its name in models.dev, its name in genai-prices. OpenRouter has hundreds: our rows choose.
NAMES = (
    ("anthropic", "anthropic", "anthropic"),
    ("cerebras", "cerebras", "cerebras"),
    ("deepseek", "deepseek", "deepseek"),
    ("fireworks", "fireworks-ai", "fireworks"),
    ("gemini", "google", "google"),
    ("groq", "groq", "groq"),
    ("huggingface", "huggingface", ""),
    ("mistral", "mistral", "mistral"),
    ("openai", "openai", "openai"),
    ("openrouter", "", "openrouter"),
    ("together", "togetherai", "together"),
    ("xai", "xai", "x-ai"),
)
PRICES = ("input", "output", "cache_read", "cache_write")
SHARED = ("context_window", "max_output", "capabilities")
KEYS = (
    *("context_window", "max_output", *(f"{name}_price" for name in PRICES)),
    *("long_context", *(f"long_{name}_price" for name in PRICES)),
    *("capabilities", "sampling", "adaptive_thinking", "api"),
    *("deprecated", "retires", "retired", "successor", "source", "as_of"),
)
README = f"""\
# Facts about models

What arawn knows of a model before the user says otherwise (`[models."ID"]`): a file per backend, a model per line.
Made by scripts/build_catalogue.py; to correct a row, edit scripts/catalogue_rows.toml and run it again.

* Prices are USD per million tokens, as decimal strings; those with `long_` apply to a whole request whose
  input exceeds `long_context` tokens. A missing price is unknown.
* `capabilities` lists what a source names; what is missing there may still exist.
* `retired` and `retires` are the day a model was, or will be, retired; `as_of` is the month of the prices.

Sources as of {SNAPSHOT_DAY[:7]}, besides those a row names:

* models.dev, https://github.com/anomalyco/models.dev, MIT, Copyright (c) 2025 models.dev
* genai-prices, https://github.com/pydantic/genai-prices, MIT, Copyright (c) Pydantic Services Inc. 2025 to present
"""


def main() -> None:
    for name, text in build(Path(os.environ["ARAWN_CATALOGUE"])).items():
        (TARGET / name).write_text(text, encoding="utf-8")


def build(folder: Path) -> dict[str, str]:
    """Return the text of each file, by its name, from the snapshots in ``folder``."""
    ours = tomllib.loads(ROWS.read_text(encoding="utf-8"), parse_float=Decimal)
    facts = models_dev_rows(load(folder / "models.dev.json"))
    prices = {provider["id"]: provider["models"] for provider in load(folder / "genai-prices.json")}
    for key in ours["skip"]:
        del facts[key]
    named = [key for group in ours["facts"] for key in group["models"]]
    for key in [*ours["also"], *(f"openrouter/{name}" for name in ours["openrouter"]), *named]:
        facts.setdefault(key, {})
    for key, row in facts.items():
        add_prices(row, genai_entry(key, prices))
    for group in ours["facts"]:
        for key, row in group["models"].items():
            add_ours(facts[key], row, group["source"], group["as_of"])
    for name, maker in ours["openrouter"].items():
        share(facts[f"openrouter/{name}"], facts.get(maker, {}))
    return {"README.md": README} | {f"{backend}.json": backend_file(backend, facts) for backend, _, _ in NAMES}


def load(path: Path) -> Any:
    return json.loads(path.read_bytes(), parse_float=Decimal)


def models_dev_rows(snapshot: Row) -> dict[str, Row]:
    """Return the rows of every text model of our backends."""
    rows = {}
    for backend, there, _ in NAMES:
        for name, entry in snapshot.get(there, {}).items():
            maker, _, base = entry.get("base_model", "/").partition("/")
            whole = inherited(entry, snapshot.get(maker, {}).get(base, {}))
            if is_text_model(whole):
                rows[f"{backend}/{name}"] = models_dev_row(name, whole)
    return rows


def inherited(entry: Row, base: Row) -> Row:
    """Complete an entry from its ``base_model``, but for what each provider decides itself."""
    limits = {"limit": base.get("limit", {}) | entry.get("limit", {})}
    return {key: value for key, value in base.items() if key not in ("cost", "status")} | entry | limits


def is_text_model(entry: Row) -> bool:
    sizes = entry.get("limit", {})
    made = entry.get("modalities", {}).get("output", ["text"])
    return bool(made == ["text"] and sizes.get("context", sizes.get("input")) != 0)


def models_dev_row(name: str, entry: Row) -> Row:
    embeds = "embed" in name.lower()
    sizes, cost = entry.get("limit", {}), entry.get("cost", {})
    row = {"context_window": sizes.get("context"), "max_output": None if embeds else sizes.get("output")}
    row |= {f"{price}_price": cost.get(price) for price in PRICES}
    for tier in cost.get("tiers", [])[:1]:
        row |= {"long_context": tier["tier"]["size"]} | {f"long_{price}_price": tier.get(price) for price in PRICES}
    row["capabilities"] = ["embeddings"] if embeds else capabilities(entry)
    row["sampling"] = False if not embeds and entry.get("temperature") is False else None
    row["adaptive_thinking"] = True if takes_effort_only(name, entry) else None
    row["deprecated"] = True if entry.get("status") == "deprecated" else None
    return known(row) | {"source": "models.dev", "as_of": SNAPSHOT_DAY[:7]}


def capabilities(entry: Row) -> list[str]:
    inputs = entry.get("modalities", {}).get("input", [])
    named = {
        "tools": entry.get("tool_call"),
        "vision": "image" in inputs,
        "reasoning": entry.get("reasoning"),
        "json_schema": entry.get("structured_output"),
        "pdf": "pdf" in inputs,
        "audio": "audio" in inputs,
    }
    return [name for name, there in named.items() if there]


def takes_effort_only(name: str, entry: Row) -> bool:
    """Claude models that take an effort and no budget in tokens want ``thinking: {type: adaptive}``."""
    ways = {option["type"] for option in entry.get("reasoning_options", [])}
    return name.startswith("claude-") and "effort" in ways and "budget_tokens" not in ways


def known(row: Row) -> Row:
    """Drop what is not said; a snapshot writes 0 for prices it does not know."""
    return {key: value for key, value in row.items() if value not in (None, [], 0) or value is False}


def genai_entry(key: str, prices: dict[str, list[Row]]) -> Row:
    backend, _, name = key.partition("/")
    there = {ours: genai for ours, _, genai in NAMES}[backend]
    return next((entry for entry in prices.get(there, []) if matches(entry["match"], name)), {})


def matches(clause: Row, name: str) -> bool:
    """Apply a rule of genai-prices (its schema: ClauseOr … ClauseRegex)."""
    ((kind, value),) = clause.items()
    match kind:
        case "or":
            return any(matches(each, name) for each in value)
        case "and":
            return all(matches(each, name) for each in value)
        case "equals":
            return bool(name == value)
        case "starts_with":
            return name.startswith(value)
        case "ends_with":
            return name.endswith(value)
        case "contains":
            return value in name
        case _:
            return re.search(value, name) is not None


def add_prices(row: Row, entry: Row) -> None:
    """Fill in from genai-prices what models.dev left open: all prices, the long ones, the context window."""
    theirs = known(genai_prices(entry.get("prices", {})))
    new = {} if "input_price" in row and row["input_price"] != theirs.get("input_price") else theirs
    new |= known({"context_window": entry.get("context_window")})
    new = {key: value for key, value in new.items() if key not in row}
    if new:
        row |= new | {"source": ", ".join(filter(None, (row.get("source"), "genai-prices"))), "as_of": SNAPSHOT_DAY[:7]}


def genai_prices(prices: Row | list[Row]) -> Row:
    """Return the prices that held on the day of the snapshot; some are written as a base with tiers above it."""
    if isinstance(prices, list):
        held = [each for each in prices if each.get("constraint", {}).get("start_date", "") <= SNAPSHOT_DAY]
        return genai_prices(held[-1]["prices"])
    row: Row = {}
    for name in PRICES:
        value = prices.get(f"{name}_mtok")
        if isinstance(value, dict):
            row |= {"long_context": value["tiers"][0]["start"], f"long_{name}_price": value["tiers"][0]["price"]}
            value = value["base"]
        row[f"{name}_price"] = value
    return row


def add_ours(row: Row, ours: Row, source: str, as_of: str) -> None:
    if "input_price" in ours or "as_of" not in row:
        row["as_of"] = as_of
        for outdated in [key for key in row if key.startswith("long_") or key.endswith("_price")]:
            del row[outdated]
    row["source"] = "; ".join(dict.fromkeys(filter(None, (row.get("source"), f"{source} {as_of}"))))
    row |= ours


def share(row: Row, maker: Row) -> None:
    """Give a model served elsewhere the limits and abilities its maker's own row has."""
    row |= {key: maker[key] for key in SHARED if key in maker and key not in row}


def backend_file(backend: str, facts: dict[str, Row]) -> str:
    """Write the models of one backend as a JSON object, one model per line."""
    models = {key.removeprefix(f"{backend}/"): facts[key] for key in sorted(facts) if key.startswith(f"{backend}/")}
    return "{\n" + ",\n".join(f"{json.dumps(model)}:{row_text(row)}" for model, row in models.items()) + "\n}\n"


def row_text(row: Row) -> str:
    """Write one row. Prices are strings, so that none becomes a binary fraction on its way."""
    values = {name: price(row[name]) if name.endswith("_price") else row[name] for name in KEYS if name in row}
    return json.dumps(values, separators=(",", ":"))


def price(value: Decimal | int) -> str:
    text = format(Decimal(value).normalize(), "f")
    return text if "." in text else f"{text}.0"


if __name__ == "__main__":
    main()
