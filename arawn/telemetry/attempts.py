"""An attempt that has ended, as the log and OpenTelemetry describe it.

Names and values are those of the semantic conventions for generative AI, version 1.41.0, the last one published
(opentelemetry.io/docs/specs/semconv/gen-ai): a draft that came later renames some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.errors import ArawnError, BackendError, RequestError
from arawn.messages import FinishReason, Image, ProviderItem, Reasoning, ToolCall, ToolResult, joined_text
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from arawn.messages import ChatRequest, Message, Part, Response
    from arawn.store.calls import Call
    from arawn.telemetry.log import EventLog

PROVIDERS: Mapping[str, str] = {
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "amazonaws.com": "aws.bedrock",
    "anthropic.com": "anthropic",
    "cohere.com": "cohere",
    "deepseek.com": "deepseek",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "groq.com": "groq",
    "mistral.ai": "mistral_ai",
    "ml.cloud.ibm.com": "ibm.watsonx.ai",
    "moonshot.ai": "moonshot_ai",
    "moonshot.cn": "moonshot_ai",
    "openai.azure.com": "azure.ai.openai",
    "openai.com": "openai",
    "perplexity.ai": "perplexity",
    "services.ai.azure.com": "azure.ai.inference",
    "x.ai": "x_ai",
}
"""What the conventions call a provider, by the end of its host; others are called as their backend is."""
WITHHELD = "not shown: it may repeat what was asked (log.content = true shows it)"
_WINDOW = 16  # characters in a row that a message and a question have in common when the one repeats the other


class Attempt(Value, kw_only=True):
    """One call of one backend that has ended: a retry and a fallback are attempts of their own.

    ``request`` is None for embeddings, ``response`` where nothing came, ``error`` where all went well. ``base_url`` is
    the backend's address, empty for one in this process.
    """

    call: Call
    request: ChatRequest | None = None
    response: Response | None = None
    error: BaseException | None = None
    base_url: str = ""

    @property
    def failed(self) -> bool:
        """Whether the backend failed; a reader who leaves is no failure of it."""
        return isinstance(self.error, Exception)

    @property
    def operation(self) -> str:
        """What the conventions call what was asked for."""
        return "embeddings" if self.request is None else "chat"


def log_attempt(event_log: EventLog) -> Callable[[Attempt], None]:
    """Return the observer that writes a line for every attempt: ``llm_call_failed`` or ``cost_tracked``."""

    def observe(attempt: Attempt) -> None:
        if event_log.path is None:
            return
        event, fields = "cost_tracked", _named(attempt)
        if attempt.failed:
            event = "llm_call_failed"
            fields |= _failure(attempt, content=event_log.content)
        fields |= _costs(attempt.call) | attributes(attempt)
        if event_log.content:
            fields |= content_of(attempt)
            fields["text"] = attempt.response and attempt.response.text
        event_log.write(event, **fields)

    return observe


def attributes(attempt: Attempt) -> dict[str, Any]:
    """Return the attributes that the conventions have for an attempt, without what was asked or answered.

    Tokens that are only estimated are left out.
    """
    found = {
        "gen_ai.operation.name": attempt.operation,
        "gen_ai.provider.name": _provider(attempt),
        "gen_ai.request.model": attempt.call.model,
        **_server(attempt.base_url),
        **_of_request(attempt.request),
        **_of_response(attempt.response),
        **_of_call(attempt.call),
        "error.type": type(attempt.error).__name__ if attempt.failed else None,
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def content_of(attempt: Attempt) -> dict[str, Any]:
    """Return what was asked and answered, as the conventions write messages; of pictures and the like only the kind."""
    found: dict[str, Any] = {}
    if attempt.request is not None:
        found["gen_ai.input.messages"] = [_message(message) for message in attempt.request.messages]
    if attempt.response is not None and attempt.response.message.parts:
        finish = attempt.response.finish_reason.value
        found["gen_ai.output.messages"] = [{**_message(attempt.response.message), "finish_reason": finish}]
    return found


def error_message(attempt: Attempt, *, content: bool) -> str:
    """Return the line that names a failure; without ``content`` only where it cannot repeat what was asked."""
    error = attempt.error
    if not isinstance(error, ArawnError):
        return str(error) if content else WITHHELD
    return error.message if content or not _may_repeat(error, attempt.request) else WITHHELD


def _named(attempt: Attempt) -> dict[str, Any]:
    return {"backend": attempt.call.backend, "model": attempt.call.model}


def _failure(attempt: Attempt, *, content: bool) -> dict[str, Any]:
    error = attempt.error
    backend_error = error if isinstance(error, BackendError) else None
    return {
        "error_type": type(error).__name__,
        "error_message": error_message(attempt, content=content),
        "retry_count": attempt.call.retries,
        "status": backend_error and backend_error.status,
        "code": backend_error and backend_error.code,
    }


def _costs(call: Call) -> dict[str, Any]:
    return {
        **call.usage.counts,
        "counted": call.counted,
        "estimated": call.counted != "reported",
        "cost": None if call.cost is None else format(call.cost.normalize(), "f"),
        "latency_ms": _rounded(call.latency_ms),
        "first_token_ms": _rounded(call.first_token_ms),
        "outcome": call.outcome,
        "role": call.role,
        "session": call.session or None,
        "retry_count": call.retries,
    }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)


def _provider(attempt: Attempt) -> str:
    labels = _host(attempt.base_url).split(".")
    ends = (".".join(labels[at:]) for at in range(len(labels)))
    return next((PROVIDERS[end] for end in ends if end in PROVIDERS), attempt.call.backend)


def _host(base_url: str) -> str:
    from urllib.parse import urlsplit

    try:
        return urlsplit(base_url).hostname or ""
    except ValueError:
        return ""


def _server(base_url: str) -> dict[str, Any]:
    from urllib.parse import urlsplit

    host = _host(base_url)
    if not host:
        return {}
    parts = urlsplit(base_url)
    try:
        port = parts.port
    except ValueError:
        port = None
    return {"server.address": host, "server.port": port or {"https": 443, "http": 80}.get(parts.scheme)}


def _of_request(request: ChatRequest | None) -> dict[str, Any]:
    if request is None:
        return {}
    return {
        "gen_ai.request.stream": request.stream,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.top_p": request.top_p,
        "gen_ai.request.seed": request.seed,
        "gen_ai.output.type": "json" if request.output is not None else None,
    }


def _of_response(response: Response | None) -> dict[str, Any]:
    if response is None:
        return {}
    finish = response.raw_finish_reason or response.finish_reason.value
    return {
        "gen_ai.response.id": response.id,
        "gen_ai.response.model": response.model,
        "gen_ai.response.finish_reasons": None if finish == FinishReason.UNKNOWN else [finish],
    }


def _of_call(call: Call) -> dict[str, Any]:
    usage = call.usage
    first = call.first_token_ms
    found: dict[str, Any] = {
        "gen_ai.conversation.id": call.session,
        "gen_ai.response.time_to_first_chunk": None if first is None else first / 1000,
    }
    if call.counted == "estimated":
        return found
    return found | {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
    }


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role.value, "parts": [_part(part) for part in message.parts]}


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Image(url=url) if url:
            return {"type": "uri", "modality": "image", "uri": url}
        case Image(data=data, media_type=media_type):
            return {"type": "image", "mime_type": media_type, "bytes": len(data)}
        case Reasoning(text=text):
            return {"type": "reasoning", "content": text}
        case ToolCall(id=name, name=tool, arguments=arguments):
            return {"type": "tool_call", "id": name, "name": tool, "arguments": arguments}
        case ToolResult(call_id=name, content=parts):
            return {"type": "tool_call_response", "id": name, "response": joined_text(parts)}
        case ProviderItem():
            return {"type": "provider_item"}
        case _:
            return {"type": "text", "content": part.text}


def _may_repeat(error: ArawnError, request: ChatRequest | None) -> bool:
    """Whether a message may hold words of the request: a refusal often quotes it, and any server may."""
    if isinstance(error, RequestError):
        return True
    if request is None:  # the texts to embed are not here to compare with
        return isinstance(error, BackendError) and error.status is not None
    return any(_repeats(error.message, text) for message in request.messages for text in _texts(message))


def _texts(message: Message) -> Iterator[str]:
    for part in message.parts:
        match part:
            case ToolCall(arguments=arguments):
                yield arguments
            case ToolResult(content=parts):
                yield joined_text(parts)
            case Image() | ProviderItem():
                pass
            case _:
                yield part.text


def _repeats(message: str, text: str) -> bool:
    """Whether a message holds a text, or a piece of it that is half as long again as the window."""
    text = " ".join(text.split())
    if len(text) <= _WINDOW:
        return len(text) > 1 and text in message
    starts = range(0, len(message) - _WINDOW + 1, _WINDOW // 2)
    return any(message[at : at + _WINDOW] in text for at in starts)
