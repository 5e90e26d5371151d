"""Start-up: what needs no configuration, beside an interpreter that does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Command, compared
from benchmarks.report import TIMES, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers import Peers
    from benchmarks.place import Place

_TABS = {"arawn co": "commands", "arawn ask --js": "options", "arawn -b ": "backends", "arawn ask -m ": "models"}


def rows(place: Place, _peers: Peers) -> Iterator[Row]:
    """Yield ``--version`` over ``python -c pass``, and what a Tab takes for words and for names."""
    costs = compared(
        {
            "pass": place.python("-c", "pass"),
            "--version": place.arawn("--version"),
            **{line: _tab(place, line) for line in _TABS},
        },
        place.rounds,
    )
    bare = costs["pass"].cpu
    version = costs["--version"].cpu
    yield Row("--version, CPU", version / bare, TIMES, 1.5, f"{version:.1f} ms / python -c pass {bare:.1f} ms")
    for line, what in _TABS.items():
        yield Row(
            f"a Tab for {what}, CPU", costs[line].cpu, "ms", 100, f"{costs[line].cpu / bare:.1f} × python -c pass"
        )


def _tab(place: Place, line: str) -> Command:
    words = line.split(" ")
    asked = {
        "_ARAWN_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    command = place.arawn()
    return Command(command.words, {**command.environ, **asked})
