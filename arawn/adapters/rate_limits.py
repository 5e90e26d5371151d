"""The rate limits in the headers of a response, where they are nearly used up.

Formats seen: OpenAI, Groq and Azure ``x-ratelimit-{limit,remaining,reset}-{requests,tokens}`` (Groq's requests are per
day), Anthropic ``anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}``,
OpenRouter ``x-ratelimit-{limit,remaining,reset}``, and ``ratelimit-{limit,remaining,reset}`` of the IETF's drafts.
The reset is a duration ("6m0s", "20ms"), seconds, an RFC 3339 time, or seconds or milliseconds since 1970.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FEW_REQUESTS = 10
"""At most this many remaining requests are few, whatever the limit."""
MAX_RESET = 7 * 86_400.0
"""Seconds until a reset; a longer time is ignored."""

_REQUESTS = ("x-ratelimit-{}-requests", "anthropic-ratelimit-requests-{}", "x-ratelimit-{}", "ratelimit-{}")
_TOKENS = ("x-ratelimit-{}-tokens", "anthropic-ratelimit-tokens-{}", "anthropic-ratelimit-input-tokens-{}")
_OUTPUT = ("anthropic-ratelimit-output-tokens-{}",)
_HALF = 0.5
_MAX_DIGITS = 15  # a longer number means "unlimited"
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_PIECE = rf"({_NUMBER})(ms|us|µs|ns|h|m|s)"
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_MIN_TIMESTAMP = 1e9  # seconds since 1970; smaller numbers are durations
_MIN_TIMESTAMP_MS = 1e12


class Allowance(Value):
    """The number left until the reset, and the seconds from the response to the reset."""

    left: int
    reset: float


class Pace(Value):
    """The limits that are nearly used up: of requests, tokens, or both; None means enough."""

    requests: Allowance | None = None
    tokens: Allowance | None = None


def parse_pace(headers: Mapping[str, str]) -> Pace | None:
    """Parse the headers, their names in lower case; None where they hold no valid limits.

    Nearly used up is less than half of the limit, or at most FEW_REQUESTS. Anthropic's output tokens count only when
    none are left, since a call is compared by input and output together. Times are relative to the response's
    ``date``, so no clock is read.
    """
    if not any(_count(headers, name, "remaining") is not None for name in (*_REQUESTS, *_TOKENS, *_OUTPUT)):
        return None
    requests = _nearly_used(headers, _REQUESTS, few=FEW_REQUESTS, share=_HALF)
    tokens = [*_nearly_used(headers, _TOKENS, few=0, share=_HALF), *_nearly_used(headers, _OUTPUT, few=0, share=0.0)]
    return Pace(min(requests, key=_left, default=None), min(tokens, key=_left, default=None))


def _nearly_used(headers: Mapping[str, str], names: tuple[str, ...], *, few: int, share: float) -> Iterator[Allowance]:
    """Yield the limits with at most ``few`` left, or less than a ``share`` of the limit, which may be unknown."""
    for name in names:
        left = _count(headers, name, "remaining")
        if left is None:
            continue
        limit = _count(headers, name, "limit")
        is_low = left <= few or (share > 0 and (limit is None or left < limit * share))
        reset = seconds_until_reset(headers.get(name.format("reset"), ""), headers) if is_low else None
        if reset is not None:
            yield Allowance(left, reset)


def _left(allowance: Allowance) -> int:
    return allowance.left


def _count(headers: Mapping[str, str], name: str, what: str) -> int | None:
    text = headers.get(name.format(what), "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


def seconds_until_reset(text: str, headers: Mapping[str, str]) -> float | None:
    """Return the seconds until a reset, None for one that is past or invalid; a time is relative to ``date``."""
    text = text.strip()
    if re.fullmatch(f"(?:{_PIECE})+", text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PIECE, text))
    elif re.fullmatch(_NUMBER, text) and float(text) < _MIN_TIMESTAMP:
        seconds = float(text)
    else:
        then, now = _time(text), _date(headers.get("date", ""))
        if then is None or now is None:
            return None
        seconds = then - now
    return seconds if 0 < seconds <= MAX_RESET else None


def _time(text: str) -> float | None:
    """Return a time in seconds since 1970: itself a number, or RFC 3339."""
    from datetime import UTC, datetime

    if re.fullmatch(_NUMBER, text):
        number = float(text)
        return number / 1000 if number >= _MIN_TIMESTAMP_MS else number
    try:
        then = datetime.fromisoformat(text)
        return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
