"""HTTP/1.1 over one connection: a request goes out, the head and the body of its answer come in, and then the next.

The protocol is h11's, which is named in this file only; nothing here waits but the connection below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import h11

from arawn.network.links import PART
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from arawn.network.deadlines import Clocks
    from arawn.network.links import Link

_LONGEST_LINE = 100 << 10  # bytes of an answer's head, or of a chunk's, that are waited for to be whole


class Unwritable(Exception):  # noqa: N818 -- the transport makes errors of these three
    """A request cannot be written as HTTP. It does not say why: that may repeat a header's value."""


class NotHttp(Exception):  # noqa: N818
    """What came is not HTTP, or it ended too early. Its argument is h11's word for it."""


class HungUp(Exception):  # noqa: N818
    """The connection ended before an answer began."""


class Request(Value, kw_only=True):
    """A request as it goes out; the headers are whole. ``target`` is what stands in its first line."""

    _unshown = ("headers", "body")
    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes = b""


class Head(Value):
    """The beginning of an answer, its header names and values as they were sent."""

    status: int
    reason: bytes
    headers: Sequence[tuple[bytes, bytes]]


class Connection:
    """One connection, for one request at a time: ``exchange``, then ``body``, then ``renew``."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_LINE)

    async def exchange(self, request: Request, clocks: Clocks) -> Head:
        """Send a request and return the head of the answer.

        Raises Unwritable, HungUp, NotHttp, and what the connection raises.
        """
        head, body = self._written(request)
        if len(head) + len(body) > PART:
            await self.link.write(head, clocks)
            head = b""
        await self.link.write(head + body if head else body, clocks)
        while True:
            try:
                event = self._state.next_event()
            except h11.RemoteProtocolError as error:
                raise NotHttp(str(error)) from None
            if isinstance(event, h11.Response):
                return Head(event.status_code, event.reason, event.headers.raw_items())
            if event is h11.NEED_DATA:
                await self._receive(clocks)

    async def body(self, clocks: Clocks) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives, all that is there at once. Raises NotHttp where it stops too early."""
        while True:
            parts: list[bytes] = []
            try:
                while isinstance(event := self._state.next_event(), h11.Data):
                    parts.append(bytes(event.data))
            except h11.RemoteProtocolError as error:
                if parts:
                    yield b"".join(parts)
                raise NotHttp(str(error)) from None
            if parts:
                yield b"".join(parts)
            if event is not h11.NEED_DATA:
                return
            await self._receive(clocks)

    def renew(self) -> bool:
        """Make ready for the next request; False where none may follow.

        After more bytes than the answer's none may: they would be taken for the next one's.
        """
        state = self._state
        if state.our_state is not h11.DONE or state.their_state is not h11.DONE or state.trailing_data[0]:
            return False
        state.start_next_cycle()
        return True

    def _written(self, request: Request) -> tuple[bytes, bytes]:
        state = self._state
        try:
            head = state.send(h11.Request(method=request.method, target=request.target, headers=list(request.headers)))
            body = state.send(h11.Data(data=request.body)) if request.body else b""
            state.send(h11.EndOfMessage())
        except (h11.LocalProtocolError, UnicodeError):
            pass  # raised below, so that this error with the header in it is not its context
        else:
            return head or b"", body or b""
        raise Unwritable

    async def _receive(self, clocks: Clocks) -> None:
        data = await self.link.read(clocks)
        if not data and self._state.their_state is h11.SEND_RESPONSE:
            raise HungUp
        self._state.receive_data(data)
