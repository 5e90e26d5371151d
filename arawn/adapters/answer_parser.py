"""The base of the parsers of answers, which turn bytes into events, and failures into our errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from arawn.adapters.framing import BARE_JSON, SseDecoder
from arawn.adapters.halves import HalfJoiner
from arawn.adapters.payload import body_text, decode_json, has_halves, malformed
from arawn.errors import ProtocolError, StreamInterruptedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from arawn.adapters.base import Quirks
    from arawn.adapters.framing import JsonLineDecoder, SseEvent
    from arawn.events import StreamEvent

_ANNOUNCED = frozenset({"error", BARE_JSON})
_TOO_DEEP = ValueError("it is nested too deeply")
_ERROR_KEYS = ("error", "detail", "message")
"""Keys under which an error stands in the place of an answer."""


class AnswerParser(ABC):
    """Parses one answer, streamed or whole. A subclass sets ``_finished`` once the answer is complete.

    Parsing is lazy: the events before a malformed one are yielded before its error is raised.
    """

    _framing: ClassVar[type[SseDecoder | JsonLineDecoder]] = SseDecoder

    def __init__(self, backend: str, quirks: Quirks) -> None:
        self._backend = backend
        self._quirks = quirks
        self._decoder = self._framing(backend)
        self._count = 0
        self._model = ""
        self._started = False
        self._finished = False
        self._joiner = HalfJoiner()
        self._has_halves = False

    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        """Parse the next bytes. Raises the error that the stream reports, and ProtocolError for a malformed event."""
        return self._parse(self._decoder.feed(data))

    def close(self) -> Iterator[StreamEvent]:
        """Signal the end of the bytes. Raises StreamInterruptedError when the answer is not complete."""
        with suppress(ProtocolError):  # the last event may lack its end, or be cut in two
            yield from self._parse(self._decoder.close())
        if not self._finished:
            yield from self._joiner.flush()
            yield from self._whole_texts(self._end_without_terminator())

    def whole(self, body: bytes) -> Sequence[StreamEvent]:
        """Parse an unstreamed answer."""
        text = body_text(body)
        self._has_halves = has_halves(text)
        try:
            answer = decode_json(text)
            if type(answer) is not dict:
                self._refuse(answer)
                raise ValueError("it is not an object")
            return [*self._whole_texts(self._read_whole(answer))]
        except ValueError as error:
            raise malformed(error, backend=self._backend) from None
        except RecursionError:
            raise malformed(_TOO_DEEP, backend=self._backend) from None

    def _parse(self, events: Sequence[SseEvent]) -> Iterator[StreamEvent]:
        for name, text in events:
            if self._finished:
                return
            self._count += 1
            if "\\u" in text and not self._has_halves:
                self._has_halves = has_halves(text)
            try:
                found = self._events_of(name, text)
                yield from self._whole_texts(found) if self._has_halves else found
            except ValueError as error:
                raise malformed(error, backend=self._backend, event=self._count) from None
            except RecursionError:
                raise malformed(_TOO_DEEP, backend=self._backend, event=self._count) from None

    def _events_of(self, name: str, text: str) -> Iterable[StreamEvent]:
        if name in _ANNOUNCED:
            return self._read_error(name, text)
        if text.startswith("{"):
            return self._read(name, decode_json(text))
        if text.startswith("[DONE]"):
            return self._read_done()
        if not text or text.isspace():  # an event without data keeps the connection alive
            return ()
        value = decode_json(text.strip())
        if type(value) is dict:
            return self._read(name, value)
        self._refuse(value)  # else it is a null, a "ping", a number: it keeps the connection alive
        return ()

    def _read_error(self, name: str, text: str) -> Sequence[StreamEvent]:
        """Raise the error of a line that no field announced, or of an event of that name."""
        try:
            value = decode_json(text)
        except ValueError:
            value = text
        if name != BARE_JSON:
            self._fail(value)
        self._refuse(value)
        return ()

    def _refuse(self, value: Any) -> None:
        """Raise the error that stands in the place of an answer: an object with a key for it, or a list with one."""
        for each in value if type(value) is list else (value,):
            if type(each) is dict and any(each.get(key) for key in _ERROR_KEYS):
                self._fail(each)

    def _refuse_event(self, kind: str, event: dict[str, Any]) -> None:
        """Raise the error that an event is: by its type, or, where it has none, by what stands in it."""
        if kind == "error":
            self._fail(event)
        if not kind:
            self._refuse(event)

    def _whole_texts(self, events: Iterable[StreamEvent]) -> Iterable[StreamEvent]:
        return self._joiner.join(events) if self._has_halves else events

    @abstractmethod
    def _read(self, name: str, event: dict[str, Any]) -> Iterable[StreamEvent]:
        """Parse one event of the stream. Raises ValueError where it is malformed."""

    def _read_done(self) -> Iterable[StreamEvent]:
        """Read ``[DONE]``; in most protocols it means nothing."""
        return ()

    @abstractmethod
    def _read_whole(self, answer: dict[str, Any]) -> Iterable[StreamEvent]:
        """Parse an unstreamed answer. Raises ValueError where it is malformed."""

    def _end_without_terminator(self) -> Iterable[StreamEvent]:
        """End an answer whose bytes ended before its terminator; complete it where the protocol allows that."""
        raise self._interrupted("broke off its answer")

    def _interrupted(self, how: str) -> StreamInterruptedError:
        return StreamInterruptedError(f'Backend "{self._backend}" {how}', backend=self._backend)

    def _fail(self, error: Any) -> NoReturn:
        """Raise the error that stands in the answer: its JSON value, or the object around it."""
        from arawn.adapters.failures import stream_failure

        raise stream_failure(error, backend=self._backend, model=self._model)
