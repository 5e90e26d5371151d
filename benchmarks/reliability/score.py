"""A line of the scoreboard."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SHOWN = 5


class Score:
    """Counts the cases of one row, and those that went wrong; the first few of these are kept to be looked into."""

    def __init__(self, row: str, goal: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.row = row
        self.goal = goal
        self.cases = 0
        self.wrong = 0
        self.first_wrong: list[str] = []
        self.skipped = ""
        self._clock = clock
        self._began = clock()

    def case(self, name: str, problem: str = "") -> None:
        """Count a case; a ``problem`` makes it a wrong one."""
        self.cases += 1
        if problem:
            self.wrong += 1
            self.first_wrong = [*self.first_wrong, f"{name}: {problem}"][:_SHOWN]

    def line(self) -> str:
        """Return it as JSON."""
        shown = {"row": self.row, "goal": self.goal, "cases": self.cases, "wrong": self.wrong}
        if self.first_wrong:
            shown["first_wrong"] = self.first_wrong
        if self.skipped:
            shown["skipped"] = self.skipped
        return json.dumps({**shown, "seconds": round(self._clock() - self._began, 1)}, ensure_ascii=False)
