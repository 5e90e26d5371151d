"""One call as the ledger has it: backend and model, usage, cost, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from arawn.messages import Usage
from arawn.values import Value

if TYPE_CHECKING:
    from decimal import Decimal

Outcome: TypeAlias = Literal["pending", "complete", "interrupted", "rejected", "unreached", "abandoned", "cached"]
"""How a call ended.

``pending``: not yet. ``complete``: with its whole answer. ``interrupted``: the reader left, the stream broke, or a
clock ran out after it was sent. ``rejected``: the backend answered with an error, which costs nothing. ``unreached``:
nothing was sent. ``abandoned``: its process died. ``cached``: answered from the cache, the backend was not asked.
"""
Counted: TypeAlias = Literal["reported", "counted", "estimated"]
"""Who counted the tokens: the provider; arawn, from the whole answer; arawn, from what had come of it."""


class Call(Value, kw_only=True):
    """One attempt. ``began`` is in seconds since the epoch, ``retries`` counts the attempts before it.

    ``cost`` is in USD, None where the price is not known; before the end it is that of the question alone. ``error`` is
    the kind of the failure. Times are None where the moment never came.
    """

    backend: str
    model: str
    began: float
    role: str = "llm"
    session: str = ""
    usage: Usage = Usage(estimated=True)
    counted: Counted = "estimated"
    cost: Decimal | None = None
    latency_ms: float | None = None
    first_token_ms: float | None = None
    outcome: Outcome = "pending"
    error: str = ""
    retries: int = 0
    id: int = 0
