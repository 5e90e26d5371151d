"""``Home``: arawn as a process, with a home and an environment of its own; ``Run`` says how it ended."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

ARAWN = [sys.executable, "-m", "arawn"]
ECHO = '[llm]\nbackend = "m"\n[backends.m]\nadapter = "mock"\nmode = "echo"\n'
"""A configuration that answers with the question."""


class Home:
    """A fresh ARAWN_HOME in a folder of the test; ``configure`` writes its config.toml."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "home"
        self.path.mkdir()
        self.work = folder / "work"
        self.work.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ARAWN_HOME": str(self.path),
            "LANG": "C.UTF-8",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }

    def configure(self, text: str) -> None:
        """Write the user's configuration."""
        file = self.path / "config.toml"
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)

    def holds(self, words: str) -> bool:
        """Whether any file of the home, but for the configuration, has these words."""
        files = (file for file in self.path.rglob("*") if file.is_file() and file.name != "config.toml")
        return any(words.encode() in file.read_bytes() for file in files)

    def serve(self, url: str, keys: str = "") -> None:
        """Configure an OpenAI-compatible service at a loopback server, without a key and without retries."""
        self.configure(
            f'[llm]\nbackend = "here"\n[backends.here]\nadapter = "openai_chat"\nbase_url = "{url}/v1"\n'
            f'model = "m-1"\nmax_retries = 0\n{keys}\n'
        )

    def start(self, *words: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
        """Start ``arawn`` and leave it to the test, which must end it."""
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        environ = {**self.environ, **(env or {})}
        return subprocess.Popen([*ARAWN, *words], cwd=self.work, env=environ, **{**streams, **options})

    def run(self, *words: str, stdin: bytes | None = None, env: dict[str, str] | None = None, **options: Any) -> Run:
        """Run ``arawn`` with these words, to its end."""
        source: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        done = subprocess.run(
            [*ARAWN, *words],
            capture_output=True,
            env={**self.environ, **(env or {})},
            **{"timeout": 60, "cwd": self.work, **source, **options},
        )
        return Run(done)

    def tab(self, line: str, *, shell: str = "bash", **options: Any) -> Run:
        """Press Tab at the end of a command line, as a shell does it; in bash, what may come next is a line each."""
        words = shlex.split(line) + [""] * line.endswith(" ")
        environ = {
            "_ARAWN_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": "\n".join(words),
            "COMP_CWORD": str(len(words) - 1),
            "_TYPER_COMPLETE_ARGS": line,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        return self.run(env=environ | options.pop("env", {}), **options)


class Run:
    """How a run ended: exit code (negative for a signal), the answer's bytes, and both streams as text."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.code = done.returncode
        self.bytes = done.stdout
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()

    def __repr__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"
