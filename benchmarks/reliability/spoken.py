"""A streamed answer in OpenAI's form: three words, an end, and a count of tokens."""

from __future__ import annotations

import json

from tests.support.loopback import CHUNKED, chunked, head


def _event(**fields: object) -> bytes:
    return b"data: " + json.dumps({"id": "a1", "model": "m-1", **fields}).encode() + b"\n\n"


def _delta(text: str, end: str | None = None) -> bytes:
    return _event(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": end}])


EVENTS = (
    _delta("Good "),
    _delta("day, "),
    _delta("you"),
    _delta("", "stop"),
    _event(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 2}),
)
WHOLE: list[bytes] = [head(headers=CHUNKED), chunked(*EVENTS, b"data: [DONE]\n\n")]
"""All of it, as the steps of a server."""


def begun(upto: int) -> list[bytes]:
    """Return the steps that send so many of the events."""
    return [head(headers=CHUNKED), *(chunked(event, end=False) for event in EVENTS[:upto])]
