"""What goes wrong between arawn and a backend, and the errors a user gets for it, in words to act on.

The exceptions here are what a connection raises, whichever library is below it. They carry no header and no body of
the request: a library's own exception may hold the key, so it is never raised on, chained or kept as a context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.adapters.failure_report import printable
from arawn.errors import BackendTimeoutError, ConnectionFailedError, ProtocolError, StreamInterruptedError
from arawn.network.causes import cause_of
from arawn.network.proxies import without_password

if TYPE_CHECKING:
    from arawn.network.deadlines import DeadlineExpired, DeadlineName
    from arawn.network.routes import Peer

_WORDS_SHOWN = 200


class ConnectionLost(Exception):  # noqa: N818 -- the transport makes errors of these
    """A connection that stood does so no longer. Its argument is why: an OSError."""


class ClosedEarly(Exception):  # noqa: N818
    """The connection ended before an answer began."""


class NotHttp(Exception):  # noqa: N818
    """What came is not HTTP, or it ended too early. Its argument says what is wrong."""


class ProxyRefused(Exception):  # noqa: N818
    """A proxy does not let us through. Its argument is why, an HTTP status first where there is one."""


class NotSendable(Exception):  # noqa: N818
    """A request cannot be written as HTTP. It does not say why: that may repeat a header's value."""


CONNECTION_ERRORS = (ConnectionLost, ClosedEarly, NotHttp, ProxyRefused, NotSendable)

_TIMED_OUT: dict[DeadlineName, str] = {
    "connect": "did not accept a connection within {seconds:g} s",
    "first event": "sent no answer within {seconds:g} s",
    "idle": "sent nothing new for {seconds:g} s",
    "ping": "sent pings, and then nothing at all for {seconds:g} s",
    "total": "was not done after {seconds:g} s",
}


def timed_out(expired: DeadlineExpired, peer: Peer) -> BackendTimeoutError:
    """A deadline passed."""
    what, hints = _TIMED_OUT[expired.clock], []
    if expired.setting:
        hints.append(f"If it needs longer, raise {expired.setting}.")
    if expired.clock == "ping":
        hints.append("The connection is dead: try again.")
    return BackendTimeoutError(
        f"{peer.label} at {peer.base_url} {what.format(seconds=expired.seconds)} (clock: {expired.clock})",
        clock=expired.clock,
        backend=peer.backend,
        hints=hints,
    )


def unreached(error: Exception, peer: Peer, proxy: str | None) -> ConnectionFailedError:
    """No connection came about: DNS, TCP, TLS, or the proxy."""
    cause = cause_of(error)
    way = (f"The way leads through the proxy {without_password(proxy)}.",) if proxy else ()
    failure = ConnectionFailedError(
        f"Cannot connect to {peer.label} at {peer.base_url}", hints=(*cause.hints, *way), backend=peer.backend
    )
    failure.transient = cause.transient
    return failure


def closed_early(error: Exception, peer: Peer) -> ConnectionFailedError:
    """The connection ended after the request and before an answer."""
    failure = ConnectionFailedError(
        f"{peer.label} at {peer.base_url} closed the connection without an answer",
        hints=cause_of(error).hints,
        backend=peer.backend,
    )
    failure.reached = True
    return failure


def interrupted(error: Exception, peer: Peer) -> StreamInterruptedError:
    """The connection ended in the middle of the answer."""
    return StreamInterruptedError(
        f'The answer of backend "{peer.backend}" stopped before its end',
        hints=cause_of(error).hints,
        backend=peer.backend,
    )


def not_http(error: Exception, peer: Peer) -> ProtocolError:
    """What came back is no HTTP answer."""
    return ProtocolError(
        f"{peer.label} at {peer.base_url} did not answer in HTTP",
        hints=(
            f"What is wrong: {printable(str(error), _WORDS_SHOWN)}.",
            "Check base_url: its port, and http:// or https://.",
        ),
        backend=peer.backend,
    )


def too_large(what: str, cap: int, peer: Peer) -> ProtocolError:
    """A size is over its cap, in bytes."""
    return ProtocolError(f"{peer.label} at {peer.base_url} sent more than {cap} bytes of {what}", backend=peer.backend)


def compressed(encoding: str, peer: Peer) -> ProtocolError:
    """The answer came compressed, which was not requested; it may be a decompression bomb, and is not decompressed."""
    return ProtocolError(
        f"{peer.label} at {peer.base_url} compressed its answer ({printable(encoding, 40)}), though asked not to",
        hints=("Is there a proxy in between that compresses? It must leave these answers as they are.",),
        backend=peer.backend,
    )
