"""OpenAI's Responses API, used without the server's memory: every call carries the whole conversation.

``POST {base_url}/responses`` with ``store: false``; reasoning travels encrypted, in the conversation itself
(OpenAI API reference, "Responses"; guide "Reasoning models", section on encrypted reasoning items).
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING, Any

from arawn.adapters.openai.responses_stream import ResponsesParser
from arawn.adapters.wire import ChatWire
from arawn.events import Notice
from arawn.messages import Image, ProviderItem, Reasoning, Refusal, Role, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arawn.adapters.base import HttpCall, Quirks
    from arawn.events import StreamEvent
    from arawn.messages import ChatRequest, Message, ModelCard, Part, Tool


class OpenAIResponsesAdapter(ChatWire):
    """Speaks ``/responses`` and ``/models`` under a base URL with ``/v1``."""

    _chat_path = "/responses"
    _models_path = "/models"

    def render_chat(self, request: ChatRequest) -> HttpCall:
        """Describe the call."""
        return self._chat_call(_Rendering(self._backend, self._quirks, request), request)

    def parse_chat(self, body: bytes) -> Sequence[StreamEvent]:
        """Read an unstreamed answer as the events its stream would have had."""
        return self.stream_parser().whole(body)

    def stream_parser(self) -> ResponsesParser:
        """Return a fresh parser for one streamed answer."""
        return ResponsesParser(self._backend, self._quirks)

    def parse_models(self, body: bytes) -> Sequence[ModelCard]:
        """Read the list of models, which is that of Chat Completions."""
        from arawn.adapters.openai.chat import OpenAIChatAdapter

        return OpenAIChatAdapter(self._backend, self._quirks).parse_models(body)


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
        body: dict[str, Any] = {"model": request.model, **self._conversation(), "store": False}
        most = self._quirks.default_max_tokens if request.max_tokens is None else request.max_tokens
        if most is not None:
            body[self._quirks.max_tokens_key or "max_output_tokens"] = most
        body |= self._sampling() | self._tools() | self._format() | self._reasoning()
        if request.stream:
            body["stream"] = True
        for key, given in (("stop", bool(request.stop)), ("seed", request.seed is not None)):
            if given:
                self._drop(key, "this protocol has no place for it")
        return body | dict(self._quirks.extra) | dict(request.extra)

    def _drop(self, what: str, why: str) -> None:
        self.notices.append(Notice("dropped", f'{what} not sent to backend "{self._backend}": {why}'))

    def _sampling(self) -> dict[str, Any]:
        pairs = (("temperature", self._request.temperature), ("top_p", self._request.top_p))
        given = {key: value for key, value in pairs if value is not None}
        if given and not self._quirks.sampling:
            self._drop(" and ".join(given), "its models take none")
            return {}
        return given

    def _tools(self) -> dict[str, Any]:
        request = self._request
        if not request.tools:
            return {}
        written: dict[str, Any] = {"tools": [_tool(tool) for tool in request.tools]}
        if request.tool_choice.mode == "tool":
            written["tool_choice"] = {"type": "function", "name": request.tool_choice.name}
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
            return {"text": {"format": {"type": "json_object"}}}
        if not self._quirks.json_schema:
            self._drop("the JSON Schema", "it only knows how to answer with some JSON object")
            return {"text": {"format": {"type": "json_object"}}}
        schema = {"type": "json_schema", "name": output.name, "schema": dict(output.schema), "strict": output.strict}
        return {"text": {"format": schema}}

    def _reasoning(self) -> dict[str, Any]:
        """Ask for reasoning, and to get it encrypted; models that do not reason refuse a request for either."""
        wanted = self._request.thinking
        if wanted is None:
            return {}
        if wanted.effort == "none" or (wanted.effort is None and wanted.budget_tokens == 0):
            return {"reasoning": {"effort": "none"}}
        if wanted.budget_tokens is not None:
            self._drop("the budget for thinking", "it takes an effort, no number of tokens")
        effort = {"effort": wanted.effort} if wanted.effort else {}
        return {"reasoning": {**effort, "summary": "auto"}, "include": ["reasoning.encrypted_content"]}

    def _conversation(self) -> dict[str, Any]:
        """Return ``instructions``, made of the system messages in front, and ``input``."""
        messages = self._request.messages
        first = next((n for n, message in enumerate(messages) if message.role is not Role.SYSTEM), len(messages))
        instructions = "\n\n".join(filter(None, (message.text.strip() for message in messages[:first])))
        items = [item for message in messages[first:] for item in self._items(message)]
        if self._lost_items:
            self._drop("the reasoning and tool records of another backend", "only the one that made them reads them")
        return {**({"instructions": instructions} if instructions else {}), "input": items}

    def _items(self, message: Message) -> list[dict[str, Any]]:
        roles = {Role.SYSTEM: self._quirks.system_role or "developer", Role.ASSISTANT: "assistant"}
        items: list[dict[str, Any]] = []
        for part in message.parts:
            if (content := _content(part, answer=message.role is Role.ASSISTANT)) is not None:
                if not items or items[-1].get("type") != "message":
                    items.append({"type": "message", "role": roles.get(message.role, "user"), "content": []})
                items[-1]["content"].append(content)
            elif (item := self._item(part)) is not None:
                items.append(item)
        while items and items[-1].get("type") == "reasoning":
            items.pop()  # an answer cut while thinking: reasoning without the item it led to is refused
        for item in items:
            _shorten(item)
        return items

    def _item(self, part: Part) -> dict[str, Any] | None:
        match part:
            case ToolCall(call_id, name, arguments):
                return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments or "{}"}
            case ToolResult(call_id, content):
                return {"type": "function_call_output", "call_id": call_id, "output": _output(content)}
            case ProviderItem(item, owner):
                return self._own(item, owner)
            case Reasoning(item=item, owner=owner) if item is not None:
                return self._own(item, owner)
            case Reasoning(signature=signature) if signature:
                self._lost_items = True
            case Image():
                self._drop("a picture in an answer", "it takes pictures only from the user")
            case Text() | Refusal() | Reasoning():
                pass
        return None

    def _own(self, item: Mapping[str, Any], owner: str) -> dict[str, Any] | None:
        if owner == self._backend:
            return dict(item)
        self._lost_items = True
        return None


def _shorten(item: dict[str, Any]) -> None:
    """Write an answer of mere text as a string: blocks of it want an id that only the server can give."""
    blocks = item["content"] if item.get("role") == "assistant" else []
    if blocks and all(block["type"] == "output_text" for block in blocks):
        item["content"] = "".join(block["text"] for block in blocks)


def _content(part: Part, *, answer: bool) -> dict[str, Any] | None:
    """Write a part that stands inside a message; None for what is an item of its own, or nothing."""
    match part:
        case Text(text) if answer:
            return {"type": "output_text", "text": text, "annotations": []} if text else None
        case Refusal(text) if answer:
            return {"type": "refusal", "refusal": text}
        case Text(text) | Refusal(text):
            return {"type": "input_text", "text": text}
        case Image(data, media_type, url) if not answer:
            url = url or f"data:{media_type};base64,{b2a_base64(data, newline=False).decode('ascii')}"
            return {"type": "input_image", "image_url": url, "detail": "auto"}
        case _:
            return None


def _output(content: Sequence[Text | Image]) -> str | list[dict[str, Any] | None]:
    """Write what a tool gave back: plain text, or a list where there are pictures in it."""
    if any(isinstance(part, Image) for part in content):
        return [_content(part, answer=False) for part in content]
    return "".join(part.text for part in content if isinstance(part, Text))


def _tool(tool: Tool) -> dict[str, Any]:
    """Write a tool; ``strict`` is always said, because here it is on unless told otherwise."""
    described = {"description": tool.description} if tool.description else {}
    parameters = {"parameters": dict(tool.parameters), "strict": tool.strict}
    return {"type": "function", "name": tool.name, **described, **parameters}
