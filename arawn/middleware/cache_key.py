"""The key of an answer: a fingerprint of everything that could change it, and of who may have it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from arawn.values import Value, as_dict

if TYPE_CHECKING:
    from arawn.adapters.base import Quirks
    from arawn.messages import ChatRequest

VERSION = 1
_LEFT_OUT = frozenset({"stream", "caller"})
"""The fields of a request that do not change its answer; of the caller, the owner counts all the same."""
_REFERENCES = ("$env:", "$keyring:", "$file:")


def answer_key(
    request: ChatRequest, *, backend: str, adapter: str, base_url: str, quirks: Quirks, credential: str
) -> str:
    """Return the key of the answer to a request, in hexadecimal.

    It covers every field of the request that is not known to be without effect, so that one that is added later counts.
    Of ``credential`` it is the reference that counts; a key written out is never part of anything. Raises ValueError
    for a request that no JSON can carry.
    """
    from hashlib import sha256

    covered = {
        "version": VERSION,
        "backend": backend,
        "adapter": adapter,
        "base_url": base_url,
        "quirks": quirks,
        "credential": _reference(credential),
        "owner": request.caller.owner,
        "request": {name: value for name, value in as_dict(request).items() if name not in _LEFT_OUT},
    }
    return sha256(canonical(covered)).hexdigest()


def canonical(value: Any) -> bytes:
    """Write a value so that equal ones are written alike and others differently. Raises ValueError for what JSON lacks.

    Mappings are sorted, 1 and 1.0 are one number, and the kind of a ``Value`` is part of it.
    """
    try:
        text = json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    except (TypeError, RecursionError) as error:
        raise ValueError(f"it cannot be written as JSON: {error}") from error
    return text.encode("utf-8", "surrogatepass")


def _plain(value: Any) -> Any:
    """Return a value in the terms of JSON. Keys of mappings begin with a dot, so that they are no names of kinds."""
    match value:
        case None | str() | int():
            return value
        case float():
            return int(value) if value.is_integer() else value
        case Value():
            return {type(value).__name__: {name: _plain(field) for name, field in as_dict(value).items()}}
        case Mapping():
            return {"." + key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case bytes():
            from hashlib import sha256

            return {"sha256": sha256(value).hexdigest()}
        case _:
            raise TypeError(f"JSON cannot hold a {type(value).__name__}")


def _reference(credential: str) -> str:
    return credential if credential.startswith(_REFERENCES) or not credential else "written out"
