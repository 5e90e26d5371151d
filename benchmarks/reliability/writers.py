"""Many processes change one configuration file at once: every change is in it, and every other byte as it was."""

from __future__ import annotations

import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.reliability.score import Score
from tests.support.processes import Home

_WRITERS = 32
_EACH = 50
_BEFORE = """\
# My settings; do not touch.
[llm]
backend   =   "groq"   # odd spaces, kept
model = 'openai/gpt-oss-120b'

"""
_TABLE = "[aliases]\n"


def score(_times: int) -> Score:
    """Run 32 writers of 50 keys each."""
    score = Score(f"{_WRITERS} writers of {_EACH} config set each", f"{_WRITERS * _EACH} kept, other bytes untouched")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.configure(_BEFORE + _TABLE)

        def write(writer: int) -> list[str]:
            runs = (_set(home, f"w{writer}-{at}") for at in range(_EACH))
            return [run for run in runs if run]

        with ThreadPoolExecutor(_WRITERS) as pool:
            refused = [problem for problems in pool.map(write, range(_WRITERS)) for problem in problems]
        text = (home.path / "config.toml").read_text(encoding="utf-8")
        _judge(score, text, refused)
    return score


def _set(home: Home, name: str) -> str:
    run = home.run("config", "set", f"aliases.{name}", f"groq/{name}")
    return f"{name}: {run!r}" if run.code else ""


def _judge(score: Score, text: str, refused: list[str]) -> None:
    aliases = tomllib.loads(text).get("aliases", {})
    for writer in range(_WRITERS):
        for at in range(_EACH):
            name = f"w{writer}-{at}"
            score.case(name, "" if aliases.get(name) == f"groq/{name}" else "lost")
    score.case("exit codes", refused[0] if refused else "")
    score.case("other bytes", "" if text.startswith(_BEFORE + _TABLE) else "changed")
