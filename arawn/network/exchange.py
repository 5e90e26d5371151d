"""What passes through the door to the network: a request going out, for whom it is, and the reply coming in."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Literal

from arawn.errors import ArawnError
from arawn.network.http_errors import compressed, too_large
from arawn.values import EMPTY, Value

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from arawn.network.routes import Peer

MAX_BODY = 64 << 20


class Outgoing(Value, kw_only=True):
    """A request as it is sent. ``headers`` are whole but for what the connection needs (host, length, encoding)."""

    _unshown = ("headers",)
    peer: Peer
    method: Literal["GET", "POST"]
    url: str
    headers: Mapping[str, str] = EMPTY
    body: bytes = b""


class Reply:
    """An answer whose body is still to be read, once, by one of the three transports; close it in any case.

    Header names are lower case; a repeated header is joined by commas. Reading raises StreamInterruptedError for a
    body that stops before its end, BackendTimeoutError, and ProtocolError for what no one should have to read.
    """

    __slots__ = ("_body", "_chunks", "_close", "headers", "peer", "status")

    def __init__(
        self,
        peer: Peer,
        status: int,
        headers: Mapping[str, str],
        chunks: AsyncGenerator[bytes, None],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self.peer = peer
        self.status = status
        self.headers = dict(headers)
        self._body = self._chunks = chunks
        self._close: Callable[[], Awaitable[None]] | None = close

    @property
    def content_type(self) -> str:
        """The media type alone, lower case: ``text/event-stream``; empty where none was given."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives. Raises ProtocolError for one that came compressed."""
        encoding = self.headers.get("content-encoding", "")
        if encoding.lower() not in ("", "identity"):
            raise compressed(encoding, self.peer)
        return self._body

    async def peek(self, size: int) -> bytes:
        """Return the first bytes of the body, ``size`` or more if there are as many; ``chunks`` yields them again."""
        parts: list[bytes] = []
        failure: ArawnError | None = None
        chunks = self.chunks()
        try:
            while sum(map(len, parts)) < size:
                parts.append(await anext(chunks))
        except StopAsyncIteration:
            pass
        except ArawnError as error:  # raised again where the body is read
            failure = error
        beginning = b"".join(parts)
        self._body = _from(beginning, chunks, failure)
        return beginning

    async def read(self, cap: int = MAX_BODY) -> bytes:
        """Return the whole body. Raises ProtocolError when it is larger than ``cap`` bytes."""
        parts, size = [], 0
        async with aclosing(self.chunks()) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > cap:
                    raise too_large("body", cap, self.peer)
                parts.append(chunk)
        return b"".join(parts)

    async def beginning(self, cap: int) -> bytes:
        """Return the first bytes of the body, as far as they can be had: for an error, half a body says enough."""
        found = b""
        try:
            async with aclosing(self.chunks()) as chunks:
                async for chunk in chunks:
                    found += chunk
                    if len(found) >= cap:
                        break
        except ArawnError:
            pass  # the status was the message
        return found[:cap]

    async def aclose(self) -> None:
        """Give the connection back, or drop it where something of the body is unread."""
        await self._body.aclose()
        await self._chunks.aclose()
        close, self._close = self._close, None
        if close is not None:  # a second time, the connection may already serve another call
            await close()


async def _from(
    beginning: bytes, chunks: AsyncGenerator[bytes, None], failure: ArawnError | None
) -> AsyncGenerator[bytes, None]:
    if beginning:
        yield beginning
    if failure is not None:
        raise failure
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk
