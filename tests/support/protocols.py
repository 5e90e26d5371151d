"""The protocols of Ollama and the Responses API: the body written for a request, the events read from a stream."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from support.recordings import events_of

from arawn.adapters.base import Quirks
from arawn.adapters.ollama import OllamaAdapter
from arawn.adapters.openai.responses import OpenAIResponsesAdapter
from arawn.messages import Tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from arawn.messages import ChatRequest

WEATHER = Tool("weather", "Tells it", {"type": "object", "properties": {"city": {"type": "string"}}})


@dataclass(frozen=True)
class Protocol:
    """One protocol, spoken to the backend ``name``."""

    kind: Callable[[str, Quirks], Any]
    name: str

    def adapter(self, quirks: Quirks | None = None) -> Any:
        return self.kind(self.name, quirks or Quirks())

    def sent(self, request: ChatRequest, quirks: Quirks | None = None) -> dict[str, Any]:
        """The body of a request, and nothing else."""
        return json.loads(self.adapter(quirks).render_chat(request).body)

    def notices(self, request: ChatRequest, quirks: Quirks | None = None) -> list[str]:
        call = self.adapter(quirks).render_chat(request)
        assert {notice.kind for notice in call.notices} <= {"dropped"}
        return [notice.text for notice in call.notices]

    def read(self, data: bytes, *, size: int = 0, quirks: Quirks | None = None) -> list[Any]:
        """Events of a whole stream that came in pieces of ``size`` bytes (0: at once)."""
        pieces = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
        return events_of(self.adapter(quirks).stream_parser(), pieces)


OLLAMA = Protocol(OllamaAdapter, "local")
RESPONSES = Protocol(OpenAIResponsesAdapter, "oai")


def json_with(*keys: str) -> st.SearchStrategy[Any]:
    """Any JSON value; its objects have these keys and others."""
    numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    return st.recursive(
        st.none() | st.booleans() | numbers | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(keys) | st.text(max_size=3), inner, max_size=5)
        ),
        max_leaves=8,
    )
