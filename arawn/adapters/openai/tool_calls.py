"""Assembles tool calls from their fragments, whatever a server omits or repeats."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arawn.events import PartExtra, ToolCallDelta, ToolCallStarted

if TYPE_CHECKING:
    from collections.abc import Iterator

WANTED_BACK = ("extra_content", "provider_specific_fields")
"""Keys of a call that hold what the service wants back: Gemini's thought signature, also behind LiteLLM's proxy."""


class ToolCallCollector:
    """Assigns fragments to calls, and numbers the calls of one answer.

    A seen id means that call; a new id with a name a new call, even where the index repeats (servers of the Ollama
    kind). Without an id the index decides, without both it is the latest call; a name after complete arguments begins
    the next one. A missing id is made from ``seed``, so that it is the same in every run.
    """

    def __init__(self) -> None:
        self.seed = ""
        self._calls: list[_Call] = []

    def __bool__(self) -> bool:
        """Return whether there is a call."""
        return bool(self._calls)

    def take(
        self, fragment: dict[str, Any], *, whole: bool = False
    ) -> Iterator[ToolCallStarted | ToolCallDelta | PartExtra]:
        """Yield the events of a fragment; ``whole`` means that it is a complete call. One of empty values is none."""
        custom = isinstance(fragment.get("custom"), dict)
        function = fragment.get("custom" if custom else "function")
        function = function if isinstance(function, dict) else {}
        call_id, name, index = _word(fragment.get("id")), _word(function.get("name")), fragment.get("index")
        arguments = function.get("input" if custom else "arguments")
        extra = {key: fragment[key] for key in WANTED_BACK if fragment.get(key)}
        if not (call_id or name or arguments or extra):
            return
        call = None if whole else self._owner(call_id, name, index)
        if call is None:
            call = _Call(len(self._calls), self._unused(call_id), name, index)
            self._calls.append(call)
            yield ToolCallStarted(call.number, call.id, name, custom)
        if text := _arguments(arguments, call):
            call.texts.append(text)
            yield ToolCallDelta(call.number, text)
        if extra:
            yield PartExtra(extra, call.number)

    def _owner(self, call_id: str, name: str, index: Any) -> _Call | None:
        if call_id:
            seen = next((call for call in self._calls if call.id == call_id), None)
            if seen or name:
                return seen
        same = [call for call in self._calls if index is None or call.index == index]
        latest = same[-1] if same else None
        return None if latest and name and latest.is_over(name) else latest

    def _unused(self, call_id: str) -> str:
        used = {call.id for call in self._calls}
        if call_id and call_id not in used:
            return call_id
        number = len(self._calls)
        while (made := "_".join(filter(None, ("call", self.seed, str(number))))) in used:
            number += 1
        return made


class _Call:
    """A call that is not complete yet; ``number`` is ours, ``index`` the server's."""

    __slots__ = ("id", "index", "name", "number", "texts")

    def __init__(self, number: int, call_id: str, name: str, index: Any) -> None:
        self.number, self.id, self.name, self.index = number, call_id, name, index
        self.texts: list[str] = []

    def is_over(self, next_name: str) -> bool:
        """Return whether a fragment that names a function must be another call."""
        if not self.texts:
            return next_name != self.name
        try:
            json.loads("".join(self.texts))
        except (ValueError, RecursionError):
            return False
        return True


def _word(value: Any) -> str:
    return value if isinstance(value, str) and value != "null" else ""


def _arguments(value: Any, call: _Call) -> str:
    """Return a fragment as JSON text; a ``null`` in the place of an object means no arguments."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str) or (not call.texts and value.strip() == "null"):
        return ""
    return value
