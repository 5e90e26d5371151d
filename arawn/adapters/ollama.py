"""Ollama's own chat protocol: ``POST {base_url}/api/chat``, one JSON object a line.

Its OpenAI-compatible API knows neither ``num_ctx`` nor ``think`` and hides errors, so arawn speaks this one
(docs.ollama.com/api/chat). ``truncate`` and ``shift`` are off: a conversation that does not fit is an error here, where
Ollama would silently drop its oldest messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from arawn.adapters.answer_parser import AnswerParser
from arawn.adapters.chat_body import ChatBody
from arawn.adapters.finish_reasons import finish_reason
from arawn.adapters.framing import JsonLineDecoder
from arawn.adapters.http_adapter import ChatAdapter
from arawn.adapters.payload import (
    base64_text,
    count_of,
    json_text,
    object_of,
    objects_of,
    parse_body,
    text_of,
)
from arawn.adapters.pictures import picture_of
from arawn.adapters.thinking import merged
from arawn.errors import RequestError
from arawn.events import Finished, ReasoningDelta, Started, TextDelta, ToolCallDelta, ToolCallStarted
from arawn.messages import (
    FinishReason,
    Image,
    Message,
    ModelCard,
    ProviderItem,
    Reasoning,
    Role,
    Text,
    ToolResult,
    Usage,
    joined_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arawn.adapters.base import Quirks
    from arawn.events import StreamEvent
    from arawn.messages import ChatRequest, Part, Tool, ToolCall

_THINKING_LEVELS = ("low", "medium", "high", "max")


class OllamaBody(ChatBody):
    """Writes the body of a request."""

    def __init__(self, backend: str, quirks: Quirks, request: ChatRequest) -> None:
        super().__init__(backend, quirks, request)
        self._names: dict[str, str] = {}

    def _whole(self) -> dict[str, Any]:
        """Write the body. Keys of ``extra`` override; its ``options`` are merged into ours."""
        body = super()._whole()
        options = self._options() | self._extra_options(self._quirks.extra) | self._extra_options(self._request.extra)
        return body | ({"options": options} if options else {})

    def _fields(self) -> dict[str, Any]:
        request = self._request
        return {
            "model": request.model,
            "messages": [written for message in self._asked() for written in self._messages(message)],
            "stream": request.stream,
            "truncate": False,
            "shift": False,
            **self._tools(),
            **self._format(),
            **self._think(),
        }

    def _options(self) -> dict[str, Any]:
        request = self._request
        limits = {"num_predict": self._max_tokens, "seed": request.seed, "stop": list(request.stop) or None}
        return self._sampling() | {key: value for key, value in limits.items() if value is not None}

    def _extra_options(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        options = extra.get("options", {})
        if not isinstance(options, Mapping):
            raise RequestError(
                f'The extra options for backend "{self._backend}" are not a table',
                hints=("Write them as one: extra = { options = { num_ctx = 8192 } }",),
                backend=self._backend,
            )
        return dict(options)

    def _think(self) -> dict[str, Any]:
        """Return ``think``: a level where Ollama has a word for it, else on or off."""
        plan = self._plan
        if plan.budget is not None:
            self._drop("the budget for thinking", "it takes a level, no number of tokens")
        if not plan.said:
            return dict(plan.fields)
        return merged(plan.fields, {"think": plan.effort if plan.effort in _THINKING_LEVELS else plan.thinks})

    def _format(self) -> dict[str, Any]:
        output = self._request.output
        if output is None:
            return {}
        from arawn.answers.json_schema.wire import without_open_patterns

        if output.schema is None or not self._enforces_schema:
            return {"format": "json"}
        return {"format": dict(without_open_patterns(output.schema))}

    def _tools(self) -> dict[str, Any]:
        request = self._request
        if not request.tools or request.tool_choice.mode == "none":
            return {}
        if request.tool_choice.mode != "auto":
            self._drop("the choice of a tool", "its models always choose themselves")
        if request.parallel_tool_calls is False:
            self._drop("the limit to one tool call at a time", "this protocol does not support it")
        if any(tool.strict for tool in request.tools):
            self._drop("strictness of tools", "this protocol does not support it")
        return {"tools": [_tool(tool) for tool in request.tools]}

    def _asked(self) -> tuple[Message, ...]:
        """Return the messages, and first what the answer must fit where the server takes no schema."""
        words = self._schema_in_words
        return (*([Message(Role.SYSTEM, (Text(words),))] if words else []), *self._request.messages)

    def _messages(self, message: Message) -> list[dict[str, Any]]:
        results = [self._result(part) for part in message.parts if isinstance(part, ToolResult)]
        if message.role is Role.TOOL:
            return results
        reasoning = "".join(self._own_reasoning(part) for part in message.parts)
        written = {
            "role": message.role.value,
            "content": joined_text(message.parts),
            "images": self._images(message.parts),
            "thinking": reasoning,
            "tool_calls": [self._call(call) for call in message.tool_calls],
        }
        return [{key: value for key, value in written.items() if value or key == "content"}, *results]

    def _result(self, result: ToolResult) -> dict[str, Any]:
        name = result.name or self._names.get(result.call_id, "")
        written = {"role": "tool", "content": joined_text(result.content), "tool_call_id": result.call_id}
        images = self._images(result.content)
        return {**written, **({"tool_name": name} if name else {}), **({"images": images} if images else {})}

    def _call(self, call: ToolCall) -> dict[str, Any]:
        self._names[call.id] = call.name
        return {"id": call.id, "function": {"name": call.name, "arguments": self._arguments(call)}}

    def _images(self, parts: Sequence[Part]) -> list[str]:
        images = [part for part in parts if isinstance(part, Image)]
        if any(image.url for image in images):
            raise RequestError(
                f'Backend "{self._backend}" takes no pictures by URL',
                hints=("Pass the picture itself: download it and attach the file",),
                backend=self._backend,
            )
        return [base64_text(image.data) for image in images]

    def _own_reasoning(self, part: Part) -> str:
        match part:
            case Reasoning(text=text, owner=owner) if owner == self._backend:
                return text
            case Reasoning(signature=signature, item=item) if signature or item is not None:
                self._drop_records()
            case ProviderItem():
                self._drop_records()
            case _:
                pass
        return ""


class OllamaParser(AnswerParser):
    """Reads one answer. Lines after the one that says ``done`` are ignored."""

    _framing = JsonLineDecoder

    def __init__(self, backend: str, quirks: Quirks) -> None:
        super().__init__(backend, quirks)
        self._call_ids: list[str] = []

    def _read(self, _name: str, event: dict[str, Any]) -> Iterator[StreamEvent]:
        return self._chunk(event)

    def _read_whole(self, answer: dict[str, Any]) -> Iterator[StreamEvent]:
        yield from self._chunk(answer)
        if not self._finished:
            raise ValueError('it is not "done"')

    def _chunk(self, answer: dict[str, Any]) -> Iterator[StreamEvent]:
        self._check(answer)
        if not self._started:
            self._started = True
            self._model = text_of(answer, "model")
            yield Started(self._backend, self._model)
        message = object_of(answer, "message")
        if reasoning := text_of(message, "thinking"):
            yield ReasoningDelta(reasoning)
        if text := text_of(message, "content"):
            yield TextDelta(text)
        if "tool_calls" in message:
            yield from self._calls(message, text_of(answer, "created_at"))
        if "images" in message:
            yield from _pictures(message["images"])
        if done := answer.get("done"):
            if done is not True:
                raise ValueError('"done" is neither true nor false')
            self._finished = True
            yield self._finish(answer)

    def _check(self, answer: dict[str, Any]) -> None:
        """Raise the error that stands in the place of, or beside, an answer."""
        if answer.get("error") or "message" not in answer or type(answer["message"]) is str:
            self._refuse(answer)

    def _calls(self, message: dict[str, Any], created_at: str) -> Iterator[StreamEvent]:
        """Read whole calls. Where Ollama gives no id, one is made that no other answer has."""
        for call in objects_of(message, "tool_calls"):
            function, index = object_of(call, "function"), len(self._call_ids)
            call_id, name = text_of(call, "id"), text_of(function, "name")
            if not name and not call_id and not function.get("arguments"):
                continue  # a call of empty values is none
            if not name:
                raise ValueError("a tool call has no name")
            if not call_id or call_id in self._call_ids:
                stamp = "".join(char for char in created_at[:40] if char.isascii() and char.isalnum())
                call_id = f"call_{index}_{stamp}".rstrip("_")
            self._call_ids.append(call_id)
            yield ToolCallStarted(index, call_id, name)
            yield ToolCallDelta(index, json_text(object_of(function, "arguments")))

    def _finish(self, answer: dict[str, Any]) -> Finished:
        raw = text_of(answer, "done_reason")
        reason = finish_reason(raw or "stop")  # "load" and "unload" are unknown: nothing was asked
        if reason is FinishReason.STOP and self._call_ids:
            reason = FinishReason.TOOL_CALLS
        return Finished(reason, raw, _usage(answer))


class OllamaAdapter(ChatAdapter):
    """Speaks ``/api/chat`` and ``/api/tags`` under a base URL without ``/api``. It takes no pictures by URL."""

    _chat_path = "/api/chat"
    _models_path = "/api/tags"
    _body = OllamaBody
    _parser = OllamaParser

    def _models(self, body: bytes) -> Sequence[ModelCard]:
        answer = parse_body(body)
        if "models" not in answer:
            raise ValueError('there is no "models"')
        return [ModelCard(text_of(model, "name")) for model in objects_of(answer, "models")]


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _pictures(images: Any) -> Iterator[StreamEvent]:
    for image in images if type(images) is list else ():
        if type(image) is str:
            yield picture_of(image)


def _usage(answer: Mapping[str, Any]) -> Usage | None:
    """Read the counts; ``prompt_eval_count`` is missing where the whole prompt stood in the cache."""
    usage = Usage(count_of(answer, "prompt_eval_count"), count_of(answer, "eval_count"))
    if not usage.total_tokens:
        return None
    return usage if "prompt_eval_count" in answer and "eval_count" in answer else usage.marked_estimated()
