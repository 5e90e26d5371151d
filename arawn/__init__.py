"""arawn: one terminal tool, one Python API, for every LLM backend.

The public names load on first use, so that ``import arawn`` stays cheap; docs/python-api.md describes them.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # typing's own costs an import, and type checkers go by the name
if TYPE_CHECKING:
    from arawn.backends.mock import MessageMatcher as MessageMatcher
    from arawn.backends.mock import MockBackend as MockBackend
    from arawn.backends.mock import MockResponse as MockResponse
    from arawn.client import Client as Client
    from arawn.client import LLMConfig as LLMConfig
    from arawn.client import get_llm_client as get_llm_client
    from arawn.errors import ArawnError as ArawnError
    from arawn.events import Finished as Finished
    from arawn.events import ReasoningDelta as ReasoningDelta
    from arawn.events import TextDelta as TextDelta
    from arawn.events import collect as collect
    from arawn.messages import ChatRequest as ChatRequest
    from arawn.messages import Citation as Citation
    from arawn.messages import Image as Image
    from arawn.messages import LLMMessage as LLMMessage
    from arawn.messages import Message as Message
    from arawn.messages import OutputFormat as OutputFormat
    from arawn.messages import Response as Response
    from arawn.messages import Role as Role
    from arawn.messages import Text as Text
    from arawn.messages import Thinking as Thinking
    from arawn.messages import Tool as Tool
    from arawn.messages import ToolCall as ToolCall
    from arawn.messages import ToolChoice as ToolChoice
    from arawn.messages import ToolResult as ToolResult
    from arawn.messages import Usage as Usage

_HOMES = {
    "arawn.backends.mock": ("MessageMatcher", "MockBackend", "MockResponse"),
    "arawn.client": ("Client", "LLMConfig", "get_llm_client"),
    "arawn.errors": ("ArawnError",),
    "arawn.events": ("Finished", "ReasoningDelta", "TextDelta", "collect"),
    "arawn.messages": (
        "ChatRequest",
        "Citation",
        "Image",
        "LLMMessage",
        "Message",
        "OutputFormat",
        "Response",
        "Role",
        "Text",
        "Thinking",
        "Tool",
        "ToolCall",
        "ToolChoice",
        "ToolResult",
        "Usage",
    ),
}


def __getattr__(name: str) -> object:
    """Load a public name from the module that holds it."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'arawn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*(name for names in _HOMES.values() for name in names), "__version__"])
