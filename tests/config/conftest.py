"""A home folder with configuration files in it, and nothing of the machine's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from support.config_file import CONFIG

from arawn.config import sources
from arawn.config.sources import load, project_trust

if TYPE_CHECKING:
    from pathlib import Path

    from arawn.config.settings import Settings


@dataclass
class Home:
    """Files by layer; ``load`` reads them with the environment ``env`` and nothing else."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        return {"HOME": str(self.root), **self.env}

    @property
    def user_file(self) -> Path:
        return self.root / ".config" / "arawn" / "config.toml"

    @property
    def project_file(self) -> Path:
        return self.root / "work" / "repo" / ".arawn.toml"

    @property
    def cwd(self) -> Path:
        return self.project_file.parent / "src" / "deep"

    def user(self, text: str | bytes) -> Path:
        return self.write(self.user_file, text)

    def project(self, text: str | bytes, *, trusted: bool = False) -> Path:
        path = self.write(self.project_file, text)
        if trusted:
            project_trust(self.environ).trust(str(path), path.read_bytes())
        return path

    def write(self, path: Path, text: str | bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def load(self, **options: Any) -> Settings:
        self.cwd.mkdir(parents=True, exist_ok=True)
        return load(environ=self.environ, cwd=str(self.cwd), **options)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(sources, "SYSTEM_FILE", str(tmp_path / "etc" / "config.toml"))
    return Home(tmp_path)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration file of ``editing``."""
    file = tmp_path / "config.toml"
    file.write_text(CONFIG)
    return file
