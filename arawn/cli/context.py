"""What commands work with: the options of every command, the streams, and the settings, loaded when first asked for."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from arawn.cli.stdin import StandardInput

if TYPE_CHECKING:
    from arawn.cli.output import Output
    from arawn.config.environment import Environment
    from arawn.config.roles import Choice, RoleName
    from arawn.config.settings import BackendSettings, Settings
    from arawn.config.user_file import UserFile
    from arawn.engine.assembly import Engine
    from arawn.store.database import Database


class Context:
    """One run of one command. ``overrides`` are keys of the configuration, above all its layers; set them first."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.stdin = StandardInput()
        self.overrides: dict[str, object] = {}
        self.backends: list[str] = []
        self.models: list[str] = []
        self.config: str | None = None
        self.env_file: str | None = None
        self.no_project = False

    def set_global(self, name: str, value: Any) -> None:
        """Take over an option of every command; one that stands later on the command line comes later."""
        if name in ("backend", "model"):
            getattr(self, f"{name}s").extend(value)
        else:
            setattr(self.output if name in ("quiet", "debug") else self, name, value)

    @property
    def backend(self) -> str | None:
        """The backend that was named last."""
        return self.backends[-1] if self.backends else None

    @property
    def model(self) -> str | None:
        """The model that was named last."""
        return self.models[-1] if self.models else None

    @cached_property
    def environ(self) -> Environment:
        """The environment variables."""
        from arawn.config.environment import Environment

        return Environment(os.environ)

    @cached_property
    def settings(self) -> Settings:
        """The merged configuration; its warnings are shown once."""
        from arawn.config.sources import load

        settings = load(
            environ=self.environ,
            cwd=os.getcwd(),
            config_file=self.config,
            project=not self.no_project,
            env_file=self.env_file,
            overrides=self.overrides,
        )
        for warning in settings.warnings:
            self.output.warning(warning)
        return settings

    @cached_property
    def user_file(self) -> UserFile:
        """The user's configuration file, to be changed."""
        from arawn.config.user_file import UserFile

        return UserFile(self.environ, self.config, self.output.warning)

    @cached_property
    def database(self) -> Database:
        """The store: one file, opened when it is first needed."""
        from arawn.store.database import Database

        return Database.of_user(self.environ)

    def choose(self, engine: Engine, role: RoleName = "llm", last_used: tuple[str, str] | None = None) -> Choice:
        """Return the backend and model the command line asks for, and say what the user should know of them.

        ``last_used`` are those to stay with where it does not name others.
        """
        backend, model = self.backend, self.model
        if last_used is not None and backend is None:
            backend, model = _staying(engine, last_used, model)
        return self.announce(engine, engine.choose(backend, model, role), role)

    def announce(self, engine: Engine, choice: Choice, role: RoleName = "llm") -> Choice:
        """Return a choice, after saying what the user should know of it."""
        engine.observers.warn = self.output.warning
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


def _staying(engine: Engine, last_used: tuple[str, str], model: str | None) -> tuple[str | None, str | None]:
    """Return the backend and model that are meant by a model alone, or by nothing."""
    if model is None:
        return last_used
    elsewhere = engine.names_backend(model) and engine.facts(last_used[0], model) is None
    return (None if elsewhere else last_used[0]), model
