"""Watching backends: checked again and again, drawn as a table in place, or written as a JSON object a check."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from arawn.cli import signals
from arawn.cli.guard import one_line
from arawn.cli.output import Styled, write_all
from arawn.cli.render.lines import Line, Span
from arawn.cli.render.painter import Painter
from arawn.cli.report.bars import shows_blocks
from arawn.cli.report.columns import NONE, Column, lay_out
from arawn.engine.assembly import Engine
from arawn.engine.health import HEALTH_TIMEOUT, SLOW_MS, Health, check
from arawn.errors import NotSavedError
from arawn.telemetry.log import stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arawn.cli.output import Output
    from arawn.cli.report.tables import Cell
    from arawn.config.settings import Settings
    from arawn.engine.health import State

LAST = 20
"""How many checks the history shows."""
_BLOCKS = "▁▂▃▄▅▆▇█"
_DIGITS = "12345678"
_STYLES: dict[State, str] = {"ok": "good", "slow": "warning", "failing": "error"}
_SGR = {"error": "1;31", "warning": "33", "dim": "2", "good": "32", "bold": "1"}
_USUAL = (80, 24)
_DAY = 86_400


def watch(
    output: Output,
    settings: Settings,
    names: Sequence[str],
    *,
    interval: float,
    is_shown: Callable[[str, Health], bool],
    as_json: bool,
) -> int:
    """Check backends until a signal ends it; ``is_shown`` says whether one is of interest that was not so far."""
    if not names:
        output.note("no backend is configured: arawn doctor says how to begin, --all shows what there could be")
        return 0
    import asyncio

    paints = output.stdout_tty and not as_json and settings.environ.get("TERM") != "dumb"
    watcher = _Watcher(output, settings, names, interval=interval, is_shown=is_shown)
    if not paints:
        asyncio.run(watcher.run(lambda row: output.data(json.dumps(row.fields()))))
        return 0
    drawing = _Drawing(output, settings.llm.backend, watcher)
    try:
        asyncio.run(watcher.run(drawing.update))
    finally:
        drawing.leave()
    return 0


class _Row:
    """One backend as it is watched; ``since`` is when its state became what it is, in seconds since the epoch."""

    def __init__(self, name: str, slow_ms: float) -> None:
        self.name = name
        self.health = Health()
        self.before: State | None = None
        self.checked = 0.0
        self.since = 0.0
        self._slow_ms = slow_ms
        self._latencies: deque[int | None] = deque(maxlen=LAST)

    def take(self, health: Health, now: float) -> None:
        """Take in the next check; ``before`` is then what the state was."""
        self.before = self.health.state if self.checked else None
        self.health, self.checked = health, now
        if self.before != health.state:
            self.since = now
        self._latencies.append(health.latency_ms)

    @property
    def state(self) -> Styled:
        """The verdict of the last check."""
        return Styled(self.health.state, _STYLES[self.health.state])

    @property
    def changed(self) -> bool:
        """Whether the last check found another state than the one before."""
        return self.before not in (None, self.health.state)

    @property
    def reason(self) -> str:
        """Why it fails."""
        return "" if self.health.error is None else self.health.error.message

    @property
    def latency(self) -> str:
        """How long the last answer took."""
        return NONE if self.health.latency_ms is None else f"{self.health.latency_ms:,} ms"

    def history(self, *, blocks: bool) -> str:
        """Draw the last latencies: a full one is slow, a cross has failed."""
        levels, failed = (_BLOCKS, "×") if blocks else (_DIGITS, "x")
        most = len(levels) - 1
        return "".join(
            failed if latency is None else levels[min(most, round(most * latency / self._slow_ms))]
            for latency in self._latencies
        )

    def fields(self) -> dict[str, Any]:
        """Return the last check as JSON."""
        error = self.health.error
        return {
            "time": stamp(self.checked),
            "backend": self.name,
            "state": self.health.state,
            "ok": error is None,
            "latency_ms": self.health.latency_ms,
            "error": None if error is None else error.kind,
        }


class _Watcher:
    """Checks each backend in its own time, so that a slow one does not delay the others."""

    def __init__(
        self,
        output: Output,
        settings: Settings,
        names: Sequence[str],
        *,
        interval: float,
        is_shown: Callable[[str, Health], bool],
    ) -> None:
        self._output = output
        self._settings = settings
        self._interval = interval
        self._is_shown = is_shown
        self._rows = [_Row(name, settings.value("health.slow_ms") or SLOW_MS) for name in names]
        self.shown: list[_Row] = []
        self._told = False

    async def run(self, on_check: Callable[[_Row], None]) -> None:
        """Check until a signal comes; ``on_check`` is called after each check. Raises Interrupted."""
        import asyncio

        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        engine = Engine.asynchronous(self._settings, total_timeout=HEALTH_TIMEOUT)
        with signals.handed_to(lambda: loop.call_soon_threadsafe(task.cancel)):
            checks = [loop.create_task(self._check_again(engine, row, on_check)) for row in self._rows]
            try:
                await asyncio.gather(*checks)
            finally:
                for each in checks:
                    each.cancel()
                await asyncio.gather(*checks, return_exceptions=True)
                await engine.aclose()

    async def _check_again(self, engine: Engine, row: _Row, on_check: Callable[[_Row], None]) -> None:
        from asyncio import sleep

        while True:
            began = time.monotonic()
            row.take(await check(engine, row.name), time.time())
            if self._shows(row):
                on_check(row)
            elif not (self.shown or self._told) and all(each.checked for each in self._rows):
                self._told = True
                self._output.note("no backend is configured, and no local server answers: still looking")
            await sleep(max(0.0, began + self._interval - time.monotonic()))

    def _shows(self, row: _Row) -> bool:
        """Say whether a row is shown; what was shown once stays, in the order of the configuration."""
        if row not in self.shown and self._is_shown(row.name, row.health):
            self.shown = [each for each in self._rows if each in self.shown or each is row]
        return row in self.shown


class _Drawing:
    """The table on the terminal; changes of state are lines above it, which stay."""

    def __init__(self, output: Output, usual: str | None, watcher: _Watcher) -> None:
        blocks = shows_blocks()
        self._watcher = watcher
        self._colour = output.colour
        self._painter = Painter(lambda text: write_all(1, text.encode("utf-8", "replace")))
        self._columns = (
            Column("", lambda row: "*" if row.name == usual else " ", words=1),
            Column("backend", lambda row: row.name, words=8),
            Column("state", lambda row: row.state, words=7),
            Column("latency", lambda row: row.latency),
            Column(f"last {LAST}", lambda row: row.history(blocks=blocks), rank=2, words=LAST),
            Column("since", lambda row: _clock(row.since, row.checked), rank=1, words=8),
            Column("", lambda row: Styled(row.reason, "dim"), rank=3, words=20),
        )

    def update(self, row: _Row) -> None:
        """Draw what is known after a check."""
        why = row.reason or row.latency
        change = f"{_clock(row.checked, row.checked)}  {row.name} is ", row.state, f", was {row.before}: {why}"
        columns, rows = _window()
        table, _ = lay_out(self._columns, self._watcher.shown, columns - 1)
        hidden = len(table) - rows + 1
        if hidden > 0:
            table = [*table[: -hidden - 1], [Styled(f"and {hidden + 1} more: the window is too low", "dim")]]
        self._painter.update([self._line(change)] if row.changed else [], list(map(self._line, table)), columns)

    def leave(self) -> None:
        """Leave the table as it is."""
        with suppress(NotSavedError):  # the terminal may be gone
            self._painter.detach()

    def _line(self, cells: Sequence[Cell]) -> Line:
        pieces = [cell if isinstance(cell, Styled) else Styled(cell, "") for cell in cells]
        return Line([Span(one_line(text), _SGR[style] if style and self._colour else "") for text, style in pieces])


def _window() -> tuple[int, int]:
    """Return the columns and rows of the terminal; the usual ones where it does not say."""
    try:
        columns, rows = os.get_terminal_size(1)
    except OSError:
        columns = rows = 0
    return columns or _USUAL[0], rows or _USUAL[1]


def _clock(moment: float, now: float) -> str:
    """Return the time of a moment of the last day, else its date, as the clock on the wall has it."""
    return time.strftime("%H:%M:%S" if now - moment < _DAY else "%Y-%m-%d", time.localtime(moment))
