"""``ChatTerminal``: arawn chat on a pseudo-terminal, with keys to press and a screen to read; ``stored_texts``."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Self

import pexpect
import pyte
from support.processes import ARAWN

from arawn.store.database import Database
from arawn.store.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from support.processes import Home

WAIT_LIMIT = 60.0
"""Seconds after which what was waited for is missing."""
PROMPT = "❯"
CTRL_C, CTRL_D, CTRL_Z, ESC = "\x03", "\x04", "\x1a", "\x1b"


class ChatTerminal:
    """A command on a terminal of ``size`` (rows, columns); use it in ``with``."""

    def __init__(
        self,
        home: Home,
        *words: str,
        command: Sequence[str] | None = None,
        size: tuple[int, int] = (40, 80),
        env: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        rows, columns = size
        self.received = b""
        self.screen = pyte.HistoryScreen(columns, rows, history=2000)
        self._stream = pyte.ByteStream(self.screen)
        program = list(command or [*ARAWN, "chat", *words])
        self.process = pexpect.spawn(
            program[0],
            program[1:],
            dimensions=size,
            cwd=str(home.work),
            env={**home.environ, "TERM": "xterm-256color", **(env or {})},
            **options,
        )
        self.process.delaybeforesend = None
        self.screen.write_process_input = self.process.send  # it answers where the cursor is

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.close(force=True)

    @property
    def shown(self) -> str:
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    @property
    def lines(self) -> list[str]:
        """The lines on the screen that are not empty."""
        return [line for line in self.shown.split("\n") if line]

    def type(self, keys: str) -> None:
        """Press keys."""
        self.process.send(keys)

    def send_line(self, text: str) -> None:
        """Type a line and Enter."""
        self.type(f"{text}\r")

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until a text is on the screen."""
        self.wait_until(lambda: self.shown.count(text) >= times, f"{text!r} is not on the screen")

    def wait_until_gone(self, text: str) -> None:
        """Wait until a text is no longer on the screen."""
        self.wait_until(lambda: text not in self.shown, f"{text!r} is still on the screen")

    def wait_until(self, happened: Callable[[], bool], complaint: str = "it did not happen") -> None:
        """Wait, reading what comes."""
        until = time.monotonic() + WAIT_LIMIT
        while not happened():
            alive = self._read()
            assert happened() or (alive and time.monotonic() < until), f"{complaint}:\n{self.shown}"

    def wait_for_exit(self) -> int:
        """Wait until the command has ended; return its exit code, negative for a signal."""
        while self._read():
            pass
        self.process.close()
        status = self.process.exitstatus
        return -self.process.signalstatus if status is None else status

    def resize(self, rows: int, columns: int) -> None:
        """Make the window another size."""
        self.screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)

    def hang_up(self) -> int:
        """Close the terminal, as a window that is closed does; wait for the command and return its exit code."""
        terminal = self.process.ptyproc
        terminal.fileobj.close()
        code = os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1])
        terminal.closed = terminal.terminated = self.process.terminated = True
        return code

    def _read(self) -> bool:
        """Read what has come; false at the end."""
        try:
            data = self.process.read_nonblocking(65536, timeout=0.1)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.received += data
        self._stream.feed(data)
        return True


def stored_texts(home: Home) -> list[str]:
    """The texts of the newest session in the store."""
    with Database(str(home.path / "arawn.db")) as database:
        sessions = Sessions(database)
        found = sessions.find("last")
        return [entry.message.text for entry in sessions.load(found.id).entries] if found else []
