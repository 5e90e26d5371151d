"""The mock backend: scripted replies or an echo, without key and network.

The script comes from ``[[backends.NAME.replies]]`` (see ``mock_tables``) or from Python; docs/mock.md shows both.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from arawn.backends.usage_estimate import size_of
from arawn.errors import BackendTimeoutError, ConnectionFailedError, StreamInterruptedError
from arawn.events import (
    Finished,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from arawn.messages import (
    Embeddings,
    FinishReason,
    ModelCard,
    Role,
    ToolCall,
    Usage,
)
from arawn.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from arawn.errors import ArawnError
    from arawn.events import Events, StreamEvent
    from arawn.messages import ChatRequest

    Sleep: TypeAlias = Callable[[float], Awaitable[None]]

EMBEDDING_DIMENSIONS = 16
"""Length of the vectors."""
_WORDS = re.compile(r"\S+\s*|\s+")
_ERROR_RESPONSES = {  # the status and the code of the error response of a provider
    "authentication": (401, ""),
    "permission": (403, ""),
    "rate_limit": (429, ""),
    "quota": (402, ""),
    "server": (500, ""),
    "overloaded": (529, ""),
    "protocol": (200, ""),
    "request": (400, ""),
    "model": (404, "model_not_found"),
    "context_length": (400, "context_length_exceeded"),
    "content_filter": (400, "content_filter"),
}
INTERRUPTED = "interrupted"
ERROR_KINDS = (*_ERROR_RESPONSES, "connection", "timeout", INTERRUPTED)
"""The values of ``error``: every kind of failure of a backend."""


class MessageMatcher(Value):
    """Decides by the text of the last user message whether a reply applies."""

    pattern: re.Pattern[str]

    @classmethod
    def contains(cls, text: str) -> Self:
        """Match where ``text`` occurs, in this spelling."""
        return cls(re.compile(re.escape(text)))

    @classmethod
    def exact(cls, text: str) -> Self:
        """Match this text and no other."""
        return cls(re.compile(rf"\A{re.escape(text)}\Z"))

    @classmethod
    def regex(cls, pattern: str) -> Self:
        """Match where the regular expression finds something. Raises ``re.error`` for a bad one."""
        return cls(re.compile(pattern))

    def matches(self, text: str) -> bool:
        """Return whether the text matches."""
        return self.pattern.search(text) is not None


class MockResponse(Value):
    """One scripted reply; made by ``text``, ``tool_call`` or ``error`` and refined by the ``with_*`` methods.

    ``failure`` is one of ERROR_KINDS, or an error message. A rate of 0 tokens per second means no delay.
    """

    content: str = ""
    reasoning: str = ""
    call: ToolCall | None = None
    failure: str = ""
    latency_ms: float = 0
    tokens_per_second: float = 0
    finish_reason: FinishReason = FinishReason.STOP

    @classmethod
    def text(cls, text: str) -> Self:
        """Answer with this text."""
        return cls(content=text)

    @classmethod
    def tool_call(cls, name: str, arguments: Mapping[str, Any] | str = "{}") -> Self:
        """Call a tool; arguments given as a string are sent as they are, valid JSON or not."""
        written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        return cls(call=ToolCall("", name, written), finish_reason=FinishReason.TOOL_CALLS)

    @classmethod
    def error(cls, kind_or_message: str, *, text: str = "") -> Self:
        """Fail. A kind raises its class; any other text is the message of a server error (HTTP 500).

        ``interrupted`` sends half of ``text`` first; the others fail before they answer.
        """
        return cls(content=text, failure=kind_or_message or "server")

    def with_latency(self, milliseconds: float) -> Self:
        """Wait before the first event."""
        return replace(self, latency_ms=milliseconds)

    def with_tokens_per_second(self, rate: float) -> Self:
        """Send this many words per second."""
        return replace(self, tokens_per_second=rate)

    def with_reasoning(self, text: str) -> Self:
        """Send reasoning before the answer."""
        return replace(self, reasoning=text)

    def with_finish_reason(self, reason: FinishReason | str) -> Self:
        """End with this finish reason."""
        return replace(self, finish_reason=FinishReason(reason))

    def deltas(self, call_id: str) -> Iterator[StreamEvent]:
        """Yield the reply as events: text by words, arguments in two halves; of an interrupted one half the text."""
        for words in _WORDS.findall(self.reasoning):
            yield ReasoningDelta(words)
        sent = self.content[: len(self.content) // 2] if self.failure else self.content
        for words in _WORDS.findall(sent):
            yield TextDelta(words)
        if self.call is not None:
            written, half = self.call.arguments, len(self.call.arguments) // 2
            yield ToolCallStarted(0, call_id, self.call.name)
            yield ToolCallDelta(0, written[:half])
            yield ToolCallDelta(0, written[half:])

    def usage(self, request: ChatRequest) -> Usage:
        """Return the usage, at four characters per token; the mock is the provider, so this is not an estimate."""
        output = len(self.content) + len(self.reasoning) + (size_of(self.call) if self.call else 0)
        prompt = sum(size_of(part) for message in request.messages for part in message.parts)
        return replace(Usage.estimate(prompt, output), reasoning_tokens=(len(self.reasoning) + 3) // 4, estimated=False)


class _Waits:
    """The waits of one call: ``total`` seconds together at most, None for no limit."""

    def __init__(self, name: str, sleep: Sleep, total: float | None) -> None:
        self._name = name
        self._sleep = sleep
        self._total = total
        self._left = float("inf") if total is None else total

    async def sleep(self, seconds: float) -> None:
        """Wait. Raises BackendTimeoutError when the time is up."""
        await self._sleep(min(seconds, self._left))
        self._left -= seconds
        if self._left < 0:
            message = f"{self._name} was not done after {self._total:g} s (clock: total)"
            raise BackendTimeoutError(message, clock="total", backend=self._name)


async def asyncio_sleep(seconds: float) -> None:
    """Sleep in an asyncio event loop."""
    import asyncio

    await asyncio.sleep(seconds)


class MockBackend:
    """A backend that sends scripted replies and records the requests.

    Pattern replies are tried first, in order; then the others are used one by one, and the last repeats. ``sleep``
    waits for a number of seconds; it must suit the way the coroutines are run. ``total`` is the limit of these waits
    per call, in seconds, None for no limit.
    """

    def __init__(
        self, name: str = "mock", *, model: str = "mock", sleep: Sleep = asyncio_sleep, total: float | None = None
    ) -> None:
        self.name = name
        self._model = model
        self._sleep = sleep
        self._total = total
        self._echoes = False
        self._rules: list[tuple[MessageMatcher, MockResponse]] = []
        self._sequence: list[MockResponse] = []
        self._used = 0
        self._requests: list[ChatRequest] = []
        self._tools: list[str] = []

    @classmethod
    def echo(
        cls, name: str = "mock", *, model: str = "mock", sleep: Sleep = asyncio_sleep, total: float | None = None
    ) -> Self:
        """Make a backend that echoes the last user message where its script has no reply."""
        backend = cls(name, model=model, sleep=sleep, total=total)
        backend._echoes = True
        return backend

    def with_response(self, response: MockResponse) -> Self:
        """Add a reply to the sequence."""
        self._sequence.append(response)
        return self

    def with_pattern_response(self, matcher: MessageMatcher, response: MockResponse) -> Self:
        """Add a reply for messages that match; it may be used any number of times."""
        self._rules.append((matcher, response))
        return self

    @property
    def call_count(self) -> int:
        """The number of requests."""
        return len(self._requests)

    @property
    def requests(self) -> tuple[ChatRequest, ...]:
        """The requests, oldest first."""
        return tuple(self._requests)

    def was_tool_called(self, name: str) -> bool:
        """Return whether a reply called the tool."""
        return name in self._tools

    async def stream(self, request: ChatRequest) -> Events:
        """Send the next reply."""
        self._requests.append(request)
        started = Started(self.name, request.model, f"mock-{self.call_count}")
        reply = self._reply_to(request)
        waits = _Waits(self.name, self._sleep, self._total)
        if reply.latency_ms > 0:
            await waits.sleep(reply.latency_ms / 1000)
        if reply.failure and reply.failure != INTERRUPTED:
            raise self._failure(reply.failure, request.model)
        if reply.call is not None:
            self._tools.append(reply.call.name)
        deltas = list(reply.deltas(f"call_{len(self._tools)}"))
        yield started
        for position, event in enumerate(deltas):
            if position and reply.tokens_per_second > 0:
                await waits.sleep(1 / reply.tokens_per_second)
            yield event
        if reply.failure:
            raise StreamInterruptedError(
                f'The answer of backend "{self.name}" stopped before its end', backend=self.name
            )
        yield Finished(reply.finish_reason, reply.finish_reason.value, reply.usage(request))

    async def models(self) -> Sequence[ModelCard]:
        """Return its one model; requests for any other model are answered as well."""
        return (ModelCard(self._model, owned_by="arawn"),)

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return vectors made from the words: equal for equal texts, similar for texts that share words."""
        usage = Usage((sum(map(len, texts)) + 3) // 4)
        return Embeddings(tuple(_vector(text) for text in texts), self._model, usage)

    def _reply_to(self, request: ChatRequest) -> MockResponse:
        asked = next((message.text for message in reversed(request.messages) if message.role is Role.USER), "")
        for matcher, response in self._rules:
            if matcher.matches(asked):
                return response
        if self._sequence:
            self._used += 1
            return self._sequence[min(self._used, len(self._sequence)) - 1]
        if self._echoes:
            return MockResponse.text(asked)
        return MockResponse.text(
            f'This is the mock backend "{self.name}", and it has no reply for this. '
            f'Script it: mode = "echo", or [[backends.{self.name}.replies]] with text = "…".'
        )

    def _failure(self, kind: str, model: str) -> ArawnError:
        hints = (f'The mock backend "{self.name}" fails so because its replies say it',)
        if kind == "connection":
            message = f"Cannot connect to mock at mock://{self.name}"
            return ConnectionFailedError(message, backend=self.name, hints=hints)
        if kind == "timeout":
            message = f'Backend "{self.name}" sent nothing in time'
            return BackendTimeoutError(message, clock="first event", backend=self.name, hints=hints)
        from arawn.adapters.failures import read_failure

        status, code = _ERROR_RESPONSES.get(kind, (500, ""))
        message = "" if kind in _ERROR_RESPONSES else kind
        body = json.dumps({"message": message, "code": code}).encode()
        return read_failure(status, {}, body, backend=self.name, model=model)


def _vector(text: str) -> tuple[float, ...]:
    """Return a unit vector; each word adds to one of its dimensions."""
    from zlib import crc32

    values = [0.0] * EMBEDDING_DIMENSIONS
    for word in re.findall(r"\w+", text.lower()) or [text]:
        code = crc32(word.encode("utf-8", "surrogatepass"))
        values[code % EMBEDDING_DIMENSIONS] += 1.0
    length = sum(value * value for value in values) ** 0.5
    return tuple(value / length for value in values)
