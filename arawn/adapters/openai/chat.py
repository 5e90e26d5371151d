"""Chat Completions: OpenAI's older protocol, and the one nearly every other service and local server speaks.

Protocol: https://platform.openai.com/docs/api-reference/chat. How a service deviates from it is told by its Quirks.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING, Any

from arawn.adapters.openai.chat_stream import ChatParser
from arawn.adapters.openai.reasoning import render_reasoning, tool_use_begins
from arawn.adapters.payload import malformed, objects_of, parse_json, text_of
from arawn.adapters.wire import ChatWire
from arawn.events import Notice
from arawn.messages import Image, ModelCard, ProviderItem, Reasoning, Role, Text, ToolResult, joined_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arawn.adapters.base import HttpCall, Quirks
    from arawn.events import StreamEvent
    from arawn.messages import ChatRequest, Message, Part, Tool, ToolCall

_WINDOWS = ("context_length", "context_window", "max_model_len", "max_context_length")
_NO_WORDS = "(no text; pictures follow, if any)"  # an empty result is refused by some services
_OUTPUTS = ("max_completion_tokens", "max_output_tokens", "max_output_length")


class OpenAIChatAdapter(ChatWire):
    """Speaks ``/chat/completions`` and ``/models`` under a base URL that ends with the version (``…/v1``)."""

    _chat_path = "/chat/completions"
    _models_path = "/models"

    def render_chat(self, request: ChatRequest) -> HttpCall:
        """Describe the call. Raises RequestError for values JSON cannot say."""
        return self._chat_call(_Rendering(self._backend, self._quirks, request), request)

    def parse_chat(self, body: bytes) -> Sequence[StreamEvent]:
        """Read an unstreamed answer as the events its stream would have had."""
        return self.stream_parser().whole(body)

    def stream_parser(self) -> ChatParser:
        """Return a fresh parser for one streamed answer."""
        return ChatParser(self._backend, self._quirks)

    def parse_models(self, body: bytes) -> Sequence[ModelCard]:
        """Read the list of models; some servers send it bare, without the object around it."""
        try:
            answer = parse_json(body.decode("utf-8-sig", "replace"))
            holder = answer if isinstance(answer, dict) else {"data": answer}
            if holder.get("data") is None:
                raise ValueError('there is no "data"')
            return [_card(model) for model in objects_of(holder, "data")]
        except ValueError as error:
            raise malformed(error, backend=self._backend) from None


class _Rendering:
    """Writes one request; ``notices`` fill up while it does."""

    def __init__(self, backend: str, quirks: Quirks, request: ChatRequest) -> None:
        self.notices: list[Notice] = []
        self._backend = backend
        self._quirks = quirks
        self._request = request
        self._lost: dict[str, str] = {}

    def body(self) -> dict[str, Any]:
        request, quirks = self._request, self._quirks
        body = {"model": request.model, "messages": self._messages(), **self._limits(), **self._tools()}
        body |= self._format() | self._thinking()
        if request.stream:
            body["stream"] = True
            if quirks.stream_usage:
                body["stream_options"] = {"include_usage": True}
        for what, why in self._lost.items():
            self.notices.append(Notice("dropped", f'{what} not sent to backend "{self._backend}": {why}'))
        return body | dict(quirks.extra) | dict(request.extra)

    def _limits(self) -> dict[str, Any]:
        request, quirks = self._request, self._quirks
        most = quirks.default_max_tokens if request.max_tokens is None else request.max_tokens
        sampling = {"temperature": request.temperature, "top_p": request.top_p}
        given: dict[str, Any] = {key: value for key, value in sampling.items() if value is not None}
        if given and not quirks.sampling:
            self._lost[" and ".join(given)] = "its models take none"
            given = {}
        if most is not None:
            given[quirks.max_tokens_key or "max_tokens"] = most
        if request.stop:
            given["stop"] = list(request.stop)
        if request.seed is not None:
            given["seed"] = request.seed
        return given

    def _tools(self) -> dict[str, Any]:
        request = self._request
        if not request.tools:
            return {}
        written: dict[str, Any] = {"tools": [_tool(tool) for tool in request.tools]}
        if request.tool_choice.mode == "tool":
            written["tool_choice"] = {"type": "function", "function": {"name": request.tool_choice.name}}
        elif request.tool_choice.mode != "auto":
            written["tool_choice"] = request.tool_choice.mode
        if request.parallel_tool_calls is not None:
            written["parallel_tool_calls"] = request.parallel_tool_calls
        return written

    def _format(self) -> dict[str, Any]:
        output = self._request.output
        if output is None:
            return {}
        if output.schema is None:
            return {"response_format": {"type": "json_object"}}
        if not self._quirks.json_schema:
            self._lost["the JSON Schema"] = "it only knows how to answer with some JSON object"
            return {"response_format": {"type": "json_object"}}
        schema = {"name": output.name, "schema": dict(output.schema), "strict": output.strict}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}

    def _thinking(self) -> dict[str, Any]:
        """Ask for an effort, or for a budget where an object can hold one; both at once no service takes."""
        wanted, key = self._request.thinking, self._quirks.effort_key or "reasoning_effort"
        if wanted is None:
            return {}
        if wanted.effort is not None:
            return {key: {"effort": wanted.effort} if key == "reasoning" else wanted.effort}
        if key == "reasoning":
            return {key: {"max_tokens": wanted.budget_tokens} if wanted.budget_tokens else {"enabled": True}}
        if wanted.budget_tokens is not None:
            self._lost["the budget for thinking"] = "it takes an effort, no number of tokens"
        return {}

    def _messages(self) -> list[dict[str, Any]]:
        """Write the messages. Pictures a tool gave back follow its results, as a message of the user."""
        written: list[dict[str, Any]] = []
        pictures: list[Image] = []
        in_use = tool_use_begins(self._request.messages)
        for place, message in enumerate(self._request.messages):
            if message.role is Role.TOOL:
                written.extend(self._results(message, pictures))
                continue
            written.extend(_shown(pictures))
            pictures.clear()
            written.append(self._message(message, using_tools=place >= in_use))
        return [*written, *_shown(pictures)]

    def _results(self, message: Message, pictures: list[Image]) -> list[dict[str, Any]]:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        pictures.extend(part for result in results for part in result.content if isinstance(part, Image))
        return [
            {"role": "tool", "tool_call_id": result.call_id, "content": joined_text(result.content) or _NO_WORDS}
            for result in results
        ]

    def _message(self, message: Message, *, using_tools: bool) -> dict[str, Any]:
        for part in message.parts:
            self._look_for_loss(part, message.role)
        if message.role is Role.ASSISTANT:
            return self._answer(message, using_tools=using_tools)
        if message.role is Role.SYSTEM:
            return {"role": self._quirks.system_role or "system", "content": message.text}
        return {"role": "user", "content": _content(message.parts)}

    def _answer(self, message: Message, *, using_tools: bool) -> dict[str, Any]:
        written: dict[str, Any] = {"role": "assistant", "content": message.text}
        written |= render_reasoning(message, self._backend, using_tools=using_tools)
        if message.tool_calls:
            written["content"] = message.text or None
            written["tool_calls"] = [_call(call) for call in message.tool_calls]
        return written

    def _look_for_loss(self, part: Part, role: Role) -> None:
        match part:
            case Reasoning(_, signature, item, owner):
                is_lost = owner != self._backend and bool(signature or item)
            case _:
                is_lost = isinstance(part, ProviderItem)
        if is_lost:
            self._lost["the reasoning and tool records of another backend"] = "only the one that made them reads them"
        if isinstance(part, Image) and role is not Role.USER:
            self._lost[f"a picture in a message of the {role}"] = "it takes pictures only from the user"


def _content(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    """Write what the user says: plain text where it can be, since not every server takes a list."""
    if not any(isinstance(part, Image) for part in parts):
        return joined_text(parts)
    return [_piece(part) for part in parts if isinstance(part, Text | Image)]


def _piece(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    url = part.url or f"data:{part.media_type};base64,{b2a_base64(part.data, newline=False).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": url}}


def _shown(pictures: Sequence[Image]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [_piece(picture) for picture in pictures]}] if pictures else []


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = call.arguments.strip()
    function = {"name": call.name, "arguments": "{}" if arguments in {"", "null"} else call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": dict(tool.parameters)}
    if tool.description:
        function["description"] = tool.description
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _card(model: Mapping[str, Any]) -> ModelCard:
    return ModelCard(text_of(model, "id"), _limit(model, _WINDOWS), _limit(model, _OUTPUTS), text_of(model, "owned_by"))


def _limit(model: Mapping[str, Any], keys: Sequence[str]) -> int | None:
    values = (model.get(key) for key in keys)
    return next((value for value in values if type(value) is int and value > 0), None)
