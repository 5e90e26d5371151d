"""The line editor: prompt_toolkit's, with our keys, our completion and our history."""

# ruff: noqa: TID253 -- only ``arawn chat`` imports this, and it needs prompt_toolkit at once

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from prompt_toolkit.application import create_app_session
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition, to_filter
from prompt_toolkit.layout import HSplit, VerticalAlign
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.shortcuts import PromptSession
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import is_dumb_terminal

from arawn.cli.render.screen import MARK
from arawn.cli.repl import completion, keys, toolbar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prompt_toolkit.completion import Completer
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings

_HINTS = {False: ("Enter sends", "Alt-Enter makes a line"), True: ("Alt-Enter sends", "Enter makes a line")}
_STYLE = Style.from_dict(
    {
        "bottom-toolbar": "noreverse dim",
        "bottom-toolbar.text": "noreverse dim",
        "prompt": "bold",
        "prompt-continuation": "dim",
    }
)


class Editor:
    """Asks for messages. ``swapped`` lets Enter make lines and Alt-Enter send.

    ``before`` stands before the mark of the prompt, ``status`` under it.
    """

    def __init__(
        self,
        *,
        history: History,
        completer: Completer,
        suspend: Callable[[], None],
        cancel: Callable[[], bool],
        vi: bool = False,
        colour: bool = True,
    ) -> None:
        self.swapped = False
        self.before = ""
        self.status: Sequence[str] = ()
        self._leaving = keys.Leaving()
        keys.tell_enters_apart()
        bindings = keys.bindings(self._leaving, swapped=lambda: self.swapped, suspend=suspend, cancel=cancel)
        with create_app_session(output=PlainTextOutput(sys.stdout) if is_dumb_terminal() else None):
            self.session = self._made(history, completer, bindings, vi=vi, colour=colour)
        _keep_toolbar_near(self.session)

    async def ask(self, text: str = "") -> str | None:
        """Return what was typed, None to leave; ``text`` stands there already."""
        self._leaving.disarm()
        try:
            return await self.session.prompt_async(default=text, handle_sigint=False, set_exception_handler=False)
        except EOFError:
            return None

    def interrupt(self) -> None:
        """Do what Ctrl-C does, for a signal; while an editor has the terminal, it is meant for that."""
        app = self.session.app
        if app.is_running and not app._running_in_terminal:  # noqa: SLF001 -- it has no public name
            app.key_processor.send_sigint()

    def fail(self, error: BaseException) -> None:
        """End the prompt that is shown, if there is one, by this error."""
        app = self.session.app
        if app.is_running and app.future is not None and not app.future.done():
            app.exit(exception=error)

    def _made(
        self, history: History, completer: Completer, bindings: KeyBindings, *, vi: bool, colour: bool
    ) -> PromptSession[str]:
        return PromptSession(
            self._message,
            multiline=True,
            prompt_continuation=lambda width, _number, _wraps: " " * width,
            editing_mode=EditingMode.VI if vi else EditingMode.EMACS,
            history=history,
            auto_suggest=AutoSuggestFromHistory(),
            completer=completer,
            complete_while_typing=Condition(self._wants_menu),
            key_bindings=bindings,
            bottom_toolbar=self._toolbar,
            style=_STYLE,
            color_depth=None if colour else ColorDepth.DEPTH_1_BIT,
            include_default_pygments_style=False,
            tempfile_suffix=".md",
        )

    def _message(self) -> StyleAndTextTuples:
        return [("class:prompt-continuation", f"{self.before} " if self.before else ""), ("class:prompt", MARK)]

    def _wants_menu(self) -> bool:
        return completion.wants_menu(self.session.default_buffer.document.text_before_cursor)

    def _toolbar(self) -> str:
        if self._leaving.near:
            return " Ctrl-C again leaves"
        columns = self.session.app.output.get_size().columns
        return toolbar.fitted(self.status, _HINTS[self.swapped], columns)


def _keep_toolbar_near(session: PromptSession[str]) -> None:
    """Let the toolbar stand under the text, not at the bottom of the screen."""
    session.layout.current_window.dont_extend_height = to_filter(True)
    container = session.layout.container
    assert isinstance(container, HSplit)
    container.align = VerticalAlign.TOP
