"""``ask_timed``: a call by its own clock, and how long its process had to wait for a processor in that time."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.support.processes import Home

_HANGS = 60.0
"""Seconds after which a call is killed: it knows no end."""


class Timed(NamedTuple):
    """How ``ask --json`` ended. ``latency`` is in seconds from the start of the call, which is after the start-up."""

    code: int
    out: str
    err: str
    latency: float
    queued: float
    """Seconds in which the process was ready and no processor was free; 0 where the system does not say."""

    @property
    def waited(self) -> float:
        """Seconds the call took of itself, however busy the machine is."""
        return self.latency - self.queued


def ask_timed(home: Home, env: dict[str, str] | None = None) -> Timed:
    """Ask once, to the end."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = home.start("ask", "hi", "--json", env=env, stdout=out, stderr=err)
        killer = Timer(_HANGS, process.kill)
        killer.start()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        killer.cancel()
        queued = _queued(process.pid)
        code = process.wait()
        out.seek(0)
        err.seek(0)
        text = out.read().decode()
        return Timed(code, text, err.read().decode(), _latency(text), queued)


def _latency(text: str) -> float:
    with suppress(ValueError):  # one that crashed prints no object, and has another exit code
        return float(json.loads(text)["latency_ms"]) / 1000
    return 0.0


def _queued(process: int) -> float:
    """Return the seconds a process that has ended, and was not yet waited for, stood in the queue (on Linux)."""
    with suppress(OSError):
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
    return 0.0
