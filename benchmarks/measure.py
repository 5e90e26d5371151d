"""What a command costs: processor time and memory of a process and all it started, and their medians side by side."""

from __future__ import annotations

import os
import subprocess
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Cost(NamedTuple):
    """One run: user and system time in milliseconds, the largest resident set in MiB, the bytes it printed."""

    cpu: float
    peak: float
    printed: int


class Command(NamedTuple):
    """A contender: its words and its whole environment."""

    words: Sequence[str]
    environ: Mapping[str, str]

    def run(self) -> Cost:
        """Run once, its output into a pipe. Raises CalledProcessError when it fails: a failure is no measurement."""
        process = subprocess.Popen(
            self.words, env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        with process.stdout:
            printed = len(process.stdout.read())
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, self.words)
        return Cost((used.ru_utime + used.ru_stime) * 1000, used.ru_maxrss / 1024, printed)


def compared(contenders: Mapping[str, Command], rounds: int) -> dict[str, Cost]:
    """Return the median cost of each contender. They take turns, so that a busy moment of the machine hits all.

    The first round is not counted: it finds the files cold.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, command in contenders.items():
            costs[name].append(command.run())
    return {name: _median(found[1:]) for name, found in costs.items()}


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(median(cost.cpu for cost in costs), median(cost.peak for cost in costs), costs[0].printed)
