"""A real Ollama, built from its sources by the Go toolchain, with a model the tests make themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from e2e.tiny_model import TEMPLATE, write_tiny_model
from e2e.upstream import CACHE, free_port, install, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = "v0.6.5"
"""The newest release that ``go install`` can build: later ones need C++ headers from folders named ``vendor``, which Go
leaves out of modules."""
MODEL = "tiny"


@contextmanager
def ollama_server(folder: Path) -> Iterator[str]:
    """Run Ollama with the tiny model in it and yield its address."""
    command = _ollama()
    port = free_port()
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": str(folder / "models"),
    }
    with serving([str(command), "serve"], port, "/api/version", environ=environ, log=folder / "ollama.log"):
        write_tiny_model(folder / "tiny.gguf")
        (folder / "Modelfile").write_text(f'FROM ./tiny.gguf\nTEMPLATE """{TEMPLATE}"""\nPARAMETER temperature 0\n')
        create = [str(command), "create", MODEL, "-f", "Modelfile"]
        subprocess.run(create, cwd=folder, env=environ, capture_output=True, check=True, timeout=60)
        yield f"http://127.0.0.1:{port}"


def _ollama() -> Path:
    go = shutil.which("go", path=f"{os.environ['PATH']}:/usr/local/go/bin")
    if go is None or not shutil.which("g++"):
        pytest.skip("Ollama cannot be built here: needs Go and a C++ compiler")
    build = [go, "install", f"github.com/ollama/ollama@{VERSION}"]
    return install("ollama", build, environ={"GOBIN": str(CACHE / "ollama"), "CGO_ENABLED": "1"}) / "ollama"
