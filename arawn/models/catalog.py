"""Facts about models: context windows, prices, capabilities, rules, retirement.

The facts are in data/models, a JSON file per backend: a lookup parses one small file, not the whole catalogue.
scripts/build_catalogue.py makes the files. A table the user has stored (``arawn models update``) stands before them,
for the backends it has: each of its lines is the JSON of one backend. Functions take its path as ``stored``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from arawn.adapters.rules import ModelRules
from arawn.errors import ConfigError
from arawn.folders import data_folder
from arawn.models import prices
from arawn.models.prices import PRICE_FIELDS, Price
from arawn.values import Value, fields_of, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from arawn.messages import Usage

BACKENDS = (
    *("anthropic", "azure", "bedrock-anthropic", "bedrock", "cerebras", "deepseek", "fireworks", "gemini", "groq"),
    *("huggingface", "llamacpp", "mistral", "ollama", "openai", "openrouter", "together", "vllm", "xai"),
)
"""The backends that have a file of facts."""
SAME_MODELS = {"openai-responses": "openai"}
"""Backends that serve the models of another."""
PRICE_KEYS = {f"{name}_price": name for name in ("input", "output", "cache_read", "cache_write", "cache_write_1h")}
"""The keys of a user's ``[models."ID"]`` table that are prices, and the fields of Price they set."""
RULE_KEYS = frozenset(fields_of(ModelRules))
_DEPLOYMENTS = frozenset({"azure"})
"""Backends where users name the models themselves."""
_OPEN = frozenset({"bedrock", "bedrock-anthropic", "huggingface", "llamacpp", "ollama", "openrouter", "vllm"})
"""Backends that serve more models than are known here."""
_DATE_SUFFIX = re.compile(r"-(?:\d{8}|\d{4}-\d\d-\d\d)$")
_SETS = ("refused", "refused_while_thinking")
_TUPLES = ("efforts", "efforts_chat", "one_of")


class ModelFacts(Value, kw_only=True):
    """One model of one backend. None, empty or absent means: not known.

    ``context_window`` counts input and output; ``max_input`` is the most of it that input may take, where that is less.
    ``prices`` are those of all times, see ``prices.price_at``; ``own_price`` is true where the user set one.
    ``capabilities`` are some of tools, vision, reasoning, json_schema, embeddings, pdf, audio, video. From the day
    ``retires`` (ISO) on it is no longer served. ``source`` and ``as_of`` (a day) say from where and when the facts are;
    they are not ``sure`` where only one source says so, or sources disagree.
    """

    backend: str
    id: str
    context_window: int | None = None
    max_input: int | None = None
    max_output: int | None = None
    capabilities: frozenset[str] = frozenset()
    prices: tuple[Price, ...] = ()
    own_price: bool = False
    rules: ModelRules = ModelRules()
    deprecated: bool = False
    retires: str = ""
    successor: str = ""
    note: str = ""
    source: str = ""
    as_of: str = ""
    sure: bool = True

    def retired(self, today: str) -> bool:
        """Whether it is no longer served on a day (ISO)."""
        return bool(self.retires) and self.retires <= today


def stored_table(environ: Mapping[str, str]) -> str:
    """Return the path of the table that the user has stored, whether or not there is one."""
    return f"{data_folder(environ)}/models.jsonl"


def find(backend: str, model: str, stored: str = "") -> ModelFacts | None:
    """Return the facts about a model of a backend, None where it has no row.

    A dated name (``gpt-5.4-2026-03-05``) without a row of its own is its undated model.
    """
    table = _table(backend, stored)
    name = model if model in table["models"] else _DATE_SUFFIX.sub("", model)
    row = table["models"].get(name)
    return None if row is None else _facts(backend, name, row, table["families"])


def facts_of(backend: str, model: str, stored: str = "") -> ModelFacts | None:
    """Return what is known of a model: its facts, for one without a row the rules of its family, else None."""
    table = _table(backend, stored)
    name = model if model in table["models"] else _DATE_SUFFIX.sub("", model)
    row = table["models"].get(name)
    if row is None and not _family(name, table["families"]):
        return None
    return _facts(backend, model if row is None else name, row or {}, table["families"])


def offers(backend: str, model: str, stored: str = "") -> bool:
    """Return whether a service itself has a model of this id; where users name their models, it has none."""
    return backend not in _DEPLOYMENTS and find(backend, model, stored) is not None


def is_complete(backend: str) -> bool:
    """Return whether a model that is not known here is one that the backend does not have."""
    return SAME_MODELS.get(backend, backend) in BACKENDS and backend not in _OPEN | _DEPLOYMENTS


def all_models(backend: str, stored: str = "") -> tuple[ModelFacts, ...]:
    """Return every known model of a backend, sorted by name, including the retired ones."""
    return models_in(backend, _table(backend, stored))


def models_in(backend: str, table: Mapping[str, Any]) -> tuple[ModelFacts, ...]:
    """Return the models of a backend's table; families that it does not have are the built-in ones."""
    families = table["families"] if "families" in table else _built_in(backend).get("families", [])
    return tuple(_facts(backend, model, row, families) for model, row in table["models"].items())


def known_ids(today: str, stored: str = "") -> Iterator[tuple[str, str]]:
    """Yield backend and id of every model that is served on a day, without building its facts."""
    return (
        (backend, model)
        for backend in BACKENDS
        for model, row in _table(backend, stored)["models"].items()
        if not row.get("retires") or row["retires"] > today
    )


def cost(usage: Usage, facts: ModelFacts | None, at: float) -> Decimal | None:
    """Return the exact cost in USD of a call made at a moment (seconds since the epoch); None where it is unknown."""
    return usage.cost if facts is None else prices.cost(usage, facts.prices, at, own=facts.own_price)


def override(facts: ModelFacts, table: Mapping[str, Any]) -> ModelFacts:
    """Return the facts overridden by the keys of a user's ``[models."ID"]`` table.

    The user's prices apply at all times; those of input and output also to requests of any length.
    """
    from decimal import Decimal

    own = {PRICE_KEYS[key]: Decimal(str(value)) for key, value in table.items() if key in PRICE_KEYS}
    rules = {key: value for key, value in table.items() if key in RULE_KEYS}
    changes = {key: value for key, value in table.items() if key not in PRICE_KEYS and key not in RULE_KEYS}
    if own:
        every_length = {} if own.keys().isdisjoint(("input", "output")) else {"long_above": None}
        changes["prices"] = tuple(replace(price, **own, **every_length) for price in facts.prices or (Price(),))
        changes["own_price"] = True
    if rules:
        changes["rules"] = replace(facts.rules, **_rule_values(rules))
    return replace(facts, **changes)


def successor_hint(backend: str, model: str, today: str, stored: str = "") -> tuple[str, ...]:
    """Return a hint for a retired or deprecated model, or for a misspelt name; none for a model in service."""
    facts = find(backend, model, stored)
    if facts is None:
        return _similar_names(backend, model, today, stored)
    use = f'; use "{facts.successor}"' if facts.successor else ""
    if facts.retires:
        return (f'"{model}" {"was retired" if facts.retired(today) else "retires"} on {facts.retires}{use}',)
    return (f'"{model}" is deprecated{use}',) if facts.deprecated else ()


def _similar_names(backend: str, model: str, today: str, stored: str) -> tuple[str, ...]:
    from difflib import get_close_matches

    if backend in _DEPLOYMENTS:
        return ()
    known = {facts.id: facts for facts in all_models(backend, stored)}
    rows = [known[name] for name in get_close_matches(model, known)]
    named = dict.fromkeys(row.successor if row.retired(today) else row.id for row in rows)
    names = [f'"{name}"' for name in named if name]
    return (f"Did you mean {' or '.join(names)}?",) if names else ()


def _table(backend: str, stored: str) -> dict[str, Any]:
    """Return the families and the models of a backend; none for one without facts."""
    name = SAME_MODELS.get(backend, backend)
    line = _stored_line(name, stored) if stored else ""
    try:
        own: dict[str, Any] = json.loads(line or "{}")
    except ValueError:
        raise _unreadable("it is damaged") from None
    if "families" in own and "models" in own:
        return own
    return {"families": [], "models": {}, **_built_in(name), **own}


def _built_in(backend: str) -> dict[str, Any]:
    if backend not in BACKENDS:
        return {}
    with open(f"{__file__.removesuffix('models/catalog.py')}data/models/{backend}.json", encoding="utf-8") as file:
        table: dict[str, Any] = json.load(file)
    return table


def _stored_line(backend: str, stored: str) -> str:
    """Return the line of a backend in the table that the user has stored; empty where there is none."""
    start = f'{{"backend":{json.dumps(backend)},'
    try:
        with open(stored, encoding="utf-8") as file:
            return next((line for line in file if line.startswith(start)), "")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise _unreadable(str(error)) from None


def _unreadable(why: str) -> ConfigError:
    return ConfigError(
        f"the stored table of models cannot be read: {why}",
        hints=["go back to the one before: arawn models update --undo"],
    )


def _facts(backend: str, model: str, row: Mapping[str, Any], families: list[dict[str, Any]]) -> ModelFacts:
    return ModelFacts(
        backend=SAME_MODELS.get(backend, backend),
        id=model,
        **{
            **row,
            "capabilities": frozenset(row.get("capabilities", ())),
            "prices": tuple(map(_price, row.get("prices", ()))),
            "rules": _rules({**_family(model, families), **row.get("rules", {})}),
        },
    )


def _price(row: Mapping[str, Any]) -> Price:
    from decimal import Decimal

    values: dict[str, Any] = {key: Decimal(value) if key in PRICE_FIELDS else value for key, value in row.items()}
    for key in ("hours_utc", "weekdays"):
        if key in row:
            values[key] = tuple(row[key])
    return Price(**values)


def _family(model: str, families: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the first family that a model belongs to, empty where it belongs to none."""
    name = model.lower()
    return next((each for each in families if any(_matches(word, name) for word in each["match"])), {})


def _matches(word: str, name: str) -> bool:
    return word[1:] in name if word.startswith("*") else name.startswith(word)


def _rules(row: Mapping[str, Any]) -> ModelRules:
    return ModelRules(**_rule_values({key: value for key, value in row.items() if key in RULE_KEYS}))


def _rule_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of ModelRules as it has them, from lists as JSON and TOML have them."""
    sets = {key: frozenset(row[key]) for key in _SETS if key in row}
    return {**row, **sets, **{key: tuple(row[key]) for key in _TUPLES if key in row}}
