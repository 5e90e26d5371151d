"""The mock backend: answers from a script or with an echo, needs no key and no network.

The script comes from ``[[backends.NAME.replies]]`` (see ``mock_table``) or from Python; docs/mock.md shows both.
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

DIMENSIONS = 16
_WORDS = re.compile(r"\S+\s*|\s+")
_ANSWERED = {  # the status and the code of the error answer a provider would give
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
"""The failure in the middle of an answer."""
ERROR_KINDS = (*_ANSWERED, "connection", "timeout", INTERRUPTED)
"""What ``error`` may name: every kind of failure a backend can meet."""


class MessageMatcher(Value):
    """Says whether a reply is meant for a message, by the text of the last user message."""

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
        """Say whether the text is meant."""
        return self.pattern.search(text) is not None


class MockResponse(Value):
    """One scripted answer; made by ``text``, ``tool_call`` or ``error`` and refined by the ``with_*`` methods.

    ``failure`` is one of ERROR_KINDS, or a message of its own. A pace of 0 means: at once.
    """

    content: str = ""
    thoughts: str = ""
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
        """Ask for a tool; arguments given as a string go out as they are, valid JSON or not."""
        written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        return cls(call=ToolCall("", name, written), finish_reason=FinishReason.TOOL_CALLS)

    @classmethod
    def error(cls, kind_or_message: str, *, text: str = "") -> Self:
        """Fail. A kind raises its class; other words are what a server says with its status 500.

        ``interrupted`` sends half of ``text`` first; the others fail before they answer.
        """
        return cls(content=text, failure=kind_or_message or "server")

    def with_latency(self, milliseconds: float) -> Self:
        """Wait before the first event."""
        return replace(self, latency_ms=milliseconds)

    def with_tokens_per_second(self, rate: float) -> Self:
        """Send so many words a second."""
        return replace(self, tokens_per_second=rate)

    def with_reasoning(self, text: str) -> Self:
        """Think aloud before the answer."""
        return replace(self, thoughts=text)

    def with_finish_reason(self, reason: FinishReason | str) -> Self:
        """End for this reason."""
        return replace(self, finish_reason=FinishReason(reason))

    def deltas(self, call_id: str) -> Iterator[StreamEvent]:
        """The answer as events: text word by word, arguments in two halves; an interrupted one sends half its text."""
        for words in _WORDS.findall(self.thoughts):
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
        """Tokens at four characters each; the mock is the provider, so its count is not an estimate."""
        said = len(self.content) + len(self.thoughts) + (size_of(self.call) if self.call else 0)
        heard = sum(size_of(part) for message in request.messages for part in message.parts)
        return replace(Usage.estimate(heard, said), reasoning_tokens=(len(self.thoughts) + 3) // 4, estimated=False)


async def asyncio_sleep(seconds: float) -> None:
    """Sleep in an asyncio event loop."""
    import asyncio

    await asyncio.sleep(seconds)


class MockBackend:
    """A backend that plays a script and remembers what it was asked.

    Pattern replies are looked at first, in their order; then the others are used up one by one, and the last repeats.
    ``sleep`` waits for so many seconds; the one given must suit the way the coroutines are run. ``total`` is how many
    seconds of waiting a call may take, None for any.
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
        """Make one that answers with the last user message where its script has no reply."""
        backend = cls(name, model=model, sleep=sleep, total=total)
        backend._echoes = True
        return backend

    def with_response(self, response: MockResponse) -> Self:
        """Add a reply to the sequence."""
        self._sequence.append(response)
        return self

    def with_pattern_response(self, matcher: MessageMatcher, response: MockResponse) -> Self:
        """Add a reply for the messages that match; it may be used again and again."""
        self._rules.append((matcher, response))
        return self

    @property
    def call_count(self) -> int:
        """How often it was asked."""
        return len(self._requests)

    @property
    def requests(self) -> tuple[ChatRequest, ...]:
        """What it was asked, oldest first."""
        return tuple(self._requests)

    def was_tool_called(self, name: str) -> bool:
        """Say whether one of its answers asked for the tool."""
        return name in self._tools

    async def stream(self, request: ChatRequest) -> Events:
        """Play the next reply."""
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
        """Name its one model; any other name is answered all the same."""
        return (ModelCard(self._model, owned_by="arawn"),)

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Place each text by its words: the same text at the same place, texts that share words near each other."""
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
        hints = (f'The mock backend "{self.name}" was told to fail so: see its replies',)
        if kind == "connection":
            message = f"Cannot connect to mock at mock://{self.name}"
            return ConnectionFailedError(message, backend=self.name, hints=hints)
        if kind == "timeout":
            message = f'Backend "{self.name}" sent nothing in time'
            return BackendTimeoutError(message, clock="first event", backend=self.name, hints=hints)
        from arawn.adapters.failures import read_failure

        status, code = _ANSWERED.get(kind, (500, ""))
        words = "" if kind in _ANSWERED else kind
        body = json.dumps({"message": words, "code": code}).encode()
        return read_failure(status, {}, body, backend=self.name, model=model)


class _Waits:
    """The waits of one call to the backend ``name``: together at most ``total`` seconds, None for no limit."""

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


def _vector(text: str) -> tuple[float, ...]:
    """A unit vector; each word turns it towards one of the directions."""
    from zlib import crc32

    values = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()) or [text]:
        code = crc32(word.encode("utf-8", "surrogatepass"))
        values[code % DIMENSIONS] += 1.0
    length = sum(value * value for value in values) ** 0.5
    return tuple(value / length for value in values)
