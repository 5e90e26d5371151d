"""The recorded traffic of real providers, and what a right reading of it is, in our words.

The folder comes from ``ARAWN_RECORDINGS`` and is described by its own README; nothing of it is copied here.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arawn.events import ResponseBuilder, Started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from arawn.adapters.base import StreamParser
    from arawn.events import StreamEvent
    from arawn.messages import Response


@dataclass(frozen=True)
class Recording:
    """One recorded answer."""

    folder: Path

    @cached_property
    def meta(self) -> dict[str, Any]:
        return json.loads((self.folder / "meta.json").read_bytes())

    @cached_property
    def body(self) -> bytes:
        return (self.folder / self.meta["response_file"]).read_bytes()

    @property
    def request(self) -> dict[str, Any] | None:
        file = self.folder / "request.json"
        return json.loads(file.read_bytes()) if file.exists() else None

    @property
    def api(self) -> str:
        return self.meta["api"]

    @property
    def status(self) -> int:
        return self.meta["status"]

    @property
    def stream(self) -> bool:
        return self.meta["stream"]

    @property
    def headers(self) -> dict[str, str]:
        return self.meta["response_headers"]

    @property
    def expected(self) -> dict[str, Any]:
        return self.meta["expected"]

    @property
    def error_codes(self) -> set[str]:
        """The provider's words for the error, any of which an adapter may keep."""
        error = self.expected.get("error") or {}
        return {str(error[key]) for key in ("code", "type") if error.get(key) is not None}

    @cached_property
    def complete_at(self) -> int:
        """How many bytes must have come before the answer may count as complete; past the end where it never is."""
        return _complete_at(self)


def recordings(wanted: Callable[[dict[str, Any]], bool]) -> list[Any]:
    """Return the recordings whose line in ``index.json`` is wanted, as parameters of a test."""
    if "ARAWN_RECORDINGS" not in os.environ:
        return []
    root = Path(os.environ["ARAWN_RECORDINGS"])
    lines = json.loads((root / "index.json").read_bytes())
    return [pytest.param(Recording(root / line["dir"]), id=line["dir"]) for line in lines if wanted(line)]


def one(name: str) -> Recording:
    """Return the recording in the folder of this name."""
    (case,) = recordings(lambda line: line["dir"] == name)
    recording: Recording = case.values[0]
    return recording


def events_of(parser: StreamParser, pieces: Iterable[bytes]) -> list[StreamEvent]:
    """Read a whole stream."""
    events: list[StreamEvent] = []
    for piece in pieces:
        events.extend(parser.feed(piece))
    events.extend(parser.close())
    return events


def cut(data: bytes, places: Iterable[int]) -> Iterator[bytes]:
    """Yield the bytes in pieces that end at these places."""
    start = 0
    for place in sorted({place % (len(data) + 1) for place in places}):
        yield data[start:place]
        start = place
    yield data[start:]


def one_by_one(data: bytes) -> Iterator[bytes]:
    """Yield every byte on its own."""
    return (data[place : place + 1] for place in range(len(data)))


def response_of(events: Iterable[StreamEvent]) -> Response:
    """Put the events together as every reader of ours does."""
    builder = ResponseBuilder()
    for event in events:
        builder.add(event)
    return builder.response()


def normalised(events: list[StreamEvent]) -> dict[str, Any]:
    """Return what an answer says, in the keys of ``expected``."""
    assert isinstance(events[0], Started)
    assert sum(isinstance(event, Started) for event in events) == 1
    response = response_of(events)
    usage = response.usage
    return {
        "text": response.text,
        "reasoning": response.reasoning,
        "tool_calls": [
            {"id": call.id, "name": call.name, "arguments": _arguments(call.arguments)} for call in response.tool_calls
        ],
        "finish_reason": response.raw_finish_reason,
        "model": response.model,
        "usage": None if usage.estimated else usage,
    }


def promised(recording: Recording) -> dict[str, Any]:
    """Return the same of ``expected``."""
    expected = recording.expected
    legacy = expected.get("function_call")
    calls = [*expected.get("tool_calls", []), *([legacy] if legacy else [])]
    return {
        "text": expected.get("text", "") + expected.get("refusal", ""),
        "reasoning": expected.get("reasoning", ""),
        "tool_calls": [_call(call) for call in calls],
        "model": expected.get("model", ""),
    }


def _call(call: dict[str, Any]) -> dict[str, Any]:
    whole = call.get("arguments_complete", True)
    return {
        "id": call.get("id", ""),
        "name": call["name"],
        "arguments": (call["arguments"] or {}) if whole else call["arguments_raw"],
    }


def _arguments(text: str) -> Any:
    try:
        return json.loads(text or "{}") or {}
    except ValueError:
        return text


def _complete_at(recording: Recording) -> int:
    place = 0
    for line in recording.body.split(b"\n"):
        if _ends_answer(line.strip(), recording.api):
            return place + len(line.rstrip())
        place += len(line) + 1
    return place + 1


def _ends_answer(line: bytes, api: str) -> bool:
    text = line.removeprefix(b"data:").strip()
    if not text.startswith(b"{"):
        return text == b"[DONE]"
    try:
        event = json.loads(text)
    except ValueError:
        return False
    match api:
        case "openai-chat":
            choices = event.get("choices") or [{}]
            return choices[0].get("index", 0) == 0 and bool(choices[0].get("finish_reason"))
        case "anthropic-messages":
            return event["type"] == "message_stop"
        case "openai-responses":
            return event["type"] in {"response.completed", "response.incomplete"}
        case _:
            return event.get("done") is True
