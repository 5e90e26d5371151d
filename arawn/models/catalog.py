"""Facts about models: context windows, prices, capabilities, retirement; and the exact cost of a call.

The facts are in data/models, a JSON file per backend: a lookup parses one small file, not the whole catalogue.
scripts/build_catalogue.py makes the files.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from arawn.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from arawn.messages import Usage

BACKENDS = (
    *("anthropic", "cerebras", "deepseek", "fireworks", "gemini", "groq"),
    *("huggingface", "mistral", "openai", "openrouter", "together", "xai"),
)
"""The backends that have a file of facts."""
_SAME_MODELS = {"azure": "openai", "openai-responses": "openai"}
_DEPLOYMENTS = frozenset({"azure"})
"""Backends where users name the models themselves, and which retire them on other days than their maker."""
_OPEN = frozenset({"huggingface", "openrouter"})
"""Backends that pass on more models than are known here."""
_DATE_SUFFIX = re.compile(r"-(?:\d{8}|\d{4}-\d\d-\d\d)$")


class ModelFacts(Value, kw_only=True):
    """One model of one backend. None, empty or absent means: not known.

    Prices are USD per million tokens, ``cache_write_price`` that of the shortest cache; those with ``long_`` apply to a
    whole request whose input exceeds ``long_context`` tokens. ``capabilities`` are some of tools, vision, reasoning,
    json_schema, embeddings, pdf, audio. ``sampling`` is false where temperature is refused, ``adaptive_thinking`` true
    where thinking takes an effort and no budget; ``api`` is ``responses`` where a model answers only there. ``retired``
    and ``retires`` are the day (ISO) it was or will be retired, ``as_of`` is the month of the prices.
    """

    backend: str
    id: str
    context_window: int | None = None
    max_output: int | None = None
    input_price: Decimal | None = None
    output_price: Decimal | None = None
    cache_read_price: Decimal | None = None
    cache_write_price: Decimal | None = None
    long_context: int | None = None
    long_input_price: Decimal | None = None
    long_output_price: Decimal | None = None
    long_cache_read_price: Decimal | None = None
    long_cache_write_price: Decimal | None = None
    capabilities: frozenset[str] = frozenset()
    sampling: bool = True
    adaptive_thinking: bool = False
    api: str = ""
    deprecated: bool = False
    retires: str = ""
    retired: str = ""
    successor: str = ""
    source: str = ""
    as_of: str = ""


def find(backend: str, model: str) -> ModelFacts | None:
    """Return the facts about a model of a built-in backend, None where there are none.

    A dated name (``gpt-5.4-2026-03-05``) without a row of its own is its undated model. Azure serves OpenAI's models,
    but retires them on other days.
    """
    source = _SAME_MODELS.get(backend, backend)
    rows = _rows(source)
    name = model if model in rows else _DATE_SUFFIX.sub("", model)
    if name not in rows:
        return None
    facts = _facts(source, name, rows[name])
    if backend in _DEPLOYMENTS:
        return replace(facts, deprecated=False, retires="", retired="", successor="")
    return facts


def offers(backend: str, model: str) -> bool:
    """Return whether a service itself has a model of this id; where users name their models, it has none."""
    return backend not in _DEPLOYMENTS and find(backend, model) is not None


def is_complete(backend: str) -> bool:
    """Return whether a model that is not known here is one that the backend does not have."""
    return _SAME_MODELS.get(backend, backend) in BACKENDS and backend not in _OPEN | _DEPLOYMENTS


def all_models(backend: str) -> tuple[ModelFacts, ...]:
    """Return every known model of a built-in backend, sorted by name, including the retired ones."""
    source = _SAME_MODELS.get(backend, backend)
    return tuple(_facts(source, model, row) for model, row in _rows(source).items())


def known_ids() -> Iterator[tuple[str, str]]:
    """Yield backend and id of every model that is not retired, without building its facts."""
    return ((backend, model) for backend in BACKENDS for model, row in _rows(backend).items() if "retired" not in row)


def override(facts: ModelFacts, table: Mapping[str, Any]) -> ModelFacts:
    """Return the facts overridden by the keys of a user's ``[models."ID"]`` table.

    The user's prices apply to requests of any length.
    """
    from decimal import Decimal

    changes: dict[str, Any] = {}
    if not table.keys().isdisjoint(("input_price", "output_price")):
        changes["long_context"] = None
    for key, value in table.items():
        changes[key] = Decimal(str(value)) if key.endswith("_price") else value
    return replace(facts, **changes)


def cost(usage: Usage, facts: ModelFacts | None) -> Decimal | None:
    """Return the exact cost of a call in USD: what the provider reports, else tokens times prices.

    None where a price it needs is unknown. Tokens of the provider's cache cost as much as other input where their own
    price is not known.
    """
    if usage.cost is not None or facts is None or facts.input_price is None:
        return usage.cost
    from decimal import Decimal

    uncached = max(0, usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens)
    counts = (uncached, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
    total = Decimal(0)
    for tokens, price in zip(counts, _prices(facts, usage.input_tokens), strict=True):
        if not tokens:
            continue
        if price is None:
            return None
        total += tokens * price
    return total.scaleb(-6)


def successor_hint(backend: str, model: str) -> tuple[str, ...]:
    """Return a hint for a retired or deprecated model, or for a misspelt name; none for a model in service."""
    facts = find(backend, model)
    if facts is None:
        return _similar_names(backend, model)
    use = f'; use "{facts.successor}"' if facts.successor else ""
    if facts.retired:
        return (f'"{model}" was retired on {facts.retired}{use}',)
    if facts.retires:
        return (f'"{model}" retires on {facts.retires}{use}',)
    return (f'"{model}" is deprecated{use}',) if facts.deprecated else ()


def _similar_names(backend: str, model: str) -> tuple[str, ...]:
    from difflib import get_close_matches

    if backend in _DEPLOYMENTS:
        return ()
    known = {facts.id: facts for facts in all_models(backend)}
    rows = [known[name] for name in get_close_matches(model, known)]
    names = dict.fromkeys(f'"{row.successor if row.retired else row.id}"' for row in rows)
    return (f"Did you mean {' or '.join(names)}?",) if names else ()


def _rows(backend: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a backend by model id; none for a backend without facts."""
    if backend not in BACKENDS:
        return {}
    with open(f"{__file__.removesuffix('models/catalog.py')}data/models/{backend}.json", encoding="utf-8") as file:
        rows: dict[str, dict[str, Any]] = json.load(file)
    return rows


def _facts(backend: str, model: str, row: Mapping[str, Any]) -> ModelFacts:
    from decimal import Decimal

    prices = {key: Decimal(value) for key, value in row.items() if key.endswith("_price")}
    capabilities = frozenset(row.get("capabilities", ()))
    return ModelFacts(backend=backend, id=model, **{**row, **prices, "capabilities": capabilities})


def _prices(
    facts: ModelFacts, input_tokens: int
) -> tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]:
    """Return the prices of uncached input, output, cache reads and cache writes, given the length of the request."""
    if facts.long_context is not None and input_tokens > facts.long_context:
        plain, output = facts.long_input_price, facts.long_output_price
        read, write = facts.long_cache_read_price, facts.long_cache_write_price
    else:
        plain, output = facts.input_price, facts.output_price
        read, write = facts.cache_read_price, facts.cache_write_price
    return plain, output, plain if read is None else read, plain if write is None else write
