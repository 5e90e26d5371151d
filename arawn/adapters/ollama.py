"""Ollama's own chat protocol: ``POST {base_url}/api/chat``, one JSON object a line.

Its OpenAI-compatible side knows neither ``num_ctx`` nor ``think`` and swallows errors, so arawn speaks this one
(docs.ollama.com/api/chat). ``truncate`` and ``shift`` are off: a conversation that does not fit is an error here, where
Ollama would drop its oldest messages and say nothing.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from arawn.adapters.failures import stream_failure
from arawn.adapters.framing import LineDecoder
from arawn.adapters.payload import (
    count_of,
    json_text,
    malformed,
    object_of,
    objects_of,
    parse_body,
    parse_object,
    text_of,
)
from arawn.adapters.wire import ChatWire
from arawn.errors import ProtocolError, RequestError, StreamInterruptedError
from arawn.events import Finished, Notice, ReasoningDelta, Started, TextDelta, ToolCallDelta, ToolCallStarted
from arawn.messages import (
    FinishReason,
    Image,
    ModelCard,
    ProviderItem,
    Reasoning,
    Role,
    ToolResult,
    Usage,
    joined_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arawn.adapters.base import HttpCall, Quirks
    from arawn.events import StreamEvent
    from arawn.messages import ChatRequest, Message, Part, Thinking, Tool, ToolCall

_LEVELS = ("low", "medium", "high", "max")
_FINISH_REASONS = {"": FinishReason.STOP, "stop": FinishReason.STOP, "length": FinishReason.LENGTH}


class OllamaAdapter(ChatWire):
    """Speaks ``/api/chat`` and ``/api/tags`` under a base URL without ``/api``."""

    _chat_path = "/api/chat"
    _models_path = "/api/tags"

    def render_chat(self, request: ChatRequest) -> HttpCall:
        """Describe the call. Raises RequestError for a picture by URL and for tool arguments that are no object."""
        return self._chat_call(_Rendering(self._backend, self._quirks, request), request)

    def parse_chat(self, body: bytes) -> Sequence[StreamEvent]:
        """Read an unstreamed answer as the events its stream would have had."""
        return self.stream_parser().whole(body)

    def stream_parser(self) -> OllamaStream:
        """Return a fresh parser for one streamed answer."""
        return OllamaStream(self._backend)

    def parse_models(self, body: bytes) -> Sequence[ModelCard]:
        """Read the list of models."""
        try:
            answer = parse_body(body)
            if "models" not in answer:
                raise ValueError('there is no "models"')
            return [ModelCard(text_of(model, "name")) for model in objects_of(answer, "models")]
        except ValueError as error:
            raise malformed(error, backend=self._backend) from None


class _Rendering:
    """Writes one request; ``notices`` fill up while it does."""

    def __init__(self, backend: str, quirks: Quirks, request: ChatRequest) -> None:
        self.notices: list[Notice] = []
        self._backend = backend
        self._quirks = quirks
        self._request = request
        self._names: dict[str, str] = {}
        self._lost_items = False

    def body(self) -> dict[str, Any]:
        request = self._request
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [written for message in request.messages for written in self._messages(message)],
            "stream": request.stream,
            "truncate": False,
            "shift": False,
            **self._tools(),
            **self._format(),
            **self._think(request.thinking),
        }
        if self._lost_items:
            self._drop("the reasoning and tool records of another backend", "only the one that made them reads them")
        options = self._options() | self._extra_options(self._quirks.extra) | self._extra_options(request.extra)
        return body | dict(self._quirks.extra) | dict(request.extra) | ({"options": options} if options else {})

    def _drop(self, what: str, why: str) -> None:
        self.notices.append(Notice("dropped", f'{what} not sent to backend "{self._backend}": {why}'))

    def _options(self) -> dict[str, Any]:
        request = self._request
        sampling = {"temperature": request.temperature, "top_p": request.top_p}
        given = {key: value for key, value in sampling.items() if value is not None}
        if given and not self._quirks.sampling:
            self._drop(" and ".join(given), "its models take none")
            given = {}
        most = self._quirks.default_max_tokens if request.max_tokens is None else request.max_tokens
        limits = {"num_predict": most, "seed": request.seed, "stop": list(request.stop) or None}
        return given | {key: value for key, value in limits.items() if value is not None}

    def _extra_options(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        options = extra.get("options", {})
        if not isinstance(options, Mapping):
            raise RequestError(
                f'The extra options for backend "{self._backend}" are not a table',
                hints=("Write them as one: extra = { options = { num_ctx = 8192 } }",),
                backend=self._backend,
            )
        return dict(options)

    def _think(self, wanted: Thinking | None) -> dict[str, Any]:
        """Return ``think``: a level where Ollama has a word for it, else on or off."""
        if wanted is None:
            return {}
        if wanted.budget_tokens:
            self._drop("the budget for thinking", "it takes a level, no number of tokens")
        if wanted.effort in _LEVELS:
            return {"think": wanted.effort}
        return {"think": wanted.effort != "none" and wanted.budget_tokens != 0}

    def _format(self) -> dict[str, Any]:
        output = self._request.output
        if output is None:
            return {}
        if output.schema is None:
            return {"format": "json"}
        if not self._quirks.json_schema:
            self._drop("the JSON Schema", "it only knows how to answer with some JSON object")
            return {"format": "json"}
        return {"format": dict(output.schema)}

    def _tools(self) -> dict[str, Any]:
        request = self._request
        if not request.tools or request.tool_choice.mode == "none":
            return {}
        if request.tool_choice.mode != "auto":
            self._drop("the choice of a tool", "its models always choose themselves")
        if request.parallel_tool_calls is False:
            self._drop("the wish for one tool call at a time", "this protocol has no place for it")
        if any(tool.strict for tool in request.tools):
            self._drop("strictness of tools", "this protocol has no place for it")
        return {"tools": [_tool(tool) for tool in request.tools]}

    def _messages(self, message: Message) -> list[dict[str, Any]]:
        results = [self._result(part) for part in message.parts if isinstance(part, ToolResult)]
        if message.role is Role.TOOL:
            return results
        thoughts = "".join(self._thought(part) for part in message.parts)
        written = {
            "role": message.role.value,
            "content": joined_text(message.parts),
            "images": self._images(message.parts),
            "thinking": thoughts,
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
        try:
            arguments = parse_object(call.arguments.strip() or "{}")
        except ValueError:
            raise RequestError(
                f'The arguments of the tool call "{call.name}" are not a JSON object',
                hints=("Leave this call out of the conversation: its answer was probably cut off",),
                backend=self._backend,
            ) from None
        return {"id": call.id, "function": {"name": call.name, "arguments": arguments}}

    def _images(self, parts: Sequence[Part]) -> list[str]:
        images = [part for part in parts if isinstance(part, Image)]
        if any(image.url for image in images):
            raise RequestError(
                f'Backend "{self._backend}" takes no pictures by URL',
                hints=("Pass the picture itself: download it and attach the file",),
                backend=self._backend,
            )
        return [b2a_base64(image.data, newline=False).decode("ascii") for image in images]

    def _thought(self, part: Part) -> str:
        match part:
            case Reasoning(text=text, owner=owner) if owner == self._backend:
                return text
            case Reasoning(signature=signature, item=item) if signature or item is not None:
                self._lost_items = True
            case ProviderItem():
                self._lost_items = True
            case _:
                pass
        return ""


class OllamaStream:
    """Reads one answer, streamed or whole. Lines after the one that says ``done`` are not looked at."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._lines = LineDecoder(backend)
        self._count = 0
        self._started = False
        self._finished = False
        self._model = ""
        self._call_ids: list[str] = []

    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        """Take in the next bytes."""
        for line in self._lines.feed(data):
            yield from self._line(line)

    def close(self) -> Iterator[StreamEvent]:
        """Say that the bytes have ended; the last line may lack its end, or be cut in two."""
        with suppress(ProtocolError):
            yield from self._line(self._lines.close())
        if not self._finished:
            raise StreamInterruptedError(f'Backend "{self._backend}" broke off its answer', backend=self._backend)

    def whole(self, body: bytes) -> Sequence[StreamEvent]:
        """Read an unstreamed answer."""
        try:
            answer = parse_body(body)
            events = [*self._parse(answer)]
            if not self._finished:
                raise ValueError('it is not "done"')
        except ValueError as error:
            raise malformed(error, backend=self._backend) from None
        return events

    def _line(self, line: str) -> Iterator[StreamEvent]:
        if self._finished or not line.strip():
            return
        self._count += 1
        try:
            yield from self._parse(parse_object(line))
        except ValueError as error:
            raise malformed(error, backend=self._backend, event=self._count) from None

    def _parse(self, answer: dict[str, Any]) -> Iterator[StreamEvent]:
        if answer.get("error"):
            raise stream_failure(answer, backend=self._backend, model=self._model)
        if not self._started:
            self._started = True
            self._model = text_of(answer, "model")
            yield Started(self._backend, self._model)
        message = object_of(answer, "message")
        if thought := text_of(message, "thinking"):
            yield ReasoningDelta(thought)
        if text := text_of(message, "content"):
            yield TextDelta(text)
        if "tool_calls" in message:
            yield from self._calls(message, text_of(answer, "created_at"))
        if done := answer.get("done"):
            if done is not True:
                raise ValueError('"done" is neither true nor false')
            self._finished = True
            yield self._finish(answer)

    def _calls(self, message: dict[str, Any], created_at: str) -> Iterator[StreamEvent]:
        """Read whole calls. Where Ollama gives no id, one is made that no other answer has."""
        for call in objects_of(message, "tool_calls"):
            function, index = object_of(call, "function"), len(self._call_ids)
            call_id, name = text_of(call, "id"), text_of(function, "name")
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
        reason = _FINISH_REASONS.get(raw, FinishReason.UNKNOWN)  # "load" and "unload": nothing was asked
        if reason is FinishReason.STOP and self._call_ids:
            reason = FinishReason.TOOL_CALLS
        return Finished(reason, raw, _usage(answer))


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _usage(answer: Mapping[str, Any]) -> Usage | None:
    """Read the counts; ``prompt_eval_count`` is missing where the whole prompt stood in the cache."""
    usage = Usage(count_of(answer, "prompt_eval_count"), count_of(answer, "eval_count"))
    if not usage.total_tokens:
        return None
    return usage if "prompt_eval_count" in answer and "eval_count" in answer else usage.marked_estimated()
