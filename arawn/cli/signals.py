"""Dying properly: by the signal itself, so that a shell's loop stops too, after what was received is safe."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

_CAUGHT = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupted(BaseException):
    """A signal asked arawn to stop."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def catch() -> None:
    """Turn SIGINT, SIGTERM and SIGHUP into Interrupted, once: a second one ends the process at once.

    A signal that is ignored (``nohup``) stays ignored.
    """
    for signum in _CAUGHT:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, _raise)


def _raise(signum: int, _frame: FrameType | None) -> NoReturn:
    for caught in _CAUGHT:
        if signal.getsignal(caught) is _raise:
            signal.signal(caught, signal.SIG_DFL)
    raise Interrupted(signum)


def die_by(signum: int) -> NoReturn:
    """End this process by the signal, as if it had never been caught."""
    if signum == getattr(signal, "SIGPIPE", None):
        with open(os.devnull, "wb") as sink:
            os.dup2(sink.fileno(), 1)
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    sys.exit(128 + signum)
