"""What a connection is to those who speak over it, whether it blocks while it waits or runs on an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import ssl

    from arawn.network.deadlines import Clocks

PART = 64 << 10
"""Bytes that are read or written at a time; before each part the clocks are asked."""


class Broken(Exception):  # noqa: N818 -- it never leaves the transport, which makes an error of it
    """A connection that stood does so no longer. Its only argument is why."""


class Refused(Exception):  # noqa: N818 -- as above
    """A proxy does not let us through. Its only argument is why, an HTTP status first where there is one."""


class Link(Protocol):
    """One connection. What waits raises Expired when the clocks say so."""

    async def read(self, clocks: Clocks) -> bytes:
        """Wait for bytes; none mean the end. Raises Broken."""
        ...

    async def write(self, data: bytes, clocks: Clocks) -> None:
        """Send all. What stops that is told by the next read: the server may have answered before it stopped to listen.

        A part of the request that is out counts for the clocks.
        """
        ...

    async def secure(self, trust: ssl.SSLContext, host: str, clocks: Clocks) -> None:
        """Speak TLS from now on, also within TLS. Raises OSError."""
        ...

    async def close(self) -> None:
        """Close it at once, as often as it may be."""
        ...

    def is_spent(self) -> bool:
        """Say whether there are bytes that nobody asked for, or the end: then no request may follow."""
        ...


class Connect(Protocol):
    """Opens a connection."""

    async def __call__(self, host: str, port: int, clocks: Clocks) -> Link:
        """Look up the host and connect to it. Raises OSError, UnicodeError for a name that cannot be one, Expired."""
        ...


def is_readable(descriptor: int) -> bool:
    """Say whether a socket has bytes, or its end, to be read."""
    import select

    if not hasattr(select, "poll"):
        return bool(select.select([descriptor], [], [], 0)[0])
    watch = select.poll()
    watch.register(descriptor, select.POLLIN)
    return bool(watch.poll(0))
