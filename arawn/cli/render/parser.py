r"""The Markdown parser: CommonMark with tables, strikethrough and mathematics.

Mathematics stands between ``\(`` and ``\)`` or ``\[`` and ``\]``, where CommonMark sees escaped brackets: models write
formulas so. It stays as it is, with its delimiters. In a table's cell ``<br>`` ends a line, since nothing else can.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

MAX_NESTING = 60
"""Levels; quotes and lists nested deeper are shown as source: the parser would drop their content."""
IN_CELL = "cell"
"""The key in the parser's environment that says whether a text is that of a table's cell."""

_CLOSING = {"\\(": "\\)", "\\[": "\\]"}
_OPEN, _CLOSE = "\\[", "\\]"
_DELIMITERS = ("\\(", "\\)", "\\[", "\\]")
_BREAK = re.compile(r"<br\s*/?> *", re.IGNORECASE)


class Parser(MarkdownIt):
    """CommonMark with tables, strikethrough and mathematics; HTML and reference definitions stay visible text.

    Inline text is left to ``Inline``: blocks are parsed far more often than their content.
    """

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False, "maxNesting": MAX_NESTING})
        self.enable(["table", "strikethrough"])
        self.disable(["reference", "inline", "text_join"])
        self.inline.ruler.before("escape", "math", _math)
        self.inline.ruler.before("autolink", "cell_break", _cell_break)
        interrupted = ["paragraph", "reference", "blockquote", "list"]
        self.block.ruler.before("table", "math", _math_block, {"alt": interrupted})

    def normalizeLink(self, url: str) -> str:  # noqa: N802 -- the parser's name for it
        """Keep an address as written: it is shown, not followed."""
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802 -- the parser's name for it
        """Keep an address as written."""
        return link


def is_open_math(source: str) -> bool:
    """Say whether a block of mathematics has no end yet."""
    return _CLOSE not in source


def _math(state: StateInline, silent: bool) -> bool:
    """Take mathematics as it is, to its end; a delimiter without its other half stays too."""
    begin, opening = state.pos, state.src[state.pos : state.pos + 2]
    if opening not in _DELIMITERS:
        return False
    closing = _CLOSING.get(opening)
    end = state.src.find(closing, begin + 2, state.posMax) if closing else -1
    state.pos = (begin if end < 0 else end) + 2
    if not silent:
        state.push("math", "", 0).content = state.src[begin : state.pos]
    return True


def _cell_break(state: StateInline, silent: bool) -> bool:
    found = _BREAK.match(state.src, state.pos, state.posMax) if state.env.get(IN_CELL) else None
    if found is None:
        return False
    if not silent and found.end() < state.posMax:
        state.pending = state.pending.rstrip(" ")
        state.push("hardbreak", "br", 0)
    state.pos = found.end()
    return True


def _math_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Take the lines from one that begins with the opening delimiter to one with the closing one, or to a blank one."""
    if state.is_code_block(start):
        return False
    first = _line(state, start)
    if not first.startswith(_OPEN) or _CLOSE in first:
        return False
    if silent:
        return True
    at = start + 1
    while at < end and not state.isEmpty(at) and state.sCount[at] >= state.blkIndent:
        at += 1
        if _CLOSE in _line(state, at - 1):
            break
    state.line = at
    token = state.push("math", "", 0)
    token.content, token.map = state.getLines(start, at, state.blkIndent, False), [start, at]
    return True


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]
