"""The errors for what goes wrong on the way to a backend and back, in words a user can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.adapters.failure_report import printable
from arawn.errors import BackendTimeoutError, ConnectionFailedError, ProtocolError, StreamInterruptedError
from arawn.network.causes import cause_of
from arawn.network.proxies import without_password

if TYPE_CHECKING:
    from arawn.network.deadlines import ClockName, Expired
    from arawn.network.exchange import Peer

_WORDS_SHOWN = 200
_EXPIRED: dict[ClockName, tuple[str, str]] = {
    "connect": ("did not accept a connection within {seconds:g} s", "connect_timeout"),
    "first event": ("sent no answer within {seconds:g} s", "timeout, or first_event_timeout,"),
    "idle": ("sent nothing new for {seconds:g} s", "timeout"),
    "ping": ("sent pings, and then nothing at all for {seconds:g} s", ""),
    "total": ("was not done after {seconds:g} s", "total_timeout"),
}


def timed_out(expired: Expired, peer: Peer) -> BackendTimeoutError:
    """A clock ran out."""
    what, key = _EXPIRED[expired.clock]
    hint = f"If it needs longer, raise {key} of this backend." if key else "The connection is dead: try again."
    return BackendTimeoutError(
        f"{peer.label} at {peer.base_url} {what.format(seconds=expired.seconds)} (clock: {expired.clock})",
        clock=expired.clock,
        backend=peer.backend,
        hints=(hint,),
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


def hung_up(error: Exception, peer: Peer) -> ConnectionFailedError:
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
    """The answer came compressed, which nobody asked for; it may be a bomb, and stays packed."""
    return ProtocolError(
        f"{peer.label} at {peer.base_url} compressed its answer ({printable(encoding, 40)}), though asked not to",
        hints=("Is there a proxy in between that compresses? It must leave these answers as they are.",),
        backend=peer.backend,
    )
