"""The Messages API of Anthropic, and of services that speak it.

Protocol: https://platform.claude.com/docs/en/api/messages. The system prompt stands outside the messages, tool results
come first in a turn of the user, and ``max_tokens`` is required.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING, Any, ClassVar

from arawn.adapters.anthropic.stream import AnthropicStream, parse_message
from arawn.adapters.payload import malformed, objects_of, parse_body, parse_object, render_body
from arawn.adapters.wire import ChatWire
from arawn.errors import RequestError
from arawn.events import Notice
from arawn.messages import (
    Image,
    ModelCard,
    ProviderItem,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arawn.adapters.base import HttpCall, Quirks
    from arawn.events import StreamEvent
    from arawn.messages import ChatRequest, Part, Thinking, Tool

_VERSION = "2023-06-01"
_MAX_TOKENS = 8192
_LEAST_BUDGET = 1024
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 49152}
_CHOICES = {"auto": "auto", "none": "none", "required": "any", "tool": "tool"}
_JSON_ONLY = "Answer with a single JSON object and nothing else."


class AnthropicAdapter(ChatWire):
    """Speaks ``/v1/messages`` and ``/v1/models`` under a base URL without ``/v1``."""

    _chat_path = "/v1/messages"
    _models_path = "/v1/models"
    _models_query: ClassVar[Mapping[str, str]] = {"limit": "1000"}  # the longest page

    def render_chat(self, request: ChatRequest) -> HttpCall:
        """Describe the call. Raises RequestError for tool arguments that are no JSON object."""
        return self._chat_call(_Rendering(self._backend, self._quirks, request), request)

    def parse_chat(self, body: bytes) -> Sequence[StreamEvent]:
        """Read an unstreamed answer as the events its stream would have had."""
        return parse_message(body, self._backend)

    def stream_parser(self) -> AnthropicStream:
        """Return a fresh parser for one streamed answer."""
        return AnthropicStream(self._backend)

    def parse_models(self, body: bytes) -> Sequence[ModelCard]:
        """Read the list of models; retired ones, which no longer answer, are left out."""
        try:
            models = objects_of(parse_body(body), "data")
        except ValueError as error:
            raise malformed(error, backend=self._backend) from error
        return [
            ModelCard(model["id"], _limit(model.get("max_input_tokens")), _limit(model.get("max_tokens")))
            for model in models
            if type(model.get("id")) is str and model.get("lifecycle") != "retired"
        ]

    def _headers(self) -> dict[str, str]:
        return {"anthropic-version": _VERSION} | {name.lower(): value for name, value in self._quirks.headers.items()}


class _Rendering:
    """Writes one request; ``notices`` fill up while it does."""

    def __init__(self, backend: str, quirks: Quirks, request: ChatRequest) -> None:
        self.notices: list[Notice] = []
        self._backend = backend
        self._quirks = quirks
        self._request = request
        self._lost_items = False

    def body(self) -> dict[str, Any]:
        request = self._request
        body = {"model": request.model, **self._limits(), **self._system(), "messages": self._turns(), **self._tools()}
        body |= self._sampling(thinks=body.get("thinking", {}).get("type") in {"adaptive", "enabled"})
        if self._schema is not None:
            body["output_config"] = body.get("output_config", {}) | {
                "format": {"type": "json_schema", "schema": dict(self._schema)}
            }
        if request.stop:
            body["stop_sequences"] = list(request.stop)
        if request.stream:
            body["stream"] = True
        if request.seed is not None:
            self._drop("seed", "this protocol has no place for it")
        if self._lost_items:
            self._drop("the reasoning and tool records of another backend", "only the one that made them reads them")
        return body | dict(self._quirks.extra) | dict(request.extra)

    @property
    def _schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema the service itself holds the answer to."""
        output = self._request.output
        return output.schema if output is not None and self._quirks.json_schema else None

    def _drop(self, what: str, why: str) -> None:
        self.notices.append(Notice("dropped", f'{what} not sent to backend "{self._backend}": {why}'))

    def _limits(self) -> dict[str, Any]:
        """Return ``max_tokens`` and what goes with thinking."""
        wanted = self._request.thinking
        given = (self._request.max_tokens, self._quirks.default_max_tokens, _MAX_TOKENS)
        limit = next(number for number in given if number is not None)
        if wanted is None or (wanted.effort is None and wanted.budget_tokens is None):
            return {"max_tokens": limit}
        off = wanted.effort == "none" or wanted.budget_tokens == 0
        if self._quirks.adaptive_thinking:
            return {"max_tokens": limit, **({"thinking": {"type": "disabled"}} if off else self._adaptive(wanted))}
        return {"max_tokens": limit} if off else self._budgeted(wanted, limit)

    def _adaptive(self, wanted: Thinking) -> dict[str, Any]:
        if wanted.effort is None:
            self._drop("the budget for thinking", "it takes an effort, no number of tokens")
            return {"thinking": {"type": "adaptive"}}
        effort = "low" if wanted.effort == "minimal" else wanted.effort
        return {"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}

    def _budgeted(self, wanted: Thinking, limit: int) -> dict[str, Any]:
        """Fit the budget under ``max_tokens``, which counts thinking and answer; a limit nobody set grows instead."""
        exact = wanted.budget_tokens
        budget = max(_LEAST_BUDGET, exact or _BUDGETS[wanted.effort or "minimal"])
        if self._request.max_tokens is None:
            limit = max(limit, budget + _MAX_TOKENS)
        else:
            if limit < (_LEAST_BUDGET + 1 if exact else 2 * _LEAST_BUDGET):
                limit = _LEAST_BUDGET + max(limit, 1)
            budget = max(_LEAST_BUDGET, min(budget, limit - 1 if exact else limit // 2))
        return {"max_tokens": limit, "thinking": {"type": "enabled", "budget_tokens": budget}}

    def _sampling(self, *, thinks: bool) -> dict[str, Any]:
        pairs = (("temperature", self._request.temperature), ("top_p", self._request.top_p))
        given = {key: value for key, value in pairs if value is not None}
        if given and (thinks or not self._quirks.sampling):
            self._drop(" and ".join(given), "a thinking model takes none" if thinks else "its models take none")
            return {}
        return given

    def _tools(self) -> dict[str, Any]:
        request = self._request
        if not request.tools:
            return {}
        choice: dict[str, Any] = {"type": _CHOICES[request.tool_choice.mode]}
        if request.tool_choice.mode == "tool":
            choice["name"] = request.tool_choice.name
        if request.parallel_tool_calls is False and request.tool_choice.mode != "none":
            choice["disable_parallel_tool_use"] = True
        tools = {"tools": [_tool(tool) for tool in request.tools]}
        return tools if choice == {"type": "auto"} else {**tools, "tool_choice": choice}

    def _system(self) -> dict[str, str]:
        texts = [message.text.strip() for message in self._request.messages if message.role is Role.SYSTEM]
        output = self._request.output
        if output is not None and self._schema is None:
            texts.append(_JSON_ONLY)
            if output.schema is not None:
                schema = render_body(output.schema, backend=self._backend).decode()
                texts.append(f"It must fit this JSON Schema: {schema}")
        text = "\n\n".join(filter(None, texts))
        return {"system": text} if text else {}

    def _turns(self) -> list[dict[str, Any]]:
        turns: list[dict[str, Any]] = []
        for message in self._request.messages:
            blocks = [block for part in message.parts if (block := self._block(part)) is not None]
            if message.role is Role.SYSTEM or not blocks:
                continue
            role = "assistant" if message.role is Role.ASSISTANT else "user"
            if turns and turns[-1]["role"] == role:
                turns[-1]["content"] += blocks
            else:
                turns.append({"role": role, "content": blocks})
        for turn in turns:
            if turn["role"] == "user":
                turn["content"].sort(key=lambda block: block.get("type") != "tool_result")
        if turns and turns[-1]["role"] == "assistant" and turns[-1]["content"][-1].get("type") == "text":
            last = turns[-1]["content"][-1]
            last["text"] = last["text"].rstrip()  # a prefill that ends in white space is refused
        return turns

    def _block(self, part: Part) -> dict[str, Any] | None:
        match part:
            case Text(text) | Refusal(text):
                return {"type": "text", "text": text} if text.strip() else None  # blank texts are refused
            case Image():
                return _image(part)
            case ToolCall(call_id, name):
                return {"type": "tool_use", "id": call_id, "name": name, "input": self._input(part)}
            case ToolResult():
                return self._result(part)
            case Reasoning():
                return self._thought(part)
            case ProviderItem(item, owner):
                return self._own(item, owner)

    def _result(self, result: ToolResult) -> dict[str, Any]:
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": result.call_id}
        if content := [inner for part in result.content if (inner := self._block(part)) is not None]:
            block["content"] = content
        return {**block, "is_error": True} if result.is_error else block

    def _input(self, call: ToolCall) -> dict[str, Any]:
        arguments = call.arguments.strip()
        if arguments in {"", "null"}:  # both are written for a tool without parameters
            return {}
        try:
            return parse_object(arguments)
        except ValueError as error:
            raise RequestError(
                f'The arguments of the tool call "{call.name}" are not a JSON object',
                hints=("Leave this call out of the conversation: its answer was probably cut off",),
                backend=self._backend,
            ) from error

    def _thought(self, thought: Reasoning) -> dict[str, Any] | None:
        if thought.item is not None:
            return self._own(thought.item, thought.owner)
        if not thought.signature:
            return None
        signed = {"type": "thinking", "thinking": thought.text, "signature": thought.signature}
        return self._own(signed, thought.owner)

    def _own(self, block: Mapping[str, Any], owner: str) -> dict[str, Any] | None:
        if owner == self._backend:
            return dict(block)
        self._lost_items = True
        return None


def _tool(tool: Tool) -> dict[str, Any]:
    described = {"name": tool.name, "description": tool.description} if tool.description else {"name": tool.name}
    written = {**described, "input_schema": {"type": "object", **tool.parameters}}
    return {**written, "strict": True} if tool.strict else written


def _image(image: Image) -> dict[str, Any]:
    if image.url:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    data = b2a_base64(image.data, newline=False).decode("ascii")
    return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": data}}


def _limit(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None
