"""Draws the pictures of docs/chat.md: a scripted conversation with a mock backend, as a terminal shows it.

Run it in the project's folder, with the extra "test" installed: python scripts/screenshots.py
"""

# ruff: noqa: TID253 -- start-up time does not matter here

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from io import StringIO
from typing import TYPE_CHECKING, Any

import pexpect
import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyte.screens import Char

COLUMNS, ROWS = 88, 34
PATIENCE = 20.0
CONFIG = '''
[llm]
backend = "anthropic"
[backends.anthropic]
adapter = "mock"
model = "claude-sonnet-5-5"
[[backends.anthropic.replies]]
match = "line by line"
reasoning = "The file is big, so it must not be read at once."
text = """
Open it and iterate; the file object is lazy:

```python
with open("big.log", encoding="utf-8") as file:
    for line in file:
        handle(line.rstrip("\\\\n"))  # one line in memory
```

* memory stays **flat**, however big the file is
* `sys.stdin` works the same way

| way | memory |
|---|---|
| `for line in file` | one line |
| `file.readlines()` | all of it |
"""
latency_ms = 900
tokens_per_second = 60
[chat]
theme = "{theme}"
'''
LIGHT = TerminalTheme(
    (255, 255, 255),
    (36, 41, 47),
    [
        (36, 41, 47),
        (207, 34, 46),
        (17, 99, 41),
        (154, 103, 0),
        (9, 105, 218),
        (130, 80, 223),
        (27, 124, 131),
        (110, 119, 129),
    ],
)
DARK = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
)
NAMES = {"brown": "yellow", "default": "default"}


class DimScreen(pyte.Screen):
    """A screen that knows dim text, which pyte does not: it is kept as blinking, which nothing here does."""

    answer: Callable[[str], object] = str

    def write_process_input(self, data: str) -> None:
        """Answer where the cursor is."""
        self.answer(data)

    def select_graphic_rendition(self, *attrs: int, **kwargs: Any) -> None:
        """Set the style of what follows."""
        joined = ";".join(map(str, attrs or (0,)))
        if "38;5" not in joined:
            joined = ";".join({"2": "5", "22": "22;25"}.get(each, each) for each in joined.split(";"))
        super().select_graphic_rendition(*map(int, joined.split(";")), **kwargs)


def main() -> None:
    """Write both pictures."""
    for name, theme in (("dark", DARK), ("light", LIGHT)):
        picture = drawn(talk(name), theme)
        with open(f"docs/chat-{name}.svg", "w", encoding="utf-8", newline="\n") as file:
            file.write(picture)


def talk(theme: str) -> DimScreen:
    """Hold the conversation and return the screen at its end."""
    screen = DimScreen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    with tempfile.TemporaryDirectory() as home:
        with open(f"{home}/config.toml", "w", encoding="utf-8", opener=_private) as file:
            file.write(CONFIG.replace("{theme}", theme))
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "ARAWN_HOME": home,
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
        }
        chat = pexpect.spawn(sys.executable, ["-m", "arawn", "chat"], dimensions=(ROWS, COLUMNS), env=environ)
        screen.answer = chat.send
        for keys, until in (
            ("", "❯"),
            ("How do I read a huge file line by line?\r", "tok/s"),
            ("And in async code?\x1b\rWith a limit of 10 at a time, please", "please"),
            ("", "left"),
        ):
            chat.send(keys)
            _wait(chat, screen, stream, until)
        chat.close(force=True)
    return screen


def drawn(screen: DimScreen, theme: TerminalTheme) -> str:
    """Return a screen as a picture that loads nothing."""
    console = Console(width=COLUMNS, record=True, file=StringIO(), color_system="truecolor")
    lines = [Text.assemble(*_pieces(screen, row)) for row in range(screen.cursor.y + 2)]
    for line in lines:
        line.rstrip()
        console.print(line, no_wrap=True, crop=False)
    frame = re.sub(r"@font-face\s*\{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    frame = frame.replace("Fira Code", "ui-monospace").replace("font-family: arial", "font-family: sans-serif")
    return console.export_svg(title="arawn chat", theme=theme, code_format=frame, unique_id="arawn") + "\n"


def _pieces(screen: DimScreen, row: int) -> Iterator[tuple[str, Style]]:
    for column in range(COLUMNS):
        char: Char = screen.buffer[row][column]
        cursor = (row, column) == (screen.cursor.y, screen.cursor.x)
        yield (
            char.data,
            Style(
                color=_colour(char.fg),
                bold=char.bold,
                italic=char.italics,
                underline=char.underscore,
                dim=char.blink,
                reverse=char.reverse or cursor,
            ),
        )


def _colour(name: str) -> str:
    if re.fullmatch(r"[0-9a-f]{6}", name):
        return f"#{name}"
    return NAMES.get(name, name.replace("bright", "bright_"))


def _wait(chat: Any, screen: DimScreen, stream: pyte.ByteStream, text: str) -> None:
    until = time.monotonic() + PATIENCE
    while text not in "\n".join(screen.display):
        if time.monotonic() > until:
            sys.exit(f"{text!r} did not come:\n" + "\n".join(screen.display))
        try:
            stream.feed(chat.read_nonblocking(65536, timeout=0.1))
        except pexpect.TIMEOUT:
            continue


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


if __name__ == "__main__":
    main()
