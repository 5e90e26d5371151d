"""Whether a backend can be used: reachable, key accepted, how fast, how many models."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from arawn.errors import ArawnError
from arawn.values import Value

if TYPE_CHECKING:
    from arawn.assembly import Engine

PATIENCE = 10.0
"""Seconds after which a backend that has not answered counts as not reachable."""


class Health(Value):
    """What a check found: the error, or how long the list of models took and how long it is."""

    error: ArawnError | None = None
    latency_ms: int | None = None
    models: int | None = None

    def __str__(self) -> str:
        return f"{self.latency_ms} ms, {self.models} model{'' if self.models == 1 else 's'}"


async def check(engine: Engine, name: str) -> Health:
    """Ask a backend for its models, the cheapest thing all of them offer."""
    began = time.monotonic()
    try:
        models = await engine.lister(name).models()
    except ArawnError as error:
        return Health(error)
    return Health(None, round((time.monotonic() - began) * 1000), len(models))
