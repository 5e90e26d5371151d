"""The health of a backend: reachable or not, key accepted or not, how fast, how many models."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, TypeAlias

from arawn.errors import (
    ArawnError,
    AuthenticationError,
    BackendError,
    BackendTimeoutError,
    ConnectionFailedError,
    PermissionDeniedError,
    ServerError,
)
from arawn.middleware.errors import RedactSecrets
from arawn.values import Value

if TYPE_CHECKING:
    from arawn.config.settings import BackendSettings
    from arawn.engine.assembly import Engine

HEALTH_TIMEOUT = 10.0
"""Seconds after which a backend that has not answered counts as not reachable."""
SLOW_MS = 2_000.0
"""Milliseconds above which an answer is slow, where ``health.slow_ms`` does not say."""

State: TypeAlias = Literal["ok", "slow", "failing"]


class Health(Value, kw_only=True):
    """What a check found: the error, or how long the answer took and how many models there are, where it says so.

    ``reachable`` and ``authenticated`` are None where that is not known; the latter also where no key is needed.
    """

    error: ArawnError | None = None
    latency_ms: int | None = None
    models: int | None = None
    slow: bool = False
    reachable: bool | None = None
    authenticated: bool | None = None

    @property
    def state(self) -> State:
        """The result in a word."""
        if self.error is not None:
            return "failing"
        return "slow" if self.slow else "ok"

    def __str__(self) -> str:
        """Say what is known of a backend that answered."""
        counted = "" if self.models is None else f", {self.models} model{'' if self.models == 1 else 's'}"
        return f"{self.latency_ms} ms{counted}"


async def check(engine: Engine, name: str) -> Health:
    """Ask a backend for its ``health_path``, else for its models, which cost nothing.

    The result opens or closes its circuit, so that a fallback need not find it out again.
    """
    began = time.monotonic()
    try:
        table = engine.settings.backend(name)
        models = await _ask(engine, table)
    except ArawnError as error:
        if isinstance(error, BackendTimeoutError) and error.clock == "total":
            error.hints = ()  # HEALTH_TIMEOUT is no setting
        if isinstance(error, BackendError):
            _open_circuit(engine, name, error)
        return Health(error=error, reachable=_reachable(error), authenticated=_authenticated(error))
    latency = (time.monotonic() - began) * 1000
    engine.stack.circuits.close(name)
    return Health(
        latency_ms=round(latency),
        models=models,
        slow=latency > (engine.settings.value("health.slow_ms") or SLOW_MS),
        reachable=True,
        authenticated=None if table.api_key is None else True,
    )


async def _ask(engine: Engine, table: BackendSettings) -> int | None:
    lister = engine.lister(table.name)
    if table.health_path is not None and isinstance(lister, RedactSecrets):
        await lister.probe(table.health_path)
        return None
    return len(await lister.models())


def _open_circuit(engine: Engine, name: str, error: BackendError) -> None:
    """Open the circuit where the backend is not well.

    A refused key must not be hidden by a fallback, and a server without a list of models may still chat.
    """
    if isinstance(error, ConnectionFailedError | ServerError | BackendTimeoutError):
        engine.stack.circuits.trip(name, error.kind)


def _reachable(error: ArawnError) -> bool | None:
    missing = isinstance(error, AuthenticationError) and error.status is None
    if missing or not isinstance(error, BackendError):
        return None
    return not isinstance(error, ConnectionFailedError | BackendTimeoutError)


def _authenticated(error: ArawnError) -> bool | None:
    return isinstance(error, PermissionDeniedError) if isinstance(error, AuthenticationError) else None
