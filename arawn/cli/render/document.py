"""The Markdown source of a growing answer: which lines are final, and how the open tail looks now.

CommonMark decides block structure line by line. A block is closed when another one follows it, and a parse that begins
at the start of a block finds the same blocks as a parse of the whole text. So only the open tail is parsed again: its
closed blocks and list items are committed and removed, and the code of an open fence is committed line by line.
Only complete lines decide: ``***`` at the end of an unfinished line may be a rule or become ``***bold***``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from arawn.cli.render.incremental import IncrementalText, visible_part
from arawn.cli.render.markdown import LIST_KINDS, Block, Preceding, is_blank
from arawn.cli.render.parser import is_open_math
from arawn.cli.render.printed_prefix import PrintedPrefix
from arawn.cli.render.table import SAMPLE_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

    from arawn.cli.render.highlight import Highlighter
    from arawn.cli.render.lines import Line
    from arawn.cli.render.markdown import Renderer

_TAB_STOP = 4
"""Columns between the tab stops of CommonMark."""
_CLOSED_AT_ONCE = ("heading", "hr")
"""Kinds of blocks that are closed as soon as they are complete."""
_CLOSED_BY_BLANK = ("paragraph", "table", "blockquote", "math")


class Document:
    """The source of an answer: fed in pieces, returned as lines."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._incoming = IncrementalText()
        self._new: list[str] = []
        self._tail = ""
        self._before: Preceding | None = None
        self._fence: _Fence | None = None
        self._printed = PrintedPrefix()
        self._open: list[Block] = []
        self._parsed_length = 0
        self._sample = SAMPLE_ROWS

    def feed(self, delta: str) -> None:
        """Add a piece of source; the next ``commit`` parses it."""
        self._new.append(delta)

    def commit(self, room: int, *, final: bool = False) -> list[Line]:
        """Return the new lines that will never change; ``final`` closes every block. ``room`` is in columns."""
        self._tail += self._incoming.feed("".join(self._new), final=final)
        self._new.clear()
        if final:
            self._tail += "" if self._tail.endswith("\n") or not self._tail else "\n"
        lines: list[Line] = []
        while self._tail.rfind("\n") + 1 > (0 if final else self._parsed_length):
            committed = self._commit_fence_lines() if self._fence else self._commit_closed(room, final=final)
            if committed is None:
                break
            lines += committed
        return lines

    def live(self, room: int) -> list[Line]:
        """Return the lines of the open tail as they look now, without those that are printed already."""
        if self._fence:
            part = visible_part(self._tail, code=True)
            lines = [self._fence.peek(part)] if part else []
        else:
            blocks, source = self._live_blocks()
            lines = self._render(blocks, source, room)
        return self._printed.rest(lines)

    def mark_printed(self, lines: Sequence[Line]) -> None:
        """Record that the first live lines have been printed and cannot be redrawn."""
        self._printed.add(lines)

    def freeze_widths(self) -> None:
        """Keep the column widths of an open table, also when wider rows follow: its first lines are printed."""
        if self._open and self._open[-1].kind == "table":
            rows = sum(token.type == "tr_open" for token in self._open[-1].tokens) - 1
            self._sample = min(self._sample, rows)

    def _commit_closed(self, room: int, *, final: bool) -> list[Line] | None:
        """Commit the closed blocks at the start of the tail; None if all of it is open."""
        text = self._tail[: self._tail.rfind("\n") + 1]
        source = text.split("\n")
        blocks = self._renderer.parse(text)
        if not blocks:
            return self._commit_blocks([], source, len(source) - 1, room)
        if len(blocks) == 1 and blocks[0].open_fence:
            return self._begin_fence(blocks[0], source, room)
        closed = len(blocks) if final or _is_closed(blocks[-1], source) else len(blocks) - 1
        if final and blocks[-1].open_fence:
            closed -= 1
        if closed:
            end = blocks[closed - 1].end if closed == len(blocks) else blocks[closed].start
            return self._commit_blocks(blocks[:closed], source, end, room)
        if blocks[0].kind in LIST_KINDS and len(items := blocks[0].parts) > 1:
            return self._commit_items(blocks[0], items, source, room)
        self._open, self._parsed_length = blocks, len(text)
        return None

    def _commit_blocks(
        self, blocks: list[Block], source: list[str], end: int, room: int, *, number: int | None = None
    ) -> list[Line]:
        """Commit blocks, and continue after source line ``end``."""
        lines = self._render(blocks, source, room)
        committed = self._printed.rest(lines)
        self._printed.drop(lines)
        kind = blocks[-1].kind if blocks else self._before.kind if self._before else ""
        self._before = Preceding(kind, is_blank(source[end - 1]), number)
        self._tail = self._tail[sum(len(line) + 1 for line in source[:end]) :]
        self._open, self._parsed_length, self._sample = [], 0, SAMPLE_ROWS
        return committed

    def _commit_items(self, block: Block, items: list[Block], source: list[str], room: int) -> list[Line]:
        """Commit all items of a list but the last; the numbering continues."""
        before, last = items[:-1], items[-1]
        tokens = [block.tokens[0], *(token for item in before for token in item.tokens), block.tokens[-1]]
        number = None
        if block.kind == "ordered_list":
            continued = self._before.number if self._before else None
            number = len(before) + (int(block.tokens[1].info) if continued is None else continued)
        return self._commit_blocks([Block(block.kind, 0, last.start, tokens)], source, last.start, room, number=number)

    def _begin_fence(self, block: Block, source: list[str], room: int) -> list[Line]:
        token = block.tokens[0]
        opening = source[block.start]
        committed = self._commit_blocks([_opening_only(block)], source, block.start + 1, room)
        self._fence = _Fence(token, len(opening) - len(opening.lstrip(" ")), self._renderer.highlighter(token))
        return committed

    def _commit_fence_lines(self) -> list[Line]:
        """Commit the complete lines of an open fence, up to its closing line."""
        fence = self._fence
        assert fence is not None
        *complete, rest = self._tail.split("\n")
        lines: list[Line] = []
        for at, text in enumerate(complete):
            if fence.closes(text):
                lines.append(self._renderer.fence(fence.token, info=False))
                rest = "\n".join([*complete[at + 1 :], rest])
                self._fence, self._before = None, Preceding("fence", blank=False)
                break
            lines.append(fence.line(text))
        self._tail = rest
        committed = self._printed.rest(lines)
        self._printed.drop(lines)
        return committed

    def _live_blocks(self) -> tuple[list[Block], list[str]]:
        """Return the open blocks with the visible part of the unfinished line."""
        complete, newline, unfinished = self._tail.rpartition("\n")
        text = complete + newline
        shown = visible_part(unfinished, code=_in_code(self._open))
        if not shown and _may_be_header(self._open, complete):
            text = complete.rpartition("\n")[0] + newline
        elif not shown:
            return self._open, text.split("\n")
        text += shown and f"{shown}\n"
        return self._renderer.parse(text), text.split("\n")

    def _render(self, blocks: Sequence[Block], source: Sequence[str], room: int) -> list[Line]:
        return self._renderer.lines(blocks, source, room, before=self._before, sample=self._sample)


class _Fence(NamedTuple):
    """An open fence at the top level."""

    token: Token
    indent: int
    highlighter: Highlighter

    def closes(self, line: str) -> bool:
        mark = self.token.markup
        return bool(re.fullmatch(rf" {{0,3}}{re.escape(mark)}{re.escape(mark[0])}*[ \t]*", line))

    def line(self, text: str) -> Line:
        return self.highlighter.line(self._dedent(text))

    def peek(self, text: str) -> Line:
        return self.highlighter.peek(self._dedent(text))

    def _dedent(self, text: str) -> str:
        """Remove the indentation of the fence; what remains of a tab becomes spaces."""
        at = column = 0
        while column < self.indent and text[at : at + 1] in (" ", "\t"):
            column += 1 if text[at] == " " else _TAB_STOP - column % _TAB_STOP
            at += 1
        return " " * (column - self.indent) + text[at:]


def _is_closed(block: Block, source: list[str]) -> bool:
    """Whether no following line can belong to the block; ``source`` ends with an empty string."""
    if block.kind == "fence":
        return not block.open_fence
    if block.kind == "math" and not is_open_math(block.tokens[0].content):
        return True
    blank = len(source) > 1 and not source[-2].strip(" \t")
    return block.kind in _CLOSED_AT_ONCE or (blank and block.kind in _CLOSED_BY_BLANK)


def _opening_only(block: Block) -> Block:
    token = block.tokens[0].copy(content="")
    return Block("fence", block.start, block.start + 1, [token])


def _in_code(blocks: list[Block]) -> bool:
    """Whether the next line continues code inside a list or a quote."""
    leaves = [token for token in blocks[-1].tokens if token.nesting >= 0] if blocks else []
    return bool(leaves) and leaves[-1].type in ("fence", "code_block", "math")


def _may_be_header(blocks: list[Block], complete: str) -> bool:
    last = complete.rpartition("\n")[2]
    return bool(blocks) and blocks[-1].kind == "paragraph" and last.lstrip().startswith("|")
