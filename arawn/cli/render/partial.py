"""Text that comes in pieces: whole characters out of cut ones, and what of an unfinished line can already be shown."""

from __future__ import annotations

import re

from arawn.cli.guard import printable
from arawn.cli.render.lines import WIDE

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_MARKERS = re.compile(r"[\s>\-+*_=#~`|:.)\d]*")
_BREAK = re.compile(rf"[\s{WIDE}]")
_LINK = re.compile(r"!?\[[^\[\]]{0,300}(?:\](?:\([^()]{0,300})?)?$")
_DELIMITER = re.compile(r"\\.|`+|\*{1,3}|_{1,2}|~~")
_LAST_DELIMITERS = "\\`*_~ \t"
_LONG_WORD = 80
_MOST_OPEN = 4


class Incoming:
    """Joins what a stream cut apart (CR LF, surrogate pairs) and lets only printable text pass."""

    def __init__(self) -> None:
        self._held = ""

    def take(self, delta: str, *, final: bool = False) -> str:
        """Return the text that is whole so far; ``final`` gives out the rest."""
        text, self._held = self._held + delta, ""
        if not final and text and (text[-1] == "\r" or "\ud800" <= text[-1] <= "\udbff"):
            text, self._held = text[:-1], text[-1]
        return printable(_PAIR.sub(_character, text.replace("\r\n", "\n")))


def shown_part(line: str, *, code: bool = False) -> str:
    """Return what of an unfinished line can be shown now without being taken back later.

    Left out are the last word, a link that is not complete, what may become a table, and characters that may turn out
    to be markers. Emphasis and code spans that are open are closed.
    """
    start = line.lstrip(" >")
    if start.startswith("|") and not code:
        return ""
    code = code or start.startswith(("```", "~~~"))
    line = line[: _whole_words(line)].rstrip()
    if not code:
        link = _LINK.search(line)
        line = _closed((line[: link.start()] if link else line).rstrip(_LAST_DELIMITERS))
    return "" if _MARKERS.fullmatch(line) else line


def _whole_words(line: str) -> int:
    for at in range(len(line) - 1, max(-1, len(line) - 1 - _LONG_WORD), -1):
        if _BREAK.match(line, at):
            return at + 1
    return len(line) if len(line) > _LONG_WORD else 0


def _closed(line: str) -> str:
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
    return line + "".join(reversed(stack)) if len(stack) <= _MOST_OPEN else line


def _opens(line: str, match: re.Match[str]) -> bool:
    inside_word = match.start() > 0 and line[match.start() - 1].isalnum()
    return not line[match.end()].isspace() and not (inside_word and match.group()[0] == "_")


def _character(pair: re.Match[str]) -> str:
    return pair.group().encode("utf-16", "surrogatepass").decode("utf-16")
