"""The base of the parsers of answers: bytes become events, and what goes wrong becomes one of our errors."""

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
    """Reads one answer, streamed or whole. A subclass sets ``_finished`` once the answer is complete.

    Events are yielded as they are read, so those before a bad one come out before its error.
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
        """Take in the next bytes. Raises the error that the stream reports, and ProtocolError for a bad event."""
        return self._parse(self._decoder.feed(data))

    def close(self) -> Iterator[StreamEvent]:
        """Say that the bytes have ended. Raises StreamInterruptedError when the answer had not."""
        with suppress(ProtocolError):  # the last event may lack its end, or be cut in two
            yield from self._parse(self._decoder.close())
        if not self._finished:
            yield from self._end_without_terminator()

    def whole(self, body: bytes) -> Sequence[StreamEvent]:
        """Read an unstreamed answer."""
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
        """Read one event of the stream. Raises ValueError for one of another shape."""

    @abstractmethod
    def _read_whole(self, answer: dict[str, Any]) -> Iterable[StreamEvent]:
        """Read an unstreamed answer. Raises ValueError for one of another shape."""

    def _end_without_terminator(self) -> Iterable[StreamEvent]:
        """End an answer whose bytes ended before its terminator; complete it where the protocol allows that."""
        raise self._interrupted("broke off its answer")

    def _interrupted(self, how: str) -> StreamInterruptedError:
        return StreamInterruptedError(f'Backend "{self._backend}" {how}', backend=self._backend)

    def _fail(self, error: Any) -> NoReturn:
        """Raise the error that stands in the answer: its JSON value, or the object around it."""
        from arawn.adapters.failures import stream_failure

        raise stream_failure(error, backend=self._backend, model=self._model)
