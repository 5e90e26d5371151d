"""The key of a cached answer: a hash of everything that could change the answer, and of who may have it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from arawn.secrets import MARKS
from arawn.values import Value, as_dict

if TYPE_CHECKING:
    from _hashlib import HASH

    from arawn.adapters.base import Quirks
    from arawn.messages import ChatRequest

VERSION = 2
_LEFT_OUT = frozenset({"stream", "caller"})
"""The fields of a request that do not change its answer; the caller's owner is part of the key on its own."""
_LEAVES = frozenset({type(None), str, int, bool})
"""What JSON has as it is, and most of a request is."""
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


class AnswerKeys:
    """The keys of the answers of one backend. Of ``credential`` they cover a reference, never a key written out."""

    def __init__(self, *, backend: str, adapter: str, base_url: str, quirks: Quirks, credential: str) -> None:
        self._covered = {
            "version": VERSION,
            "backend": backend,
            "adapter": adapter,
            "base_url": base_url,
            "quirks": quirks,
            "credential": _reference(credential),
        }

    def key(self, request: ChatRequest) -> str:
        """Return the key of the answer to a request, in hexadecimal.

        It covers every field of the request that is not known to be without effect, so also one that is added later.
        Raises ValueError for a request that JSON cannot hold.
        """
        fields = {name: value for name, value in as_dict(request).items() if name not in _LEFT_OUT}
        digest = self._digest.copy()
        digest.update(canonical({"owner": request.caller.owner, "request": fields}))
        return digest.hexdigest()

    @cached_property
    def _digest(self) -> HASH:
        """The hash of what is the same for all requests, which goes on with each request."""
        from hashlib import sha256

        return sha256(canonical(self._covered))


def canonical(value: Any) -> bytes:
    """Write equal values alike, and different ones differently. Raises ValueError for what JSON lacks.

    Mappings are sorted, 1 and 1.0 are one number, and the class of a ``Value`` is part of it.
    """
    try:
        text = _ENCODER.encode(_plain(value))
    except (TypeError, RecursionError) as error:
        raise ValueError(f"it cannot be written as JSON: {error}") from error
    return text.encode("utf-8", "surrogatepass")


def _plain(value: Any) -> Any:
    """Return a value as JSON has it. Keys of mappings begin with a dot, so that they are no names of classes."""
    match value:
        case None | str() | int():
            return value
        case float():
            return int(value) if value.is_integer() else value
        case Value():
            return {type(value).__name__: _plain_items(as_dict(value))}
        case Mapping():
            return {"." + key: each for key, each in _plain_items(value).items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case frozenset():
            return {"set": sorted(value)}
        case bytes():
            from hashlib import sha256

            return {"sha256": sha256(value).hexdigest()}
        case _:
            raise TypeError(f"JSON cannot hold a {type(value).__name__}")


def _plain_items(items: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each if type(each) in _LEAVES else _plain(each) for name, each in items.items()}


def _reference(credential: str) -> str:
    return credential if credential.startswith(MARKS) or not credential else "written out"
