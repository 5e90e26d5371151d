"""A chat on a pseudo-terminal: processor time until the prompt is shown, and the wait from Enter to the request."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import termios
import time
from statistics import median
from typing import TYPE_CHECKING, Self

from benchmarks.report import TIMES, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Command
    from benchmarks.peers import Peers
    from benchmarks.place import Place

_PROMPTS = {
    "arawn": re.compile("\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}".encode()),
    "llm": re.compile(rb"\n> "),
}
_TYPED = re.compile(rb"hi")
_STAMP = re.compile(rb"\d{12,}")
_TYPING = 1.0
"""Seconds a user takes to type the first question, at least."""
_SIZE = (40, 100)
_LIMIT = 60.0
_ASKS_CURSOR, _CURSOR = b"\x1b[6n", b"\x1b[1;1R"


def rows(place: Place, peers: Peers) -> Iterator[Row]:
    """Yield the processor time to the prompt over that of ``llm chat``, and how long after Enter the request comes."""
    yield _ready(place, peers)
    yield from _requests(place)


def _ready(place: Place, peers: Peers) -> Row:
    what = "chat ready to type, CPU beside llm chat"
    if peers.missing:
        return Row(what, None, TIMES, 0.5, peers.missing)
    contenders = {"arawn": place.arawn("chat"), "llm": peers.llm(place, 20, "chat")}
    costs: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(place.rounds + 1):
        for name, command in contenders.items():
            with _Terminal(command) as terminal:
                terminal.wait_for(_PROMPTS[name])
                costs[name].append(terminal.kill())
    ours, theirs = (median(found[1:]) for found in costs.values())  # the first find the files cold
    return Row(what, ours / theirs, TIMES, 0.5, f"{ours:.0f} ms / llm {theirs:.0f} ms")


def _requests(place: Place) -> Iterator[Row]:
    """Ask twice in each chat. This is wall time: a busy machine shows in it."""
    waits: tuple[list[float], list[float]] = ([], [])
    for _ in range(place.rounds):
        with _Terminal(place.arawn("chat", answers="arrived")) as terminal:
            for found in waits:
                terminal.wait_for(_PROMPTS["arawn"])
                time.sleep(_TYPING)
                terminal.type(b"hi")
                terminal.wait_for(_TYPED)
                pressed = time.monotonic_ns()
                terminal.type(b"\r")
                found.append((int(terminal.wait_for(_STAMP)) - pressed) / 1e6)
    for what, found in zip(("first", "next"), waits, strict=True):
        yield Row(f"chat, from Enter to the {what} request", median(found), "ms", 10, f"worst {max(found):.1f} ms")


class _Terminal:
    """A command on a terminal of its own; it is killed at the end."""

    def __init__(self, command: Command) -> None:
        self._process, self._file = pty.fork()
        if not self._process:
            os.execve(command.words[0], list(command.words), {**command.environ, "TERM": "xterm-256color"})
        termios.tcsetwinsize(self._file, _SIZE)
        self._shown = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self.kill()
        os.close(self._file)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._file, keys)

    def wait_for(self, wanted: re.Pattern[bytes]) -> bytes:
        """Wait until something is shown, and forget all up to it. Raises TimeoutError."""
        until = time.monotonic() + _LIMIT
        while (found := wanted.search(self._shown)) is None:
            if not select.select([self._file], [], [], until - time.monotonic())[0]:
                raise TimeoutError(self._shown.decode(errors="replace"))
            data = os.read(self._file, 65536)
            if _ASKS_CURSOR in data:
                self.type(_CURSOR)
            self._shown += data
        self._shown = self._shown[found.end() :]
        return found[0]

    def kill(self) -> float:
        """End the command where it is; return the processor time it had taken, in ms."""
        process, self._process = self._process, 0
        os.kill(process, signal.SIGKILL)
        used = os.wait4(process, 0)[2]
        return (used.ru_utime + used.ru_stime) * 1000
