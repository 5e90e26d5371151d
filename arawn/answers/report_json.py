"""What programs get of the ledger: JSON with promised keys, or CSV with the same names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arawn import dates
from arawn.answers.record import usage_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from arawn.cli.output import Output
    from arawn.store.calls import Call
    from arawn.store.reports import By, Totals

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


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


def write_json(output: Output, value: object) -> None:
    """Write a value as one line of JSON."""
    output.data(json.dumps(value, ensure_ascii=False))


def write_csv(output: Output, rows: Iterable[Mapping[str, Any]], *, like: Mapping[str, Any]) -> None:
    """Write rows with the fields of ``like`` as RFC 4180 has it, with a header; what is in a field stands flat.

    A text that a spreadsheet would run as a formula gets an apostrophe before it: some are written by a model.
    """
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n" if output.paints else "\r\n")
    writer.writerow(_flat(like))
    writer.writerows([_csv(value) for value in _flat(row).values()] for row in rows)
    output.answer(text.getvalue())


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


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    return flat


def _csv(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return str(value).lower() if isinstance(value, bool) else value


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)
