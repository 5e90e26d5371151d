"""Doing one thing while the keyboard is listened to, so that it can be stopped at any time."""

# ruff: noqa: TID253 -- only ``arawn chat`` imports this, and prompt_toolkit needs asyncio anyway

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from arawn.cli.repl.reply import Reply
    from arawn.cli.repl.terminal import Terminal
    from arawn.events import Events

TICK = 1 / 15
"""Seconds between two looks at what goes on."""
_BREATH = 0.03


class View(Protocol):
    """What is shown of something that goes on."""

    def tick(self) -> None:
        """Draw what has changed."""
        ...

    def leave(self) -> None:
        """Leave the terminal to others, for a while."""
        ...


class Attention:
    """What is being done, if anything is."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._task: asyncio.Future[object] | None = None

    async def pay(self, work: Coroutine[Any, Any, object], view: View) -> bool:
        """Do something to its end; False when it was stopped. Raises what it raises."""
        task = self._task = asyncio.ensure_future(work)
        with self._terminal.listening(self.stop, view.leave):
            try:
                while not task.done():
                    await asyncio.wait([task], timeout=TICK)
                    view.tick()
            finally:
                self.stop()
                self._task = None
                await asyncio.wait([task])
        if task.cancelled():
            return False
        task.result()
        return True

    def stop(self) -> None:
        """Stop it; a second time would disturb how it comes to its end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()


async def read(events: Events, reply: Reply) -> None:
    """Show events as they come; who answers faster than the screen can draw must let the keyboard have a turn."""
    rested = time.monotonic()
    async with aclosing(events) as stream:
        async for event in stream:
            reply.event(event)
            if time.monotonic() - rested > _BREATH:
                await asyncio.sleep(0)
                rested = time.monotonic()
