"""For each recording the adapter of its protocol (``adapter_for``), and what it must make of the answer (``check``)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from support.recordings import normalised, promised

from arawn.adapters.base import Quirks
from arawn.errors import (
    AuthenticationError,
    ContextLengthError,
    ModelNotAvailableError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
    RequestError,
    ServerError,
)

if TYPE_CHECKING:
    from support.recordings import Recording

    from arawn.errors import (
        ArawnError,
    )

ADAPTERS = {
    "openai-chat": ("arawn.adapters.openai.chat", "OpenAIChatAdapter"),
    "openai-models": ("arawn.adapters.openai.chat", "OpenAIChatAdapter"),
    "anthropic-messages": ("arawn.adapters.anthropic.messages", "AnthropicAdapter"),
    "anthropic-models": ("arawn.adapters.anthropic.messages", "AnthropicAdapter"),
    "openai-responses": ("arawn.adapters.openai.responses", "OpenAIResponsesAdapter"),
    "ollama-chat": ("arawn.adapters.ollama", "OllamaAdapter"),
    "ollama-tags": ("arawn.adapters.ollama", "OllamaAdapter"),
    "openai-embeddings": ("arawn.adapters.embeddings", "OpenAIEmbeddings"),
    "ollama-embed": ("arawn.adapters.embeddings", "OllamaEmbeddings"),
}
# What a failure is, by a word in the name of its recording; the first that fits.
KINDS: tuple[tuple[str, type[ArawnError]], ...] = (
    ("insufficient-quota", QuotaExceededError),
    ("context-length", ContextLengthError),
    ("prompt-too-long", ContextLengthError),
    ("404-", ModelNotAvailableError),
    ("400-model", ModelNotAvailableError),
    ("400-key", AuthenticationError),
    ("401", AuthenticationError),
    ("429", RateLimitError),
    ("529", OverloadedError),
    ("error-500-tools", RequestError),
    ("500", ServerError),
    ("4", RequestError),
)


def adapter_for(recording: Recording, quirks: Quirks | None = None) -> Any:
    """Return the adapter of the recording's protocol; errors of other endpoints have the OpenAI shape, or any."""
    module, name = ADAPTERS.get(recording.api, ADAPTERS["openai-chat"])
    return getattr(import_module(module), name)("here", quirks or Quirks())


def kind_of(recording: Recording) -> type[ArawnError]:
    return next(kind for word, kind in KINDS if word in recording.folder.name)


def check(recording: Recording, events: list[Any]) -> None:
    """Compare what an adapter made of an answer with what is known of it."""
    found, wanted = normalised(events), promised(recording)
    for call, known in zip(found["tool_calls"], wanted["tool_calls"], strict=True):
        assert call["id"]
        known["id"] = known["id"] or call["id"]
    usage, reason = found.pop("usage"), found.pop("finish_reason")
    assert found == wanted
    check_usage(recording, usage)
    check_reason(recording, reason)


def check_reason(recording: Recording, reason: str) -> None:
    expected = recording.expected
    if recording.api == "openai-responses":
        assert reason == (expected.get("incomplete_reason") or expected["status"])
    else:
        assert reason == (expected.get("finish_reason") or "")


def check_usage(recording: Recording, usage: Any) -> None:
    counts = recording.expected.get("usage") or {}
    if not any(counts.values()):
        assert usage is None or usage.total_tokens == 0
        return
    read, written = counts.get("cache_read_tokens") or 0, counts.get("cache_write_tokens") or 0
    beside = read + written if recording.api == "anthropic-messages" else 0
    assert usage.input_tokens == counts["input_tokens"] + beside
    total = counts.get("total_tokens") or counts["input_tokens"] + counts["output_tokens"]
    assert usage.total_tokens == max(total, counts["input_tokens"] + counts["output_tokens"]) + beside
    assert usage.cache_read_tokens == min(read, usage.input_tokens)
    assert usage.cache_write_tokens == written
    if counts.get("reasoning_tokens"):
        assert usage.reasoning_tokens == counts["reasoning_tokens"]
    if counts.get("cost") is not None:
        assert float(usage.cost) == counts["cost"]
