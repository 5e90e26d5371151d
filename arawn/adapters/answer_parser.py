"""The base of the parsers of answers, which turn bytes into events, and failures into our errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from arawn.adapters.framing import SseDecoder
from arawn.adapters.payload import malformed, parse_body
from arawn.errors import ProtocolError, StreamInterruptedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from arawn.adapters.base import Quirks
    from arawn.adapters.framing import JsonLineDecoder, SseEvent
    from arawn.events import StreamEvent


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

    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        """Parse the next bytes. Raises the error that the stream reports, and ProtocolError for a malformed event."""
        return self._parse(self._decoder.feed(data))

    def close(self) -> Iterator[StreamEvent]:
        """Signal the end of the bytes. Raises StreamInterruptedError when the answer is not complete."""
        with suppress(ProtocolError):  # the last event may lack its end, or be cut in two
            yield from self._parse(self._decoder.close())
        if not self._finished:
            yield from self._end_without_terminator()

    def whole(self, body: bytes) -> Sequence[StreamEvent]:
        """Parse an unstreamed answer."""
        try:
            return [*self._read_whole(parse_body(body))]
        except ValueError as error:
            raise malformed(error, backend=self._backend) from None

    def _parse(self, events: Sequence[SseEvent]) -> Iterator[StreamEvent]:
        for name, text in events:
            if self._finished:
                return
            self._count += 1
            try:
                yield from self._read(name, text)
            except ValueError as error:
                raise malformed(error, backend=self._backend, event=self._count) from None

    @abstractmethod
    def _read(self, name: str, text: str) -> Iterable[StreamEvent]:
        """Parse one event of the stream. Raises ValueError where it is malformed."""

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
