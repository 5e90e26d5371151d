"""The clipboard: through a program of this machine, else through the terminal (OSC 52)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from base64 import b64encode
from typing import TYPE_CHECKING

from arawn.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PROGRAM_TIMEOUT = 3.0
"""Seconds a clipboard program may take."""


def copy(text: str, environ: Mapping[str, str], write: Callable[[str], None]) -> str:
    """Copy a text; return how. ``write`` writes to the terminal. Raises UsageError if there is no clipboard."""
    for command in _programs(environ):
        if shutil.which(command[0], path=environ.get("PATH")) and _run(command, text):
            return f"by {command[0]}"
    if environ.get("TERM") == "dumb":
        raise UsageError("this terminal has no clipboard", hints=["write it to a file: /save FILE"])
    write(f"\x1b]52;c;{b64encode(text.encode('utf-8', 'replace')).decode()}\x07")
    return "through the terminal (OSC 52; it may be set to ignore this)"


def _programs(environ: Mapping[str, str]) -> list[list[str]]:
    """Return the clipboard programs to try; none over SSH, where they would reach the wrong machine."""
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return []
    if sys.platform == "darwin":
        return [["pbcopy"]]
    if sys.platform == "win32":
        return [["clip"]]
    wayland = [["wl-copy"]] if environ.get("WAYLAND_DISPLAY") else []
    x11 = [["xclip", "-selection", "clipboard"], ["xsel", "-b", "-i"]] if environ.get("DISPLAY") else []
    return [*wayland, *x11]


def _run(command: list[str], text: str) -> bool:
    silent = subprocess.DEVNULL
    try:
        subprocess.run(  # noqa: S603 -- one of the programs above
            command,
            input=text.encode("utf-8", "replace"),
            stdout=silent,
            stderr=silent,
            timeout=_PROGRAM_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True
