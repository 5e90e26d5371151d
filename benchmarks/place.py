"""Where a benchmark runs: the upstream, a home folder that names it, and the commands that ask it."""

from __future__ import annotations

import compileall
import os
import sys
import tempfile
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Command
from benchmarks.upstream import upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
_FLOORS = ROOT / "benchmarks" / "floors"
_CONFIG = """\
[llm]
backend = "bench"

[backends.bench]
adapter = "openai_chat"
base_url = "{url}"
api_key = "$env:BENCH_KEY"
model = "bench-1"
"""


class Place:
    """``rounds`` is how often each contender runs."""

    def __init__(self, url: str, folder: Path, rounds: int) -> None:
        self.url = url
        self.folder = folder
        self.rounds = rounds
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "BENCH_KEY": "bench-key",
            "OPENAI_API_KEY": "bench-key",
        }

    def service(self, what: int | str) -> str:
        """Return the base_url under which the upstream answers with so many tokens."""
        return f"{self.url}/{what}/v1"

    def arawn(self, *words: str, answers: int | str = 20) -> Command:
        """Return arawn as it is installed, with the upstream as its backend."""
        home = self.folder / f"arawn-{answers}"
        if not home.exists():
            home.mkdir(mode=0o700)
            (home / "config.toml").write_text(_CONFIG.format(url=self.service(answers)), encoding="utf-8")
        script = Path(sys.executable).with_name("arawn")
        return Command([str(script), *words], {**self.environ, "ARAWN_HOME": str(home)})

    def python(self, *words: str) -> Command:
        """Return a bare interpreter, the same that runs arawn."""
        return Command([sys.executable, *words], self.environ)

    def floor(self, name: str, answers: int, python: str = sys.executable) -> Command:
        """Return a program of ``floors/`` that asks for so many tokens and does nothing besides."""
        return Command([python, str(_FLOORS / f"{name}.py"), self.service(answers)], self.environ)


@contextmanager
def place(rounds: int) -> Iterator[Place]:
    """Make a place for the time of the block; bytecode is compiled first, as an installer does."""
    with redirect_stdout(sys.stderr):
        compileall.compile_dir(ROOT / "arawn", quiet=1)
    with tempfile.TemporaryDirectory() as folder, upstream() as url:
        yield Place(url, Path(folder), rounds)
