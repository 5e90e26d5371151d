"""Styled lines: their width, wrapping text into them, and writing them with SGR sequences."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

WIDE = "\u2e80-\ua4cf\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\U00020000-\U0003ffff"
"""The characters between which a line may be broken, as the inside of a character class."""

_SPACE = " \t\u2000-\u2006\u2008-\u200a\u3000"
_CLOSING = "\u3001\u3002\u3009\u300b\u300d\u300f\u3011\uff01\uff09\uff0c\uff1a\uff1b\uff1f"
_WORD = re.compile(rf"[{_SPACE}]*([{WIDE}][{_CLOSING}]*|[^{_SPACE}{WIDE}]+)")
_TAB_WIDTH = 8
"""Columns between the tab stops of a terminal."""


class Span(NamedTuple):
    """Text in one style (SGR parameters). ``content`` is False for what the layout adds: bars, bullets, markers."""

    text: str
    style: str = ""
    content: bool = True


class Line(NamedTuple):
    """One line of output. Code starts at column 0 and only the terminal wraps it, so it is copied in one piece."""

    spans: Sequence[Span]
    code: bool = False

    @property
    def text(self) -> str:
        """The line without its styles."""
        return "".join([span.text for span in self.spans])

    @property
    def content(self) -> str:
        """The visible characters of the source, which no layout changes."""
        return "".join("".join([span.text for span in self.spans if span.content]).split())


EMPTY = Line(())


def width(text: str) -> int:
    """Return the columns of a text without tabs."""
    return len(text) if text.isascii() else _measure(text)[0]


def rows(line: Line, columns: int) -> int:
    """Return the rows of a line on a screen that wraps it."""
    text = line.text
    if text.isascii() and len(text) <= columns and "\t" not in text:
        return 1
    column = row = 0
    for at, cell in enumerate(text.split("\t")):
        if at:
            column = min(column + _TAB_WIDTH - column % _TAB_WIDTH, columns - 1)
        column += width(cell)
        row, column = row + max(0, column - 1) // columns, (max(0, column - 1) % columns + 1 if column else 0)
    return row + 1


def wrap(spans: Iterable[Span], room: int, *, split: bool = False) -> list[list[Span]]:
    """Break spans into lines of at most ``room`` columns, at spaces and between wide characters.

    A longer word, such as an address, stays whole on a line of its own unless ``split`` cuts it.
    """
    lines: list[list[Span]] = []
    for line in _split_at_newlines(spans):
        text = "".join([span.text for span in line])
        if _max_width(text) <= room:
            lines.append(line)
        else:
            lines += _slices(line, _line_ranges(text, room, split=split))
    return lines


def encode_sgr(line: Line) -> tuple[str, str]:
    """Return the line with SGR sequences, and the style that is still on at its end."""
    pieces: list[str] = []
    style = ""
    for span in line.spans:
        if span.style != style:
            pieces.append(_sgr_change(style, span.style))
            style = span.style
        pieces.append(span.text)
    return "".join(pieces), style


def ansi(line: Line) -> str:
    """Return the line with SGR sequences; the last one resets the style."""
    text, style = encode_sgr(line)
    return f"{text}\x1b[m" if style else text


def nest_style(outer: str, inner: str) -> str:
    """Return a style within a style."""
    return f"{outer};{inner}" if outer and inner else outer or inner


def _sgr_change(old: str, new: str) -> str:
    if not new:
        return "\x1b[m"
    if old and new.startswith(f"{old};"):
        return f"\x1b[{new[len(old) + 1 :]}m"
    replaces = not old or (len(old) == len(new) == 2 and old[0] == new[0] == "3")
    return f"\x1b[{new}m" if replaces else f"\x1b[0;{new}m"


def _split_at_newlines(spans: Iterable[Span]) -> Iterator[list[Span]]:
    line: list[Span] = []
    for span in spans:
        first, *others = span.text.split("\n")
        line.append(span if not others else span._replace(text=first))
        for other in others:
            yield line
            line = [span._replace(text=other)]
    yield line


def _line_ranges(text: str, room: int, *, split: bool) -> Iterator[tuple[int, int]]:
    start = end = used = 0
    for match in _WORD.finditer(text):
        first, gap, need = match.start(1), match.start(1) - match.start(), _max_width(match[1])
        if end and used + gap + need > room:
            yield start, end
            start, used = first, need
        else:
            used += gap + need
        end = match.end()
        if split and used > room:
            *parts, last = _split_word(text[start:end], room)
            for part in parts:
                yield start, start + len(part)
                start += len(part)
            used = _max_width(last)
    yield start, end


def _split_word(word: str, room: int) -> Iterator[str]:
    """Split a word that is too wide between its graphemes."""
    from wcwidth import iter_graphemes

    part = ""
    for grapheme in iter_graphemes(word):
        if part and _max_width(part + grapheme) > room:
            yield part
            part = ""
        part += grapheme
    yield part


def _slices(spans: Sequence[Span], ranges: Iterable[tuple[int, int]]) -> Iterator[list[Span]]:
    """Yield the spans of each range of their joined text; the ranges are in order."""
    at = begin = 0
    for start, end in ranges:
        cut: list[Span] = []
        while at < len(spans):
            span = spans[at]
            text = span.text[max(0, start - begin) : max(0, end - begin)]
            if text:
                cut.append(span._replace(text=text))
            if begin + len(span.text) > end:
                break
            begin += len(span.text)
            at += 1
        yield cut


def _max_width(text: str) -> int:
    return len(text) if text.isascii() else _measure(text)[1]


@lru_cache(maxsize=4096)
def _measure(text: str) -> tuple[int, int]:
    """Return the columns of a text, and those on a terminal that shows each part of an emoji separately."""
    from wcwidth import wcswidth, wcwidth

    together = max(0, wcswidth(text))
    return together, max(together, sum(max(0, wcwidth(character)) for character in text))
