"""The completion candidates of a chat: from the configuration, the catalogue and the store, never the network."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from arawn.cli.render.theme import THEMES
from arawn.dates import day
from arawn.errors import ArawnError
from arawn.models.catalog import known_ids, stored_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from arawn.cli.repl.completion import Names
    from arawn.config.settings import Settings
    from arawn.store.sessions import Sessions

_MAX_SESSIONS = 50
"""Conversations offered for completion."""


class Candidates:
    """Names by kind. ``current_backend`` returns the backend in use."""

    def __init__(self, settings: Settings, sessions: Sessions | None, current_backend: Callable[[], str]) -> None:
        self._settings = settings
        self._store = sessions
        self._current_backend = current_backend
        self._sessions: list[tuple[str, str]] | None = None
        self._known = list[tuple[str, str]]()

    @property
    def sources(self) -> Mapping[str, Callable[[], Names]]:
        """A function for each kind that returns its names."""
        return {
            "backends": self._backends,
            "models": self._models,
            "sessions": self._saved_sessions,
            "themes": lambda: [(name, "") for name in THEMES],
            "off": lambda: [("off", "")],
            "code": lambda: [("code", "the first block of code of the last answer")],
        }

    def refresh(self) -> None:
        """Read the conversations from the store again when they are next needed."""
        self._sessions = None

    def _backends(self) -> Names:
        tables = self._settings.tree["backends"]
        return [(name, tables[name].get("label", "")) for name in self._settings.backend_names]

    def _models(self) -> Iterator[tuple[str, str]]:
        yield from self._settings.aliases.items()
        current = self._current_backend()
        self._known = self._known or [*self._configured(), *self._served()]
        defined = set(self._settings.backend_names)
        yield from ((model, "") for backend, model in dict.fromkeys(self._known) if backend == current)
        yield from ((f"{backend}/{model}", "") for backend, model in dict.fromkeys(self._known) if backend in defined)

    def _served(self) -> Iterator[tuple[str, str]]:
        return known_ids(day(time.time()), stored_table(self._settings.environ))

    def _configured(self) -> Iterator[tuple[str, str]]:
        for name, table in self._settings.tree["backends"].items():
            if table.get("model"):
                yield name, table["model"]

    def _saved_sessions(self) -> Names:
        if self._sessions is None:
            try:
                recent = self._store.recent(_MAX_SESSIONS) if self._store else ()
            except ArawnError:
                recent = ()
            self._sessions = [(info.name or info.id, info.title) for info in recent]
        return self._sessions
