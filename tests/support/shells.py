"""Sessions of bash, zsh and fish: what Tab offers there, and which words reach arawn after it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

import pexpect
import pytest
from support.processes import Home

if TYPE_CHECKING:
    from pathlib import Path

# Records each call with its words, and one of a Tab as that; only a Tab is then answered in earnest.
RECORDER = """#!/bin/sh
if [ -n "$_ARAWN_COMPLETE" ]; then echo "<Tab>" >>'{calls}'; exec '{python}' -m arawn; fi
{{ printf '%s\\0' "$@"; echo; }} >>'{calls}'
"""
LIST, MARK, CLEAR = "\x0f", "\x14", "\x15"


class ShellHome(Home):
    """A home whose PATH begins with an ``arawn`` that records its calls."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._calls = folder / "calls"
        tools = folder / "bin"
        tools.mkdir()
        recorder = tools / "arawn"
        recorder.write_text(RECORDER.format(calls=self._calls, python=sys.executable))
        recorder.chmod(0o755)
        self.environ |= {"PATH": f"{tools}:{os.environ['PATH']}", "TERM": "dumb", "INPUTRC": "/dev/null"}

    @property
    def calls(self) -> list[list[str]]:
        """The words of every call of arawn so far."""
        if not self._calls.exists():
            return []
        return [call.split("\0")[:-1] or [call] for call in self._calls.read_text().splitlines()]

    def last_run(self) -> list[str]:
        """The words of the last call that was no question for names."""
        return [words for words in self.calls if words != ["<Tab>"]][-1]


class ShellSession(ABC):
    """A shell at its prompt, with the completion of arawn loaded by ``load``."""

    program = ""
    arguments: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()

    def __init__(self, desk: ShellHome, load: str) -> None:
        self.desk = desk
        self.process: Any = None
        self.load = load

    def __enter__(self) -> Self:
        self.process = pexpect.spawn(
            require(self.program),
            list(self.arguments),
            cwd=str(self.desk.work),
            env=self.desk.environ,
            encoding="utf-8",
            dimensions=(400, 200),
            timeout=60,
        )
        for line in (*self.setup, self.load):
            self.process.sendline(line)
        self.process.sendline("echo re''ady")
        self.process.expect("ready\r\n")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.close(force=True)

    @abstractmethod
    def offers(self, line: str) -> set[str]:
        """Return what is offered at the end of a line; values after ``--option=`` without that."""

    def run(self, line: str) -> list[str]:
        """Type a line, with Tabs in it, run it, and return the words arawn was called with."""
        self.process.send(f"{line}\r")
        self.process.sendline("echo do''ne")
        self.process.expect("done\r\n")
        return self.desk.last_run()


class ListingSession(ShellSession):
    """A shell that is asked by a key for its offers, and lists them."""

    def offers(self, line: str) -> set[str]:
        self.process.send(f"{line}{LIST}{MARK}")
        self.process.expect_exact("<marked>")
        self.process.send(CLEAR)
        return {word.rpartition("=")[2] for word in self.listed()}

    @abstractmethod
    def listed(self) -> list[str]:
        """Return what the shell listed just now; each shows it elsewhere."""


class Bash(ListingSession):
    """The offers are what the completion hands to readline."""

    program, arguments = "bash", ("--norc", "--noprofile", "-i")
    setup = (
        "_spied() { _arawn_completion arawn; printf '%s\\n' \"${COMPREPLY[@]}\" >../offered; }",
        "bind 'set enable-bracketed-paste off'",
        'bind -x \'"\\C-t": printf "<marked>"\'',
        "bind '\"\\C-o\": possible-completions'",
    )

    def offers(self, line: str) -> set[str]:
        self.process.sendline("complete -F _spied arawn")
        return super().offers(line)

    def listed(self) -> list[str]:
        return (self.desk.work / "../offered").read_text().split()


class Zsh(ListingSession):
    """The offers are what the screen shows."""

    program, arguments = "zsh", ("-f", "-i")
    setup = (
        "PS1='$ '; unset zle_bracketed_paste; LISTMAX=100000",
        "zstyle ':completion:*' verbose no",
        "autoload -U compinit; compinit -u -D",
        "mark() { zle -R; print -n '<marked>' }; zle -N mark; bindkey '^T' mark; bindkey '^O' list-choices",
        "unsetopt menu_complete auto_menu list_beep",
    )

    def listed(self) -> list[str]:
        shown = self.process.before.partition("\r\n")[2]
        return shown.rpartition("\r\n")[0].split()


class Fish(ShellSession):
    """The offers are what ``complete -C`` says; a terminal is only for running."""

    program, arguments = "fish", ("--interactive",)

    def offers(self, line: str) -> set[str]:
        done = subprocess.run(
            [require("fish"), "--no-config", "-c", f"{self.load}; complete -C $argv[1]", line],
            cwd=self.desk.work,
            env=self.desk.environ,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert not done.stderr
        return {shown.split("\t")[0].rpartition("=")[2] for shown in done.stdout.splitlines()}


SESSIONS: dict[str, type[ShellSession]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def require(shell: str) -> str:
    """Return where a shell is, or skip the test."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    return found
