"""The printed prefix of the open text: lines that were printed because the screen was full or was resized."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli.render.lines import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.cli.render.lines import Span

_ANCHOR_SIZES = (32, 16, 8, 4)
"""Characters to search for, longest first."""


class PrintedPrefix:
    """Records printed lines, and finds where the rest begins, also in a new layout of the same text.

    In a new layout it counts the visible characters of the source. Where even they have changed (a mark that was shown
    became emphasis), it searches for the last printed ones.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._content = ""

    def add(self, lines: Sequence[Line]) -> None:
        """Record lines that were printed after the earlier ones."""
        self._lines += [line.text for line in lines]
        self._content += _content(lines)

    def rest(self, lines: list[Line]) -> list[Line]:
        """Return the lines that are not printed yet; ``lines`` begins where the open text begins."""
        if not self._lines and not self._content:
            return lines
        if self._same_lines(lines):
            return lines[len(self._lines) :]
        return _skip(lines, self._end_in(_content(lines)))

    def drop(self, lines: list[Line]) -> None:
        """Remove committed lines; what remains was printed of the text after them."""
        if not self._lines and not self._content:
            return
        content = _content(lines)
        beyond = self._end_in(content) >= len(content)
        self._lines = self._lines[len(lines) :] if self._same_lines(lines) else []
        self._content = self._content[len(content) :] if beyond else ""

    def _same_lines(self, lines: Sequence[Line]) -> bool:
        count = min(len(lines), len(self._lines))
        return count > 0 and [line.text for line in lines[:count]] == self._lines[:count]

    def _end_in(self, content: str) -> int:
        """Return the index in the content where the printed part ends."""
        printed = self._content
        if content.startswith(printed) or printed.startswith(content):
            return min(len(printed), len(content))
        for size in _ANCHOR_SIZES:
            anchor, expected = printed[-size:], len(printed) - size
            near = content.rfind(anchor, 0, len(printed)), content.find(anchor, max(0, expected))
            found = [at for at in near if at >= 0]
            if found:
                return min(found, key=lambda at: abs(at - expected)) + size
        return min(len(printed), len(content))


def _content(lines: Sequence[Line]) -> str:
    return "".join([line.content for line in lines])


def _skip(lines: list[Line], skip: int) -> list[Line]:
    """Return the lines after their first ``skip`` visible characters."""
    for at, line in enumerate(lines):
        size = len(line.content)
        if skip < size:
            first = _skip_in_line(line, skip) if skip else line
            return [first, *lines[at + 1 :]]
        skip -= size
        if not skip:
            return lines[at + 1 :]
    return []


def _skip_in_line(line: Line, skip: int) -> Line:
    spans: list[Span] = []
    for span in line.spans:
        if skip and span.content:
            size = len("".join(span.text.split()))
            if skip >= size:
                skip -= size
                continue
            after = _after(span.text, skip)
            spans.append(span._replace(text=after if line.code else after.lstrip()))
            skip = 0
        elif not skip:
            spans.append(span)
    return Line(spans, code=line.code)


def _after(text: str, skip: int) -> str:
    for at, character in enumerate(text):
        skip -= not character.isspace()
        if not skip:
            return text[at + 1 :]
    return ""
