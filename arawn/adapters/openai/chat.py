"""Chat Completions: OpenAI's older protocol, and the one nearly every other service and local server speaks.

Protocol: https://platform.openai.com/docs/api-reference/chat. How a service deviates from it stands in its Quirks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.adapters.openai.base import OpenAIAdapter, OpenAIBody, image_url
from arawn.adapters.openai.chat_stream import ChatParser
from arawn.adapters.openai.reasoning import render_reasoning
from arawn.adapters.openai.tool_calls import WANTED_BACK
from arawn.adapters.output_schema import output_name
from arawn.adapters.parameters import EFFORT_BESIDE_TOOLS, LIMIT_KEYS
from arawn.adapters.thinking import BUDGET_LOSS, ThinkingPlan, merged
from arawn.messages import Image, ProviderItem, Reasoning, Role, Text, ToolResult, joined_text
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.adapters.rules import ModelRules
    from arawn.messages import Message, Part, Tool, ToolCall

_EMPTY_RESULT = "(no text; pictures follow, if any)"  # an empty result is refused by some services


class ChatCompletionsBody(OpenAIBody):
    """Writes the body of a request."""

    def _fields(self) -> dict[str, Any]:
        request = self._request
        fields = {"model": request.model, "messages": self._messages(), **self._limits(), **self._tools()}
        fields = merged(fields | self._format(), self._thinking())
        if request.stream:
            fields["stream"] = True
            if self._quirks.stream_usage:
                fields["stream_options"] = {"include_usage": True}
        return fields

    def _limits(self) -> dict[str, Any]:
        request = self._request
        limits = self._sampling()
        if self._max_tokens is not None:
            limits[self._limit_key] = self._max_tokens
        if request.stop:
            limits["stop"] = list(request.stop)
        if request.seed is not None:
            limits["seed"] = request.seed
        return limits

    @property
    def _limit_key(self) -> str:
        """The service's name of the limit, the other one where its server refused that."""
        refused = self._request.without
        usual = self._quirks.max_tokens_key or "max_tokens"
        return next((key for key in (usual, *LIMIT_KEYS) if key not in refused), usual)

    def _tool(self, tool: Tool) -> dict[str, Any]:
        parameters, strict = self._tool_schema(tool)
        function: dict[str, Any] = {"name": tool.name, "parameters": dict(parameters)}
        if tool.description:
            function["description"] = tool.description
        if strict:
            function["strict"] = True
        return {"type": "function", "function": function}

    def _forced_tool(self, name: str) -> dict[str, Any]:
        return {"type": "function", "function": {"name": name}}

    def _format(self) -> dict[str, Any]:
        output = self._request.output
        if output is None:
            return {}
        schema, strict, _ = self._schemas.output
        if schema is None:
            return {"response_format": {"type": "json_object"}}
        described = {"name": output_name(output.name), "schema": dict(schema), "strict": strict}
        return {"response_format": {"type": "json_schema", "json_schema": described}}

    def _rules_here(self, rules: ModelRules) -> ModelRules:
        return rules if rules.efforts_chat is None else replace(rules, efforts=rules.efforts_chat)

    def _planned(self) -> ThinkingPlan:
        plan = super()._planned()
        rules, refused = self._rules, EFFORT_BESIDE_TOOLS in self._request.without
        if not self._request.tools or not (refused or (rules.tools_need_no_effort and "none" in (rules.efforts or ()))):
            return plan
        if refused or (plan.said and plan.thinks):
            self._drop("thinking", "its model takes tools only without, by this protocol")
        return ThinkingPlan(said=True, effort="none")

    def _thinking(self) -> dict[str, Any]:
        """Write the effort, or a budget where an object can hold one; both at once no service takes."""
        plan, key = self._plan, self._quirks.effort_key or "reasoning_effort"
        fields = dict(plan.fields)
        if key != "reasoning":
            if plan.budget is not None:
                self._drop(*BUDGET_LOSS)
            return merged(fields, self._effort(key))
        if plan.effort:
            return merged(fields, self._effort(key, "effort"))
        if plan.budget is not None:
            return merged(fields, {key: {"max_tokens": plan.budget}})
        return merged({key: {"enabled": True}}, fields) if plan.said and plan.thinks else fields

    def _messages(self) -> list[dict[str, Any]]:
        """Write the messages. Pictures that a tool returned follow its results, as a message of the user."""
        written: list[dict[str, Any]] = []
        pictures: list[Image] = []
        for message in self._request.messages:
            if message.role is Role.TOOL:
                written.extend(self._results(message, pictures))
                continue
            written.extend(_user_pictures(pictures))
            pictures.clear()
            written.append(self._message(message))
        return self._with_schema_in_words([*written, *_user_pictures(pictures)])

    def _with_schema_in_words(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add what the answer must fit to the system message, where the service takes no schema."""
        words = self._schema_in_words
        if not words:
            return messages
        role = self._quirks.system_role or "system"
        if messages and messages[0]["role"] == role:
            return [{**messages[0], "content": f"{messages[0]['content']}\n\n{words}"}, *messages[1:]]
        return [{"role": role, "content": words}, *messages]

    def _results(self, message: Message, pictures: list[Image]) -> list[dict[str, Any]]:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        pictures.extend(part for result in results for part in result.content if isinstance(part, Image))
        return [
            {
                "role": "tool",
                "tool_call_id": self._call_id(result.call_id),
                "content": joined_text(result.content) or _EMPTY_RESULT,
            }
            for result in results
        ]

    def _message(self, message: Message) -> dict[str, Any]:
        for part in message.parts:
            self._report_losses(part, message.role)
        if message.role is Role.ASSISTANT:
            return self._answer(message)
        if message.role is Role.SYSTEM:
            return {"role": self._quirks.system_role or "system", "content": message.text}
        return {"role": "user", "content": _content(message.parts)}

    def _answer(self, message: Message) -> dict[str, Any]:
        written: dict[str, Any] = {"role": "assistant", "content": message.text}
        written |= render_reasoning(message, self._backend, back=self._rules.thinking_back)
        for part in message.parts:
            if isinstance(part, Text):
                written |= self._extra(part)
        if message.tool_calls:
            written["content"] = message.text or None
            first, *others = (self._call(call) for call in message.tool_calls)
            written["tool_calls"] = [{**(self._rules.foreign_call or {}), **first}, *others]
        return written

    def _call(self, call: ToolCall) -> dict[str, Any]:
        written: dict[str, Any] = {"id": self._call_id(call.id)}
        if self._is_custom(call):
            written |= {"type": "custom", "custom": {"name": call.name, "input": call.arguments}}
        else:
            function = {"name": call.name, "arguments": self._argument_text(call)}
            written |= {"type": "function", "function": function}
        return written | self._extra(call)

    def _call_id(self, call_id: str) -> str:
        """Return the id of a call, in the length that the service wants: one made elsewhere becomes another one."""
        length = self._quirks.tool_call_id_length
        if not length or (len(call_id) == length and call_id.isascii() and call_id.isalnum()):
            return call_id
        from hashlib import sha256

        return sha256(call_id.encode()).hexdigest()[:length]

    def _extra(self, part: Text | Image | ToolCall) -> dict[str, Any]:
        """Return the fields that go back; what Responses of the same backend wants back is not for this protocol."""
        return {key: value for key, value in super()._extra(part).items() if key in WANTED_BACK}

    def _report_losses(self, part: Part, role: Role) -> None:
        match part:
            case Reasoning(_, signature, item, owner) if owner != self._backend and (signature or item):
                self._drop_records()
            case ProviderItem():
                self._drop_records()
            case Image() if role is not Role.USER:
                self._drop(f"a picture in a message of the {role}", "it takes pictures only from the user")
            case _:
                pass


class OpenAIChatAdapter(OpenAIAdapter):
    """Speaks ``/chat/completions`` and ``/models`` under a base URL that ends with the version (``…/v1``)."""

    _chat_path = "/chat/completions"
    _body = ChatCompletionsBody
    _parser = ChatParser


def _content(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    """Write a user's content: as plain text where it can be, since not every server takes a list."""
    if not any(isinstance(part, Image) for part in parts):
        return joined_text(parts)
    return [_piece(part) for part in parts if isinstance(part, Text | Image)]


def _piece(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": image_url(part)}}


def _user_pictures(pictures: Sequence[Image]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [_piece(picture) for picture in pictures]}] if pictures else []
