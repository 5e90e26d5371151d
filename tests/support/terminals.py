"""Terminals: ``Screen`` in memory (pyte), ``Tmux`` with scrollback and reflow, ``RecordedAnswer`` of a live answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pyte

from arawn.cli.render.stream import LiveAnswer
from arawn.cli.render.theme import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arawn.cli.render.stream import Mode

TMUX = shutil.which("tmux")


class Screen:
    """A terminal in memory; ``lines`` are its scrollback and its screen, without blanks at the ends."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=1_000_000, ratio=0.5)
        self._stream = pyte.Stream(self._screen)

    def write(self, text: str) -> None:
        """Show text as a terminal does that translates line ends."""
        self._stream.feed(text.replace("\n", "\r\n"))

    @property
    def scrollback(self) -> list[str]:
        """The lines that have left the screen."""
        columns = range(self._screen.columns)
        return ["".join(line[column].data for column in columns).rstrip() for line in self._screen.history.top]

    @property
    def lines(self) -> list[str]:
        """All lines up to the last one with text."""
        lines = [*self.scrollback, *(line.rstrip() for line in self._screen.display)]
        while lines and not lines[-1]:
            lines.pop()
        return lines


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class RecordedAnswer:
    """A live answer whose output is kept."""

    def __init__(self, columns: int = 80, rows: int = 24, *, mode: Mode = "live", colour: bool = True) -> None:
        self.size = (columns, rows)
        self.clock = Clock()
        self.writes: list[str] = []
        self.answer = LiveAnswer(
            self.writes.append, size=lambda: self.size, mode=mode, theme=DEFAULT, colour=colour, monotonic=self.clock
        )

    @property
    def output(self) -> str:
        """All that was written."""
        return "".join(self.writes)

    def stream(self, pieces: Iterable[str], *, seconds: float = 0.1) -> RecordedAnswer:
        """Take in pieces, each some seconds after the one before."""
        for piece in pieces:
            self.clock.now += seconds
            self.answer.text(piece)
        return self

    def screen(self) -> Screen:
        """Return a screen with the output on it."""
        screen = Screen(*self.size)
        screen.write(self.output)
        return screen


def pieces(text: str, size: int) -> list[str]:
    """Cut a text into pieces of one size."""
    return [text[at : at + size] for at in range(0, len(text), size)]


class Tmux:
    """A tmux server of its own with one pane, in which an answer is written as the test tells it to."""

    def __init__(self, folder: Path, source: str, columns: int, rows: int) -> None:
        self._socket = str(folder / "tmux")
        self._folder = folder
        self._count = 0
        (folder / "source.md").write_text(source, encoding="utf-8")
        (folder / "orders").touch()
        command = [sys.executable, __file__, str(folder)]
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), *command)
        self._tmux("set-option", "-g", "history-limit", "100000")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([str(TMUX), "-S", self._socket, "kill-server"], capture_output=True, timeout=30)

    def feed(self, count: int) -> None:
        """Stream the next characters of the source."""
        self._order(f"feed {count}")

    def close(self) -> None:
        """End the answer."""
        self._order("close 0")

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size, and wait until the pane has it."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))
        self._order(f"size {columns}")

    def text(self) -> str:
        """Return all that is in the scrollback and on the screen, long lines in one piece."""
        return self._tmux("capture-pane", "-p", "-J", "-S", "-", "-E", "-").rstrip() + "\n"

    def _order(self, order: str) -> None:
        self._count += 1
        with (self._folder / "orders").open("a") as orders:
            orders.write(order + "\n")
        done = self._folder / f"done-{self._count}"
        deadline = time.monotonic() + 30
        while not done.exists():
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.01)

    def _tmux(self, *words: str) -> str:
        environ = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        run = subprocess.run(
            [str(TMUX), "-u", "-S", self._socket, *words], capture_output=True, env=environ, timeout=30, check=True
        )
        return run.stdout.decode()


def _follow_orders(folder: Path) -> None:
    """Run inside the pane: write the source to this terminal as the file of orders says."""

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def size() -> tuple[int, int]:
        return os.get_terminal_size()

    source = (folder / "source.md").read_text(encoding="utf-8")
    answer = LiveAnswer(write, size=size, mode="live", theme=DEFAULT, colour=True)
    at = count = 0
    while True:
        orders = (folder / "orders").read_text().splitlines()
        for order in orders[count:]:
            verb, number = order.split()
            if verb == "feed":
                answer.text(source[at : at + int(number)])
                answer.frame(force=True)
                at += int(number)
            elif verb == "close":
                answer.close()
            while verb == "size" and size()[0] != int(number):
                time.sleep(0.01)
            count += 1
            (folder / f"done-{count}").touch()
        time.sleep(0.005)


if __name__ == "__main__":
    _follow_orders(Path(sys.argv[1]))
