"""The formats that are checked (RFC 3339, 5321, 1123, 4291, 3986, 4122, 6901); any other name says nothing here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arawn.answers.json_schema.patterns import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

_DATE = r"\d{4}-\d\d-\d\d"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[zZ]|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*"
_TOKEN = r"(?:[^~/]|~[01])*"  # noqa: S105 -- of a JSON pointer
_CLOCK = r"T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+S)?"


def check(name: str, text: str) -> bool:
    """Say whether a text has a format; it has any format that is not known."""
    return name not in _CHECKS or _CHECKS[name](text)


def _matches(pattern: str) -> Callable[[str], bool]:
    found = re.compile(pattern, re.ASCII | re.DOTALL)
    return lambda text: found.fullmatch(text) is not None


def _is_date(text: str) -> bool:
    from datetime import date

    try:
        return re.fullmatch(_DATE, text, re.ASCII) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_date_time(text: str) -> bool:
    return text[10:11] in ("T", "t") and _is_date(text[:10]) and _is_time(text[11:])


def _is_ipv4(text: str) -> bool:
    from ipaddress import AddressValueError, IPv4Address

    try:
        return bool(IPv4Address(text).packed)
    except AddressValueError:
        return False


def _is_ipv6(text: str) -> bool:
    from ipaddress import AddressValueError, IPv6Address

    try:
        return "%" not in text and bool(IPv6Address(text).packed)
    except AddressValueError:
        return False


def _is_regex(text: str) -> bool:
    try:
        return bool(compiled(text).pattern) or not text
    except ValueError:
        return False


_is_time = _matches(_TIME)

_CHECKS: dict[str, Callable[[str], bool]] = {
    "date-time": _is_date_time,
    "date": _is_date,
    "time": _is_time,
    "duration": _matches(rf"P(?!\Z)(?:\d+W|(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:{_CLOCK})?)"),
    "email": _matches(rf"[^@\s.](?:[^@\s]*[^@\s.])?@(?:{_LABEL}\.)*{_LABEL}"),
    "hostname": _matches(_HOST),
    "ipv4": _is_ipv4,
    "ipv6": _is_ipv6,
    "uri": _matches(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]*"),
    "uri-reference": _matches(r"[^\s<>\"{}|\\^`]*"),
    "uuid": _matches(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "json-pointer": _matches(rf"(?:/{_TOKEN})*"),
    "regex": _is_regex,
}

CHECKED = tuple(_CHECKS)
"""The names of the formats that are checked."""
