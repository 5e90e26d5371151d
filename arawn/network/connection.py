"""What both kinds of httpcore's connections share: what has arrived on one, and its errors as ours.

httpcore hands on a body chunk by chunk, each through several generators, however many came in one read; and it has no
public word for bytes after the end of an answer. Both are known to the h11 state of the connection, which
``_h11_state`` finds: the one private place of httpcore that is looked into. A test fails when it is gone.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

from arawn.network.http_errors import ClosedEarly, ConnectionLost, NotHttp, NotSendable, ProxyRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

PART = 64 << 10
"""Bytes that are read or written at a time; before each part the deadlines are asked."""

KEPT_FOR = 30.0
"""Seconds a connection is kept without being used."""


def is_readable(socket: Any) -> bool:
    """Say whether a socket has bytes, or its end, to be read."""
    descriptor = socket.fileno()
    if descriptor < 0:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([descriptor], [], [], 0)[0])
    watch = select.poll()
    watch.register(descriptor, select.POLLIN)
    return bool(watch.poll(0))


class Arrived:
    """What has arrived of one answer and behind it, over a connection of httpcore's.

    ``has_ended`` once the end of the body was met by ``with_arrived``: nothing more may be read then.
    """

    def __init__(self, response: Any, headers: Sequence[tuple[bytes, bytes]]) -> None:
        names = {name.lower() for name, _ in headers}
        self._state = _h11_state(response)
        self._is_chunked = b"transfer-encoding" in names
        self._is_ambiguous = self._is_chunked and b"content-length" in names
        self.has_ended = False

    def with_arrived(self, part: bytes) -> bytes:
        """Return a part of the body with all that came in the same read behind it."""
        if not self._is_chunked:  # then it is all that came
            return part
        parts = [part]
        try:
            event = self._state.next_event()
            while (data := getattr(event, "data", None)) is not None:
                parts.append(bytes(data))
                event = self._state.next_event()
        except Exception:  # noqa: BLE001 -- the pool meets the same error with its next step
            return b"".join(parts)
        self.has_ended = type(event).__name__ == "EndOfMessage"
        return b"".join(parts) if len(parts) > 1 else part

    def is_last(self) -> bool:
        """Say whether the connection can serve no other answer: what is left there would be taken for it."""
        return self._is_ambiguous or bool(self._state.trailing_data[0])


def _h11_state(response: Any) -> Any:
    stream = getattr(response.stream, "_httpcore_stream", response.stream)  # what httpx's own transport put around it
    return stream._stream._connection._h11_state  # noqa: SLF001 -- see above


def has_unread_record(network_stream: Any) -> bool:
    """Say whether TLS has bytes, or its end, that came in one read with an answer: the system no longer has them."""
    tls = network_stream.get_extra_info("ssl_object")
    if tls is None:
        return False
    from ssl import SSLError, SSLWantReadError

    try:
        tls.read(1)
    except SSLWantReadError:
        return False
    except SSLError:
        pass
    return True


def failure_of(error: Exception, library: Any, *, through_socks: bool = False) -> Exception:
    """Return our exception for one of httpcore's, or of httpx's, which calls them the same; any other as it is.

    Raise it outside the ``except``: theirs may hold a header.
    """
    match error:
        case library.ProxyError():
            return ProxyRefused(_refusal(str(error)))
        case library.RemoteProtocolError():
            words = str(error)
            return ClosedEarly() if words.startswith("Server disconnected") else NotHttp(words)
        case library.LocalProtocolError():
            return NotSendable()
        case library.ReadError() | library.WriteError():
            return ConnectionLost(error)
        case AssertionError() if through_socks:
            return ProxyRefused("The proxy does not speak SOCKS 5")
        case _ if type(error).__module__.startswith("socksio"):
            return ProxyRefused(f"The proxy does not speak SOCKS 5: {error}")
        case _:
            return error


def _refusal(words: str) -> str:
    """Return why a proxy refuses; httpcore speaks of ours and theirs in SOCKS, and of the status otherwise."""
    if words.startswith("Requested "):
        return f"The proxy wants another way to log in: {words.rpartition('got ')[2].rstrip('.').lower()}"
    if words.startswith("Proxy Server could not connect: "):
        return f"The proxy cannot connect: {words.partition(': ')[2].rstrip('.').lower()}"
    return "The proxy does not accept user and password" if words.startswith("Invalid username") else words
