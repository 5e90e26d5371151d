"""Many processes share a budget for fewer calls than they want to make: none too many is ever sent."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from benchmarks.reliability.score import Score
from benchmarks.reliability.spoken import WHOLE
from tests.support.loopback import Loopback
from tests.support.processes import Home

_PROCESSES = 64
_CALLS = 20
_TOKENS = 2
_KEYS = f"""\
[models."m-1"]
input_price = 0
output_price = 1000000
[budget]
limit = {_CALLS * _TOKENS}
"""
"""A dollar a token: what is reserved for a call is what it costs, so that just so many calls fit."""


def score(_times: int) -> Score:
    """Run them all at once, and once more when the budget is used up."""
    score = Score(f"{_PROCESSES} processes, a budget of {_CALLS} calls", f"{_CALLS} sent, the others exit 9")
    with tempfile.TemporaryDirectory() as folder, Loopback([*WHOLE]) as server:
        home = Home(Path(folder))
        home.serve(server.url, _KEYS)
        codes = _codes(home)
        sent = len(server.requests)
        score.case("sent", "" if sent == _CALLS else f"{sent} calls")
        for number, code in enumerate(sorted(codes)):
            wanted = 0 if number < _CALLS else 9
            score.case(f"process {number}", "" if code == wanted else f"exit {code}")
        _codes(home)
        score.case("afterwards", "" if len(server.requests) == sent else "more were sent")
        score.case("the ledger", _differing(home))
    return score


def _codes(home: Home) -> list[int]:
    processes = [home.start("ask", "hi", "--max-tokens", str(_TOKENS), "-q") for _ in range(_PROCESSES)]
    for process in processes:
        process.communicate()
    return [process.returncode for process in processes]


def _differing(home: Home) -> str:
    """Say where the sums, the calls and the limit do not agree."""
    with closing(sqlite3.connect(home.path / "arawn.db")) as connection:
        [[spent]] = connection.execute("SELECT sum(cost) FROM spending")
        [[calls, waiting]] = connection.execute("SELECT sum(cost), sum(outcome = 'pending') FROM calls")
    if spent == calls == _CALLS * _TOKENS * 10**12 and not waiting:
        return ""
    return f"spent {spent}, calls {calls}, waiting {waiting}"
