"""The other programs arawn is measured beside, in an environment of their own beside the project's."""

from __future__ import annotations

import subprocess
import sys
from functools import cached_property
from importlib.metadata import distributions
from typing import TYPE_CHECKING

from benchmarks.measure import Command
from benchmarks.place import ROOT

if TYPE_CHECKING:
    from benchmarks.place import Place

_VENV = ROOT / ".venv-bench"
_WANTED = ("llm", "httpx")
_MODEL = """\
- model_id: bench
  model_name: bench-1
  api_base: "{url}"
"""


class Peers:
    """The environment with ``llm`` and ``httpx``, made when first asked for and kept in ``.venv-bench``."""

    python = str(_VENV / "bin" / "python")

    @cached_property
    def missing(self) -> str:
        """Why there is none; empty where there is one."""
        return "" if self._installed() else self._install()

    def versions(self) -> str:
        """Return what is installed: ``httpx 0.28.1, llm 0.36``."""
        return ", ".join(f"{name} {version}" for name, version in sorted(self._installed().items())) or "no peers"

    def llm(self, place: Place, answers: int, *words: str) -> Command:
        """Return ``llm`` with these words and the upstream, which answers with so many tokens, as its model."""
        home = place.folder / f"llm-{answers}"
        home.mkdir(exist_ok=True)
        (home / "extra-openai-models.yaml").write_text(_MODEL.format(url=place.service(answers)), encoding="utf-8")
        command, *others = words
        whole = [str(_VENV / "bin" / "llm"), command, "--model", "bench", *others]
        return Command(whole, {**place.environ, "LLM_USER_PATH": str(home)})

    def _installed(self) -> dict[str, str]:
        folders = [str(folder) for folder in _VENV.glob("lib/python*/site-packages")]
        found = {each.name: each.version for each in distributions(path=folders) if each.name in _WANTED}
        return found if len(found) == len(_WANTED) else {}

    def _install(self) -> str:
        """Install them, and return why that did not work."""
        make = [sys.executable, "-m", "venv", str(_VENV)]
        fill = [self.python, "-m", "pip", "install", "--quiet", *_WANTED]
        for words in (make, fill):
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                return f"{' and '.join(_WANTED)} cannot be installed: {last}"
        return ""
