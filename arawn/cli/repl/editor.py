"""The line editor (prompt_toolkit's, with our keys, completion and history), and the toolbar under the prompt."""

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

from arawn.cli.render.screen import PROMPT_MARK
from arawn.cli.repl import completion, keys
from arawn.cli.report.budget_status import WARNING_MARK
from arawn.cli.report.figures import SEPARATOR
from arawn.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prompt_toolkit.completion import Completer
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings

_KEY_HINTS = {False: ("Enter sends", "Alt-Enter makes a line"), True: ("Alt-Enter sends", "Enter makes a line")}
"""By whether Enter and Alt-Enter are swapped."""
_STYLE = Style.from_dict(
    {
        "bottom-toolbar": "noreverse dim",
        "bottom-toolbar.text": "noreverse dim",
        "prompt": "bold",
        "prompt-continuation": "dim",
    }
)


class Editor:
    """Reads messages at a prompt. With ``enter_swapped`` Enter makes a new line and Alt-Enter sends.

    ``prefix`` is shown before the mark of the prompt, ``status`` in the toolbar.
    """

    def __init__(
        self,
        *,
        history: History,
        completer: Completer,
        suspend: Callable[[], None],
        cancel_edit: Callable[[], bool],
        vi: bool = False,
        colour: bool = True,
    ) -> None:
        self.enter_swapped = False
        self.prefix = ""
        self.status: Sequence[str] = ()
        self._quit_guard = keys.QuitGuard()
        keys.map_enter_codes()
        bindings = keys.bindings(
            self._quit_guard, enter_swapped=lambda: self.enter_swapped, suspend=suspend, cancel_edit=cancel_edit
        )
        with create_app_session(output=PlainTextOutput(sys.stdout) if is_dumb_terminal() else None):
            self.session = self._make_session(history, completer, bindings, vi=vi, colour=colour)
        _place_toolbar(self.session)

    async def read(self, text: str = "") -> str | None:
        """Return what was typed, None to leave; the prompt begins with ``text``.

        Raises UsageError where $EDITOR left something else than text.
        """
        self._quit_guard.disarm()
        try:
            return await self.session.prompt_async(default=text, handle_sigint=False, set_exception_handler=False)
        except EOFError:
            return None
        except UnicodeDecodeError:
            raise UsageError("what the editor wrote is not valid UTF-8 text") from None

    def interrupt(self) -> None:
        """Handle SIGINT like Ctrl-C; while $EDITOR has the terminal, the signal is for that."""
        app = self.session.app
        if app.is_running and not app._running_in_terminal:  # noqa: SLF001 -- it has no public name
            app.key_processor.send_sigint()

    def fail(self, error: BaseException) -> None:
        """End the prompt that is shown, if any, with this error."""
        app = self.session.app
        if app.is_running and app.future is not None and not app.future.done():
            app.exit(exception=error)

    def _make_session(
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
        return [("class:prompt-continuation", f"{self.prefix} " if self.prefix else ""), ("class:prompt", PROMPT_MARK)]

    def _wants_menu(self) -> bool:
        return completion.wants_menu(self.session.default_buffer.document.text_before_cursor)

    def _toolbar(self) -> str:
        if self._quit_guard.armed:
            return " Ctrl-C again leaves"
        columns = self.session.app.output.get_size().columns
        return fit_toolbar(self.status, _KEY_HINTS[self.enter_swapped], columns)


def order_toolbar(model: str, usage: Iterable[str], budget: str, files: Iterable[str]) -> list[str]:
    """Return the parts of the toolbar; a budget that is nearly spent comes early, so that a narrow window shows it."""
    is_near = budget.endswith(WARNING_MARK)
    return [model, *([budget] if is_near else []), *usage, *([] if is_near else [budget]), *files]


def fit_toolbar(parts: Iterable[str], hints: Iterable[str], columns: int) -> str:
    """Return the toolbar: as many parts as fit from the left, the hints at the right end if there is room."""
    line = f" {SEPARATOR.join(part for part in parts if part)}"
    hint = f"{SEPARATOR.join(hints)} "
    if len(line) + len(hint) + 2 <= columns:
        return line + hint.rjust(columns - len(line) - 1)
    return line if len(line) < columns else f"{line[: max(0, columns - 2)]}…"


def _place_toolbar(session: PromptSession[str]) -> None:
    """Put the toolbar under the text, not at the bottom of the screen."""
    session.layout.current_window.dont_extend_height = to_filter(True)
    container = session.layout.container
    assert isinstance(container, HSplit)
    container.align = VerticalAlign.TOP
