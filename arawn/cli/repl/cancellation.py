"""Running one task while the keyboard is read, so that Ctrl-C and Esc can cancel it at any time."""

# ruff: noqa: TID253 -- only ``arawn chat`` imports this, and prompt_toolkit needs asyncio anyway

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from arawn.cli.repl.terminal import Terminal
    from arawn.cli.repl.views import View

_TICK_INTERVAL = 1 / 15
"""Seconds between two calls of the view's ``tick``."""


class TaskRunner:
    """Runs one cancellable task at a time."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._task: asyncio.Future[object] | None = None

    async def run_cancellable(self, work: Coroutine[Any, Any, object], view: View) -> bool:
        """Run a coroutine to its end; return False if it was cancelled. Raises what it raises."""
        task = self._task = asyncio.ensure_future(work)
        with self._terminal.reading_keys(self.cancel, view.suspend):
            try:
                while not task.done():
                    await asyncio.wait([task], timeout=_TICK_INTERVAL)
                    view.tick()
            finally:
                self.cancel()
                self._task = None
                await asyncio.wait([task])
        if task.cancelled():
            return False
        task.result()
        return True

    def cancel(self) -> None:
        """Cancel the task, once only: a second time would interrupt its clean-up."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
