"""The terminal of a chat: raw from its beginning to its end, so that Ctrl-C is a key and early typing is kept.

Outside of prompts nobody reads the keyboard but ``listening``: Ctrl-C and Esc stop what is going on, all other keys
wait for the next prompt.
"""

# ruff: noqa: TID253 -- only ``arawn chat`` imports this, and it needs prompt_toolkit at once

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from prompt_toolkit.input import Input
    from prompt_toolkit.key_binding import KeyPress
    from prompt_toolkit.output import Output

_ESCAPE_WAIT = 0.05
"""Seconds after which an Esc is a key of its own, not the beginning of another key's code."""


class Terminal:
    """Where keys come from and prompts are drawn. Use it in ``with``: what it was before, it is again after that."""

    def __init__(self, source: Input, output: Output) -> None:
        self.input = source
        self.output = output
        self._raw: AbstractContextManager[None] | None = None

    def __enter__(self) -> None:
        self._raw = self.input.raw_mode()
        self._raw.__enter__()

    def __exit__(self, *_: object) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.__exit__(None, None, None)

    def suspend(self) -> None:
        """Stop this job as Ctrl-Z does elsewhere, the terminal as the shell had it; returns when it goes on."""
        if not hasattr(signal, "SIGTSTP"):
            return
        self.__exit__()
        os.kill(0, signal.SIGTSTP)
        self.__enter__()

    def suspend_prompt(self) -> None:
        """Stop this job while a prompt is shown."""
        run_in_terminal(self.suspend)

    @contextmanager
    def listening(self, stop: Callable[[], object], leave: Callable[[], object]) -> Iterator[None]:
        """Call ``stop`` on Ctrl-C, on Esc and when the terminal is gone, ``leave`` before Ctrl-Z stops the job."""
        keyboard = _Keyboard(self, stop, leave)
        self.output.enable_bracketed_paste()
        self.output.flush()
        try:
            keyboard.take(get_typeahead(self.input))  # pressed so soon that the prompt saw it
            with self.input.attach(keyboard.read):
                yield
        finally:
            keyboard.close()
            self.output.disable_bracketed_paste()
            self.output.flush()


class _Keyboard:
    """The keys pressed while no prompt is shown."""

    def __init__(self, terminal: Terminal, stop: Callable[[], object], leave: Callable[[], object]) -> None:
        self._terminal = terminal
        self._stop = stop
        self._leave = leave
        self._early: list[KeyPress] = []
        self._flush: asyncio.TimerHandle | None = None

    def read(self) -> None:
        self.take(self._terminal.input.read_keys())
        if self._terminal.input.closed:
            self._stop()
            return
        if self._flush is not None:
            self._flush.cancel()
        self._flush = asyncio.get_running_loop().call_later(_ESCAPE_WAIT, self._end_of_key)

    def close(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
        self.take(self._terminal.input.flush_keys())
        store_typeahead(self._terminal.input, self._early)

    def _end_of_key(self) -> None:
        self.take(self._terminal.input.flush_keys())

    def take(self, keys: list[KeyPress]) -> None:
        """Act on these keys, or keep them; an Esc with another key behind it is that key with Alt."""
        for at, key in enumerate(keys):
            if key.key == Keys.ControlC or (key.key == Keys.Escape and at == len(keys) - 1):
                self._stop()
            elif key.key == Keys.ControlZ:
                self._leave()
                self._terminal.suspend()
            elif key.key != Keys.CPRResponse:
                self._early.append(key)
