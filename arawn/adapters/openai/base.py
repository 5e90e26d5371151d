"""What both protocols of OpenAI share: the list of models, the tools of a request, pictures as data URLs."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from arawn.adapters.chat_body import ChatBody
from arawn.adapters.http_adapter import ChatAdapter
from arawn.adapters.payload import base64_text, json_text, objects_of, parse_json, text_of
from arawn.messages import ModelCard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arawn.messages import Image, Tool, ToolCall

_WINDOWS = ("context_length", "context_window", "max_model_len", "max_context_length")
_OUTPUTS = ("max_completion_tokens", "max_output_tokens", "max_output_length")


class OpenAIAdapter(ChatAdapter):
    """The base of both adapters."""

    _models_path = "/models"

    def _models(self, body: bytes) -> Sequence[ModelCard]:
        """Read the list of models; some servers send it bare, without the object around it."""
        answer = parse_json(body.decode("utf-8-sig", "replace"))
        holder = answer if isinstance(answer, dict) else {"data": answer}
        if holder.get("data") is None:
            raise ValueError('there is no "data"')
        return [_card(model) for model in objects_of(holder, "data")]


class OpenAIBody(ChatBody):
    """The base of both bodies."""

    def _tools(self) -> dict[str, Any]:
        request = self._request
        if not request.tools:
            return {}
        fields: dict[str, Any] = {"tools": [self._tool(tool) for tool in request.tools]}
        if self._choice.mode == "tool":
            fields["tool_choice"] = self._forced_tool(self._choice.name)
        elif self._choice.mode != "auto":
            fields["tool_choice"] = self._choice.mode
        if request.parallel_tool_calls is not None:
            fields["parallel_tool_calls"] = request.parallel_tool_calls
        return fields

    def _argument_text(self, call: ToolCall) -> str:
        """Return the arguments of a call as JSON text."""
        text = json_text(self._arguments(call)) if call.custom else call.arguments
        return "{}" if text.strip() in {"", "null"} else text

    @abstractmethod
    def _tool(self, tool: Tool) -> dict[str, Any]:
        """Write a tool."""

    @abstractmethod
    def _forced_tool(self, name: str) -> dict[str, Any]:
        """Write the choice of this tool and no other."""


def image_url(image: Image) -> str:
    """Return the URL of a picture; of one that comes as bytes a data URL."""
    return image.url or f"data:{image.media_type};base64,{base64_text(image.data)}"


def _card(model: Mapping[str, Any]) -> ModelCard:
    return ModelCard(text_of(model, "id"), _limit(model, _WINDOWS), _limit(model, _OUTPUTS), text_of(model, "owned_by"))


def _limit(model: Mapping[str, Any], keys: Sequence[str]) -> int | None:
    values = (model.get(key) for key in keys)
    return next((value for value in values if type(value) is int and value > 0), None)
