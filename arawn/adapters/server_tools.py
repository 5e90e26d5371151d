"""The results of tools that run at the provider, as a name and a short text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.events import ServerToolDone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MAX_TEXT = 2000
"""Characters of a result that are shown; the provider gets all of it back."""
_TEXTS = ("stdout", "stderr", "output", "logs", "text", "title", "url", "query", "error_code", "message")
_INSIDE = ("content", "outputs", "action", "results", "error")


def server_tool_done(name: str, result: Mapping[str, Any]) -> ServerToolDone:
    """Return the event for the result of a tool: what it printed or found, a line each."""
    text = "\n".join(_texts(result, depth=4))
    return ServerToolDone(name, text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…")


def executed_tools(tools: Iterable[Mapping[str, Any]]) -> Iterator[ServerToolDone]:
    """Yield the tools that Groq's compound systems ran (console.groq.com/docs/compound)."""
    for tool in tools:
        name = tool.get("type") or tool.get("name")
        if type(name) is str and tool.get("output"):
            yield server_tool_done(name, {"output": tool["output"]})


def _texts(value: Any, depth: int) -> Iterator[str]:
    if type(value) is str and value.strip():
        yield value.strip()
    elif type(value) is list and depth:
        for each in value:
            yield from _texts(each, depth - 1)
    elif type(value) is dict and depth:
        shown = next((value[key] for key in _TEXTS if type(value.get(key)) is str and value[key].strip()), "")
        yield from _texts(shown, depth)
        for key in _INSIDE:
            yield from _texts(value.get(key), depth - 1)
