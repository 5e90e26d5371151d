"""The mock backend: answers from a script or with an echo, needs no key and no network.

The script comes from ``[[backends.NAME.replies]]`` or from Python; docs/mock.md shows both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from arawn.backends.usage_estimate import size_of
from arawn.backends.waiting import Waiting, loop_sleep
from arawn.errors import BackendTimeoutError, ConfigError, ConnectionFailedError, StreamInterruptedError
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
    from collections.abc import Iterator, Sequence

    from arawn.backends.waiting import Sleep
    from arawn.errors import ArawnError
    from arawn.events import Events, StreamEvent
    from arawn.messages import ChatRequest


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
_INTERRUPTED = "interrupted"
ERROR_KINDS = (*_ANSWERED, "connection", "timeout", _INTERRUPTED)
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


class MockBackend:
    """A backend that plays a script and remembers what it was asked.

    Pattern replies are looked at first, in their order; then the others are used up one by one, and the last repeats.
    ``sleep`` waits for so many seconds; the one given must suit the way the coroutines are run. ``total`` is how many
    seconds of waiting a call may take, None for any.
    """

    def __init__(
        self, name: str = "mock", *, model: str = "mock", sleep: Sleep = loop_sleep, total: float | None = None
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
        cls, name: str = "mock", *, model: str = "mock", sleep: Sleep = loop_sleep, total: float | None = None
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
        waiting = Waiting(self.name, self._sleep, self._total)
        if reply.latency_ms > 0:
            await waiting.sleep(reply.latency_ms / 1000)
        if reply.failure and reply.failure != _INTERRUPTED:
            raise self._failure(reply.failure, request.model)
        if reply.call is not None:
            self._tools.append(reply.call.name)
        deltas = list(reply.deltas(f"call_{len(self._tools)}"))
        yield started
        for position, event in enumerate(deltas):
            if position and reply.tokens_per_second > 0:
                await waiting.sleep(1 / reply.tokens_per_second)
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


def from_table(
    name: str, table: Mapping[str, Any], *, sleep: Sleep = loop_sleep, total: float | None = None
) -> MockBackend:
    """Make the backend of a ``[backends.NAME]`` table. Raises ConfigError that names the key and what was expected."""
    mode = table.get("mode")
    if mode not in (None, "echo"):
        raise ConfigError(f'backends.{name}.mode: {mode!r} is no mode of the mock; expected "echo"')
    make = MockBackend.echo if mode else MockBackend
    backend = make(name, model=table.get("model") or "mock", sleep=sleep, total=total)
    for index, row in enumerate(table.get("replies", ())):
        reply = _Reply(f"backends.{name}.replies[{index}]", row)
        if "match" in row:
            backend.with_pattern_response(reply.matcher(), reply.response())
        else:
            backend.with_response(reply.response())
    return backend


class _Reply:
    """One ``[[replies]]`` table, read key by key."""

    def __init__(self, where: str, row: object) -> None:
        if not isinstance(row, Mapping):
            raise ConfigError(f"{where}: expected a table with text, tool_call or error")
        self._where = where
        self._row: Mapping[str, Any] = row

    def matcher(self) -> MessageMatcher:
        pattern = self._value("match", str, "a regular expression")
        try:
            return MessageMatcher.regex(pattern)
        except re.error as error:
            raise self._wrong("match", f"{pattern!r} is no regular expression: {error}") from None

    def response(self) -> MockResponse:
        reply = self._answer().with_latency(self._number("latency_ms"))
        reply = reply.with_tokens_per_second(self._number("tokens_per_second"))
        if "reasoning" in self._row:
            reply = reply.with_reasoning(self._value("reasoning", str, "text"))
        if "finish_reason" in self._row:
            reply = reply.with_finish_reason(self._one_of("finish_reason", tuple(FinishReason)))
        return reply

    def _answer(self) -> MockResponse:
        match [key for key in ("text", "tool_call", "error") if key in self._row]:
            case ["text"]:
                return MockResponse.text(self._value("text", str, "text"))
            case ["tool_call"]:
                return self._tool_call()
            case ["error"]:
                return MockResponse.error(self._one_of("error", ERROR_KINDS))
            case ["text", "error"] if self._row["error"] == _INTERRUPTED:
                return MockResponse.error(_INTERRUPTED, text=self._value("text", str, "text"))
            case []:
                raise ConfigError(f"{self._where}: expected one of text, tool_call, error; found none of them")
            case several:
                raise ConfigError(
                    f"{self._where}: expected one of text, tool_call, error; found {' and '.join(several)}",
                    hints=('Only error = "interrupted" takes a text: half of it is sent before the stream stops.',),
                )

    def _tool_call(self) -> MockResponse:
        expected = 'a table like {name = "search", arguments = {q = "tea"}}'
        call = self._value("tool_call", Mapping, expected)
        name, arguments = call.get("name"), call.get("arguments", {})
        if not (isinstance(name, str) and name and isinstance(arguments, Mapping)):
            raise self._wrong("tool_call", f"expected {expected}")
        try:
            return MockResponse.tool_call(name, arguments)
        except TypeError:
            raise self._wrong("tool_call", "expected arguments that JSON can hold; it has no dates or times") from None

    def _one_of(self, key: str, choices: Sequence[str]) -> str:
        value = self._row[key]
        if value not in choices:
            raise self._wrong(key, f"{value!r} is not known; expected one of {', '.join(choices)}")
        return str(value)

    def _number(self, key: str) -> float:
        value = self._row.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self._wrong(key, f"expected a number from 0 up, found {value!r}")
        return value

    def _value(self, key: str, kind: type, expected: str) -> Any:
        if not isinstance(self._row[key], kind):
            raise self._wrong(key, f"expected {expected}, found {self._row[key]!r}")
        return self._row[key]

    def _wrong(self, key: str, what: str) -> ConfigError:
        return ConfigError(f"{self._where}.{key}: {what}")


def _vector(text: str) -> tuple[float, ...]:
    """A unit vector; each word turns it towards one of the directions."""
    from zlib import crc32

    values = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()) or [text]:
        code = crc32(word.encode("utf-8", "surrogatepass"))
        values[code % DIMENSIONS] += 1.0
    length = sum(value * value for value in values) ** 0.5
    return tuple(value / length for value in values)
