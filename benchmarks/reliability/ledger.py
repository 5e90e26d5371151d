"""Every call that reached the upstream is in the ledger, however it ended, and none of them for nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.reliability.score import Score
from benchmarks.reliability.spoken import EVENTS, WHOLE, begun
from tests.support.loopback import Fin, Loopback, Rst, Stall, answer
from tests.support.processes import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from subprocess import Popen

    from tests.support.loopback import Step

_KEYS = '[models."m-1"]\ninput_price = 1\noutput_price = 2\n'
_RETRIED = {"Retry-After": "0"}


def score(_times: int) -> Score:
    """Answer whole, with errors, cut at each event in two ways, stopped by each signal there, and killed there."""
    score = Score("ledger against attempts counted upstream", "equal, none at 0")
    score.case("whole", _tried([WHOLE], outcomes=["complete"]))
    busy = [answer(b"{}", 503, headers=_RETRIED)]
    score.case("retried", _tried([busy, busy, WHOLE], outcomes=["rejected"] * 2 + ["complete"]))
    for upto in range(len(EVENTS) - 1):
        for name, ending in (("fin", Fin()), ("rst", Rst()), ("clean", b"0\r\n\r\n")):
            outcomes = ["interrupted"] if upto else None
            score.case(f"{name} after {upto} events", _tried([[*begun(upto), ending]], outcomes=outcomes))
        if upto:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
                ended = "abandoned" if number is signal.SIGKILL else "interrupted"
                stopped = _tried([[*begun(upto), Stall()]], outcomes=[ended], end=_by(number))
                score.case(f"{signal.Signals(number).name} after {upto} events", stopped)
    return score


def _tried(
    scripts: Sequence[Sequence[Step]], *, outcomes: list[str] | None, end: Callable[[Popen[bytes]], None] | None = None
) -> str:
    """Ask once with these answers; say what is wrong in the ledger afterwards. No ``outcomes``: whatever it was."""
    with tempfile.TemporaryDirectory() as folder, Loopback(*map(list, scripts)) as server:
        home = Home(Path(folder))
        home.serve(server.url, _KEYS)
        config = home.path / "config.toml"
        config.write_text(config.read_text().replace("max_retries = 0", "max_retries = 3"))
        with home.start("ask", "a question of a few words") as process:
            if end is not None:
                end(process)
            process.communicate(timeout=60)
        home.run("usage")
        asked = len(server.requests)
        return _wrong(home, asked, outcomes)


def _by(number: int) -> Callable[[Popen[bytes]], None]:
    def end(process: Popen[bytes]) -> None:
        assert process.stdout is not None
        os.read(process.stdout.fileno(), 1 << 16)
        process.send_signal(number)

    return end


def _wrong(home: Home, asked: int, outcomes: list[str] | None) -> str:
    with closing(sqlite3.connect(home.path / "arawn.db")) as connection:
        rows = connection.execute("SELECT outcome, input_tokens, cost, counted FROM calls ORDER BY id").fetchall()
    found = [row[0] for row in rows]
    if len(rows) != asked or (outcomes is not None and found != outcomes):
        return f"{asked} attempts, in the ledger {found}"
    for outcome, tokens, cost, counted in rows:
        if not tokens or (outcome != "rejected" and not cost):
            return f"{outcome} at nothing: {tokens} tokens, cost {cost}"
        if (outcome == "complete") != (counted == "reported"):
            return f"{outcome}, and {counted}"
    return ""
