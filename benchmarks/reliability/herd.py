"""Many processes begin at the same moment in a home where nothing is yet, and then as many more: all succeed."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from benchmarks.reliability.score import Score
from tests.support.processes import Home

_PROCESSES = 64
_ECHO = '[llm]\nbackend = "m"\n[backends.m]\nadapter = "mock"\nmode = "echo"\n'


def score(_times: int) -> Score:
    """Run them all at once, twice."""
    score = Score(f"{_PROCESSES} first-time processes, then {_PROCESSES} more", f"{2 * _PROCESSES} of them succeed")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.configure(_ECHO)
        for batch in ("first", "then"):
            processes = [home.start("ask", f"{batch} {number}") for number in range(_PROCESSES)]
            for number, process in enumerate(processes):
                out, told = process.communicate()
                good = (process.returncode, out) == (0, f"{batch} {number}\n".encode())
                score.case(f"{batch} {number}", "" if good else f"exit {process.returncode}: {told!r}")
        with closing(sqlite3.connect(home.path / "arawn.db")) as connection:
            for table, where in (("calls", "outcome = 'complete'"), ("messages", "role = 'assistant'")):
                [[count]] = connection.execute(f"SELECT count(*) FROM {table} WHERE {where}")
                score.case(table, "" if count == 2 * _PROCESSES else f"{count} of them are kept")
    return score
