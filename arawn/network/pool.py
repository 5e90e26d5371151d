"""Connections kept for the next request on the same way; the one used last is the first to be used again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from arawn.network.deadlines import Clocks
    from arawn.network.http11 import Connection

KEPT_FOR = 30.0
"""Seconds a connection is kept without being used."""


class Pool:
    """``open`` makes a connection when there is none to be used again."""

    def __init__(self, open: Callable[[Clocks], Awaitable[Connection]]) -> None:  # noqa: A002 -- the word for it
        self._open = open
        self._idle: list[tuple[float, Connection]] = []
        self._busy: set[Connection] = set()

    async def take(self, clocks: Clocks) -> Connection:
        """Return a connection for one request; ``give_back`` must follow. Raises what opening one raises."""
        connection = await self._kept() or await self._open(clocks)
        self._busy.add(connection)
        return connection

    async def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request where one may follow; else close it."""
        if connection not in self._busy:
            return
        self._busy.discard(connection)
        if connection.renew():
            self._idle.append((time.monotonic(), connection))
        else:
            await connection.link.close()

    async def aclose(self) -> None:
        """Close all connections, those at work as well."""
        connections = [connection for _, connection in self._idle] + list(self._busy)
        self._idle.clear()
        self._busy.clear()
        for connection in connections:
            await connection.link.close()

    async def _kept(self) -> Connection | None:
        now = time.monotonic()
        while self._idle and self._idle[0][0] < now - KEPT_FOR:
            await self._idle.pop(0)[1].link.close()
        while self._idle:
            _, connection = self._idle.pop()
            if not connection.link.is_spent():
                return connection
            await connection.link.close()
        return None
