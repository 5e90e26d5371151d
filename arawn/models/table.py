"""A table of models from elsewhere: TOML in the shape of data/models, checked as what a stranger may have written.

It is refused whole where anything in it is not as it must be. What comes out is the text of the file that ``catalog``
reads: a line of JSON per backend, prices as decimal texts.
"""

from __future__ import annotations

import json
import re
import tomllib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from arawn.adapters.rules import ModelRules
from arawn.models.prices import PRICE_FIELDS, day_number, seconds_of
from arawn.values import as_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Row = dict[str, Any]

MAX_BYTES = 8 << 20
"""Bytes of a table, at most."""
MAX_PRICE = 10_000
"""USD per million tokens: what costs more is a mistake."""
PRICE_PLACES = 12
"""Decimal places of a price, at most."""
MAX_TOKENS = 1_000_000_000
_MAX_TEXT = 500
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_CAPABILITIES = frozenset({"tools", "vision", "reasoning", "json_schema", "embeddings", "pdf", "audio", "video"})
_EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
_PARAMETERS = frozenset(
    {
        *("temperature", "top_p", "top_k", "seed", "stop", "presence_penalty", "frequency_penalty", "logit_bias"),
        *("logprobs", "top_logprobs", "parallel_tool_calls", "prefill", "budget_tokens", "verbosity"),
    }
)
_THINKING = frozenset(
    {
        *("thinking", "reasoning", "reasoning_effort", "reasoning_format", "think", "enable_thinking"),
        *("output_config", "extra_body", "chat_template_kwargs"),
    }
)
"""The fields of a body that a table may set: none of them changes who is asked what."""
_FIELDS = {
    **dict.fromkeys(("thinking_on", "thinking_off", "thinking_shown"), _THINKING),
    "foreign_call": frozenset({"extra_content"}),
}
_WORDS = {
    "api": frozenset({"", "chat", "responses"}),
    "forced_tool": frozenset({"", "always", "not_while_thinking", "never"}),
    "cache": frozenset({"", "automatic", "marker"}),
    "off_max_effort": _EFFORTS | {""},
    "thinking_back": frozenset({"", "reasoning", "reasoning_content"}),
    "efforts": _EFFORTS,
    "efforts_chat": _EFFORTS,
    "refused": _PARAMETERS,
    "refused_while_thinking": _PARAMETERS,
    "one_of": _PARAMETERS,
    "capabilities": _CAPABILITIES,
}


def parse_table(data: bytes) -> tuple[str, dict[str, Row]]:
    """Return the day of a table, and the families (where it has some) and models of each of its backends.

    Raises ValueError, which says in one line what is wrong and where.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
    try:
        tree = tomllib.loads(data.decode("utf-8"), parse_float=Decimal)
    except ArithmeticError:
        raise ValueError("it has a number that is too large") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    day, source, backends = _head(tree)
    defaults = {"source": source, "as_of": day}
    return day, {name: _backend(_table(each, f"backends.{name}"), name, defaults) for name, each in backends.items()}


def stored_text(backends: Mapping[str, Row]) -> str:
    """Return the file of these backends, as ``catalog`` reads it."""
    lines = (json.dumps({"backend": name, **each}, separators=(",", ":")) for name, each in backends.items())
    return "".join(f"{line}\n" for line in lines)


def _head(tree: Row) -> tuple[str, str, Row]:
    _known(tree, ("date", "source", "backends"), "the table")
    if "date" not in tree:
        raise ValueError('date: expected the day of the table, like date = "2026-11-30"')
    backends = _table(tree.get("backends"), "backends")
    wrong = [name for name in backends if not _NAME.fullmatch(name)]
    if not backends or wrong:
        raise ValueError(f"backends: expected tables like [backends.openai], got {_shown(wrong[:1])}")
    return _day(tree["date"], "date"), _text(tree.get("source", ""), "source"), backends


def _backend(table: Row, name: str, defaults: Mapping[str, str]) -> Row:
    where = f"backends.{name}"
    _known(table, ("families", "models"), where)
    found: Row = {}
    if "families" in table:
        families = _list(table["families"], f"{where}.families")
        found["families"] = [_family(each, f"{where}.families[{at}]", defaults) for at, each in enumerate(families)]
    models = _table(table.get("models", {}), f"{where}.models")
    found["models"] = {
        _id(key, where): _model(models[key], f"{where}.models.{key}", defaults) for key in sorted(models)
    }
    return found


def _family(value: object, where: str, defaults: Mapping[str, str]) -> Row:
    row = _table(value, where)
    match = [_text(word, f"{where}.match").lower() for word in _list(row.get("match"), f"{where}.match")]
    other = {key: each for key, each in row.items() if key not in ("match", *_FACTS)}
    return {"match": match, **_rules(other, where), **_checked({**defaults, **row}, _FACTS, where)}


def _model(value: object, where: str, defaults: Mapping[str, str]) -> Row:
    row = _table(value, where)
    _known(row, (*_MODEL, *_FACTS, "rules", "prices"), where)
    made = _checked(row, _MODEL, where)
    prices = _list(row.get("prices", []), f"{where}.prices")
    made["prices"] = [_price(each, f"{where}.prices[{at}]") for at, each in enumerate(prices)]
    made["rules"] = _rules(_table(row.get("rules", {}), f"{where}.rules"), f"{where}.rules")
    return made | _checked({**defaults, **row}, _FACTS, where)


def _price(value: object, where: str) -> Row:
    row = _table(value, where)
    _known(row, (*PRICE_FIELDS, *_PRICE), where)
    amounts = {key: str(_amount(row[key], f"{where}.{key}")) for key in PRICE_FIELDS if key in row}
    return amounts | _checked(row, _PRICE, where)


def _rules(row: Row, where: str) -> Row:
    kinds = as_dict(ModelRules())
    _known(row, kinds, where)
    return {key: _rule(key, value, kinds[key], f"{where}.{key}") for key, value in row.items()}


def _rule(key: str, value: object, default: object, where: str) -> object:
    if key in _FIELDS:
        return _fields(value, _FIELDS[key], where)
    if key in ("efforts", "efforts_chat") or isinstance(default, tuple | frozenset):
        return _words(value, _WORDS[key], where)
    if key == "cache_min_tokens":
        return _count(value, where)
    if isinstance(default, bool) or key in ("thinks_by_default", "thinking_budget"):
        return _flag(value, where)
    text = _text(value, where)
    if key == "effort_path" and text.partition(".")[0] not in _THINKING | {""}:
        raise ValueError(f"{where}: no field of thinking: {_shown(text)}")
    return _word(text, _WORDS[key], where) if key in _WORDS else text


def _fields(value: object, allowed: frozenset[str], where: str) -> Row:
    """Return fields of a body: only those that are allowed, with values that JSON can hold."""
    row = _table(value, where)
    _known(row, allowed, where)
    try:
        text = json.dumps(row, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ValueError(f"{where}: expected texts, whole numbers, true or false") from None
    if len(text) > _MAX_TEXT:
        raise ValueError(f"{where}: longer than {_MAX_TEXT} characters")
    return row


# ---- Values ----


def _checked(row: Mapping[str, Any], checks: Mapping[str, Callable[[Any, str], object]], where: str) -> Row:
    return {key: check(row[key], f"{where}.{key}") for key, check in checks.items() if key in row}


def _known(row: Iterable[str], keys: Iterable[str], where: str) -> None:
    allowed = set(keys)
    unknown = [key for key in row if key not in allowed]
    if unknown:
        raise ValueError(f"{where}: unknown key {_shown(unknown[0])}")


def _table(value: object, where: str) -> Row:
    if not isinstance(value, dict):
        raise _wrong(where, "expected a table", value)
    return value


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(where, "expected an array", value)
    return value


def _amount(value: object, where: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _wrong(where, "expected USD per million tokens", value)
    amount = Decimal(value)
    if not amount.is_finite() or not 0 <= amount <= MAX_PRICE or amount != round(amount, PRICE_PLACES):
        raise _wrong(where, f"expected USD per million tokens, 0 to {MAX_PRICE:,}", value)
    return amount


def _count(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_TOKENS:
        raise _wrong(where, "expected a number of tokens", value)
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(where, "expected true or false", value)
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > _MAX_TEXT:
        raise _wrong(where, "expected a text on one line", value)
    return value


def _id(name: str, where: str) -> str:
    if not name.strip():
        raise ValueError(f"{where}.models: expected the id of a model, got {_shown(name)}")
    return _text(name, f"{where}.models")


def _word(value: str, words: frozenset[str], where: str) -> str:
    if value not in words:
        raise _wrong(where, f"expected one of {', '.join(sorted(filter(None, words)))}", value)
    return value


def _words(value: object, words: frozenset[str], where: str) -> list[str]:
    return [_word(_text(word, where), words, where) for word in _list(value, where)]


def _day(value: object, where: str) -> str:
    text = value if isinstance(value, str) else str(value)
    try:
        day_number(text)
    except ValueError:
        raise _wrong(where, "expected a day like 2026-11-30", value) from None
    return text


def _hours(value: object, where: str) -> list[str]:
    spans = [_text(span, where) for span in _list(value, where)]
    for span in spans:
        try:
            seconds_of(span)
        except ValueError:
            raise _wrong(where, 'expected hours like "01:00-04:00"', span) from None
    return spans


def _weekdays(value: object, where: str) -> list[int]:
    days = _list(value, where)
    if any(isinstance(day, bool) or day not in range(1, 8) for day in days):
        raise _wrong(where, "expected days of the week, 1 to 7", days)
    return days


def _abilities(value: object, where: str) -> list[str]:
    return _words(value, _CAPABILITIES, where)


def _wrong(where: str, expected: str, value: object) -> ValueError:
    return ValueError(f"{where}: {expected}, got {_shown(value)}")


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return ascii(text if len(text) <= 40 else f"{text[:40]}...")


_MODEL: dict[str, Callable[[Any, str], object]] = {
    **dict.fromkeys(("context_window", "max_input", "max_output"), _count),
    "capabilities": _abilities,
    "deprecated": _flag,
    "retires": _day,
    "successor": _text,
    "note": _text,
}
_FACTS: dict[str, Callable[[Any, str], object]] = {"source": _text, "as_of": _day, "sure": _flag}
_PRICE: dict[str, Callable[[Any, str], object]] = {
    "long_above": _count,
    "since": _day,
    "until": _day,
    "hours_utc": _hours,
    "weekdays": _weekdays,
}
