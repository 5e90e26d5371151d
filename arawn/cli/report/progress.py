"""The progress of a batch: a bar on a terminal, a line every few seconds elsewhere, and a summary at the end."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from arawn.models.money import money

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from arawn.cli.output import Output
    from arawn.errors import ArawnError

_REDRAW_INTERVAL = 0.25
"""Seconds between two drawings of the bar."""
_LINE_INTERVAL = 10.0
"""Seconds between two lines where there is no bar."""


class Progress:
    """Counts answers; ``total`` is the number of lines, None if unknown.

    ``kept`` counts the ``done`` answers that were there before. Without a ``bar`` a line is written every ``pause``
    seconds.
    """

    def __init__(
        self,
        output: Output,
        total: int | None,
        *,
        bar: bool = False,
        pause: float = _LINE_INTERVAL,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self.done = 0
        self.kept = 0
        self.failed = 0
        self.cost = Decimal(0)
        self._unknown = 0
        self._output = output
        self._wants_bar = bar
        self._pause = pause
        self._monotonic = monotonic
        self._began = monotonic()
        self._bar: Any = None

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._monotonic() - self._began

    def blank(self, lines: int) -> None:
        """Count lines without a question."""
        if self.total is not None:
            self.total -= lines

    def keep(self) -> None:
        """Count an answer that was there before."""
        self.done += 1
        self.kept += 1

    def add(self, cost: Decimal | None, error: ArawnError | None = None) -> None:
        """Count an answer with its cost, None if unknown; ``error`` if it failed."""
        if error is None:
            self.done += 1
        else:
            self.failed += 1
        if cost is None:
            self._unknown += 1
        else:
            self.cost += cost

    def write_above(self, write: Callable[[], None]) -> None:
        """Call ``write`` while the bar is removed, so that its lines stay above the bar."""
        if self._bar is not None:
            self._bar.stop()
        write()
        if self._bar is not None:
            _start(self._bar)

    def summary(self) -> str:
        """Return the last line."""
        before = f" ({self.kept:,} of them before)" if self.kept else ""
        return f"{self.done:,} done{before}, {self.failed:,} failed, {self._spent()}, {duration(self.seconds)}"

    def fields(self) -> dict[str, Any]:
        """Return the summary as JSON; ``cost`` (USD) is None if no price was known, else the sum of the known ones."""
        return {
            "done": self.done,
            "kept": self.kept,
            "failed": self.failed,
            "cost": None if self._spent() == "cost unknown" else float(self.cost),
            "unknown_costs": self._unknown,
            "seconds": round(self.seconds, 3),
        }

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Show the progress while the block runs."""
        from asyncio import CancelledError, create_task

        if self._output.quiet:
            yield
            return
        showing = create_task(self._draw() if self._wants_bar else self._log_lines())
        try:
            yield
        finally:
            showing.cancel()
            with suppress(CancelledError):
                await showing

    async def _log_lines(self) -> None:
        from asyncio import sleep

        while True:
            await sleep(self._pause)
            self._output.note(self._line())

    async def _draw(self) -> None:
        from asyncio import sleep

        self._bar = bar = _bar()
        row = bar.add_task("", text=self._line(), total=self.total)
        _start(bar)
        try:
            while True:
                finished = self.done + self.failed
                bar.update(row, completed=finished, total=self.total, text=self._line(), refresh=True)
                await sleep(_REDRAW_INTERVAL)
        finally:
            self._bar = None
            bar.stop()

    def _line(self) -> str:
        finished, asked = self.done + self.failed, self.done + self.failed - self.kept
        of_all = "" if self.total is None else f" of {self.total:,}"
        pace = asked / self.seconds if self.seconds > 0 else 0.0
        parts = [f"{finished:,}{of_all}", f"{self.failed:,} failed", f"{pace:,.1f}/s", self._spent()]
        if self.total is not None and pace > 0:
            parts.append(f"{duration(max(0, self.total - finished) / pace)} left")
        return " · ".join(parts)

    def _spent(self) -> str:
        if not self._unknown:
            return money(self.cost)
        return f"{money(self.cost)} + unknown" if self.cost else "cost unknown"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: 4 s, 3 min, 1 h 5 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _start(bar: Any) -> None:
    bar.start()
    bar.console.show_cursor(True)  # a second signal ends the process at once, with the cursor hidden


def _bar() -> Any:
    """Return a bar on stderr that is drawn only on request and removed at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        BarColumn(24, complete_style="green", finished_style="green"),
        TextColumn("{task.fields[text]}", markup=False, style="dim"),
    )
    return Bar(*columns, console=console, transient=True, auto_refresh=False)
