"""Models on Apple Silicon, run in this process by mlx-lm (the extra ``mlx``).

The API is that of github.com/ml-explore/mlx-lm: README "Python API", mlx_lm/generate.py, sample_utils.py and
tokenizer_utils.py, where a tokenizer declares the markers of thinking and tool calls. MLX binds its streams to a
thread, and a step blocks: under asyncio all work runs on one thread of our own, else on the caller's.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from arawn.adapters.failure_report import printable
from arawn.adapters.output_schema import in_words
from arawn.errors import (
    ConfigError,
    ModelNotAvailableError,
    ProtocolError,
    RequestError,
    ServerError,
    StreamInterruptedError,
)
from arawn.events import Finished, Notice, ReasoningDelta, Started, TextDelta, ToolCallDelta, ToolCallStarted
from arawn.messages import FinishReason, Image, ToolResult, Usage, joined_text

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import ThreadPoolExecutor

    from arawn.events import Events, StreamEvent
    from arawn.messages import ChatRequest, Message, ToolCall

T = TypeVar("T")

_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}
_MAX_ERROR_TEXT = 300
"""Characters of an error of mlx-lm that are shown."""
_NO_TOKEN_LIMIT = -1  # mlx-lm's own default of 256 tokens would cut most answers


class MlxBackend:
    """Answers with a model of mlx-lm: a repository of huggingface.co or a folder. The last model stays loaded."""

    def __init__(self, name: str = "mlx") -> None:
        self.name = name
        self._loaded: tuple[str, Any, Any] = ("", None, None)
        self._thread: ThreadPoolExecutor | None = None

    async def stream(self, request: ChatRequest) -> Events:
        """Answer. Raises ConfigError where mlx-lm is not installed."""
        events = self._events(request)
        try:
            while (event := await self._run(next, events, None)) is not None:
                yield event
        finally:
            await self._run(events.close)

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        loop = _running_loop()
        if loop is None:
            return work(*arguments)
        if self._thread is None:
            from concurrent.futures import ThreadPoolExecutor

            self._thread = ThreadPoolExecutor(1, f"arawn-{self.name}")
        return await loop.run_in_executor(self._thread, work, *arguments)

    def _events(self, request: ChatRequest) -> Generator[StreamEvent]:
        library = _library(self.name)
        model, tokenizer = self._model(library, request.model)
        prompt = self._prompt(tokenizer, request)
        parser = _AnswerParser(self.name, tokenizer, request, prompt)
        yield Started(self.name, request.model)
        yield from _unsupported(request, tokenizer)
        last = None
        with closing(self._steps(library, model, tokenizer, prompt, request)) as steps:
            for last in steps:
                yield from parser.feed(last.text)
                if parser.stopped:
                    break
        raw = "stop" if parser.stopped else last and last.finish_reason
        if last is None or not raw:
            message = f'The answer of backend "{self.name}" stopped before its end'
            raise StreamInterruptedError(message, backend=self.name)
        yield from parser.close(raw)
        reason = _REASONS.get(raw, FinishReason.UNKNOWN)
        if parser.calls and reason is FinishReason.STOP:
            reason = FinishReason.TOOL_CALLS
        yield Finished(reason, raw, Usage(last.prompt_tokens, last.generation_tokens))

    def _model(self, library: Any, name: str) -> tuple[Any, Any]:
        if self._loaded[0] != name:
            self._loaded = ("", None, None)  # two models may not fit into memory
            try:
                self._loaded = (name, *library.load(name))
            except Exception as error:
                hints = (
                    f"mlx-lm says: {_error_text(error)}",
                    "Name a model of huggingface.co/mlx-community, or a folder that holds one",
                )
                raise ModelNotAvailableError(f'Model "{name}" not available', backend=self.name, hints=hints) from error
        return self._loaded[1:]

    def _prompt(self, tokenizer: Any, request: ChatRequest) -> str:
        options: dict[str, Any] = {}
        if _takes_tools(request, tokenizer):
            options["tools"] = _tools(request)
        if request.thinking is not None:
            options["enable_thinking"] = request.thinking.effort != "none"
        messages = _with_words([entry for message in request.messages for entry in _entries(message)], request)
        try:
            return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **options))
        except Exception as error:
            raise RequestError(
                f'The chat template of model "{request.model}" refused the conversation: {_error_text(error)}',
                hints=("Some templates take no system message, or insist that user and assistant take turns",),
                backend=self.name,
            ) from error

    def _steps(self, library: Any, model: Any, tokenizer: Any, prompt: str, request: ChatRequest) -> Generator[Any]:
        sampling = {"temp": request.temperature, "top_p": request.top_p}
        sampling = {key: value for key, value in sampling.items() if value is not None}
        try:
            yield from library.stream_generate(
                model,
                tokenizer,
                # The template wrote the special tokens: encoding must not add them again.
                tokenizer.encode(prompt, add_special_tokens=False),
                max_tokens=_NO_TOKEN_LIMIT if request.max_tokens is None else request.max_tokens,
                sampler=library.sample_utils.make_sampler(**sampling),
                **request.extra,
            )
        except Exception as error:
            raise ServerError(f'Backend "{self.name}" failed: {_error_text(error)}', backend=self.name) from error


class _AnswerParser:
    """Turns generated text into events, split at the tokenizer's markers and at stop sequences.

    A state is ``text``, ``reasoning``, ``call`` or ``stopped``; ``_markers`` maps each to the markers that end it, and
    these to the next state.
    """

    def __init__(self, backend: str, tokenizer: Any, request: ChatRequest, prompt: str) -> None:
        self.calls = 0
        self._backend = backend
        self._tokenizer = tokenizer
        self._tools = _tools(request)
        self._markers: dict[str, dict[str, str]] = {"text": dict.fromkeys(request.stop, "stopped")}
        self._state = "text"
        self._held = ""
        self._after_span = False
        if start := getattr(tokenizer, "think_start", None):
            self._markers["text"][start] = "reasoning"
            self._markers["reasoning"] = {tokenizer.think_end: "text"}
            if prompt.rstrip().endswith(start):
                self._state = "reasoning"
        if _takes_tools(request, tokenizer):
            self._markers["text"][tokenizer.tool_call_start] = "call"
            # An empty end marker (Mistral) means: to the end of the answer.
            self._markers["call"] = {tokenizer.tool_call_end: "text"} if tokenizer.tool_call_end else {}

    @property
    def stopped(self) -> bool:
        """Whether a stop sequence was generated."""
        return self._state == "stopped"

    def feed(self, text: str) -> Iterator[StreamEvent]:
        """Take in more text."""
        self._held += text
        while found := self._first_marker():
            place, marker = found
            yield from self._release(place)
            self._held = self._held[len(marker) :]
            self._after_span = self._state != "text"
            self._state = self._markers[self._state][marker]
        if self._state != "call":
            yield from self._release(len(self._held) - self._partial_marker())

    def close(self, raw_reason: str) -> Iterator[StreamEvent]:
        """Say that the text has ended; a tool call cut off by the token limit is dropped."""
        if not (self.stopped or (self._state == "call" and raw_reason == "length")):
            yield from self._release(len(self._held))

    def _first_marker(self) -> tuple[int, str] | None:
        markers = self._markers.get(self._state, {})
        return min(((place, marker) for marker in markers if (place := self._held.find(marker)) >= 0), default=None)

    def _partial_marker(self) -> int:
        """Return how many of the last characters may be the beginning of a marker."""
        markers = self._markers.get(self._state, {})
        longest = min(max(map(len, markers), default=1) - 1, len(self._held))
        tails = (self._held[-size:] for size in range(longest, 0, -1))
        return next((len(tail) for tail in tails if any(marker.startswith(tail) for marker in markers)), 0)

    def _release(self, size: int) -> Iterator[StreamEvent]:
        text, self._held = self._held[:size], self._held[size:]
        if self._state == "call":
            yield from self._tool_calls(text)
        elif self._state == "reasoning" and text:
            yield ReasoningDelta(text)
        elif self._state == "text":
            if self._after_span:  # models separate thinking and calls by empty lines
                text = text.lstrip("\n")
            if text:
                self._after_span = False
                yield TextDelta(text)

    def _tool_calls(self, text: str) -> Iterator[StreamEvent]:
        from uuid import uuid4

        try:
            parsed = self._tokenizer.tool_parser(text, self._tools)
            calls = parsed if isinstance(parsed, list) else [parsed]
            named = [(call["name"], json.dumps(call["arguments"], ensure_ascii=False)) for call in calls]
        except Exception as error:
            message = f'Backend "{self._backend}" wrote a tool call that cannot be read: {_error_text(error)}'
            raise ProtocolError(message, backend=self._backend) from error
        for name, arguments in named:
            yield ToolCallStarted(self.calls, f"call_{uuid4().hex}", name)
            yield ToolCallDelta(self.calls, arguments)
            self.calls += 1


def _library(backend: str) -> Any:
    try:
        import mlx_lm
        import mlx_lm.sample_utils
    except ImportError as error:
        raise ConfigError(
            f'Backend "{backend}" needs mlx-lm, which runs on Apple Silicon only',
            hints=("There, install it: pip install 'arawn[mlx]'", f"Python says: {_error_text(error)}"),
        ) from error
    return mlx_lm


def _running_loop() -> AbstractEventLoop | None:
    """Return the running event loop; where asyncio is not imported, there is none."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        loop: AbstractEventLoop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return loop


def _takes_tools(request: ChatRequest, tokenizer: Any) -> bool:
    can_call = getattr(tokenizer, "tool_parser", None) is not None
    return bool(request.tools) and request.tool_choice.mode != "none" and can_call


def _unsupported(request: ChatRequest, tokenizer: Any) -> Iterator[StreamEvent]:
    """Yield a notice for each part of the request that mlx-lm does not support."""
    forced = request.tool_choice.mode in {"required", "tool"}
    images = any(isinstance(part, Image) for message in request.messages for part in message.parts)
    no_tools = bool(request.tools) and getattr(tokenizer, "tool_parser", None) is None
    for is_unsupported, what in (
        (images, "images"),
        (no_tools, "tools (not with this model)"),
        (forced and not no_tools, "the choice of a tool"),
        (request.seed is not None, "a seed"),
    ):
        if is_unsupported:
            yield Notice("dropped", f"Left out, because mlx-lm cannot take it: {what}")


def _tools(request: ChatRequest) -> list[dict[str, Any]]:
    """Return the tools in OpenAI's format, which chat templates expect."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in request.tools
    ]


def _with_words(entries: list[dict[str, Any]], request: ChatRequest) -> list[dict[str, Any]]:
    """Ask for JSON in words, in the last message of the user: not every template knows a system prompt."""
    last = next((entry for entry in reversed(entries) if entry["role"] == "user"), None)
    if request.output is not None and last is not None:
        last["content"] = f"{last['content']}\n\n{in_words(request.output)}"
    return entries


def _entries(message: Message) -> Iterator[dict[str, Any]]:
    """Yield the message in the format of chat templates; each tool result is a message of its own."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    for result in results:
        yield {
            "role": "tool",
            "tool_call_id": result.call_id,
            "name": result.name,
            "content": joined_text(result.content),
        }
    if not results:
        entry: dict[str, Any] = {"role": message.role.value, "content": message.text}
        if message.tool_calls:
            entry["tool_calls"] = [_call(call) for call in message.tool_calls]
        yield entry


def _call(call: ToolCall) -> dict[str, Any]:
    """Return a call with its arguments as an object, which templates expect; as text where they are no JSON."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = call.arguments
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _error_text(error: Exception) -> str:
    return printable(str(error), _MAX_ERROR_TEXT) or type(error).__name__
