"""What is known of models: windows, prices, abilities, retirement; and the exact arithmetic of what a call cost.

The facts are data/models.toml. It is long, and reading TOML is slow: one row is found as text and only that is parsed.
The file keeps to a form that allows it: a header ``["backend/id"]`` and each key on a line of their own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from arawn.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from arawn.messages import Usage

_DAY = re.compile(r"-(?:\d{8}|\d{4}-\d\d-\d\d)$")
_SAME_MODELS = {"azure": "openai", "openai-responses": "openai"}


class ModelFacts(Value, kw_only=True):
    """One model of one backend. None, empty or absent means: not known.

    Prices are USD per million tokens, ``cache_write_price`` that of the shortest cache; those with ``long_`` hold for a
    whole request whose input exceeds ``long_context`` tokens. ``capabilities`` are some of tools, vision, reasoning,
    json_schema, embeddings, pdf, audio. ``sampling`` is false where temperature is refused, ``adaptive_thinking`` true
    where thinking takes an effort and no budget; ``api`` is ``responses`` where a model answers only there. ``retired``
    and ``retires`` are the day (ISO) it went or will go, ``as_of`` is the month of the prices.
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
    """Return what is known of a model of a built-in backend, or None.

    A dated name (``gpt-5.4-2026-03-05``) that has no row of its own is its undated model. Azure serves OpenAI's models,
    but retires them on days of its own.
    """
    text = _text()
    home = _SAME_MODELS.get(backend, backend)
    facts = _row(text, home, model) or _row(text, home, _DAY.sub("", model))
    if facts is None or backend != "azure":
        return facts
    return replace(facts, deprecated=False, retires="", retired="", successor="")


def all_models(backend: str) -> tuple[ModelFacts, ...]:
    """Return every known model of a built-in backend, by name, the retired ones too."""
    home = _SAME_MODELS.get(backend, backend)
    return tuple(_parsed(home, model, body) for owner, model, body in _sections(_text()) if owner == home)


def known_ids() -> Iterator[tuple[str, str]]:
    """Yield backend and id of every model that still answers; as cheap as completion wants it."""
    return ((backend, model) for backend, model, body in _sections(_text()) if "\nretired = " not in body)


def override(facts: ModelFacts, table: Mapping[str, Any]) -> ModelFacts:
    """Return the facts with the keys of a user's ``[models."ID"]`` table put over them.

    The user's prices hold for requests of any length.
    """
    from decimal import Decimal

    changes: dict[str, Any] = {}
    if not table.keys().isdisjoint(("input_price", "output_price")):
        changes["long_context"] = None
    for key, value in table.items():
        changes[key] = Decimal(str(value)) if key.endswith("_price") else value
    return replace(facts, **changes)


def cost(usage: Usage, facts: ModelFacts | None) -> Decimal | None:
    """Return the USD a call cost: what the provider says, else tokens times prices, exactly.

    None where a price it needs is unknown. Tokens of the provider's cache cost as much as other input where they have
    no known price of their own.
    """
    if usage.cost is not None or facts is None or facts.input_price is None:
        return usage.cost
    from decimal import Decimal

    uncached = max(0, usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens)
    counts = (uncached, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
    total = Decimal(0)
    for tokens, price in zip(counts, _prices(facts, usage.input_tokens), strict=True):
        if tokens and price is None:
            return None
        total += tokens * (price or 0)
    return total.scaleb(-6)


def successor_hint(backend: str, model: str) -> tuple[str, ...]:
    """Return the line to say of a model that went or will go, or of a name near to a model's; none for a good one."""
    facts = find(backend, model)
    if facts is None:
        return _near_misses(backend, model)
    use = f'; use "{facts.successor}"' if facts.successor else ""
    if facts.retired:
        return (f'"{model}" was retired on {facts.retired}{use}',)
    if facts.retires:
        return (f'"{model}" retires on {facts.retires}{use}',)
    return (f'"{model}" is deprecated{use}',) if facts.deprecated else ()


def _near_misses(backend: str, model: str) -> tuple[str, ...]:
    from difflib import get_close_matches

    if backend == "azure":  # a deployment bears whatever name its owner gave it
        return ()
    known = {facts.id: facts for facts in all_models(backend)}
    rows = [known[name] for name in get_close_matches(model, known)]
    names = dict.fromkeys(f'"{row.successor if row.retired else row.id}"' for row in rows)
    return (f"Did you mean {' or '.join(names)}?",) if names else ()


def _text() -> str:
    with open(f"{__file__.removesuffix('models/catalog.py')}data/models.toml", encoding="utf-8") as file:
        return file.read()


def _sections(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield backend, id and the lines of every section."""
    for section in text.split("\n[")[1:]:
        header, _, body = section.partition("]\n")
        backend, _, model = header.strip('"').partition("/")
        yield backend, model, f"\n{body}"


def _row(text: str, backend: str, model: str) -> ModelFacts | None:
    header = f'\n["{backend}/{model}"]\n'
    start = text.find(header)
    if start < 0:
        return None
    start += len(header)
    return _parsed(backend, model, text[start : text.find("\n[", start) + 1 or None])


def _parsed(backend: str, model: str, body: str) -> ModelFacts:
    import tomllib
    from decimal import Decimal

    row = tomllib.loads(body, parse_float=Decimal)
    row["capabilities"] = frozenset(row.get("capabilities", ()))
    return ModelFacts(backend=backend, id=model, **row)


def _prices(
    facts: ModelFacts, input_tokens: int
) -> tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]:
    """Return the prices of uncached input, output, cache reads and cache writes for a request of this length."""
    if facts.long_context is not None and input_tokens > facts.long_context:
        plain, output = facts.long_input_price, facts.long_output_price
        read, write = facts.long_cache_read_price, facts.long_cache_write_price
    else:
        plain, output = facts.input_price, facts.output_price
        read, write = facts.cache_read_price, facts.cache_write_price
    return plain, output, plain if read is None else read, plain if write is None else write
