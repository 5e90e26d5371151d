"""The terminal of a chat, in raw mode from start to end, so that Ctrl-C is a key and typing ahead is kept.

Between prompts only ``reading_keys`` reads the keyboard: Ctrl-C and Esc cancel the running task, all other keys are
kept for the next prompt.
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

_ESCAPE_DELAY = 0.05
"""Seconds after which an Esc is a key, not the start of an escape sequence."""


class Terminal:
    """Input and output of prompts. Use it in ``with``: at the end the earlier terminal mode is restored."""

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
        """Stop this job as Ctrl-Z does elsewhere, with the terminal mode of the shell; returns when it continues."""
        if not hasattr(signal, "SIGTSTP"):
            return
        self.__exit__()
        os.kill(0, signal.SIGTSTP)
        self.__enter__()

    def suspend_prompt(self) -> None:
        """Stop this job while a prompt is shown."""
        run_in_terminal(self.suspend)

    @contextmanager
    def reading_keys(self, cancel: Callable[[], object], suspend_view: Callable[[], object]) -> Iterator[None]:
        """Call ``cancel`` on Ctrl-C, Esc and hang-up; call ``suspend_view`` before Ctrl-Z stops the job."""
        keyboard = _Keyboard(self, cancel, suspend_view)
        self.output.enable_bracketed_paste()
        self.output.flush()
        try:
            keyboard.handle(get_typeahead(self.input))  # the prompt has read them already
            with self.input.attach(keyboard.read):
                yield
        finally:
            keyboard.close()
            self.output.disable_bracketed_paste()
            self.output.flush()


class _Keyboard:
    """Handles the keys pressed while no prompt is shown."""

    def __init__(self, terminal: Terminal, cancel: Callable[[], object], suspend_view: Callable[[], object]) -> None:
        self._terminal = terminal
        self._cancel = cancel
        self._suspend_view = suspend_view
        self._typed_ahead: list[KeyPress] = []
        self._flush_timer: asyncio.TimerHandle | None = None

    def read(self) -> None:
        self.handle(self._terminal.input.read_keys())
        if self._terminal.input.closed:
            self._cancel()
            return
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        self._flush_timer = asyncio.get_running_loop().call_later(_ESCAPE_DELAY, self._flush_escape)

    def close(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        self.handle(self._terminal.input.flush_keys())
        store_typeahead(self._terminal.input, self._typed_ahead)

    def _flush_escape(self) -> None:
        self.handle(self._terminal.input.flush_keys())

    def handle(self, keys: list[KeyPress]) -> None:
        """Act on keys or keep them; an Esc followed by another key is that key with Alt."""
        for at, key in enumerate(keys):
            if key.key == Keys.ControlC or (key.key == Keys.Escape and at == len(keys) - 1):
                self._cancel()
            elif key.key == Keys.ControlZ:
                self._suspend_view()
                self._terminal.suspend()
            elif key.key != Keys.CPRResponse:
                self._typed_ahead.append(key)
