"""Text that arrives in pieces: joining split characters, and the visible part of an unfinished line."""

from __future__ import annotations

import re

from arawn.cli.guard import printable
from arawn.cli.render.lines import WIDE

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_MARKERS = re.compile(r"[\s>\-+*_=#~`|:.)\d]*")
_BREAK = re.compile(rf"[\s{WIDE}]")
_LINK = re.compile(r"!?\[[^\[\]]{0,300}(?:\](?:\([^()]{0,300})?)?$")
_FORMULA = re.compile(r"\\\((?:(?!\\\)).){0,300}$|\\\[(?:(?!\\\]).){0,300}$")
_DELIMITER = re.compile(r"\\\(.*?(?:\\\)|$)|\\\[.*?(?:\\\]|$)|\\.|`+|\*{1,3}|_{1,2}|~~")
_TRAILING_MARKS = "\\`*_~ \t"
_MAX_WORD_LENGTH = 80
"""Characters; a longer unfinished word is shown all the same."""
_MAX_OPEN_MARKS = 4
"""Marks; with more of them open, none is closed."""


class IncrementalText:
    """Joins what a stream split (CR LF, surrogate pairs) and escapes what is not printable."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, delta: str, *, final: bool = False) -> str:
        """Return the complete text so far; ``final`` returns the rest."""
        text, self._held = self._held + delta, ""
        if not final and text and (text[-1] == "\r" or "\ud800" <= text[-1] <= "\udbff"):
            text, self._held = text[:-1], text[-1]
        return printable(_PAIR.sub(_join_surrogates, text.replace("\r\n", "\n")))


def visible_part(line: str, *, code: bool = False) -> str:
    """Return the part of an unfinished line that can be shown without being changed later.

    Omitted are the last word, an incomplete link or formula, what may become a table, and characters that may become
    markers.
    Open emphasis and code spans are closed.
    """
    start = line.lstrip(" >")
    if start.startswith("|") and not code:
        return ""
    code = code or start.startswith(("```", "~~~"))
    line = line[: _last_word_start(line)].rstrip()
    if not code:
        for incomplete in (_FORMULA, _LINK):
            found = incomplete.search(line)
            line = line[: found.start()] if found else line
        line = _close_marks(line.rstrip(_TRAILING_MARKS))
    return "" if _MARKERS.fullmatch(line) else line


def _last_word_start(line: str) -> int:
    for at in range(len(line) - 1, max(-1, len(line) - 1 - _MAX_WORD_LENGTH), -1):
        if _BREAK.match(line, at):
            return at + 1
    return len(line) if len(line) > _MAX_WORD_LENGTH else 0


def _close_marks(line: str) -> str:
    """Close the emphasis and the code span that are open at the end of a line."""
    stack: list[str] = []
    for match in _DELIMITER.finditer(line):
        mark = match.group()
        if mark[0] == "\\" or (stack and stack[-1][0] == "`" and mark != stack[-1]):
            continue
        if stack and stack[-1] == mark and (mark[0] == "`" or not line[match.start() - 1].isspace()):
            stack.pop()
        elif mark[0] == "`" or _opens(line, match):
            stack.append(mark)
    return line + "".join(reversed(stack)) if len(stack) <= _MAX_OPEN_MARKS else line


def _opens(line: str, match: re.Match[str]) -> bool:
    inside_word = match.start() > 0 and line[match.start() - 1].isalnum()
    return not line[match.end()].isspace() and not (inside_word and match.group()[0] == "_")


def _join_surrogates(pair: re.Match[str]) -> str:
    return pair.group().encode("utf-16", "surrogatepass").decode("utf-16")
