"""Dying properly: by the signal itself, so that a shell's loop stops too, after what was received is safe."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_CAUGHT = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupted(BaseException):
    """A signal asked arawn to stop."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def die_quietly() -> None:
    """Until ``catch``, let Ctrl-C end the process at once and without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def catch() -> None:
    """Turn SIGINT, SIGTERM and SIGHUP into Interrupted, once: a second one ends the process at once.

    A signal that is ignored (``nohup``) stays ignored.
    """
    for signum in _CAUGHT:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, _raise)


@contextmanager
def handed_to(stop: Callable[[], object]) -> Iterator[None]:
    """Let the first signal call ``stop``, and raise Interrupted at the block's end: an event loop would lose it."""
    caught = [signum for signum in _CAUGHT if signal.getsignal(signum) is _raise]
    came: list[int] = []

    def take(signum: int, _frame: FrameType | None) -> None:
        for each in caught:
            signal.signal(each, _die)
        came.append(signum)
        stop()

    for signum in caught:
        signal.signal(signum, take)
    try:
        yield
    finally:
        if came:
            raise Interrupted(came[0])
        for signum in caught:
            signal.signal(signum, _raise)


def _raise(signum: int, _frame: FrameType | None) -> NoReturn:
    for caught in _CAUGHT:
        if signal.getsignal(caught) is _raise:
            signal.signal(caught, _die)
    raise Interrupted(signum)


def _die(signum: int, _frame: FrameType | None) -> NoReturn:
    die_by(signum)  # not SIG_DFL: Python complains of one that came together with the first


def die_by(signum: int) -> NoReturn:
    """End this process by the signal, as if it had never been caught."""
    if signum == getattr(signal, "SIGPIPE", None):
        with open(os.devnull, "wb") as sink:
            os.dup2(sink.fileno(), 1)
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    sys.exit(128 + signum)
