"""Inline Markdown as spans: emphasis becomes style, code keeps its marks, a link shows its address beside its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from arawn.cli.guard import one_line, printable
from arawn.cli.render.lines import Span, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from markdown_it.token import Token

    from arawn.cli.render.theme import Theme

MAX_NESTING = 60
"""Quotes and lists nested deeper than this are shown as they were written: the parser would drop what is in them."""

_LONGEST = 4_000
_REMEMBERED = 256


class Parser(MarkdownIt):
    """CommonMark with tables and strikethrough; HTML and reference definitions stay visible text.

    Inline text is left to ``Inline``: where blocks begin and end is asked far more often than what is in them.
    """

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False, "maxNesting": MAX_NESTING})
        self.enable(["table", "strikethrough"])
        self.disable(["reference", "inline", "text_join"])

    def normalizeLink(self, url: str) -> str:  # noqa: N802 -- the parser's name for it
        """Keep an address as it was written: it is shown, not followed."""
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802 -- the parser's name for it
        """Keep an address as it was written."""
        return link


class Inline:
    """Turns inline source into spans; text that is decoded from entities passes the guard once more."""

    def __init__(self, parser: Parser, theme: Theme) -> None:
        self._parser = parser
        self._theme = theme
        self._known: dict[tuple[str, str], list[Span]] = {}
        self._marks = {"strong": theme.strong, "em": theme.emphasis, "s": theme.struck, "link": theme.link}

    def spans(self, source: str, style: str = "") -> Sequence[Span]:
        """Parse and style a text; a line break in it is a span of its own."""
        key = (source, style)
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = self._parsed(source, style)
        return self._known[key]

    def _parsed(self, source: str, style: str) -> list[Span]:
        spans: list[Span] = []
        for piece in _pieces(source):
            tokens: list[Token] = []
            self._parser.inline.parse(piece, self._parser, {}, tokens)
            spans += self._styled(tokens, style)
        return spans

    def _styled(self, tokens: Iterable[Token], style: str) -> list[Span]:
        spans: list[Span] = []
        styles = [style]
        links: list[tuple[int, Token]] = []
        for token in tokens:
            kind, _, edge = token.type.rpartition("_")
            if edge == "open":
                styles.append(joined(styles[-1], self._marks[kind]))
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
                return [Span(_flat(token.content), style)]
            case "softbreak" | "hardbreak":
                return [Span("\n")]
            case "code_inline":
                return _code(token, joined(style, self._theme.code))
            case "s_open" | "s_close":
                return [Span("~~", style, content=False)]
            case "image":
                alt = self._styled(token.children or (), joined(style, self._theme.link))
                text = "".join(span.text for span in alt)
                return [Span("image: ", style, content=False), *alt, *self._address(text, token, "src", style)]
            case _:
                return []

    def _address(self, text: str, token: Token, key: str, style: str) -> list[Span]:
        url, title = one_line(str(token.attrs.get(key, ""))), _flat(str(token.attrs.get("title", "")))
        shown = "" if url in {text, f"mailto:{text}"} else url
        inside = " ".join(part for part in (shown, f'"{title}"' if title else "") if part)
        if not inside:
            return []
        edge = Span(" (" if text else "(", style, content=False)
        return [edge, Span(inside, joined(style, self._theme.address)), Span(")", style, content=False)]


def _code(token: Token, style: str) -> list[Span]:
    padding = " " if "`" in (token.content[:1], token.content[-1:]) else ""
    open_mark, close_mark = f"{token.markup}{padding}", f"{padding}{token.markup}"
    return [Span(open_mark, style, content=False), Span(_flat(token.content), style), Span(close_mark, style, False)]


def _flat(text: str) -> str:
    return printable(text).replace("\n", " ").replace("\t", "    ")


def _pieces(source: str) -> Iterator[str]:
    """Cut a text of unusual length at spaces: unmatched brackets take the parser quadratic time."""
    start = 0
    while len(source) - start > _LONGEST:
        end = max(source.rfind(" ", start, start + _LONGEST), source.rfind("\n", start, start + _LONGEST)) + 1
        end = end if end > start else start + _LONGEST
        yield source[start:end]
        start = end
    yield source[start:]
