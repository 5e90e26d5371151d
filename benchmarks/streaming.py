"""Streaming: 20,000 tokens into a pipe, beside bare httpx that does the same with nothing around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import compared
from benchmarks.report import TIMES, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers import Peers
    from benchmarks.place import Place


def rows(place: Place, peers: Peers) -> Iterator[Row]:
    """Yield the processor time of a long answer over that of httpx."""
    what = "20,000 tokens into a pipe, CPU"
    if peers.missing:
        yield Row(what, None, TIMES, 1.3, peers.missing)
        return
    costs = compared(
        {
            "httpx": place.floor("httpx_lines", 20_000, peers.python),
            "ask": place.arawn("ask", "hi", answers=20_000),
        },
        max(3, place.rounds // 3),
    )
    ask, floor = costs["ask"], costs["httpx"]
    yield Row(
        what, ask.cpu / floor.cpu, TIMES, 1.3, f"{ask.cpu:.0f} ms / httpx {floor.cpu:.0f} ms; peak {ask.peak:.1f} MiB"
    )
