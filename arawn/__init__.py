"""arawn: one terminal tool, one Python API, for every LLM backend.

The public names load on first use, so that ``import arawn`` stays cheap; they are listed in docs/python-api.md.
"""

from __future__ import annotations

__version__ = "0.1.0"

_PUBLIC = {
    "Client": "arawn.client",
    "LLMConfig": "arawn.client",
    "get_llm_client": "arawn.client",
    "MessageMatcher": "arawn.backends.mock",
    "MockBackend": "arawn.backends.mock",
    "MockResponse": "arawn.backends.mock",
    "ArawnError": "arawn.errors",
    "ChatRequest": "arawn.messages",
    "Image": "arawn.messages",
    "LLMMessage": "arawn.messages",
    "Message": "arawn.messages",
    "Response": "arawn.messages",
    "Role": "arawn.messages",
    "Tool": "arawn.messages",
    "Usage": "arawn.messages",
}


def __getattr__(name: str) -> object:
    """Load a public name from the module that holds it."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'arawn' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, "__version__"])
