"""The ledger as JSON, with keys that scripts may rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn import dates
from arawn.answers.record import usage_fields

if TYPE_CHECKING:
    from decimal import Decimal

    from arawn.store.calls import Call
    from arawn.store.reports import By, Totals


def fields(group: Totals, by: By | None = None) -> dict[str, Any]:
    """Return a group as JSON, ``by`` what it was made; times are averages in milliseconds, money is in USD."""
    rate = group.error_rate
    return {
        **_names(group, by),
        "calls": group.calls,
        "complete": group.complete,
        "failed": group.failed,
        "unreached": group.unreached,
        "stopped": group.stopped,
        "running": group.running,
        "cache_hits": group.cached,
        "usage": usage_fields(group.usage),
        **money_fields(cost=group.cost),
        "unpriced": group.unpriced,
        "latency_ms": _rounded(group.latency_ms),
        "first_token_ms": _rounded(group.first_token_ms),
        "error_rate": None if rate is None else round(rate, 4),
    }


def call_fields(call: Call) -> dict[str, Any]:
    """Return a call as JSON; ``began`` is in seconds since the epoch, ``time`` the same in UTC."""
    return {
        "id": call.id,
        "time": dates.stamp(call.began),
        "began": call.began,
        "backend": call.backend,
        "model": call.model,
        "role": call.role,
        "session": call.session or None,
        "usage": usage_fields(call.usage),
        "counted": call.counted,
        **money_fields(cost=call.cost),
        "latency_ms": _rounded(call.latency_ms),
        "first_token_ms": _rounded(call.first_token_ms),
        "outcome": call.outcome,
        "error": call.error or None,
        "retries": call.retries,
    }


def money_fields(**amounts: Decimal | None) -> dict[str, Any]:
    """Return each amount twice: as a number, and under ``…_usd`` as text, which is exact."""
    found: dict[str, Any] = {}
    for name, amount in amounts.items():
        found[name] = None if amount is None else float(amount)
        found[f"{name}_usd"] = None if amount is None else f"{amount:f}"
    return found


def _names(group: Totals, by: By | None) -> dict[str, str | None]:
    match by:
        case None:
            return {}
        case "model":
            backend, _, model = group.key.partition("/")
            return {"backend": backend, "model": model}
        case "session":
            return {"session": group.key or None, "title": group.title}
        case _:
            return {by: group.key}


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)
