"""OpenAI's Responses API, used without the server's memory: every call carries the whole conversation.

``POST {base_url}/responses`` with ``store: false``; reasoning travels encrypted, in the conversation itself
(OpenAI API reference, "Responses"; guide "Reasoning models", section on encrypted reasoning items).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.adapters.openai.base import OpenAIAdapter, OpenAIBody, image_url
from arawn.adapters.openai.reasoning import is_mark
from arawn.adapters.openai.responses_stream import ResponsesParser
from arawn.adapters.openai.tool_calls import WANTED_BACK
from arawn.adapters.output_schema import output_name
from arawn.adapters.payload import base64_text
from arawn.adapters.thinking import BUDGET_LOSS, merged
from arawn.messages import Image, ProviderItem, Reasoning, Refusal, Role, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from arawn.messages import Message, Part, Tool


class ResponsesBody(OpenAIBody):
    """Writes the body of a request."""

    _custom: Collection[str] = ()  # the ids of calls of custom tools, whose results have a type of their own

    def _fields(self) -> dict[str, Any]:
        request = self._request
        fields: dict[str, Any] = {"model": request.model, **self._conversation(), "store": False}
        if self._max_tokens is not None:
            fields[self._quirks.max_tokens_key or "max_output_tokens"] = self._max_tokens
        fields |= self._sampling() | self._tools() | self._format() | self._cache_routing()
        fields = merged(fields, self._reasoning())
        if request.stream:
            fields["stream"] = True
        for key, given in (("stop", bool(request.stop)), ("seed", request.seed is not None)):
            if given:
                self._drop(key, "this protocol does not support it")
        return fields

    def _tool(self, tool: Tool) -> dict[str, Any]:
        """Write a tool; ``strict`` is always written, because its default is true here."""
        described = {"description": tool.description} if tool.description else {}
        parameters, strict = self._tool_schema(tool)
        return {
            "type": "function",
            "name": tool.name,
            **described,
            "parameters": dict(parameters),
            "strict": strict,
        }

    def _forced_tool(self, name: str) -> dict[str, Any]:
        return {"type": "function", "name": name}

    def _format(self) -> dict[str, Any]:
        output = self._request.output
        if output is None:
            return {}
        schema, strict, _ = self._schemas.output
        if schema is None:
            return {"text": {"format": {"type": "json_object"}}}
        name = output_name(output.name)
        return {"text": {"format": {"type": "json_schema", "name": name, "schema": dict(schema), "strict": strict}}}

    def _reasoning(self) -> dict[str, Any]:
        """Ask for reasoning, and to get it encrypted; models that do not reason refuse a request for either."""
        plan = self._plan
        if plan.budget is not None:
            self._drop(*BUDGET_LOSS)
        fields = merged(plan.fields, self._effort("reasoning", "effort"))
        if not plan.thinks:
            return fields
        shown = {"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]}
        return merged(shown, fields)

    def _cache_routing(self) -> dict[str, Any]:
        """Return the key by which a conversation stays where its prefix is cached; of the session's id a hash.

        Protocol: https://platform.openai.com/docs/guides/prompt-caching.
        """
        key, session = self._quirks.cache_key, self._request.caller.session
        if not key or not session or self._quirks.prompt_cache == "off":
            return {}
        from hashlib import sha256

        return {key: sha256(f"arawn:conversation:{session}".encode()).hexdigest()[:32]}

    def _conversation(self) -> dict[str, Any]:
        """Return ``instructions``, made of the system messages in front, and ``input``."""
        messages = self._request.messages
        first = next((n for n, message in enumerate(messages) if message.role is not Role.SYSTEM), len(messages))
        texts = [*(message.text.strip() for message in messages[:first]), self._schema_in_words]
        instructions = "\n\n".join(filter(None, texts))
        self._custom = {call.id for message in messages for call in message.tool_calls if self._is_custom(call)}
        items = [item for message in messages[first:] for item in self._items(message)]
        return {**({"instructions": instructions} if instructions else {}), "input": items}

    def _items(self, message: Message) -> list[dict[str, Any]]:
        roles = {Role.SYSTEM: self._quirks.system_role or "developer", Role.ASSISTANT: "assistant"}
        items: list[dict[str, Any]] = []
        goes_on = False
        for part in message.parts:
            if (content := _content(part, answer=message.role is Role.ASSISTANT)) is not None:
                extra = self._extra(part) if isinstance(part, Text) else {}
                if not goes_on or extra:
                    items.append({"type": "message", "role": roles.get(message.role, "user"), "content": [], **extra})
                items[-1]["content"].append(content)
                goes_on = not extra
            elif (item := self._item(part)) is not None:
                items.append(item)
                goes_on = False
            elif isinstance(part, Text):  # the paragraph between two messages of one answer
                goes_on = False
        while items and items[-1].get("type") == "reasoning":
            items.pop()  # an answer cut while thinking: reasoning without the item it led to is refused
        for item in items:
            _shorten(item)
        return items

    def _extra(self, part: Text | Image | ToolCall) -> dict[str, Any]:
        """Return the fields that go back; what Chat Completions of the same backend wants back is not for this one."""
        return {key: value for key, value in super()._extra(part).items() if key not in WANTED_BACK}

    def _item(self, part: Part) -> dict[str, Any] | None:
        match part:
            case ToolCall():
                return self._call(part)
            case ToolResult(call_id, content):
                kind = "custom_tool_call_output" if call_id in self._custom else "function_call_output"
                return {"type": kind, "call_id": call_id, "output": _output(content)}
            case ProviderItem(item, owner):
                return self._own(item, owner)
            case Reasoning(item=item, owner=owner) if item is not None and _is_reasoning_item(item):
                return self._own(item, owner)
            case Reasoning(signature=signature, item=item) if signature or item is not None:
                self._drop_records()  # also what the same backend made by Chat Completions
            case Image():
                return self._picture(part)
            case Text() | Refusal() | Reasoning():
                pass
        return None

    def _call(self, call: ToolCall) -> dict[str, Any]:
        item = {"call_id": call.id, "name": call.name, **self._extra(call)}
        if self._is_custom(call):
            return {"type": "custom_tool_call", **item, "input": call.arguments}
        return {"type": "function_call", **item, "arguments": self._argument_text(call)}

    def _picture(self, image: Image) -> dict[str, Any] | None:
        """Write a picture that this service made."""
        if image.extra is not None and image.owner == self._backend:
            return {**image.extra, "result": base64_text(image.data)}
        self._drop("a picture in an answer", "it takes pictures only from the user")
        return None


class OpenAIResponsesAdapter(OpenAIAdapter):
    """Speaks ``/responses`` and ``/models`` under a base URL with ``/v1``."""

    _chat_path = "/responses"
    _body = ResponsesBody
    _parser = ResponsesParser


def _is_reasoning_item(item: Mapping[str, Any]) -> bool:
    """Return whether Responses made an item; Chat Completions of the same backend leaves items of other kinds."""
    return item.get("type") == "reasoning" and not is_mark(item)


def _shorten(item: dict[str, Any]) -> None:
    """Write an answer of text alone as a string: its blocks would need an id that only the server can give."""
    blocks = item["content"] if item.get("role") == "assistant" else []
    if blocks and all(block["type"] == "output_text" for block in blocks):
        item["content"] = "".join(block["text"] for block in blocks)


def _content(part: Part, *, answer: bool) -> dict[str, Any] | None:
    """Write a part that stands inside a message; None for what is an item of its own, or nothing."""
    match part:
        case Text(text) if answer:
            return {"type": "output_text", "text": text, "annotations": []} if text.strip() else None
        case Refusal(text) if answer:
            return {"type": "refusal", "refusal": text}
        case Text(text) | Refusal(text):
            return {"type": "input_text", "text": text}
        case Image() if not answer:
            return {"type": "input_image", "image_url": image_url(part), "detail": "auto"}
        case _:
            return None


def _output(content: Sequence[Text | Image]) -> str | list[dict[str, Any] | None]:
    """Write a tool's result: as plain text, or as a list where it holds pictures."""
    if any(isinstance(part, Image) for part in content):
        return [_content(part, answer=False) for part in content]
    return "".join(part.text for part in content if isinstance(part, Text))
