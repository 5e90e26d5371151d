"""Make arawn/data/models/ from two tables of facts and prices and our own rows: a JSON file per backend, and a README.

``ARAWN_CATALOGUE=FOLDER python scripts/build_catalogue.py`` reads facts.toml and prices.toml there, and beside this
file catalogue_older.toml (models those tables do not have), catalogue_rows.toml (which wins over both) and
catalogue_families.toml (the rules). The outcome depends on nothing else: a test compares the committed files with it.
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

HERE = Path(__file__).parent
TARGET = HERE.parent / "arawn" / "data" / "models"
PRICES = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
SEEN = {"text": "", "image": "vision", "pdf": "pdf", "audio": "audio", "video": "video"}
KEYS = (
    *("context_window", "max_input", "max_output", "capabilities", "prices", "rules"),
    *("deprecated", "retires", "successor", "note", "source", "as_of", "sure"),
)
NO_TOOLS = ("deep-research", "safeguard", "pixtral", "voxtral")
SOURCES = {
    "npm @earendil-works/pi-ai 1.6.0 dist/providers/data/": "pi-ai 1.6.0 ",
    "npm pi-ai": "pi-ai",
    "pip litellm 1.110.2 model_prices_and_context_window_backup.json": "litellm 1.110.2",
    "pip ": "",
}
DATED = re.compile(r"-(\d{8}|\d{4}-\d\d-\d\d)$")
PRICE_NOTES = {
    "bedrock": "price of the address of a region",
    "huggingface": "price of one provider; others differ",
    "openrouter": "price of one route; what it reports counts",
}
IN_REGION = Decimal("1.1")  # of the list price, for Claude at the regional addresses of Bedrock
README = """\
# Facts about models

What arawn knows of a model before the user says otherwise (`[models."ID"]`, `arawn models update`): a file per backend,
a family and a model per line. Made by scripts/build_catalogue.py; to correct one, edit scripts/catalogue_rows.toml or
scripts/catalogue_families.toml and run it again.

* `prices` are USD per million tokens, as decimal strings. The first that holds at the time of a call counts: from the
  day `since` to the day `until`, both included, on `weekdays` (1 is Monday) within `hours_utc`. Those with `long_`
  apply to a whole request whose input exceeds `long_above` tokens. A missing price is unknown.
* `rules` are what a model takes, as fields of `arawn.adapters.rules.ModelRules`; they come over those of the first
  family that matches the model's id.
* `capabilities` lists what a source names; what is missing there may still exist.
* From the day `retires` on a model is no longer served.
* `source` and `as_of` say from where and when a row is; `sure` is false where one source says so, or sources disagree.

Sources, besides those a row names:

* models.dev, https://github.com/anomalyco/models.dev, MIT, Copyright (c) 2025 models.dev
* genai-prices, https://github.com/pydantic/genai-prices, MIT, Copyright (c) Pydantic Services Inc. 2025 to present
"""


def main() -> None:
    for name, text in build(Path(os.environ["ARAWN_CATALOGUE"])).items():
        (TARGET / name).write_text(text, encoding="utf-8")


def build(folder: Path) -> dict[str, str]:
    """Return the text of each file, by its name, from the tables in ``folder``."""
    facts, prices = load(folder / "facts.toml"), load(folder / "prices.toml")
    families = load(HERE / "catalogue_families.toml")["family"]
    rows = by_key(load(HERE / "catalogue_older.toml"))
    for key, row in rows.items():
        rows[key] = row | {"prices": [price_row(price) for price in row.get("prices", [])]}
    for key, row in (facts["model"] | facts["embedding"]).items():
        rows[key] = model_row(key, row, families, facts["date"])
    add_prices(rows, prices["prices"], facts)
    add_aliases(rows, facts["model"])
    for key, row in facts["gone"].items():
        rows[key] = {"source": "", **rows.get(key, {})}
        add(rows[key], gone_row(row, facts["date"]))
    for key, row in by_key(load(HERE / "catalogue_rows.toml")).items():
        base = rows.get(f"{key.split('/')[0]}/{row['like']}" if "like" in row else key, {})
        rows[key] = (
            base | row | {"prices": [price_row(price) for price in row.get("prices", [])] or base.get("prices", [])}
        )
    split_bedrock(rows)
    add_azure(rows)
    backends = {key.split("/")[0] for key in rows} | {name for family in families for name in family["backends"]}
    return {"README.md": README} | {f"{name}.json": backend_file(name, rows, families) for name in sorted(backends)}


def load(path: Path) -> Any:
    return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)


def by_key(tables: Row) -> dict[str, Row]:
    return {f"{backend}/{model}": row for backend, models in tables.items() for model, row in models.items()}


def model_row(key: str, facts: Row, families: list[Row], day: str) -> Row:
    """Return the row of a model of the table of facts, without its prices."""
    row: Row = {name: facts[name] for name in ("context_window", "max_output", "successor") if name in facts}
    if "dimensions" in facts or "embed" in key:
        row |= {"context_window": facts["max_input"], "capabilities": ["embeddings"]}
    else:
        family = family_of(served_as(key), families)
        reasons = facts.get("reasoning") or bool(family.get("efforts"))
        row |= {"capabilities": capabilities(key, facts, family, reasons=reasons), "rules": rules_of(facts, family)}
        if facts.get("max_input", 0) < facts.get("context_window", 0):
            row |= {"max_input": facts.get("max_input")}
    row["retires"] = facts.get("retired", facts.get("retires"))
    row["deprecated"] = True if facts.get("deprecated") else None
    if "mantle" in facts.get("endpoint", "") and "anthropic" not in facts["endpoint"]:
        row["note"] = f"served at {facts['endpoint'].replace('bedrock-mantle', 'bedrock-mantle.REGION.api.aws', 1)}"
    return row | {"source": short(facts["source"]), "as_of": day, "sure": facts["sure"]}


def capabilities(key: str, facts: Row, family: Row, *, reasons: bool) -> list[str]:
    found = [] if any(word in key for word in NO_TOOLS) else ["tools"]
    found += filter(None, (SEEN[kind] for kind in facts.get("input", ())))
    return [*dict.fromkeys(found), *["reasoning"] * reasons, *["json_schema"] * bool(family.get("schema"))]


def rules_of(facts: Row, family: Row) -> Row:
    """Return what the table of facts says of the model itself, as far as its family does not say the same.

    Of effort words it keeps those that both name: where sources disagree, one that is taken in any case is chosen.
    """
    rules: Row = {}
    if "efforts" in facts and "effort_off" in facts:
        off = facts["effort_off"]
        words = [off] * bool(off) + [word.lower() for word in facts["efforts"]]
        rules["efforts"] = [word for word in words if word in family.get("efforts", words)]
        rules["always_thinks"] = not off and family.get("thinks_by_default") is not False
    if "cache_min_tokens" in facts:
        rules["cache_min_tokens"] = facts["cache_min_tokens"]
    return {name: value for name, value in rules.items() if value != family.get(name, False)}


def gone_row(facts: Row, day: str) -> Row:
    row = {"successor": facts.get("successor"), "source": short(facts["source"]), "as_of": day}
    if facts["retired"] == "unknown":
        return row | {"sure": False}
    return row | {"retires": facts["retired"]}


def add(row: Row, new: Row) -> None:
    new["source"] = "; ".join(dict.fromkeys(filter(None, (row.get("source"), new["source"]))))
    row |= {key: value for key, value in new.items() if value is not None}


def add_prices(rows: dict[str, Row], prices: list[Row], facts: Row) -> None:
    """Give each model its prices, in the order of the table: those of some hours stand before the others."""
    for price in prices:
        row = rows[price["id"]]
        row.setdefault("prices", []).append(price_row(price))
        if not price["sure"] and price.get("until", facts["date"]) >= facts["date"]:
            row["sure"] = False
        backend = price["id"].split("/")[0]
        if "note" in price and backend in PRICE_NOTES:
            row.setdefault("note", PRICE_NOTES[backend])
    for key in facts["model"]:
        rows[key].setdefault("prices", [])


def add_aliases(rows: dict[str, Row], facts: dict[str, Row]) -> None:
    """Give the other names of models rows of their own, but for dated ones: those are found by the undated name."""
    for key, row in facts.items():
        for alias in row.get("aliases", ()):
            if not DATED.search(alias):
                rows.setdefault(f"{key.split('/')[0]}/{alias}", rows[key])


def price_row(price: Row) -> Row:
    """Return prices with the keys of ours."""
    row = {key: price[key] for key in price if key in ("since", "long_above", "hours_utc", "weekdays")}
    row |= {key: Decimal(price[key]) for key in price if key.removeprefix("long_") in PRICES}
    row |= {ours: price[theirs] for ours, theirs in (("since", "from"), ("until", "until")) if theirs in price}
    if "batch" in price:
        row |= dict(zip(("batch_input", "batch_output"), map(Decimal, price["batch"]), strict=False))
    row |= {key: Decimal(price[key]) for key in price if key.startswith("batch_")}
    return row


def split_bedrock(rows: dict[str, Row]) -> None:
    """Move Claude to the backend that speaks its protocol, under the ids it takes there: without ``global.``.

    Where only the price of the global address is known, that of a region is 10 % more.
    """
    for key in [key for key in rows if key.startswith("bedrock/") and "anthropic." in key]:
        row, regional = rows.pop(key), served_as(key)
        if key.endswith(":0"):
            continue  # the id of another of its addresses
        if "/global." in key:
            prices = [{word: dearer(word, value) for word, value in price.items()} for price in row["prices"]]
            guess = {"prices": prices, "sure": False, "note": "price taken as 10% over the global one"}
            rows.setdefault(regional, row | guess)
        else:
            rows[regional] = row


def served_as(key: str) -> str:
    """Return the key of a model where it is served: Claude on Bedrock at an address of its own."""
    name = key.removeprefix("bedrock/").removeprefix("global.")
    return f"bedrock-anthropic/{name}" if key.startswith("bedrock/") and name.startswith("anthropic.") else key


def dearer(word: str, value: Any) -> Any:
    return value * IN_REGION if word.removeprefix("long_").removeprefix("batch_") in PRICES else value


def add_azure(rows: dict[str, Row]) -> None:
    """Complete Azure's rows, which have days of their own, from OpenAI's; other models have no day there."""
    for key in [key for key, row in rows.items() if key.startswith("openai/") and "context_window" in row]:
        base = {name: value for name, value in rows[key].items() if name not in ("retires", "successor", "deprecated")}
        there = rows.get(f"azure/{key.removeprefix('openai/')}", {})
        own = {name: value for name, value in there.items() if name in ("retires", "source", "as_of", "sure")}
        successor = {"successor": rows[key]["successor"]} if own.get("retires") and "successor" in rows[key] else {}
        rows[f"azure/{key.removeprefix('openai/')}"] = base | own | successor


def backend_file(backend: str, rows: dict[str, Row], families: list[Row]) -> str:
    """Write one backend as a JSON object: a family and a model per line."""
    models = {key.removeprefix(f"{backend}/"): rows[key] for key in sorted(rows) if key.startswith(f"{backend}/")}
    ours = [compact(whole(family, families)) for family in families if backend in family["backends"]]
    named = [f"{json.dumps(model)}:{row_text(row)}" for model, row in models.items()]
    return '{"families":[\n' + ",\n".join(ours) + '\n],"models":{\n' + ",\n".join(named) + "\n}}\n"


def family_of(key: str, families: list[Row]) -> Row:
    """Return the first family of the backend that matches the model, the same way as arawn.models.catalog does."""
    backend, _, model = key.partition("/")
    for family in families:
        if backend in family["backends"] and any(matches(word, model.lower()) for word in family["match"]):
            return whole(family, families)
    return {}


def matches(word: str, model: str) -> bool:
    return word[1:] in model if word.startswith("*") else model.startswith(word)


def whole(family: Row, families: list[Row]) -> Row:
    """Return a family over the rules of the one it is like."""
    base: Row = {}
    if "like" in family:
        known = (other for other in families if {*family["backends"]} & {*other["backends"]})
        there = next(other for other in known if family["like"] in [word.lstrip("*") for word in other["match"]])
        base = {key: value for key, value in whole(there, families).items() if key not in ("source", "as_of", "sure")}
    return base | {key: value for key, value in family.items() if key not in ("like", "backends")}


def row_text(row: Row) -> str:
    """Write one row, without what is not said."""
    prices = [{key: price_text(value) for key, value in each.items()} for each in row.get("prices", [])]
    kept = {name: (row | {"prices": prices}).get(name) for name in KEYS}
    return compact({name: value for name, value in kept.items() if value or (name == "sure" and value is False)})


def compact(row: Row) -> str:
    return json.dumps(
        {key: value for key, value in row.items() if (key, value) != ("sure", True)}, separators=(",", ":")
    )


def price_text(value: Any) -> Any:
    """Write a price plainly, as text, so that it does not become a binary fraction on its way."""
    if not isinstance(value, Decimal):
        return value
    text = format(value.normalize(), "f")
    return text if "." in text else f"{text}.0"


def short(source: str) -> str:
    """Name the packages that most rows come from without their files."""
    for words, name in SOURCES.items():
        source = source.replace(words, name)
    return source


if __name__ == "__main__":
    main()
