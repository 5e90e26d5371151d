"""Syntax highlighting line by line: a line depends on the lines before it, never on later ones."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from arawn.cli.render.lines import Line, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from arawn.cli.render.theme import Theme

_NAME = re.compile(r"[\w+#.-]+")
_MAX_LINE_LENGTH = 500
"""Characters; a longer line is not highlighted."""
_ROLES = {
    "Keyword.Type": "builtin",
    "Keyword": "keyword",
    "Literal.String": "string",
    "Literal.Number": "number",
    "Comment": "comment",
    "Name.Function": "name",
    "Name.Class": "name",
    "Name.Tag": "keyword",
    "Name.Attribute": "builtin",
    "Name.Builtin": "builtin",
    "Name.Decorator": "builtin",
    "Operator.Word": "keyword",
    "Generic.Inserted": "added",
    "Generic.Deleted": "removed",
    "Generic.Subheading": "keyword",
    "Generic.Prompt": "comment",
}


class Highlighter:
    """Highlights one block of code. With an unknown language or a failing lexer the code stays plain."""

    def __init__(self, lexer: Any, theme: Theme) -> None:
        self._lexer = lexer
        self._theme = theme
        self._stack: list[str] = ["root"]

    def line(self, text: str) -> Line:
        """Return the next line, highlighted."""
        spans, self._stack = self._highlight(text)
        return Line(spans, code=True)

    def peek(self, text: str) -> Line:
        """Return how the next line would look if this were all of it; the state does not change."""
        return Line(self._highlight(text)[0], code=True)

    def _highlight(self, text: str) -> tuple[list[Span], list[str]]:
        if self._lexer is None or len(text) > _MAX_LINE_LENGTH:
            return [Span(text)], self._stack
        try:
            tokens, stack = _lex(self._lexer, f"{text}\n", self._stack)
        except Exception:  # noqa: BLE001 -- hundreds of lexers: an answer must not fail because of colours
            return [Span(text)], self._stack
        spans = self._merge(tokens)
        whole = "".join([span.text for span in spans])
        return (spans if whole == text else [Span(text)]), stack

    def _merge(self, tokens: Iterable[tuple[Any, str]]) -> list[Span]:
        """Join neighbours of the same style; spaces take the style before them."""
        spans: list[Span] = []
        for kind, value in tokens:
            text = value.removesuffix("\n")
            style = spans[-1].style if spans and not text.strip() else getattr(self._theme, _role(kind), "")
            if spans and spans[-1].style == style:
                spans[-1] = Span(spans[-1].text + text, style)
            elif text:
                spans.append(Span(text, style))
        return spans


class Highlighters:
    """The highlighters of an answer: finds lexers by name, and caches the lines of the current block."""

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self._lexers: dict[str, Any] = {}
        self._done: list[str] = []
        self._lines: list[Line] = []
        self._current = ("", Highlighter(None, theme))

    def start(self, info: str) -> Highlighter:
        """Return a highlighter for the language a fence names."""
        found = _NAME.search(info.lower())
        name = found.group() if found else ""
        if name not in self._lexers:
            self._lexers[name] = _find_lexer(name) if name and self._theme.keyword else None
        return Highlighter(self._lexers[name], self._theme)

    def block(self, info: str, code: Sequence[str]) -> list[Line]:
        """Return all lines of a block. The last may still grow, so it is not cached."""
        seen = len(self._done)
        if self._current[0] != info or code[:seen] != self._done or seen >= len(code):
            self._current, self._done, self._lines, seen = (info, self.start(info)), [], [], 0
        highlighter = self._current[1]
        self._lines += [highlighter.line(text) for text in code[seen:-1]]
        self._done = list(code[:-1])
        return [*self._lines, *(highlighter.peek(text) for text in code[-1:])]


def _find_lexer(name: str) -> Any:
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        return get_lexer_by_name(name, startinline=True)
    except ClassNotFound:
        return None


def _lex(lexer: Any, line: str, stack: list[str]) -> tuple[list[tuple[Any, str]], list[str]]:
    """Lex one line from the state in which the previous line ended; a lexer without states starts again."""
    from pygments.lexer import (  # type: ignore[import-untyped]
        ExtendedRegexLexer,
        LexerContext,
        RegexLexer,
    )

    if isinstance(lexer, RegexLexer):
        context = LexerContext(line, 0, list(stack))
        with suppress(TypeError, AttributeError):  # its rules need a context class of their own
            tokens: Iterator[Any] = ExtendedRegexLexer.get_tokens_unprocessed(lexer, context=context)
            return [(kind, text) for _, kind, text in tokens], context.stack
    return [(kind, text) for _, kind, text in lexer.get_tokens_unprocessed(line)], stack


@lru_cache(maxsize=512)
def _role(kind: Any) -> str:
    while kind.parent is not None:
        role = _ROLES.get(".".join(kind))
        if role:
            return role
        kind = kind.parent
    return ""
