"""What a recorded call cost, worked out a second time: raw JSON in, dollars out.

Nothing of arawn is imported here. Each service's tokens are read as its own documentation counts them, the prices come
straight from the catalogue's files or from the public list ``genai-prices.json``.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from support.recordings import Recording

MODELS = Path(__file__).parents[2] / "arawn" / "data" / "models"
_LISTED_AS = {"gemini": "google", "xai": "x-ai"}


@dataclass(frozen=True)
class Bill:
    """What a service counted. The first three are parts of the input and do not overlap; ``charged`` is in USD."""

    plain: int
    read: int
    written: int
    output: int
    charged: Decimal | None = None

    @property
    def input(self) -> int:
        return self.plain + self.read + self.written


def bill_of(recording: Recording) -> Bill | None:
    """Return what the body says was used; None where it says nothing, or nothing but zeros."""
    usage = _last_usage(recording)
    bill = _READERS[recording.api](usage, recording.meta["provider"]) if usage else None
    return bill if bill and (bill.input or bill.output) else None


def ticks_of(recording: Recording) -> Decimal | None:
    """Return what xAI says it took in USD: it counts ten-billionths (docs.x.ai, "Cost Tracking")."""
    ticks = _last_usage(recording).get("cost_in_usd_ticks")
    return None if ticks is None else Decimal(ticks) / 10**10


def models_of(recording: Recording) -> list[str]:
    """Return the model as it was asked for, and as the answer calls it."""
    asked = (recording.request or {}).get("model")
    answered = [(part.get("message") or part.get("response") or part).get("model") for part in _parts(recording)]
    return [name for name in (asked, *answered[:1], *answered[-1:]) if name]


def row_of(recording: Recording) -> tuple[str, dict[str, Any]]:
    """Return the name and the row of the catalogue for the recorded model; nothing where it has none."""
    provider = recording.meta["provider"]
    home = "openai" if provider == "azure" else provider
    for model in models_of(recording):
        undated = re.sub(r"-(\d{4}-\d{2}-\d{2}|\d{8})$", "", model)
        for key in (f"{home}/{model}", f"{home}/{undated}"):
            if key in rows():
                return key, rows()[key]
    return "", {}


@cache
def rows() -> dict[str, dict[str, Any]]:
    """Return the whole catalogue, a row for each ``backend/model``, its prices as exact decimals."""
    return {
        f"{file.stem}/{model}": row | {"prices": [_exact(price) for price in row.get("prices", [])]}
        for file in sorted(MODELS.glob("*.json"))
        for model, row in json.loads(file.read_text(encoding="utf-8"))["models"].items()
    }


def _exact(price: dict[str, Any]) -> dict[str, Any]:
    texts = ("since", "until")
    return {key: Decimal(value) if type(value) is str and key not in texts else value for key, value in price.items()}


def in_force(row: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Return the prices of a row at a moment in UTC; nothing where it has none then."""
    return next((price for price in row.get("prices", []) if _holds(price, at)), {})


def _holds(price: dict[str, Any], at: datetime) -> bool:
    day, clock = at.strftime("%Y-%m-%d"), at.strftime("%H:%M")
    hours = [span.split("-") for span in price.get("hours_utc", ["00:00-24:00"])]
    return (
        price.get("since", day) <= day <= price.get("until", day)
        and at.isoweekday() in price.get("weekdays", range(1, 8))
        and any(begin <= clock < end for begin, end in hours)
    )


def dollars(bill: Bill, price: dict[str, Any]) -> Decimal | None:
    """Multiply tokens with prices; None where one that is needed is missing."""
    long = "long_" if bill.input > price.get("long_above", bill.input) else ""
    plain = price.get(f"{long}input")
    priced = (
        (bill.plain, plain),
        (bill.read, price.get(f"{long}cache_read", plain)),
        (bill.written, price.get(f"{long}cache_write", plain)),
        (bill.output, price.get(f"{long}output")),
    )
    needed = [(tokens, price) for tokens, price in priced if tokens]
    if any(price is None for _, price in needed):
        return None
    return sum((tokens * price for tokens, price in needed), Decimal(0)) / 1_000_000


def listed_row(key: str, as_of: str) -> dict[str, Any] | None:
    """Return what the public list said of ``backend/model`` on the day ``as_of``, in the catalogue's words."""
    backend, _, model = key.partition("/")
    for entry in _lists().get(_LISTED_AS.get(backend, backend), ()):
        if _fits(entry["match"], model):
            return _as_row(_in_force(entry["prices"], as_of))
    return None


@cache
def _lists() -> dict[str, list[dict[str, Any]]]:
    text = (Path(os.environ["ARAWN_CATALOGUE"]) / "genai-prices.json").read_text(encoding="utf-8")
    providers = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    return {provider["id"]: provider["models"] for provider in providers}


def _fits(clause: dict[str, Any], model: str) -> bool:
    ((kind, value),) = clause.items()
    if kind in ("or", "and"):
        return (any if kind == "or" else all)(_fits(each, model) for each in value)
    if kind == "regex":
        return re.search(value, model) is not None
    around = {"equals": "{}", "starts_with": "{}.*", "ends_with": ".*{}", "contains": ".*{}.*"}[kind]
    return re.fullmatch(around.format(re.escape(value)), model) is not None


def _in_force(prices: Any, day: str) -> dict[str, Any]:
    """Return the last prices that had begun on this day; those of some hours only are nobody's usual price."""
    if isinstance(prices, dict):
        return prices
    begun = [each for each in prices if (each.get("constraint") or {"start_date": ""}).get("start_date", "~") <= day]
    return begun[-1]["prices"]


def _as_row(prices: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in ("input", "output", "cache_read", "cache_write"):
        price = prices.get(f"{name}_mtok")
        if isinstance(price, dict):
            (tier,) = price["tiers"]
            row |= {"long_above": int(tier["start"]), f"long_{name}": tier["price"]}
            price = price["base"]
        if price:  # a zero of the list is a price it does not know
            row[name] = price
    return row


def _parts(recording: Recording) -> list[dict[str, Any]]:
    """Return the body's JSON objects: the events of a stream, or the one answer."""
    text = recording.body.decode()
    if not recording.stream:
        return [json.loads(text, parse_float=Decimal)]
    lines = (line.removeprefix("data:").strip() for line in text.split("\n"))
    return [json.loads(line, parse_float=Decimal) for line in lines if line.startswith("{")]


def _last_usage(recording: Recording) -> dict[str, Any]:
    """Return the counts a body ends with. They are running totals wherever they come more than once."""
    merged: dict[str, Any] = {}
    for part in _parts(recording):
        for usage in _usages(part, recording.api):
            merged |= usage
    return merged


def _usages(part: dict[str, Any], api: str) -> Iterator[dict[str, Any]]:
    holders = {
        "anthropic-messages": (part, part.get("message")),
        "openai-responses": (part, part.get("response")),
        "openai-chat": (part.get("x_groq"), part),
        "openai-embeddings": (part,),
    }
    if api.startswith("ollama"):
        yield {key: value for key, value in part.items() if key.endswith("_count")}
    for holder in holders.get(api, ()):
        if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
            yield holder["usage"]


def _read_anthropic(usage: dict[str, Any], provider: str) -> Bill:
    """platform.claude.com, "Prompt caching": the whole input is the sum of three counts that do not overlap."""
    return Bill(
        plain=usage["input_tokens"],
        read=usage.get("cache_read_input_tokens") or 0,
        written=usage.get("cache_creation_input_tokens") or 0,
        output=usage["output_tokens"],
    )


def _read_chat(usage: dict[str, Any], provider: str) -> Bill:
    """developers.openai.com, "Prompt caching": ``prompt_tokens`` include the cached ones."""
    whole = usage["prompt_tokens"]
    details = usage.get("prompt_tokens_details") or {}
    read = usage.get("prompt_cache_hit_tokens", details.get("cached_tokens")) or 0  # the first is DeepSeek's
    read = min(read, whole)  # one server counts more cached tokens than there are
    written = details.get("cache_write_tokens") or 0
    return Bill(whole - read - written, read, written, _output(usage, provider), _charged(usage))


def _output(usage: dict[str, Any], provider: str) -> int:
    """Return what is charged as output. xAI and Gemini count reasoning beside the completion, others within it."""
    completion: int = usage.get("completion_tokens") or 0
    if provider == "xai":
        completion += usage["completion_tokens_details"]["reasoning_tokens"]
    elif provider == "gemini":
        completion = usage["total_tokens"] - usage["prompt_tokens"]
    return completion


def _charged(usage: dict[str, Any]) -> Decimal | None:
    """Return what the service says it took: OpenRouter in USD ("Usage accounting"), nobody else in this key."""
    return None if usage.get("cost") is None else Decimal(usage["cost"])


def _read_responses(usage: dict[str, Any], provider: str) -> Bill:
    """developers.openai.com, "The response object": as on Chat Completions, under other names."""
    details = usage["input_tokens_details"]
    read, written = details["cached_tokens"], details.get("cache_write_tokens", 0)
    return Bill(usage["input_tokens"] - read - written, read, written, usage["output_tokens"], _charged(usage))


def _read_ollama(usage: dict[str, Any], provider: str) -> Bill | None:
    """docs.ollama.com, "Usage": the prompt's tokens and the answer's."""
    return Bill(usage["prompt_eval_count"], 0, 0, usage.get("eval_count", 0)) if "prompt_eval_count" in usage else None


_READERS = {
    "anthropic-messages": _read_anthropic,
    "openai-chat": _read_chat,
    "openai-embeddings": _read_chat,
    "openai-responses": _read_responses,
    "ollama-chat": _read_ollama,
    "ollama-embed": _read_ollama,
}
SPOKEN = frozenset(_READERS)
"""The protocols whose answers report usage."""
