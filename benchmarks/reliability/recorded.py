"""The recorded streams of real providers, and a reading of one by arawn's parser for its protocol."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from arawn.adapters.anthropic.messages import AnthropicAdapter
from arawn.adapters.base import Quirks
from arawn.adapters.ollama import OllamaAdapter
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.adapters.openai.responses import OpenAIResponsesAdapter
from tests.support.recordings import recordings

if TYPE_CHECKING:
    from arawn.adapters.base import Adapter
    from tests.support.recordings import Recording

_ADAPTERS: dict[str, Any] = {
    "anthropic-messages": AnthropicAdapter,
    "ollama-chat": OllamaAdapter,
    "openai-chat": OpenAIChatAdapter,
    "openai-responses": OpenAIResponsesAdapter,
}
FOLDER = "ARAWN_RECORDINGS"
MISSING = f"{FOLDER} does not name the folder of recordings"


def available() -> bool:
    """Whether there is anything to read."""
    return FOLDER in os.environ


def streams() -> list[Recording]:
    """Return every recorded stream of a chat that went well."""
    found = recordings(lambda line: line["stream"] and line["status"] == 200 and line["api"] in _ADAPTERS)
    return [each.values[0] for each in found if "error" not in each.values[0].expected]


def adapter(recording: Recording) -> Adapter:
    """Return the adapter of its protocol."""
    copyable = Quirks(headers={}, query={}, extra={})  # the default mapping cannot be copied, and parsers are
    made: Adapter = _ADAPTERS[recording.api]("recorded", copyable)
    return made


def name(recording: Recording) -> str:
    """Return what to call it: ``openai/chat-stream``."""
    return f"{recording.folder.parent.name}/{recording.folder.name}"
