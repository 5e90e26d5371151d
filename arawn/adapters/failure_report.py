"""The content of an error response, whatever its format: message, codes, status, retry delay, request id.

The formats seen: ``{"error": {message, type, code}}``, the same in a list, ``{"error": "text"}`` with keys beside it,
``{"message"}``, ``{"detail"}`` with a text or FastAPI's list, nested messages, plain text, an HTML page.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAX_TEXT_SEARCHED = 4000
"""Characters of a text that are looked at."""
_SECRETS = (
    (r"\b(sk|gsk|hf|xai|pplx|nvapi|r8|tgp|fw)([-_])[\w*.\-]{3,}[\w*]", r"\1\2***"),
    (r"\bAIza[\w\-*]{8,}", "AIza***"),
    (r"(?i)\b(api[ _-]?key(?: provided)?\s*[:=]\s*[\"'`]?|bearer\s+)(?=\S*[\d*_-])[\w*.~+/=\-]{4,}", r"\1***"),
)
_DURATION = r"(\d+(?:\.\d+)?)\s*(milliseconds?|ms|hours?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])"
_SECONDS = (("milli", 0.001), ("ms", 0.001), ("h", 3600.0), ("m", 60.0), ("s", 1.0))
_MESSAGE_KEYS = ("message", "error", "detail", "msg", "errors")


class Report(NamedTuple):
    """What a provider reported. ``number`` is an HTTP status in the body.

    ``retry_after`` is in seconds; ``reset`` is when the rate limit ends, as in ``x-ratelimit-reset``, empty if unknown.
    """

    message: str = ""
    codes: tuple[str, ...] = ()
    number: int | None = None
    retry_after: float | None = None
    request_id: str = ""
    reset: str = ""


def decode_body(body: bytes) -> Any:
    """Return the JSON value of a body, else its text; of an HTML page only the title."""
    text = body.decode("utf-8", "replace").strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if not text.startswith("<"):
            return text
        title = re.search(r"<title[^>]*>([^<]*)", text[:_MAX_TEXT_SEARCHED], re.IGNORECASE)
        return title.group(1) if title else ""


def parse_report(value: Any) -> Report:
    """Parse an error from a JSON value: the error itself, or the object around it."""
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return Report(value[:_MAX_TEXT_SEARCHED] if isinstance(value, str) else "")
    error = value.get("error")
    fields = error if isinstance(error, dict) else value
    message = " ".join(_messages(fields))[:_MAX_TEXT_SEARCHED]
    request_id = value.get("request_id")
    return Report(
        message,
        tuple(_codes(fields)),
        next((n for key in ("status_code", "code", "status") if (n := _status_number(fields.get(key)))), None),
        _delay_in(fields) or _seconds_in(message),
        request_id if isinstance(request_id, str) else "",
        _reset_in(fields),
    )


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return the retry delay of the headers; a date is relative to the response's ``date``, so no clock is read."""
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if (milliseconds := _positive(headers.get(name, ""))) is not None:
            return milliseconds / 1000
    text = headers.get("retry-after", "")
    if (seconds := _positive(text)) is not None:
        return seconds
    return _seconds_until(text, headers["date"]) if text and "date" in headers else None


def printable(text: str, limit: int) -> str:
    """Return one printable line of at most ``limit`` characters, with what looks like a key masked."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[:_MAX_TEXT_SEARCHED]).split())
    for pattern, mask in _SECRETS:
        line = re.sub(pattern, mask, line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _messages(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value[:5]:
            yield from _messages(item)
    elif isinstance(value, dict):
        yield from _messages(next((value[key] for key in _MESSAGE_KEYS if value.get(key)), None))
        metadata = value.get("metadata")
        if isinstance(metadata, dict):  # OpenRouter: what the provider behind it said
            yield from _messages(metadata.get("raw"))


def _codes(fields: dict[str, Any]) -> Iterator[str]:
    inner = fields.get("innererror")
    values = [fields.get(key) for key in ("code", "type", "error_type", "status")]
    if isinstance(inner, dict):  # Azure: why its filter refused
        values.append(inner.get("code"))
    for value in values:
        if isinstance(value, str) and value and not value.isdigit():
            yield value


def _status_number(value: Any) -> int | None:
    if isinstance(value, str) and len(value) == 3 and value.isdecimal():
        value = int(value)
    return value if type(value) is int and 400 <= value <= 599 else None


def _positive(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


def _seconds_until(then: str, now: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        seconds = (parsedate_to_datetime(then) - parsedate_to_datetime(now)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return seconds if seconds > 0 else None


def _reset_in(fields: dict[str, Any]) -> str:
    """Return the end of a rate limit from the headers in the body (OpenRouter: ``metadata.headers``)."""
    metadata = fields.get("metadata")
    headers = metadata.get("headers") if isinstance(metadata, dict) else None
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if name.lower() in {"x-ratelimit-reset", "ratelimit-reset"} and isinstance(value, str | int):
            return str(value)
    return ""


def _delay_in(fields: dict[str, Any]) -> float | None:
    """Return the delay of a field for it, in seconds, or of a ``google.rpc.RetryInfo`` among the details ("48s")."""
    for key in ("retry_after", "retry_after_seconds"):
        if (seconds := _positive(str(fields.get(key, "")))) is not None:
            return seconds
    details = fields.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and isinstance(delay := detail.get("retryDelay"), str):
            return _duration(delay)
    return None


def _seconds_in(message: str) -> float | None:
    """Return the delay that a message names: "Please try again in 2m1.5s"."""
    found = re.search(rf"(?:try again|retry|wait)\D{{0,20}}((?:{_DURATION}\s*)+)", message, re.IGNORECASE)
    return _duration(found.group(1)) if found else None


def _duration(text: str) -> float | None:
    pieces = re.findall(_DURATION, text.lower())
    seconds = sum(
        float(number) * next(factor for unit, factor in _SECONDS if word.startswith(unit)) for number, word in pieces
    )
    return seconds if 0 < seconds < float("inf") else None
