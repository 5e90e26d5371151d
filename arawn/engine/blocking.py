"""Runs coroutines that never suspend, without an event loop: what lies below them blocks instead of waiting."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Iterator

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Drive a coroutine to its end. Raises RuntimeError when it wants to wait for an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("a coroutine that must not suspend did: something below it needs an event loop")


def iterate(events: AsyncGenerator[T, None]) -> Iterator[T]:
    """Yield what an asynchronous generator yields, and close it however the reader leaves."""
    try:
        while True:
            try:
                event = run(events.__anext__())
            except StopAsyncIteration:
                return
            yield event
    finally:
        run(events.aclose())


async def sleep(seconds: float) -> None:
    """Wait, blocking."""
    time.sleep(seconds)  # noqa: ASYNC251 -- there is no event loop to hold up
