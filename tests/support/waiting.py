"""Waiting for what happens soon or never: ``wait_until`` in a thread, ``eventually`` on an event loop.

Both ask again and again and give up after a minute, so that a busy machine fails no test.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 60.0
"""Seconds after which nobody waits any more."""
PAUSE = 0.005
"""Seconds between two looks."""


def wait_until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(PAUSE)


async def eventually(holds: Callable[[], object]) -> None:
    """Wait until something holds, while the event loop goes on."""
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(PAUSE)
