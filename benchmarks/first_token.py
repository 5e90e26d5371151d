"""The wait arawn adds to a token: from the upstream's write to the same token on arawn's standard output."""

from __future__ import annotations

import os
import subprocess
import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers import Peers
    from benchmarks.place import Place


def rows(place: Place, _peers: Peers) -> Iterator[Row]:
    """Yield the median of the first tokens' and of all tokens' waits. This is wall time: a busy machine shows in it."""
    command = place.arawn("ask", "hi", answers="stamped")
    first, every = [], []
    for _ in range(max(3, place.rounds // 3)):
        process = subprocess.Popen(command.words, env=command.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        waits = list(_waits(process))
        first.append(waits[0])
        every += waits
    remark = f"worst of {len(every)} tokens {max(every):.2f} ms"
    yield Row("first token, from the wire to stdout", median(first), "ms", 1, remark)
    yield Row("every token, from the wire to stdout", median(every), "ms", 1, remark)


def _waits(process: subprocess.Popen[bytes]) -> Iterator[float]:
    """Yield the milliseconds each token was on its way; a token is the time it was sent at."""
    assert process.stdout is not None
    with process.stdout as pipe:
        while data := os.read(pipe.fileno(), 65536):
            now = time.monotonic_ns()
            for stamp in data.split():
                yield (now - int(stamp)) / 1e6
    process.wait()
