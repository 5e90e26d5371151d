"""One shot: start, ask for 20 tokens through a pipe, exit; beside the standard library alone, and beside ``llm``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import compared
from benchmarks.report import TIMES, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers import Peers
    from benchmarks.place import Place


def rows(place: Place, peers: Peers) -> Iterator[Row]:
    """Yield the processor time of ``ask`` over its floor, that of ``llm`` over ``ask``, and the memory of ``ask``.

    Floor and peer keep no record of the answer; ``ask`` is measured as it is typed, and without its record.
    """
    contenders = {
        "http.client": place.floor("http_client", 20),
        "ask": place.arawn("ask", "hi"),
        "ask --no-save": place.arawn("ask", "--no-save", "hi"),
    }
    if not peers.missing:
        contenders["llm"] = peers.llm(place, 20, "prompt", "--no-log", "hi")  # the least it can do
    costs = compared(contenders, place.rounds)
    floor, bare = costs["http.client"], costs["ask --no-save"]
    for name in ("ask", "ask --no-save"):
        cpu = costs[name].cpu
        yield Row(
            f"{name}, 20 tokens, CPU", cpu / floor.cpu, TIMES, 3.3, f"{cpu:.1f} ms / http.client {floor.cpu:.1f} ms"
        )
    what = "llm --no-log, 20 tokens, CPU beside ask"
    if peers.missing:
        yield Row(what, None, TIMES, 5, peers.missing, more=True)
    else:
        llm = costs["llm"]
        yield Row(what, llm.cpu / bare.cpu, TIMES, 5, f"llm {llm.cpu:.0f} ms / {bare.cpu:.1f} ms", more=True)
    yield Row("ask, 20 tokens, peak memory", costs["ask"].peak, "MiB", 36, f"http.client {floor.peak:.1f} MiB")
