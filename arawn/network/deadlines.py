"""The clocks of one call: how long to wait for a connection, for the first event, for the next one, for everything.

Only events reset the wait for an event. Bytes without one (comments, pings) start a clock of their own: a server that
has shown it pings, and then sends nothing at all, is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable

ClockName: TypeAlias = Literal["connect", "first event", "idle", "ping", "total"]

_NEVER = float("inf")
_LINGER = 0.25


class Patience(Value, kw_only=True):
    """How many seconds each clock runs; a ``total`` of None is no limit."""

    connect: float = 10.0
    first_event: float = 60.0
    idle: float = 60.0
    ping: float = 300.0
    total: float | None = None


class Expired(Exception):  # noqa: N818 -- it never leaves the transport, which makes an error of it
    """A clock ran out."""

    def __init__(self, clock: ClockName, seconds: float) -> None:
        super().__init__(f"{clock}: {seconds:g} s")
        self.clock = clock
        self.seconds = seconds


class Clocks:
    """The clocks of one call, started now. ``monotonic`` tells the time in seconds."""

    __slots__ = ("_at", "_monotonic", "_patience", "_ping_at", "_total_at", "_waiting_for")

    def __init__(self, patience: Patience, monotonic: Callable[[], float]) -> None:
        now = monotonic()
        self._patience = patience
        self._monotonic = monotonic
        self._waiting_for: ClockName = "connect"
        self._at = now + patience.connect
        self._ping_at = _NEVER
        self._total_at = _NEVER if patience.total is None else now + patience.total

    def connected(self) -> None:
        """The way to the server is open: wait for the first event."""
        self._waiting_for = "first event"
        self._at = self._monotonic() + self._patience.first_event

    def sent(self) -> None:
        """A part of the request went out; a long one does not eat the time of its answer."""
        if self._waiting_for == "first event":
            self.connected()

    def heard(self) -> None:
        """Bytes came in, of whatever meaning."""
        self._ping_at = self._monotonic() + self._patience.ping

    def event(self) -> None:
        """Something meaningful was read, and whoever wanted it has had it: wait for the next."""
        self._waiting_for = "idle"
        self._at = self._monotonic() + self._patience.idle
        self._ping_at = _NEVER

    def finished(self) -> None:
        """The answer is complete: wait no longer than a moment for the connection to become free."""
        self._at = self._monotonic() + min(_LINGER, self._patience.idle)

    def remaining(self) -> float:
        """Return the seconds until the first clock runs out. Raises Expired when one has."""
        seconds = min(self._at, self._ping_at, self._total_at) - self._monotonic()
        if seconds <= 0:
            raise self.expired()
        return seconds

    def expired(self) -> Expired:
        """Name the clock that runs out first."""
        first = min(self._at, self._ping_at, self._total_at)
        if first == self._total_at and self._patience.total is not None:
            return Expired("total", self._patience.total)
        if first == self._ping_at:
            return Expired("ping", self._patience.ping)
        seconds = {
            "connect": self._patience.connect,
            "first event": self._patience.first_event,
            "idle": self._patience.idle,
        }
        return Expired(self._waiting_for, seconds[self._waiting_for])
