"""Inline Markdown as spans: emphasis becomes style, code keeps its marks, a link shows its address after its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli.guard import one_line, printable
from arawn.cli.render.lines import Span, nest_style
from arawn.cli.render.parser import IN_CELL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from markdown_it.token import Token

    from arawn.cli.render.parser import Parser
    from arawn.cli.render.theme import Theme

_MAX_PIECE_LENGTH = 4_000
"""Characters parsed at a time."""
_CACHE_SIZE = 256
"""Texts whose spans are cached."""


class Inline:
    """Turns inline source into spans; text decoded from entities is escaped again."""

    def __init__(self, parser: Parser, theme: Theme) -> None:
        self._parser = parser
        self._theme = theme
        self._cache: dict[tuple[str, str, bool], list[Span]] = {}
        self._marks = {"strong": theme.strong, "em": theme.emphasis, "s": theme.struck, "link": theme.link}

    def spans(self, source: str, style: str = "", *, cell: bool = False) -> Sequence[Span]:
        """Parse and style a text, that of a table's ``cell`` or any other; each line break is a span of its own."""
        key = (source, style, cell)
        if key not in self._cache:
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            self._cache[key] = self._parse(source, style, cell=cell)
        return self._cache[key]

    def _parse(self, source: str, style: str, *, cell: bool) -> list[Span]:
        spans: list[Span] = []
        for piece in _split(source):
            tokens: list[Token] = []
            self._parser.inline.parse(piece, self._parser, {IN_CELL: cell}, tokens)
            spans += self._style(tokens, style)
        return spans

    def _style(self, tokens: Iterable[Token], style: str) -> list[Span]:
        spans: list[Span] = []
        styles = [style]
        links: list[tuple[int, Token]] = []
        for token in tokens:
            kind, _, edge = token.type.rpartition("_")
            if edge == "open":
                styles.append(nest_style(styles[-1], self._marks[kind]))
                links += [(len(spans), token)] if kind == "link" else []
            spans += self._leaf(token, styles[-1])
            if edge == "close":
                styles.pop()
            if token.type == "link_close":
                start, link = links.pop()
                text = "".join(span.text for span in spans[start:])
                spans += self._address(text, link, "href", styles[-1])
        return spans

    def _leaf(self, token: Token, style: str) -> list[Span]:
        match token.type:
            case "text" | "text_special":
                return [Span(_flatten(token.content), style)]
            case "math":
                return [Span(printable(token.content).replace("\t", "    "), style)]
            case "softbreak" | "hardbreak":
                return [Span("\n")]
            case "code_inline":
                return _code(token, nest_style(style, self._theme.code))
            case "s_open" | "s_close":
                return [Span("~~", style, content=False)]
            case "image":
                alt = self._style(token.children or (), nest_style(style, self._theme.link))
                text = "".join(span.text for span in alt)
                return [Span("image: ", style, content=False), *alt, *self._address(text, token, "src", style)]
            case _:
                return []

    def _address(self, text: str, token: Token, key: str, style: str) -> list[Span]:
        url, title = one_line(str(token.attrs.get(key, ""))), _flatten(str(token.attrs.get("title", "")))
        shown = "" if url in {text, f"mailto:{text}"} else url
        inside = " ".join(part for part in (shown, f'"{title}"' if title else "") if part)
        if not inside:
            return []
        edge = Span(" (" if text else "(", style, content=False)
        return [edge, Span(inside, nest_style(style, self._theme.address)), Span(")", style, content=False)]


def _code(token: Token, style: str) -> list[Span]:
    padding = " " if "`" in (token.content[:1], token.content[-1:]) else ""
    open_mark, close_mark = f"{token.markup}{padding}", f"{padding}{token.markup}"
    return [Span(open_mark, style, content=False), Span(_flatten(token.content), style), Span(close_mark, style, False)]


def _flatten(text: str) -> str:
    return printable(text).replace("\n", " ").replace("\t", "    ")


def _split(source: str) -> Iterator[str]:
    """Split a very long text at spaces: unmatched brackets take the parser quadratic time."""
    start = 0
    while len(source) - start > _MAX_PIECE_LENGTH:
        limit = start + _MAX_PIECE_LENGTH
        end = max(source.rfind(" ", start, limit), source.rfind("\n", start, limit)) + 1
        end = end if end > start else limit
        yield source[start:end]
        start = end
    yield source[start:]
