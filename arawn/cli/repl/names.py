"""The names a chat can complete: from the configuration, the catalogue and the store, never from the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli.render.theme import THEMES
from arawn.errors import ArawnError
from arawn.models.catalog import known_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from arawn.cli.repl.completion import Offers
    from arawn.config.settings import Settings
    from arawn.store.sessions import Sessions

_RECENT = 50


class Names:
    """Names by kind. ``here`` says which backend is in use; ``refresh`` looks at the store again."""

    def __init__(self, settings: Settings, sessions: Sessions | None, here: Callable[[], str]) -> None:
        self._settings = settings
        self._store = sessions
        self._here = here
        self._sessions: list[tuple[str, str]] | None = None
        self._known = list[tuple[str, str]]()

    @property
    def sources(self) -> Mapping[str, Callable[[], Offers]]:
        """What there is of each kind."""
        return {
            "backends": self._backends,
            "models": self._models,
            "sessions": self._kept,
            "themes": lambda: [(name, "") for name in THEMES],
            "off": lambda: [("off", "")],
            "code": lambda: [("code", "the first block of code of the last answer")],
        }

    def refresh(self) -> None:
        """Forget which sessions there were."""
        self._sessions = None

    def _backends(self) -> Offers:
        tables = self._settings.tree["backends"]
        return [(name, tables[name].get("label", "")) for name in self._settings.backend_names]

    def _models(self) -> Iterator[tuple[str, str]]:
        yield from self._settings.aliases.items()
        here = self._here()
        self._known = self._known or [*self._configured(), *known_ids()]
        defined = set(self._settings.backend_names)
        yield from ((model, "") for backend, model in dict.fromkeys(self._known) if backend == here)
        yield from ((f"{backend}/{model}", "") for backend, model in dict.fromkeys(self._known) if backend in defined)

    def _configured(self) -> Iterator[tuple[str, str]]:
        for name, table in self._settings.tree["backends"].items():
            if table.get("model"):
                yield name, table["model"]

    def _kept(self) -> Offers:
        if self._sessions is None:
            try:
                recent = self._store.recent(_RECENT) if self._store else ()
            except ArawnError:
                recent = ()
            self._sessions = [(info.name or info.id, info.title) for info in recent]
        return self._sessions
