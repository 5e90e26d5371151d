"""The clipboard: of this machine where a program can reach it, else of whoever sits at the terminal (OSC 52)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from base64 import b64encode
from typing import TYPE_CHECKING

from arawn.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PATIENCE = 3.0


def copy(text: str, environ: Mapping[str, str], write: Callable[[str], None]) -> str:
    """Copy a text and say how; ``write`` reaches the terminal. Raises UsageError where nothing can be tried."""
    for command in _programs(environ):
        if shutil.which(command[0], path=environ.get("PATH")) and _fed(command, text, environ):
            return f"by {command[0]}"
    if environ.get("TERM") == "dumb":
        raise UsageError("this terminal has no clipboard", hints=["write it to a file: /save FILE"])
    write(f"\x1b]52;c;{b64encode(text.encode('utf-8', 'replace')).decode()}\x07")
    return "through the terminal (OSC 52; one that does not allow it has ignored it)"


def _programs(environ: Mapping[str, str]) -> list[list[str]]:
    """Return the programs that may reach a clipboard; far from home, theirs would be the wrong one."""
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return []
    if sys.platform == "darwin":
        return [["pbcopy"]]
    if sys.platform == "win32":
        return [["clip"]]
    wayland = [["wl-copy"]] if environ.get("WAYLAND_DISPLAY") else []
    x11 = [["xclip", "-selection", "clipboard"], ["xsel", "-b", "-i"]] if environ.get("DISPLAY") else []
    return [*wayland, *x11]


def _fed(command: list[str], text: str, environ: Mapping[str, str]) -> bool:
    silent = subprocess.DEVNULL
    try:
        subprocess.run(  # noqa: S603 -- one of the programs above
            command,
            input=text.encode("utf-8", "replace"),
            stdout=silent,
            stderr=silent,
            timeout=_PATIENCE,
            check=True,
            env=dict(environ),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True
