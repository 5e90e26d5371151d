"""Markdown for a terminal: blocks in, styled lines out.

Every layout decision looks back, never ahead: no number column as wide as the last number, no tight or loose lists.
So the first lines never change when more text follows, and can be written while the rest arrives.
No text is lost: HTML and reference definitions are shown as they are, and code starts at column 0, ready to be copied.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from arawn.cli.render.highlight import Highlighters
from arawn.cli.render.incremental import IncrementalText
from arawn.cli.render.inline import Inline
from arawn.cli.render.lines import EMPTY, Line, Span, ansi, wrap
from arawn.cli.render.parser import MAX_NESTING, Parser
from arawn.cli.render.table import SAMPLE_ROWS, Table
from arawn.cli.render.theme import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from markdown_it.token import Token

    from arawn.cli.render.highlight import Highlighter
    from arawn.cli.render.theme import Theme

LIST_KINDS = ("bullet_list", "ordered_list")
_SPACED_KINDS = {"heading", "fence", "code_block", "table", "hr"}
_MIN_TEXT_WIDTH = 10
"""Columns that text gets on any screen and in any nesting."""
_MAX_RULE_WIDTH = 40
"""Columns of a horizontal rule."""
_PIPE = re.compile(r"(?<!\\)\|")


class Block(NamedTuple):
    """A block: its tokens, and its source lines from ``start`` up to ``end``."""

    kind: str
    start: int
    end: int
    tokens: Sequence[Token]

    @property
    def parts(self) -> list[Block]:
        """The blocks within."""
        return group_blocks(self.tokens[1:-1])

    @property
    def open_fence(self) -> bool:
        """Whether this is a fence without a closing line."""
        return self.kind == "fence" and self.end - self.start - self.tokens[0].content.count("\n") < 2


class Preceding(NamedTuple):
    """What precedes the first block: the kind of a block, whether a blank line, the next number of a list."""

    kind: str
    blank: bool
    number: int | None = None


def group_blocks(tokens: Sequence[Token]) -> list[Block]:
    """Group tokens into their top-level blocks."""
    blocks: list[Block] = []
    depth = first = 0
    for at, token in enumerate(tokens):
        if depth == 0:
            first = at
        depth += token.nesting
        if depth == 0:
            start, end = tokens[first].map or (0, 0)
            blocks.append(Block(tokens[first].type.removesuffix("_open"), start, end, tokens[first : at + 1]))
    return blocks


def is_blank(line: str) -> bool:
    """Whether a source line is blank, also in a quote."""
    return not line.strip(" \t>")


def render(text: str, width: int, theme: Theme, colour: bool) -> str:
    """Render a whole text for a screen of ``width`` columns; a streamed answer ends up the same."""
    renderer = Renderer(theme if colour else PLAIN)
    source = IncrementalText().feed(text, final=True)
    source += "" if source.endswith("\n") else "\n"
    return "".join(
        f"{ansi(line)}\n" for line in renderer.lines(renderer.parse(source), source.split("\n"), text_width(width))
    )


def text_width(columns: int) -> int:
    """Return the columns for text, one less than the screen: terminals differ once the last column is full."""
    return max(columns - 1, _MIN_TEXT_WIDTH)


class Renderer:
    """Parses Markdown into blocks and lays blocks out as lines, in one theme."""

    def __init__(self, theme: Theme) -> None:
        self.theme = theme
        self.highlighters = Highlighters(theme)
        self._parser = Parser()
        self.inline = Inline(self._parser, theme)

    def parse(self, source: str) -> list[Block]:
        """Return the blocks of an escaped text."""
        return group_blocks(self._parser.parse(source))

    def lines(
        self,
        blocks: Sequence[Block],
        source: Sequence[str],
        room: int,
        *,
        before: Preceding | None = None,
        sample: int = SAMPLE_ROWS,
    ) -> list[Line]:
        """Lay out blocks of the source lines; ``sample`` rows decide the column widths of a table."""
        return _Layout(self, source, before, sample).top(blocks, room)

    def fence(self, token: Token, *, info: bool) -> Line:
        """Return the first or the last line of a fenced block."""
        text = f"{token.markup}{token.info.strip() if info else ''}"
        return Line((Span(text, self.theme.fence, content=info),), code=True)

    def highlighter(self, token: Token) -> Highlighter:
        """Return the highlighter for the code of a fence."""
        return self.highlighters.start(token.info)


class _Layout:
    """One layout of some blocks of one source."""

    def __init__(self, renderer: Renderer, source: Sequence[str], before: Preceding | None, sample: int) -> None:
        self._renderer = renderer
        self._theme = renderer.theme
        self._source = source
        self._before = before
        self._sample = sample
        self._continued: Block | None = None

    def top(self, blocks: Sequence[Block], room: int) -> list[Line]:
        self._continued = blocks[0] if blocks else None
        return self._flow(blocks, room, before=self._before.kind if self._before else "", lay_out=self._block_or_source)

    def _block_or_source(self, block: Block, room: int) -> list[Line]:
        if any(token.level >= MAX_NESTING - 2 for token in block.tokens):
            return self._source_lines(block, room)
        try:
            return self._block(block, room)
        except Exception:  # noqa: BLE001 -- whatever a model wrote must be shown
            return self._source_lines(block, room)

    def _source_lines(self, block: Block, room: int) -> list[Line]:
        text = "\n".join(self._source[block.start : block.end]).replace("\t", "    ")
        return [Line(spans) for spans in wrap([Span(text)], room)]

    def _needs_blank(self, before: str, block: Block) -> bool:
        blank = is_blank(self._source[block.start - 1]) if block.start else self._before and self._before.blank
        return bool(blank) or before in _SPACED_KINDS or block.kind in _SPACED_KINDS

    def _flow(
        self,
        blocks: Iterable[Block],
        room: int,
        *,
        before: str = "",
        lay_out: Callable[[Block, int], list[Line]] | None = None,
    ) -> list[Line]:
        """Lay out blocks below each other, with a blank line where the source has one or the kinds need one."""
        lines: list[Line] = []
        for block in blocks:
            if before and self._needs_blank(before, block):
                lines.append(EMPTY)
            lines += (lay_out or self._block)(block, room)
            before = block.kind
        return lines

    def _block(self, block: Block, room: int) -> list[Line]:
        match block.kind:
            case "paragraph" | "math":
                return self._text(block.tokens[len(block.tokens) // 2].content, "", room)
            case "heading":
                return self._heading(block, room)
            case "fence" | "code_block":
                return self._code(block)
            case "hr":
                return [Line((Span("─" * min(room, _MAX_RULE_WIDTH), self._theme.rule, content=False),))]
            case "blockquote":
                return self._quote(block, room)
            case "bullet_list" | "ordered_list":
                return self._list(block, room)
            case "table":
                return self._table(block, room)
            case _:
                return self._source_lines(block, room)

    def _text(self, source: str, style: str, room: int) -> list[Line]:
        return [Line(spans) for spans in wrap(self._renderer.inline.spans(source, style), room)]

    def _heading(self, block: Block, room: int) -> list[Line]:
        mark = "#" * int(block.tokens[0].tag[1:])
        spans = self._renderer.inline.spans(block.tokens[1].content, self._theme.heading)
        marked = [Span(f"{mark} " if spans else mark, self._theme.heading, content=False), *spans]
        return [Line(spans) for spans in wrap(marked, room)]

    def _code(self, block: Block) -> list[Line]:
        token = block.tokens[0]
        code = token.content.split("\n")
        if not code[-1]:
            code.pop()
        if block.kind == "code_block":
            return [Line((Span(text, self._theme.code),), code=True) for text in code]
        first = self._renderer.fence(token, info=True)
        last = [] if block.open_fence else [self._renderer.fence(token, info=False)]
        return [first, *self._renderer.highlighters.block(token.info, code), *last]

    def _quote(self, block: Block, room: int) -> list[Line]:
        lines = self._flow(block.parts, max(room - 2, _MIN_TEXT_WIDTH))
        return [line if line.code else _add_prefix("│ ", self._theme.quote, line) for line in lines]

    def _list(self, block: Block, room: int) -> list[Line]:
        number = self._first_number(block)
        lines: list[Line] = []
        for at, item in enumerate(block.parts):
            if at and self._needs_blank("list_item", item):
                lines.append(EMPTY)
            mark = "• " if block.kind == "bullet_list" else f"{number + at}{item.tokens[0].markup} "
            lines += self._item(item, mark, room)
        return lines

    def _first_number(self, block: Block) -> int:
        if block is self._continued and self._before and self._before.number is not None:
            return self._before.number
        return int(block.tokens[1].info or 1)

    def _item(self, item: Block, mark: str, room: int) -> list[Line]:
        lines = self._flow(item.parts, max(room - len(mark), _MIN_TEXT_WIDTH))
        if not lines or lines[0].code:
            lines.insert(0, EMPTY)
        first, *others = lines
        indented = [line if line.code else _add_prefix(" " * len(mark), "", line) for line in others]
        return [_add_prefix(mark, self._theme.bullet, first), *indented]

    def _table(self, block: Block, room: int) -> list[Line]:
        header, *rows = [row for part in block.parts for row in part.parts]
        cells = header.parts
        table = Table(
            header=self._cells(header, len(cells)),
            rows=[self._cells(row, len(cells)) for row in rows],
            alignment=[_alignment(cell.tokens[0]) for cell in cells],
        )
        return table.lines(room, self._theme, sample=self._sample)

    def _cells(self, row: Block, columns: int) -> list[Sequence[Span]]:
        """Return the cells of a row; text beyond the last column, which the parser drops, joins the last cell."""
        cells = [self._renderer.inline.spans(cell.tokens[1].content, cell=True) for cell in row.parts]
        written = _PIPE.split(self._source[row.start].strip().strip("|"))
        if extra := "|".join(written[columns:]).strip():
            cells[-1] = [*cells[-1], Span(" | ", content=False), *self._renderer.inline.spans(extra, cell=True)]
        return cells


def _add_prefix(prefix: str, style: str, line: Line) -> Line:
    if not line.spans:
        prefix = prefix.rstrip()
    return Line((Span(prefix, style, content=False), *line.spans)) if prefix else line


def _alignment(token: Token) -> str:
    """Return left, center, right, or nothing."""
    return str(token.attrs.get("style", "")).removeprefix("text-align:")
