"""What a command works with: its arguments, the streams, and the settings, loaded when first asked for."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from arawn.cli.overrides import overrides

if TYPE_CHECKING:
    from argparse import Namespace

    from arawn.cli.output import Output
    from arawn.config.roles import Choice, RoleName
    from arawn.config.settings import BackendSettings, Settings
    from arawn.engine.assembly import Engine
    from arawn.store.database import Database


class Context:
    """One run of one command."""

    def __init__(self, arguments: Namespace, output: Output) -> None:
        self.arguments = arguments
        self.output = output
        self.environ = os.environ

    def option(self, name: str, default: Any = None) -> Any:
        """Return a global option, or the default where it was not given."""
        return getattr(self.arguments, name, default)

    @cached_property
    def settings(self) -> Settings:
        """The merged configuration; its warnings are told once."""
        from arawn.config.sources import load

        settings = load(
            environ=self.environ,
            cwd=os.getcwd(),
            config_file=self.option("config_file"),
            project=not self.option("no_project", default=False),
            env_file=self.option("env_file"),
            overrides=overrides(self.arguments),
        )
        for warning in settings.warnings:
            self.output.warning(warning)
        return settings

    @cached_property
    def database(self) -> Database:
        """What is kept: one file, opened when it is first needed."""
        from arawn.store.database import Database

        return Database.of_user(self.environ)

    def choose(self, engine: Engine, role: RoleName = "llm", usual: tuple[str, str] | None = None) -> Choice:
        """Return the backend and model the command line asks for, and tell what the user should know of them.

        ``usual`` are those to stay with where it does not name others.
        """
        backend, model = self.option("backend"), self.option("model")
        if usual is not None and backend is None:
            backend, model = _staying(engine, usual, model)
        return self.told(engine, engine.choose(backend, model, role), role)

    def told(self, engine: Engine, choice: Choice, role: RoleName = "llm") -> Choice:
        """Return a choice, after telling what the user should know of it."""
        engine.watch.warn = self.output.warning
        if choice.why:
            self.output.note(choice.why)
        settings = engine.settings
        table_of = settings.embeddings_backend if role == "embeddings" else settings.backend
        self.caution(table_of(choice.backend))
        return choice

    def caution(self, backend: BackendSettings) -> None:
        """Warn of a connection that is not what it seems, on every run that uses it."""
        if backend.insecure_tls:
            self.output.warning(f"insecure_tls: nobody checks that {backend.name} is who it says it is")
        if "SSLKEYLOGFILE" in self.environ and backend.base_url.lower().startswith("https:"):
            from arawn.network.tls import key_log_problem

            if problem := key_log_problem(self.environ):
                self.output.warning(problem)


def names_backend(engine: Engine, name: str) -> bool:
    """Whether a name for ``-m`` says which backend it means: an alias, a tier, or ``backend/model``."""
    backend, slash, _ = name.partition("/")
    return name in engine.settings.aliases or (bool(slash) and backend in engine.settings.backend_names)


def _staying(engine: Engine, usual: tuple[str, str], model: str | None) -> tuple[str | None, str | None]:
    """Return the backend and model that are meant by a model alone, or by nothing."""
    if model is None:
        return usual
    elsewhere = names_backend(engine, model) and engine.facts(usual[0], model) is None
    return (None if elsewhere else usual[0]), model
