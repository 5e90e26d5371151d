"""Start-up: what needs no configuration, beside an interpreter that does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import compared
from benchmarks.report import TIMES, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers import Peers
    from benchmarks.place import Place


def rows(place: Place, _peers: Peers) -> Iterator[Row]:
    """Yield ``--version`` and the values a Tab asks for, over ``python -c pass``."""
    costs = compared(
        {
            "pass": place.python("-c", "pass"),
            "--version": place.arawn("--version"),
            "__complete backends": place.arawn("__complete", "backends", ""),
            "__complete models": place.arawn("__complete", "models", ""),
            "--help": place.arawn("--help"),
        },
        place.rounds,
    )
    bare = costs.pop("pass").cpu
    for name, cost in costs.items():
        remark = f"{cost.cpu:.1f} ms / python -c pass {bare:.1f} ms"
        yield Row(f"arawn {name}", cost.cpu / bare, TIMES, 4, remark)
