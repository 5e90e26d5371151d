"""The key bindings of the prompt, where they differ from the defaults of prompt_toolkit."""

# ruff: noqa: TID253 -- only ``arawn chat`` imports this, and it needs prompt_toolkit at once

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import completion_is_selected, has_focus, vi_navigation_mode
from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.bindings.completion import generate_completions
from prompt_toolkit.keys import Keys

from arawn.texts import is_valid

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent

QUIT_WINDOW = 2.0
"""Seconds within which a second Ctrl-C leaves."""
HELP = (
    ("Enter", "send; after a \\ a new line instead"),
    ("Alt-Enter, Ctrl-J", "a new line (Shift-Enter and Ctrl-Enter too, where the terminal tells them apart)"),
    ("Ctrl-G, Ctrl-X Ctrl-E", "write in $VISUAL or $EDITOR"),
    ("Ctrl-C, Esc", "stop the answer and keep what came"),
    ("Ctrl-C", "clear the line (Ctrl-_ undoes); empty, twice: leave"),
    ("Ctrl-D", "on an empty line: leave"),
    ("Up, Ctrl-R, Right", "earlier lines, search in them, take the suggestion"),
    ("Tab", "complete commands, names, and files after @"),
    ("Ctrl-Z", "suspend"),
)
_MODIFIED_ENTER = ("\x1b[13;2u", "\x1b[13;5u", "\x1b[27;2;13~", "\x1b[27;5;13~")


def map_enter_codes() -> None:
    """Map the codes of Shift-Enter and Ctrl-Enter (fixterms, and xterm's modifyOtherKeys) to Alt-Enter."""
    ANSI_SEQUENCES.update(dict.fromkeys(_MODIFIED_ENTER, (Keys.Escape, Keys.ControlM)))


class QuitGuard:
    """Remembers a Ctrl-C on an empty line: a second one within QUIT_WINDOW leaves."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = float("-inf")

    @property
    def armed(self) -> bool:
        """Whether the next Ctrl-C leaves."""
        return self._monotonic() < self._until

    def arm(self) -> None:
        """Let the next Ctrl-C leave, for QUIT_WINDOW seconds."""
        self._until = self._monotonic() + QUIT_WINDOW

    def disarm(self) -> None:
        """Make the next Ctrl-C a first one again."""
        self._until = float("-inf")


def bindings(
    quit_guard: QuitGuard,
    *,
    enter_swapped: Callable[[], bool],
    suspend: Callable[[], None],
    cancel_edit: Callable[[], bool],
) -> KeyBindings:
    """Return the key bindings; ``enter_swapped`` returns whether Enter makes a new line and Alt-Enter sends.

    Ctrl-C on an empty line first calls ``cancel_edit``, and counts towards leaving only if that returns False.
    """
    keys = KeyBindings()
    at_prompt = has_focus(DEFAULT_BUFFER)
    _add_editing(keys, at_prompt)

    @keys.add("enter", filter=at_prompt & ~completion_is_selected)
    def _(event: KeyPressEvent) -> None:
        _newline_or_send(event.current_buffer, send=not enter_swapped())

    @keys.add("escape", "enter", filter=at_prompt)
    def _(event: KeyPressEvent) -> None:
        _newline_or_send(event.current_buffer, send=enter_swapped())

    @keys.add("c-c", filter=at_prompt)
    @keys.add("<sigint>")
    def _(event: KeyPressEvent) -> None:
        _clear_or_quit(event, quit_guard, cancel_edit)

    @keys.add("c-z")
    def _(_event: KeyPressEvent) -> None:
        suspend()

    return keys


def _add_editing(keys: KeyBindings, at_prompt: Condition) -> None:
    """Add the keys that only change the text."""

    @keys.add("enter", filter=at_prompt & completion_is_selected)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.complete_state = None

    @keys.add("c-j", filter=at_prompt)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    @keys.add("c-g", filter=at_prompt)
    @keys.add("c-x", "c-e", filter=at_prompt)
    @keys.add("v", filter=at_prompt & vi_navigation_mode)
    def _(event: KeyPressEvent) -> None:
        _edit(event.current_buffer)

    @keys.add("tab", filter=at_prompt)
    def _(event: KeyPressEvent) -> None:
        _complete(event)


def _newline_or_send(buffer: Buffer, *, send: bool) -> None:
    if buffer.document.char_before_cursor == "\\" and buffer.document.is_cursor_at_the_end_of_line:
        buffer.delete_before_cursor()
        send = False
    if send:
        buffer.validate_and_handle()
    else:
        buffer.newline(copy_margin=False)


def _edit(buffer: Buffer) -> None:
    """Open the text in the editor; what no file of text can hold is shown there as U+FFFD."""
    if not is_valid(buffer.text):
        buffer.text = buffer.text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    buffer.open_in_editor()


def _complete(event: KeyPressEvent) -> None:
    """Insert a single completion at once; of several, select the next."""
    buffer = event.current_buffer
    found = list(buffer.completer.get_completions(buffer.document, CompleteEvent(completion_requested=True)))
    if len(found) == 1 and not completion_is_selected():
        buffer.complete_state = None
        buffer.apply_completion(found[0])
    else:
        generate_completions(event)


def _clear_or_quit(event: KeyPressEvent, quit_guard: QuitGuard, cancel_edit: Callable[[], bool]) -> None:
    buffer = event.current_buffer
    if buffer.text:
        buffer.save_to_undo_stack()
        buffer.document = Document()
    elif quit_guard.armed:
        event.app.exit(exception=EOFError)
    elif not cancel_edit():
        quit_guard.arm()
        event.app.create_background_task(_redraw_after(QUIT_WINDOW))


async def _redraw_after(seconds: float) -> None:
    import asyncio

    await asyncio.sleep(seconds)
    get_app().invalidate()
