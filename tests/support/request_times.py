"""``RequestTimes``: when the requests of a server came; ``server.requests = RequestTimes()`` before the first."""

from __future__ import annotations

import time
from typing import Any


class RequestTimes(list[Any]):
    """What came, with ``times`` in seconds of the clock all processes share."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def append(self, received: Any) -> None:
        self.times.append(time.monotonic())
        super().append(received)
