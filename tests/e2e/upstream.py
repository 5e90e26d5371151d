"""Software of others that arawn is tried against: installed once into a folder git ignores, run on a port of its own.

All of it waits for ``ARAWN_E2E=1``: installing takes minutes and a package registry. ``ARAWN_E2E_CACHE`` names another
folder than ``.venv-e2e``.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CACHE = Path(os.environ.get("ARAWN_E2E_CACHE") or Path(__file__).parents[2] / ".venv-e2e").absolute()
NEEDED = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),  # the first test installs
    pytest.mark.skipif(
        os.environ.get("ARAWN_E2E") != "1", reason="needs ARAWN_E2E=1 (installs and runs LiteLLM, Ollama, SDKs)"
    ),
]
_STARTS_WITHIN = 120.0


def install(name: str, *commands: Sequence[str], environ: Mapping[str, str] | None = None) -> Path:
    """Run the commands that make the folder ``CACHE/name``, unless these very commands made it before; return it.

    One process does, the others wait. Where a command fails the test is skipped with what it said.
    """
    folder, recipe = CACHE / name, repr(commands)
    mark = folder / "installed"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists() or mark.read_text() != recipe:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for command in commands:
                _carry_out(name, command, environ or {})
            mark.write_text(recipe)
    return folder


def python_with(name: str, *packages: str) -> Path:
    """Return the ``bin`` folder of a virtual environment that has these packages."""
    folder = CACHE / name
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return install(name, [sys.executable, "-m", "venv", str(folder)], [*pip, *packages]) / "bin"


def _carry_out(name: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environ})
    except OSError as error:
        pytest.skip(f"{name} cannot be installed here: {error}")
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        pytest.skip(f"{name} cannot be installed here: {said[-1] if said else f'exit {done.returncode}'}")


def free_port() -> int:
    """Return a port on loopback nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def serving(command: Sequence[str], port: int, ready: str, *, environ: Mapping[str, str], log: Path) -> Iterator[None]:
    """Run a server until the end of the block; it has begun when ``GET ready`` answers 200."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait(process, port, ready, log)
        yield
    finally:
        _end(process)


def _wait(process: subprocess.Popen[bytes], port: int, ready: str, log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while not _answers(port, ready):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{process.args!r} did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.2)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and what it has started, which is in its process group."""
    for stop in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, stop)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
