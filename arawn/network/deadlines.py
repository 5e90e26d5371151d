"""The deadlines of one call: how long to wait for a connection, for the first event, for the next one, for everything.

Only events reset the wait for an event. Bytes without one (comments, pings) start a deadline of their own: a server
that has shown it pings, and then sends nothing at all, is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

T = TypeVar("T")
DeadlineName: TypeAlias = Literal["connect", "first event", "idle", "ping", "total"]

_NEVER = float("inf")
_DRAIN_SECONDS = 0.25
"""How long the end of the body is waited for after the last event, so that the connection can be kept."""


def _keys() -> Mapping[DeadlineName, str]:
    return {
        "connect": "connect_timeout",
        "first event": "timeout or first_event_timeout",
        "idle": "timeout",
        "total": "total_timeout",
    }


class Timeouts(Value, kw_only=True):
    """Seconds until each deadline; a ``total`` of None is no limit. ``settings`` returns what decided each."""

    connect: float = 10.0
    first_event: float = 60.0
    idle: float = 60.0
    ping: float = 300.0
    total: float | None = None
    settings: Callable[[], Mapping[DeadlineName, str]] = _keys


class DeadlineExpired(Exception):  # noqa: N818 -- it never leaves the transport, which makes an error of it
    """A deadline passed: ``clock`` is its name, ``seconds`` how long it was, ``setting`` what decided it, if known."""

    def __init__(self, clock: DeadlineName, seconds: float, setting: str = "") -> None:
        super().__init__(f"{clock}: {seconds:g} s")
        self.clock = clock
        self.seconds = seconds
        self.setting = setting


class Deadlines:
    """The deadlines of one call, started now. ``monotonic`` tells the time in seconds."""

    __slots__ = ("_at", "_monotonic", "_ping_at", "_timeouts", "_total_at", "_waiting_for")

    def __init__(self, timeouts: Timeouts, monotonic: Callable[[], float]) -> None:
        now = monotonic()
        self._timeouts = timeouts
        self._monotonic = monotonic
        self._waiting_for: DeadlineName = "connect"
        self._at = now + timeouts.connect
        self._ping_at = _NEVER
        self._total_at = _NEVER if timeouts.total is None else now + timeouts.total

    def began(self) -> None:
        """The connection is asked for only now: the search for a key does not eat the time for it."""
        self._at = self._monotonic() + self._timeouts.connect

    def connected(self) -> None:
        """The way to the server is open: wait for the first event."""
        self._waiting_for = "first event"
        self._at = self._monotonic() + self._timeouts.first_event

    def sent(self) -> None:
        """A part of the request went out; a long one does not eat the time of its answer."""
        if self._waiting_for == "first event":
            self.connected()

    def received(self) -> None:
        """Bytes came in, of whatever meaning."""
        self._ping_at = self._monotonic() + self._timeouts.ping

    def event(self) -> None:
        """Start the timeout for the next event: one was read and has been handed on."""
        self._waiting_for = "idle"
        self._at = self._monotonic() + self._timeouts.idle
        self._ping_at = _NEVER

    def finished(self) -> None:
        """The answer is complete: wait no longer than a moment for the connection to become free."""
        self._at = self._monotonic() + min(_DRAIN_SECONDS, self._timeouts.idle)

    def remaining(self) -> float:
        """Return the seconds until the first deadline. Raises DeadlineExpired when one has passed."""
        seconds = self.left()
        if seconds <= 0:
            raise self.expired()
        return seconds

    def left(self) -> float:
        """Return the seconds until the first deadline; none or less when it has passed."""
        return min(self._at, self._ping_at, self._total_at) - self._monotonic()

    def expired(self) -> DeadlineExpired:
        """Return the error for the deadline that comes first."""
        first = min(self._at, self._ping_at, self._total_at)
        if first == self._total_at and self._timeouts.total is not None:
            return self._expired("total", self._timeouts.total)
        if first == self._ping_at:
            return self._expired("ping", self._timeouts.ping)
        seconds = {
            "connect": self._timeouts.connect,
            "first event": self._timeouts.first_event,
            "idle": self._timeouts.idle,
        }
        return self._expired(self._waiting_for, seconds[self._waiting_for])

    def _expired(self, clock: DeadlineName, seconds: float) -> DeadlineExpired:
        return DeadlineExpired(clock, seconds, self._timeouts.settings().get(clock, ""))


class StepTimeout:
    """asyncio's timeout over one step of a call: it ends with the first deadline, wherever that has moved meanwhile."""

    def __init__(self, deadlines: Deadlines) -> None:
        import asyncio

        self._deadlines = deadlines
        self._loop = asyncio.get_running_loop()
        self._limit = asyncio.timeout(deadlines.remaining())
        self._is_running = False

    async def run(self, step: Awaitable[T], failure_of: Callable[[Exception], Exception]) -> T:
        """Do the step. Raises DeadlineExpired, and other errors as ``failure_of`` has them, without their context."""
        try:
            async with self._limit:
                self._is_running = True
                return await step
        except Exception as error:  # noqa: BLE001 -- one that is no connection's comes out as it went in
            failure = self._deadlines.expired() if self._limit.expired() else failure_of(error)
        finally:
            self._is_running = False
        raise failure

    def connected(self) -> None:
        """The connection stands."""
        self._deadlines.connected()
        self._move()

    def sent(self) -> None:
        """A part of the request went out."""
        self._deadlines.sent()
        self._move()

    def _move(self) -> None:
        if self._is_running and not self._limit.expired():  # a long body may still go out while its answer is read
            self._limit.reschedule(self._loop.time() + self._deadlines.left())
