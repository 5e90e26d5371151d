"""Run by a Python that has the providers' own SDKs: tells which request bodies these would not write.

Standard input holds a JSON array of ``[shape, body]``; standard output gets an array with what is wrong with each, an
empty text where nothing is. The SDKs of OpenAI and Anthropic describe requests as TypedDicts; a key these do not name
is wrong too. That of Ollama has models: what a model does not write again as it was read is wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict

_UNSAID_BY_OLLAMA = ("truncate", "shift")
"""Keys Ollama takes (its ``api.ChatRequest``) that its Python SDK leaves out; so are the ids of tool calls."""
_MADE_BY_THE_SERVER = {"ResponseOutputMessageParam": {"id", "status"}}
"""What an answer has only where OpenAI keeps it; its types want them in any (openai/openai-openapi, issue 565)."""


def main() -> None:
    """Judge every body."""
    print(json.dumps([_judge(shape, body) for shape, body in json.load(sys.stdin)]))


def _judge(shape: str, body: dict[str, Any]) -> str:
    match shape:
        case "ollama":
            return _ollama(body)
        case "ollama embeddings":
            from ollama._types import EmbedRequest

            return _rewritten(body, EmbedRequest(**body))
        case _:
            streamed, whole = _kinds(shape)
            return misfit(body, streamed if body.get("stream") is True else whole, "")


def _kinds(shape: str) -> tuple[Any, Any]:
    """Return the TypedDicts of a request for a streamed answer and for a whole one."""
    match shape:
        case "openai_chat":
            from openai.types.chat import completion_create_params as chat

            return chat.CompletionCreateParamsStreaming, chat.CompletionCreateParamsNonStreaming
        case "openai_responses":
            from openai.types.responses import response_create_params as responses

            return responses.ResponseCreateParamsStreaming, responses.ResponseCreateParamsNonStreaming
        case "anthropic":
            from anthropic.types import message_create_params as messages

            return messages.MessageCreateParamsStreaming, messages.MessageCreateParamsNonStreaming
        case _:
            from openai.types import EmbeddingCreateParams

            return None, EmbeddingCreateParams


def misfit(value: Any, kind: Any, path: str) -> str:
    """Say where and why a JSON value is not of a kind; empty where it is."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Required, NotRequired, Annotated}:
        return misfit(value, arguments[0], path)
    if origin in {Union, UnionType}:
        reasons = [misfit(value, argument, path) for argument in arguments]
        return "" if "" in reasons else max(reasons, key=_depth)
    if is_typeddict(kind) and type(value) is dict:
        return _object(value, kind, path)
    if origin in {list, Iterable, Sequence} and type(value) is list:
        return _first(misfit(item, arguments[0], f"{path}.{place}") for place, item in enumerate(value))
    if origin in {dict, Mapping} and type(value) is dict:
        return _first(misfit(item, arguments[1], f"{path}.{key}") for key, item in value.items())
    return "" if _is_plain(value, kind) else f"{path}: {value!r} is not {kind}"


def _object(value: dict[str, Any], kind: Any, path: str) -> str:
    hints = get_type_hints(kind, include_extras=True)
    required = kind.__required_keys__ | {key for key, hint in hints.items() if get_origin(hint) is Required}
    required -= _MADE_BY_THE_SERVER.get(kind.__name__, set())
    missing, unknown = sorted(required - value.keys()), sorted(value.keys() - hints.keys())
    if missing or unknown:
        return f"{path}: {kind.__name__} misses {missing}, does not know {unknown}"
    return _first(misfit(item, hints[key], f"{path}.{key}") for key, item in value.items())


def _is_plain(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(kind))
    return kind in {Any, object} or type(value) is kind or (kind is float and type(value) is int)


def _first(reasons: Iterable[str]) -> str:
    return next(filter(None, reasons), "")


def _depth(reason: str) -> int:
    """How far a reading came: of the readings a union allows, the best is the one that came furthest."""
    return reason.partition(":")[0].count(".")


def _ollama(body: dict[str, Any]) -> str:
    from ollama._types import ChatRequest, Image, Message, Options

    known = {key: value for key, value in body.items() if key not in _UNSAID_BY_OLLAMA}
    known["messages"] = [_without_ids(message) for message in body["messages"]]
    messages = [
        Message(**{**message, "images": [Image(value=image) for image in message.get("images", ())] or None})
        for message in known["messages"]
    ]
    options = {"options": Options(**body["options"])} if "options" in body else {}
    return _rewritten(known, ChatRequest(**{**known, "messages": messages, **options}))


def _without_ids(message: dict[str, Any]) -> dict[str, Any]:
    calls = [{"function": call["function"]} for call in message.get("tool_calls", ())]
    plain = {key: value for key, value in message.items() if key != "tool_call_id"}
    return {**plain, **({"tool_calls": calls} if calls else {})}


def _rewritten(body: dict[str, Any], model: Any) -> str:
    written = model.model_dump(exclude_none=True)
    return "" if written == body else f"read as {written!r}"


if __name__ == "__main__":
    main()
