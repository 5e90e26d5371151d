"""JSON in both directions: bodies written so that every server can read them, answers checked field by field.

Readers raise ValueError for a field of another type; ``malformed`` turns it into a ProtocolError, where the number of
the event is known.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from arawn.errors import ProtocolError, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

_COUNT_LIMIT = 1 << 53
"""A count must be below this: no answer has so many tokens, and beyond it JSON numbers are not exact."""


def render_body(body: Mapping[str, Any], *, backend: str) -> bytes:
    """Write a request body. Raises RequestError for what JSON cannot say (NaN, a date, a set)."""
    try:
        return whole_text(json_text(body)).encode()
    except (ValueError, TypeError) as error:
        raise RequestError(
            f'The request to backend "{backend}" cannot be written as JSON: {error}',
            hints=("Check the extra table of this backend and what the call passes as extra",),
            backend=backend,
        ) from None


def malformed(error: ValueError, *, backend: str, event: int = 0) -> ProtocolError:
    """Return the error for what came in; ``event`` counts from 1, 0 means a whole body."""
    where = f"event {event} of the answer" if event else "the answer"
    return ProtocolError(
        f'Backend "{backend}" does not keep to its protocol, {where}: {error}',
        hints=("Check base_url and adapter of this backend: arawn config show",),
        backend=backend,
    )


def json_text(value: Any) -> str:
    """Write a JSON value."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_json(text: str) -> Any:
    """Read JSON strictly: no NaN, no Infinity, no half of a surrogate pair (which no encoder could write again)."""
    value = decode_json(text)
    return without_halves(value) if has_halves(text) else value


def decode_json(text: str) -> Any:
    """Read JSON strictly, but for halves of surrogate pairs: the other half may come with the next event."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error.msg} at character {error.pos})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def has_halves(text: str) -> bool:
    """Whether JSON text may hold half of a surrogate pair, which can only be written as an escape."""
    return "\\ud" in text or "\\uD" in text


def whole_text(text: str) -> str:
    """Return a text with the halves of surrogate pairs joined; a half without its other one becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def without_halves(value: Any) -> Any:
    """Return a JSON value, all its texts and names made whole. Raises ValueError for one that is nested too deeply."""
    try:
        return _made_whole(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_object(text: str) -> dict[str, Any]:
    """Read a JSON object, strictly."""
    value = parse_json(text)
    if type(value) is not dict:
        raise ValueError(f"it is {_kind(value)}, not an object")
    return value


def parse_body(body: bytes) -> dict[str, Any]:
    """Read the JSON object an unstreamed answer consists of."""
    return parse_object(body_text(body))


def body_text(body: bytes) -> str:
    """Return a body as text, without its byte-order mark."""
    return body.decode("utf-8-sig", "replace")


def base64_text(data: bytes) -> str:
    """Write bytes as base64, the way JSON carries them."""
    from binascii import b2a_base64

    return b2a_base64(data, newline=False).decode("ascii")


def text_of(fields: Mapping[str, Any], key: str) -> str:
    """Return a text; a missing one, or null, is empty."""
    value = fields.get(key)
    if type(value) is str:
        return value
    return "" if value is None else _wrong(key, "a text", value)


def count_of(fields: Mapping[str, Any], key: str) -> int:
    """Return a number of things: 0 when missing, and never negative."""
    value = fields.get(key)
    if type(value) is int and 0 <= value < _COUNT_LIMIT:
        return value
    return 0 if value is None else _wrong(key, "a count", value)


def object_of(fields: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return an object; a missing one, or null, is empty."""
    value = fields.get(key)
    if type(value) is dict:
        return value
    return {} if value is None else _wrong(key, "an object", value)


def objects_of(fields: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return a list of objects; a missing one, or null, is empty."""
    value = fields.get(key)
    if type(value) is list and all(type(item) is dict for item in value):
        return value
    return [] if value is None else _wrong(key, "a list of objects", value)


def _made_whole(value: Any) -> Any:
    match value:
        case str():
            return whole_text(value)
        case list():
            return [_made_whole(each) for each in value]
        case dict():
            return {whole_text(key): _made_whole(each) for key, each in value.items()}
        case _:
            return value


def _wrong(key: str, expected: str, value: Any) -> NoReturn:
    raise ValueError(f'"{key}" is {_kind(value)}, not {expected}')


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "another number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
"""Built once: ``json.loads`` with an option builds one a call, at the price of the parsing itself."""
