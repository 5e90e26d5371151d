"""Splits bytes into lines and events: server-sent events and newline-delimited JSON.

Lines end at LF, CR or CRLF and nowhere else: U+2028, U+2029, U+0085, VT and FF are ordinary characters inside JSON.
Text is UTF-8, bad bytes become U+FFFD, and one byte-order mark at the very start is dropped
(WHATWG HTML, "Server-sent events", parsing an event stream).
"""

from __future__ import annotations

from typing import NamedTuple

from arawn.errors import ProtocolError

MAX_LINE = MAX_EVENT = 8 << 20
"""Bytes of the longest line, and of the largest event, that are accepted: a picture comes as one line."""
BARE_JSON = "bare JSON"
"""The name of an event that no field announced: a server that fails in mid-stream may write just its JSON error."""
_BOM = b"\xef\xbb\xbf"


class SseEvent(NamedTuple):
    """One event of a stream: its name (empty where none was given) and its data lines, joined by LF."""

    name: str
    data: str


class LineDecoder:
    """Splits bytes into lines. A line over ``max_line`` bytes raises ProtocolError."""

    def __init__(self, backend: str = "", max_line: int = MAX_LINE) -> None:
        self._backend = backend
        self._max_line = max_line
        self._held: list[bytes] = []
        self._held_size = 0
        self._at_start = True
        self._after_cr = False

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that these bytes complete, without line ends."""
        data = self._normalized(self._without_bom(data) if self._at_start else data)
        if not data:
            return []
        *lines, tail = data.split(b"\n")
        if lines and self._held:
            lines[0] = b"".join([*self._held, lines[0]])
            self._held, self._held_size = [], 0
        if tail:
            self._held.append(tail)
            self._held_size += len(tail)
        if self._held_size > self._max_line or any(len(line) > self._max_line for line in lines):
            raise _too_large("a line", self._max_line, self._backend)
        return [line.decode("utf-8", "replace") for line in lines]

    def close(self) -> str:
        """Return the text after the last line end."""
        data = b"".join(self._held)
        self._held, self._held_size = [], 0
        return data.decode("utf-8", "replace")

    def _normalized(self, data: bytes) -> bytes:
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if b"\r" not in data:
            return data
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _without_bom(self, data: bytes) -> bytes:
        data = b"".join([*self._held, data])
        self._held, self._held_size = [], 0
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._held, self._held_size = ([data], len(data)) if data else ([], 0)
            return b""
        self._at_start = False
        return data.removeprefix(_BOM)


class SseDecoder:
    """Collects lines into events. Comments, ``id`` and ``retry`` are skipped; an event without its blank line is lost.

    What is no field at all is skipped too, but for two forms of an error that servers write into a stream: a line
    ``error: …`` is an event of that name, and lines that begin with a brace or a bracket are one named ``BARE_JSON``.
    An event over ``MAX_EVENT`` bytes raises ProtocolError.
    """

    def __init__(self, backend: str = "", max_line: int = MAX_LINE) -> None:
        self._backend = backend
        self._lines = LineDecoder(backend, max_line)
        self._name = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, data: bytes) -> list[SseEvent]:
        """Return the events that these bytes complete."""
        events: list[SseEvent] = []
        for line in self._lines.feed(data):
            if not line:
                self._end(events)
            elif line.startswith("data:"):
                if self._name is BARE_JSON:
                    self._end(events)
                self._add(line[6:] if line[5:6] == " " else line[5:])
            elif line.startswith("event:"):
                self._name = line[6:].removeprefix(" ")
            elif line == "data":
                self._add("")
            else:
                self._take_error(line)
        return events

    def close(self) -> list[SseEvent]:
        """Return the last event, if it lacks its blank line."""
        return self.feed(b"\n\n")

    def _end(self, events: list[SseEvent]) -> None:
        if self._data:
            events.append(SseEvent(self._name, "\n".join(self._data)))
        self._name, self._data, self._size = "", [], 0

    def _take_error(self, line: str) -> None:
        """Take a line that is no field, if it is, or may be, an error."""
        if line.startswith("error:"):
            self._name = "error"
            self._add(line[6:].strip())
        elif self._name is BARE_JSON or (not self._data and line.lstrip()[:1] in ("{", "[")):
            self._name = BARE_JSON
            self._add(line)

    def _add(self, text: str) -> None:
        self._data.append(text)
        self._size += len(text)
        if self._size > MAX_EVENT:
            raise _too_large("an event", MAX_EVENT, self._backend)


class JsonLineDecoder:
    """Reads newline-delimited JSON: each line that is not blank is the data of an event.

    The event has no name, but for a line ``error: …``, which is one of that name.
    """

    def __init__(self, backend: str = "", max_line: int = MAX_LINE) -> None:
        self._lines = LineDecoder(backend, max_line)

    def feed(self, data: bytes) -> list[SseEvent]:
        """Return the events that these bytes complete."""
        return [_line_event(line) for line in self._lines.feed(data) if line.strip()]

    def close(self) -> list[SseEvent]:
        """Return the last event, if its line lacks its end."""
        line = self._lines.close()
        return [_line_event(line)] if line.strip() else []


def _line_event(line: str) -> SseEvent:
    return SseEvent("error", line[6:].strip()) if line.startswith("error:") else SseEvent("", line)


def _too_large(what: str, limit: int, backend: str) -> ProtocolError:
    return ProtocolError(
        f'Backend "{backend}" sent {what} of more than {limit:,} bytes, the most that is accepted', backend=backend
    )
