"""Token counts of the OpenAI shape, and of the services that count a little differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.messages import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

_LIMIT = 10**12
"""No answer has so many tokens, or costs so many dollars: such a number is broken."""


def parse_usage(raw: Any, *, output_includes_reasoning: bool = True) -> Usage | None:
    """Return the counts of a ``usage`` object, None where it has none that make sense.

    The counts of the completion include reasoning, or what ``total_tokens`` says; see ``beside_output``.
    """
    if not isinstance(raw, dict):
        return None
    prompt, completion = _count(raw, "prompt_tokens"), _count(raw, "completion_tokens")
    if prompt is None and completion is None:
        return None
    read_from = raw.get("prompt_tokens_details")
    reasoning = _count(raw.get("completion_tokens_details"), "reasoning_tokens") or 0
    prompt, completion = prompt or 0, completion or 0
    total = _count(raw, "total_tokens") or 0
    beside = beside_output(prompt, completion, total, 0 if output_includes_reasoning else reasoning)
    cached = _first(
        _count(read_from, "cached_tokens"), _count(raw, "prompt_cache_hit_tokens"), _count(raw, "cached_tokens")
    )
    written = _first(_count(read_from, "cache_write_tokens"), _count(raw, "cache_creation_input_tokens"))
    output = completion + beside
    return Usage(
        input_tokens=prompt,
        output_tokens=output,
        cache_read_tokens=min(cached, prompt),
        cache_write_tokens=min(written, prompt - min(cached, prompt)),
        reasoning_tokens=min(reasoning or beside, output),
        cost=charged(raw),
    )


def beside_output(prompt: int, completion: int, total: int, separate: int) -> int:
    """Return the tokens of reasoning that are counted beside the output; they belong to it.

    Where the total is more than prompt and completion together, that is the rest (xAI: ``completion_tokens_details``;
    Gemini: reported nowhere else). Only where there is no total it is ``separate``, the count that the configuration
    says to be beside.
    """
    return max(0, total - prompt - completion) if total else separate


def _first(*counts: int | None) -> int:
    return next((count for count in counts if count is not None), 0)


def _count(holder: Any, key: str) -> int | None:
    """Return a count, None for what is none: missing, negative, not a number, absurd."""
    value = holder.get(key) if isinstance(holder, dict) else None
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < _LIMIT else None


def charged(usage: Mapping[str, Any]) -> Decimal | None:
    """Return the dollars a service says a call cost, None where it does not.

    OpenRouter reports credits as ``cost``, and beside it what the user's own key at a provider was charged
    (openrouter.ai/docs/use-cases/usage-accounting); xAI reports ticks of 10⁻¹⁰ dollars (docs.x.ai).
    """
    ticks = _amount(usage.get("cost_in_usd_ticks"), _LIMIT * 10**10)
    if ticks is not None:
        return ticks.scaleb(-10)
    cost, details = _amount(usage.get("cost")), usage.get("cost_details")
    if cost is None or usage.get("is_byok") is not True:
        return cost
    upstream = _amount(details.get("upstream_inference_cost")) if isinstance(details, dict) else None
    return None if upstream is None else cost + upstream


def _amount(value: Any, limit: int = _LIMIT) -> Decimal | None:
    """Return a number exactly; None for what is no amount."""
    if type(value) not in (int, float) or not 0 <= value < limit:
        return None
    from decimal import Decimal

    return Decimal(repr(value))
