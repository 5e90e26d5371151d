"""A line of a batch's input, read: a prompt, arawn's own object, or OpenAI's batch form; not yet who is asked.

OpenAI's form (https://platform.openai.com/docs/api-reference/batch/request-input) holds the body of a chat completion
in ``body``: its keys have a meaning of their own here, and what else it holds is sent on as it is. In arawn's own form
an unknown key is a column of the user's: it is not sent.
"""

from __future__ import annotations

import json
from binascii import Error as NotBase64
from binascii import a2b_base64
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from arawn.errors import UsageError
from arawn.messages import (
    ChatRequest,
    Effort,
    Image,
    Message,
    OutputFormat,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from arawn.texts import is_valid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from arawn.messages import Part

    Reader = Callable[[str, Any], tuple[str, Any]]

_PATH = "/v1/chat/completions"
_OURS = ("id", "prompt", "messages", "system", "model", "backend", "extra")
_ROLES = {"system": Role.SYSTEM, "developer": Role.SYSTEM, "user": Role.USER, "assistant": Role.ASSISTANT}
_EFFORTS = get_args(Effort)
_OF_A_TOOL = ("description", "parameters", "strict")


class Asking(NamedTuple):
    """What a line asks for. ``model`` is anything ``-m`` takes; ``unknown`` are the keys that were passed over."""

    id: Any
    backend: str | None
    model: str | None
    request: ChatRequest
    unknown: tuple[str, ...] = ()


def read_question(text: str) -> Asking:
    """Read a line. Raises UsageError, which does not repeat what is asked, for one that is no question."""
    try:
        given = json.loads(text)
        is_text = "\\" not in text or is_valid(json.dumps(given, ensure_ascii=False))
    except (ValueError, RecursionError) as error:
        reason = f": {error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UsageError(f"the line is not JSON{reason}") from None
    if not is_text:
        raise UsageError("the line holds half of a surrogate pair (\\ud800 to \\udfff), which is no character")
    if isinstance(given, str):
        return Asking(None, None, None, ChatRequest("", (_prompt(given),)))
    if not isinstance(given, dict):
        raise UsageError("the line is no question: expected a text or an object")
    return _of_openai(given) if "body" in given else _of_arawn(given)


def id_of(line: bytes) -> Any:
    """Return the id of a line that is no question, where it has one all the same."""
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return given.get("id", given.get("custom_id")) if isinstance(given, dict) else None


def _of_arawn(given: dict[str, Any]) -> Asking:
    known, others = _fields(given)
    extra = _of_type(given, "extra", dict, "an object") or {}
    backend, model = (_of_type(given, key, str, "a name") for key in ("backend", "model"))
    request = ChatRequest("", _messages(given), **known, extra=extra)
    return Asking(given.get("id"), backend, model, request, tuple(key for key in others if key not in _OURS))


def _of_openai(given: dict[str, Any]) -> Asking:
    if given.get("url", _PATH) != _PATH:
        raise UsageError(f'"url": only {_PATH} can be asked')
    body = _of_type(given, "body", dict, "an object") or {}
    known, others = _fields(body)
    ours = ("messages", "model", "stream", "stream_options")
    extra = {key: body[key] for key in others if key not in ours}
    return Asking(
        given.get("custom_id"),
        None,
        _of_type(body, "model", str, "a name"),
        ChatRequest("", _messages({"messages": body.get("messages")}), **known, extra=extra),
    )


def _fields(given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what a request says besides its messages, and the keys that say something else."""
    known: dict[str, Any] = {}
    others = []
    for key, value in given.items():
        if key not in _READERS:
            others.append(key)
        elif value is not None:
            field, read = _READERS[key](key, value)
            known[field] = read
    return known, others


def _messages(given: dict[str, Any]) -> tuple[Message, ...]:
    match given.get("prompt"), given.get("messages"):
        case str() as prompt, None:
            messages = [_prompt(prompt)]
        case None, [*written] if written:
            messages = [_message(each) for each in written]
        case None, None:
            raise UsageError('the line asks nothing: expected "prompt" or "messages"')
        case _, None:
            raise UsageError('"prompt": expected a text')
        case None, _:
            raise UsageError('"messages": expected a list of messages')
        case _:
            raise UsageError('"prompt" and "messages" exclude each other')
    system = _of_type(given, "system", str, "a text")
    return (Message(Role.SYSTEM, (Text(system),)), *messages) if system else tuple(messages)


def _prompt(text: str) -> Message:
    if not text.strip():
        raise UsageError("the line asks nothing: its prompt is empty")
    return Message(Role.USER, (Text(text),))


def _message(written: Any) -> Message:
    match written:
        case {"role": "tool", "tool_call_id": str() as call, "content": content}:
            shown = tuple(part for part in _parts(content) if isinstance(part, Text | Image))
            return Message(Role.TOOL, (ToolResult(call, shown),))
        case {"role": "assistant", "tool_calls": [*calls]}:
            return Message(Role.ASSISTANT, (*_parts(written.get("content")), *map(_call, calls)))
        case {"role": str() as role, "content": content} if role in _ROLES:
            return Message(_ROLES[role], _parts(content))
        case _:
            raise UsageError('"messages": expected objects like {"role": "user", "content": "…"}')


def _parts(content: Any) -> tuple[Part, ...]:
    match content:
        case str():
            return (Text(content),)
        case None:
            return ()
        case [*parts]:
            return tuple(map(_part, parts))
        case _:
            raise UsageError('"messages": "content" is a text or a list of parts')


def _part(written: Any) -> Part:
    match written:
        case {"type": "text", "text": str() as text}:
            return Text(text)
        case {"type": "image_url", "image_url": {"url": str() as url}}:
            return _image(url)
        case _:
            raise UsageError('"messages": a part of "content" is of type "text" or "image_url"')


def _image(url: str) -> Image:
    """Read the address of a picture; nothing is fetched, and no file is read that a line names."""
    head, comma, data = url.partition(",")
    if url.startswith("https://"):
        return Image(url=url)
    if not (head.startswith("data:image/") and head.endswith(";base64") and comma):
        raise UsageError('"image_url": expected https://… or data:image/…;base64,…')
    try:
        return Image(a2b_base64(data, strict_mode=True), head.removeprefix("data:").removesuffix(";base64"))
    except (NotBase64, ValueError):
        raise UsageError('"image_url": its data is not base64') from None


def _call(written: Any) -> ToolCall:
    match written:
        case {"id": str() as call, "function": {"name": str() as name, "arguments": str() as arguments}}:
            return ToolCall(call, name, arguments)
        case _:
            raise UsageError('"tool_calls": expected {"id": …, "function": {"name": …, "arguments": "…"}}')


def _whole(field: str, lowest: int) -> Reader:
    def read(key: str, value: Any) -> tuple[str, Any]:
        if type(value) is not int or value < lowest:
            raise UsageError(f'"{key}": expected a whole number, at least {lowest}')
        return field, value

    return read


def _number(field: str, most: float) -> Reader:
    def read(key: str, value: Any) -> tuple[str, Any]:
        if type(value) not in (int, float) or not 0 <= value <= most:
            raise UsageError(f'"{key}": expected a number from 0 to {most:g}')
        return field, value

    return read


def _stop(key: str, value: Any) -> tuple[str, Any]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UsageError(f'"{key}": expected a text or a list of texts')
    return "stop", tuple(texts)


def _thinking(key: str, value: Any) -> tuple[str, Any]:
    if value not in _EFFORTS:
        raise UsageError(f'"{key}": expected one of {", ".join(_EFFORTS)}')
    return "thinking", Thinking(value)


def _schema(key: str, value: Any) -> tuple[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f'"{key}": a JSON Schema is an object')
    return "output", OutputFormat(value)


def _format(key: str, value: Any) -> tuple[str, Any]:
    match value:
        case {"type": "text"}:
            return "output", None
        case {"type": "json_object"}:
            return "output", OutputFormat()
        case {"type": "json_schema", "json_schema": {"schema": dict() as schema, **others}}:
            name, strict = others.get("name"), others.get("strict")
            return "output", OutputFormat(schema, name if isinstance(name, str) else "answer", strict is not False)
        case _:
            raise UsageError(f'"{key}": expected the type "text", "json_object" or "json_schema" with its schema')


def _tools(key: str, value: Any) -> tuple[str, Any]:
    if not isinstance(value, list):
        raise UsageError(f'"{key}": expected a list')
    return "tools", tuple(map(_tool, value))


def _tool(written: Any) -> Tool:
    match written:
        case {"type": "function", "function": {"name": str() as name, **others}}:
            function: dict[str, Any] = {key: value for key, value in others.items() if key in _OF_A_TOOL and value}
            return Tool(name, **function)
        case _:
            raise UsageError('"tools": expected {"type": "function", "function": {"name": …, "parameters": …}}')


def _tool_choice(key: str, value: Any) -> tuple[str, Any]:
    match value:
        case "auto" | "none" | "required":
            return "tool_choice", ToolChoice(value)
        case {"type": "function", "function": {"name": str() as name}}:
            return "tool_choice", ToolChoice("tool", name)
        case _:
            raise UsageError(f'"{key}": expected "auto", "none", "required" or a function')


def _flag(key: str, value: Any) -> tuple[str, Any]:
    if not isinstance(value, bool):
        raise UsageError(f'"{key}": expected true or false')
    return key, value


_READERS: dict[str, Reader] = {
    "max_tokens": _whole("max_tokens", 1),
    "max_completion_tokens": _whole("max_tokens", 1),
    "temperature": _number("temperature", 2),
    "top_p": _number("top_p", 1),
    "seed": _whole("seed", -(1 << 63)),
    "stop": _stop,
    "think": _thinking,
    "reasoning_effort": _thinking,
    "schema": _schema,
    "response_format": _format,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _flag,
}

KEYS = (*_OURS, *_READERS)
"""The keys that mean something in arawn's own form."""


def nearest(key: str, known: Iterable[str] = KEYS) -> str | None:
    """Return the key that was probably meant."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(key[:80], list(known), n=1)), None)


def _of_type(given: dict[str, Any], key: str, kind: type, expected: str) -> Any:
    value = given.get(key)
    if value is not None and not isinstance(value, kind):
        raise UsageError(f'"{key}": expected {expected}')
    return value
