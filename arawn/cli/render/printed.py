"""What of the open text has been printed for good: because the screen is full, or because it was resized."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli.render.lines import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.cli.render.lines import Span

_ANCHORS = (32, 16, 8, 4)


class Printed:
    """Remembers lines, and finds out where the rest begins, also after the same text was laid out anew.

    In a new layout the visible characters of the source are counted. Where even they have changed (a mark that was
    shown has turned out to be emphasis), the last ones that were printed are looked for.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._content = ""

    def add(self, lines: Sequence[Line]) -> None:
        """Take note of lines that followed what was printed before."""
        self._lines += [line.text for line in lines]
        self._content += _content(lines)

    def rest(self, lines: list[Line]) -> list[Line]:
        """Return what of these lines, the first of which is the first of the open text, is not printed yet."""
        if not self._lines and not self._content:
            return lines
        if self._as_printed(lines):
            return lines[len(self._lines) :]
        return _from(lines, self._end(_content(lines)))

    def forget(self, lines: list[Line]) -> None:
        """Take note that these lines are settled; what remains was printed of the text behind them."""
        if not self._lines and not self._content:
            return
        content = _content(lines)
        beyond = self._end(content) >= len(content)
        self._lines = self._lines[len(lines) :] if self._as_printed(lines) else []
        self._content = self._content[len(content) :] if beyond else ""

    def _as_printed(self, lines: Sequence[Line]) -> bool:
        count = min(len(lines), len(self._lines))
        return count > 0 and [line.text for line in lines[:count]] == self._lines[:count]

    def _end(self, content: str) -> int:
        """Return where in the content what was printed ends."""
        printed = self._content
        if content.startswith(printed) or printed.startswith(content):
            return min(len(printed), len(content))
        for size in _ANCHORS:
            anchor, expected = printed[-size:], len(printed) - size
            near = content.rfind(anchor, 0, len(printed)), content.find(anchor, max(0, expected))
            found = [at for at in near if at >= 0]
            if found:
                return min(found, key=lambda at: abs(at - expected)) + size
        return min(len(printed), len(content))


def _content(lines: Sequence[Line]) -> str:
    return "".join([line.content for line in lines])


def _from(lines: list[Line], skip: int) -> list[Line]:
    """Return the lines behind their first ``skip`` visible characters."""
    for at, line in enumerate(lines):
        size = len(line.content)
        if skip < size:
            first = _cut(line, skip) if skip else line
            return [first, *lines[at + 1 :]]
        skip -= size
        if not skip:
            return lines[at + 1 :]
    return []


def _cut(line: Line, skip: int) -> Line:
    spans: list[Span] = []
    for span in line.spans:
        if skip and span.content:
            size = len("".join(span.text.split()))
            if skip >= size:
                skip -= size
                continue
            behind = _behind(span.text, skip)
            spans.append(span._replace(text=behind if line.code else behind.lstrip()))
            skip = 0
        elif not skip:
            spans.append(span)
    return Line(spans, code=line.code)


def _behind(text: str, skip: int) -> str:
    for at, character in enumerate(text):
        skip -= not character.isspace()
        if not skip:
            return text[at + 1 :]
    return ""
