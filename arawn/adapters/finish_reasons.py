"""The words with which services say why an answer ended, in any of the protocols."""

from __future__ import annotations

from arawn.messages import FinishReason

_REASONS = {
    FinishReason.STOP: (
        "stop", "end_turn", "stop_sequence",
        "eos", "eos_token",  # Together; Text Generation Inference
        "complete", "completed",  # Cohere; the Responses API
        "end", "finished", "done",
    ),
    FinishReason.LENGTH: (
        "length", "max_tokens", "max_output_tokens",
        "model_length",  # Mistral: the context window is full
        "model_context_window_exceeded",
    ),
    FinishReason.TOOL_CALLS: ("tool_calls", "tool_use", "function_call"),
    FinishReason.CONTENT_FILTER: ("content_filter", "safety", "sensitive", "guardrail_intervened"),
    FinishReason.REFUSAL: ("refusal",),
    FinishReason.PAUSE: ("pause_turn",),
}  # fmt: skip
_BY_WORD = {word: reason for reason, words in _REASONS.items() for word in words}
FAILURES = frozenset({"error", "network_error", "insufficient_system_resource", "abort"})
"""Words that say that the service failed, and the answer is not whole (z.ai, DeepSeek, vLLM)."""


def finish_reason(word: str) -> FinishReason:
    """Return the reason a provider's word stands for, in capitals or not; UNKNOWN for any other word."""
    return _BY_WORD.get(word.lower(), FinishReason.UNKNOWN)
