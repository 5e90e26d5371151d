"""The Messages API of Anthropic, and of services that speak it.

Protocol: https://platform.claude.com/docs/en/api/messages. The system prompt stands outside the messages, tool results
come first in a turn of the user, and ``max_tokens`` is required.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from arawn.adapters.anthropic.stream import AnthropicParser
from arawn.adapters.chat_body import ChatBody
from arawn.adapters.http_adapter import ChatAdapter
from arawn.adapters.parameters import SIGNED_THINKING
from arawn.adapters.payload import base64_text, objects_of, parse_body
from arawn.adapters.thinking import ThinkingPlan, is_off, merged
from arawn.messages import (
    Image,
    ModelCard,
    ProviderItem,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from arawn.adapters.output_schema import ToolSchema
    from arawn.messages import Part, Tool

_VERSION = "2023-06-01"
_DEFAULT_MAX_TOKENS = 8192
_MIN_BUDGET = 1024
"""Tokens of the smallest budget for thinking that the API takes."""
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 49152}
_NOT_WHILE_THINKING = ("temperature", "top_k", "top_p")
_TOOL_CHOICES = {"auto": "auto", "none": "none", "required": "any", "tool": "tool"}


class AnthropicBody(ChatBody):
    """Writes the body of a request."""

    _dialect = "anthropic"

    def _fields(self) -> dict[str, Any]:
        request = self._request
        fields = {"model": request.model, **self._limits(), **self._system(), "messages": self._turns()}
        fields |= self._tools() | self._sampling()
        if (schema := self._schemas.output.schema) is not None:
            form = {"format": {"type": "json_schema", "schema": dict(schema)}}
            fields["output_config"] = fields.get("output_config", {}) | form
        if request.stop:
            fields["stop_sequences"] = list(request.stop)
        if request.stream:
            fields["stream"] = True
        if request.seed is not None:
            self._drop("seed", "this protocol does not support it")
        return fields

    @property
    def _enforces_schema(self) -> bool:
        """Whether the service enforces a JSON Schema itself: not where the beginning of the answer is given."""
        messages = self._request.messages
        return self._quirks.json_schema and not (messages and messages[-1].role is Role.ASSISTANT)

    def _planned(self) -> ThinkingPlan:
        asked = self._asked_by_budget
        if asked is None:
            return super()._planned()
        return ThinkingPlan(said=asked != Thinking(), thinks=asked != Thinking())

    @property
    def _asked_by_budget(self) -> Thinking | None:
        """What is asked for where thinking takes a number of tokens: an effort stands for some; else None."""
        asked, rules = self._request.thinking, self._rules
        if asked is None or is_off(asked):
            return None
        if rules.thinking_on is None:
            return asked if rules.thinking_budget is not False else None
        return asked if rules.thinking_budget and asked.budget_tokens and asked.effort is None else None

    def _limits(self) -> dict[str, Any]:
        """Return ``max_tokens`` and what goes with thinking."""
        plan = self._plan
        limit = _DEFAULT_MAX_TOKENS if self._max_tokens is None else self._max_tokens
        if plan.thinks and (asked := self._asked_by_budget) is not None:
            return self._budgeted(asked, limit)
        if self._max_tokens is None and plan.said and plan.thinks:
            limit += _BUDGETS[plan.effort or "high"]
        effort = {} if plan.effort == "none" else self._effort("output_config", "effort")
        return merged({"max_tokens": limit, **plan.fields}, effort)

    def _refusals(self) -> Iterator[tuple[Sequence[str], str]]:
        yield from super()._refusals()
        if self._thinks:
            yield _NOT_WHILE_THINKING, "a thinking model takes none"

    def _budgeted(self, thinking: Thinking, limit: int) -> dict[str, Any]:
        """Fit the budget under ``max_tokens``, which counts thinking and answer; a default limit grows instead."""
        exact = thinking.budget_tokens
        budget = max(_MIN_BUDGET, exact or _BUDGETS[thinking.effort or "minimal"])
        if self._request.max_tokens is None:
            limit = max(limit, budget + _DEFAULT_MAX_TOKENS)
        else:
            if limit < (_MIN_BUDGET + 1 if exact else 2 * _MIN_BUDGET):
                limit = _MIN_BUDGET + max(limit, 1)
            budget = max(_MIN_BUDGET, min(budget, limit - 1 if exact else limit // 2))
        return {"max_tokens": limit, "thinking": {"type": "enabled", "budget_tokens": budget}}

    def _tools(self) -> dict[str, Any]:
        request = self._request
        if not request.tools:
            return {}
        choice: dict[str, Any] = {"type": _TOOL_CHOICES[self._choice.mode]}
        if self._choice.mode == "tool":
            choice["name"] = self._choice.name
        if request.parallel_tool_calls is False and self._choice.mode != "none":
            choice["disable_parallel_tool_use"] = True
        tools = {"tools": [_tool(tool, self._tool_schema(tool)) for tool in request.tools]}
        return tools if choice == {"type": "auto"} else {**tools, "tool_choice": choice}

    def _system(self) -> dict[str, str]:
        texts = [message.text.strip() for message in self._request.messages if message.role is Role.SYSTEM]
        texts.append(self._schemas.output.instruction)
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
            case Text(text):
                return {"type": "text", "text": text, **self._extra(part)} if text.strip() else None
            case Refusal(text):
                return {"type": "text", "text": text} if text.strip() else None  # blank texts are refused
            case Image():
                return _image(part)
            case ToolCall(call_id, name):
                block = {"type": "tool_use", "id": call_id, "name": name, "input": self._arguments(part)}
                return block | self._extra(part)
            case ToolResult():
                return self._result(part)
            case Reasoning():
                return self._reasoning(part)
            case ProviderItem(item, owner):
                return self._own(item, owner)

    def _result(self, result: ToolResult) -> dict[str, Any]:
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": result.call_id}
        if content := [inner for part in result.content if (inner := self._block(part)) is not None]:
            block["content"] = content
        return {**block, "is_error": True} if result.is_error else block

    def _reasoning(self, reasoning: Reasoning) -> dict[str, Any] | None:
        if SIGNED_THINKING in self._request.without:
            self._drop("earlier thinking", "its server finds it signed for another conversation")
            return None
        if reasoning.bound_to and not self._request.model.endswith(reasoning.bound_to):
            self._drop("the thinking of another model", "only the one that made it reads it")
            return None
        if not reasoning.signature:
            return None if reasoning.item is None else self._own(reasoning.item, reasoning.owner)
        signed = {"type": "thinking", "thinking": reasoning.text, "signature": reasoning.signature}
        return self._own(signed | dict(reasoning.item or {}), reasoning.owner)


class AnthropicAdapter(ChatAdapter):
    """Speaks ``/v1/messages`` and ``/v1/models`` under a base URL without ``/v1``."""

    _chat_path = "/v1/messages"
    _models_path = "/v1/models"
    _models_query: ClassVar[Mapping[str, str]] = {"limit": "1000"}  # the longest page
    _body = AnthropicBody
    _parser = AnthropicParser

    def _models(self, body: bytes) -> Sequence[ModelCard]:
        """Read the list of models; retired ones, which no longer answer, are left out."""
        return [
            ModelCard(model["id"], _limit(model.get("max_input_tokens")), _limit(model.get("max_tokens")))
            for model in objects_of(parse_body(body), "data")
            if type(model.get("id")) is str and model.get("lifecycle") != "retired"
        ]

    def _headers(self) -> dict[str, str]:
        return {"anthropic-version": _VERSION} | {name.lower(): value for name, value in self._quirks.headers.items()}


def _tool(tool: Tool, sent: ToolSchema) -> dict[str, Any]:
    described = {"name": tool.name, "description": tool.description} if tool.description else {"name": tool.name}
    written = {**described, "input_schema": {"type": "object", **sent.schema}}
    return {**written, "strict": True} if sent.strict else written


def _image(image: Image) -> dict[str, Any]:
    if image.url:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    source = {"type": "base64", "media_type": image.media_type, "data": base64_text(image.data)}
    return {"type": "image", "source": source}


def _limit(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None
