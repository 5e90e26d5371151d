"""The waits of a call that is only played, and the clock that ends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from arawn.errors import BackendTimeoutError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Sleep: TypeAlias = Callable[[float], Awaitable[None]]


async def loop_sleep(seconds: float) -> None:
    """Sleep in an asyncio event loop."""
    import asyncio

    await asyncio.sleep(seconds)


class Waiting:
    """The waits of one call to the backend ``name``: together they take ``total`` seconds at most, None for any."""

    def __init__(self, name: str, sleep: Sleep, total: float | None) -> None:
        self._name = name
        self._sleep = sleep
        self._total = total
        self._left = float("inf") if total is None else total

    async def sleep(self, seconds: float) -> None:
        """Wait. Raises BackendTimeoutError when the time is up."""
        await self._sleep(min(seconds, self._left))
        self._left -= seconds
        if self._left < 0:
            message = f"{self._name} was not done after {self._total:g} s (clock: total)"
            raise BackendTimeoutError(message, clock="total", backend=self._name)
