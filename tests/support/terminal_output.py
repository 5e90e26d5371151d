"""What arawn sends to a terminal: a run at one, and what of its bytes would be dangerous there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pexpect
from support.processes import ARAWN

if TYPE_CHECKING:
    from support.processes import Home

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")


def on_terminal(home: Home, *words: str, environ: dict[str, str] | None = None) -> tuple[int | None, bytes]:
    """Run arawn at a terminal of 80 columns; returns its exit status and the bytes it sent there."""
    child = pexpect.spawn(
        ARAWN[0],
        [*ARAWN[1:], *words],
        env={**home.environ, "TERM": "xterm-256color", **(environ or {})},
        cwd=str(home.work),
        timeout=30,
        dimensions=(50, 80),
    )
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus, child.before


def text_of(sent: bytes) -> str:
    """What was sent, with the terminal driver's line ends taken back."""
    return sent.replace(b"\r\n", b"\n").decode("utf-8")
