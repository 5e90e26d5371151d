"""An answer as it grows: which of its lines will never change again, and how the rest looks now.

Block structure is decided line by line: a block is over when another one follows it, and a parse that begins at a
block's start finds the same blocks as a parse of the whole. So only the open tail is ever parsed again: its closed
blocks and list items are settled and cut off, and the code of an open fence is settled line by line.
Only complete lines decide: ``***`` at the end of what has come may be a rule or become ``***bold***``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from arawn.cli.render.grid import SAMPLE
from arawn.cli.render.markdown import LISTS, Before, Block, is_blank
from arawn.cli.render.partial import Incoming, shown_part
from arawn.cli.render.printed import Printed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

    from arawn.cli.render.highlight import Highlighter
    from arawn.cli.render.lines import Line
    from arawn.cli.render.markdown import Renderer

_TAB = 4
_CLOSED_AT_ONCE = ("heading", "hr")
_CLOSED_BY_BLANK = ("paragraph", "table", "blockquote")


class Document:
    """The source of an answer, taken in piece by piece and given out as lines."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._incoming = Incoming()
        self._new: list[str] = []
        self._tail = ""
        self._before: Before | None = None
        self._fence: _Fence | None = None
        self._printed = Printed()
        self._open: list[Block] = []
        self._decided = 0
        self._sample = SAMPLE

    def feed(self, delta: str) -> None:
        """Take in more of the source; the next ``settle`` looks at it."""
        self._new.append(delta)

    def settle(self, room: int, *, final: bool = False) -> list[Line]:
        """Return the lines that are new and will never change; ``final`` closes everything."""
        self._tail += self._incoming.take("".join(self._new), final=final)
        self._new.clear()
        if final:
            self._tail += "" if self._tail.endswith("\n") or not self._tail else "\n"
        lines: list[Line] = []
        while self._tail.rfind("\n") + 1 > (0 if final else self._decided):
            settled = self._fence_lines() if self._fence else self._blocks(room, final=final)
            if settled is None:
                break
            lines += settled
        return lines

    def live(self, room: int) -> list[Line]:
        """Return how what is not settled looks now, without what was printed for good already."""
        if self._fence:
            part = shown_part(self._tail, code=True)
            lines = [self._fence.peek(part)] if part else []
        else:
            blocks, source = self._live_blocks()
            lines = self._render(blocks, source, room)
        return self._printed.rest(lines)

    def mark_printed(self, lines: Sequence[Line]) -> None:
        """Take note that the first live lines have been printed for good."""
        self._printed.add(lines)

    def keep_widths(self) -> None:
        """Lay an open table out as it is now, also when wider rows come: its first lines have been printed."""
        if self._open and self._open[-1].kind == "table":
            rows = sum(token.type == "tr_open" for token in self._open[-1].tokens) - 1
            self._sample = min(self._sample, rows)

    def _blocks(self, room: int, *, final: bool) -> list[Line] | None:
        """Settle the closed blocks at the beginning of the tail; None where all of it is open."""
        text = self._tail[: self._tail.rfind("\n") + 1]
        source = text.split("\n")
        blocks = self._renderer.parse(text)
        if not blocks:
            return self._cut([], source, len(source) - 1, room)
        if len(blocks) == 1 and blocks[0].open_fence:
            return self._begin_fence(blocks[0], source, room)
        closed = len(blocks) if final or _is_closed(blocks[-1], source) else len(blocks) - 1
        if final and blocks[-1].open_fence:
            closed -= 1
        if closed:
            end = blocks[closed - 1].end if closed == len(blocks) else blocks[closed].start
            return self._cut(blocks[:closed], source, end, room)
        if blocks[0].kind in LISTS and len(items := blocks[0].parts) > 1:
            return self._cut_items(blocks[0], items, source, room)
        self._open, self._decided = blocks, len(text)
        return None

    def _cut(
        self, blocks: list[Block], source: list[str], end: int, room: int, *, number: int | None = None
    ) -> list[Line]:
        """Settle blocks, and go on behind source line ``end``."""
        lines = self._render(blocks, source, room)
        settled = self._printed.rest(lines)
        self._printed.forget(lines)
        kind = blocks[-1].kind if blocks else self._before.kind if self._before else ""
        self._before = Before(kind, is_blank(source[end - 1]), number)
        self._tail = self._tail[sum(len(line) + 1 for line in source[:end]) :]
        self._open, self._decided, self._sample = [], 0, SAMPLE
        return settled

    def _cut_items(self, block: Block, items: list[Block], source: list[str], room: int) -> list[Line]:
        """Settle all items of a list but the last; what follows goes on counting."""
        before, last = items[:-1], items[-1]
        tokens = [block.tokens[0], *(token for item in before for token in item.tokens), block.tokens[-1]]
        number = None
        if block.kind == "ordered_list":
            continued = self._before.number if self._before else None
            number = len(before) + (int(block.tokens[1].info) if continued is None else continued)
        return self._cut([Block(block.kind, 0, last.start, tokens)], source, last.start, room, number=number)

    def _begin_fence(self, block: Block, source: list[str], room: int) -> list[Line]:
        token = block.tokens[0]
        opening = source[block.start]
        settled = self._cut([_without_code(block)], source, block.start + 1, room)
        self._fence = _Fence(token, len(opening) - len(opening.lstrip(" ")), self._renderer.highlighter(token))
        return settled

    def _fence_lines(self) -> list[Line]:
        """Settle the complete lines of an open fence, up to its end."""
        fence = self._fence
        assert fence is not None
        *complete, rest = self._tail.split("\n")
        lines: list[Line] = []
        for at, text in enumerate(complete):
            if fence.closes(text):
                lines.append(self._renderer.fence(fence.token, info=False))
                rest = "\n".join([*complete[at + 1 :], rest])
                self._fence, self._before = None, Before("fence", blank=False)
                break
            lines.append(fence.line(text))
        self._tail = rest
        settled = self._printed.rest(lines)
        self._printed.forget(lines)
        return settled

    def _live_blocks(self) -> tuple[list[Block], list[str]]:
        """Return the open blocks with as much of the unfinished line as can be shown."""
        complete, newline, unfinished = self._tail.rpartition("\n")
        text = complete + newline
        shown = shown_part(unfinished, code=_in_code(self._open))
        if not shown and _may_be_header(self._open, complete):
            text = complete.rpartition("\n")[0] + newline
        elif not shown:
            return self._open, text.split("\n")
        text += shown and f"{shown}\n"
        return self._renderer.parse(text), text.split("\n")

    def _render(self, blocks: Sequence[Block], source: Sequence[str], room: int) -> list[Line]:
        return self._renderer.lines(blocks, source, room, before=self._before, sample=self._sample)


class _Fence(NamedTuple):
    """An open fence at the uppermost level."""

    token: Token
    indent: int
    highlighter: Highlighter

    def closes(self, line: str) -> bool:
        mark = self.token.markup
        return bool(re.fullmatch(rf" {{0,3}}{re.escape(mark)}{re.escape(mark[0])}*[ \t]*", line))

    def line(self, text: str) -> Line:
        return self.highlighter.line(self._dedented(text))

    def peek(self, text: str) -> Line:
        return self.highlighter.peek(self._dedented(text))

    def _dedented(self, text: str) -> str:
        """Drop the blanks the fence itself is indented by; of a tab, what is left of it stays as blanks."""
        at = column = 0
        while column < self.indent and text[at : at + 1] in (" ", "\t"):
            column += 1 if text[at] == " " else _TAB - column % _TAB
            at += 1
        return " " * (column - self.indent) + text[at:]


def _is_closed(block: Block, source: list[str]) -> bool:
    """Whether nothing that may follow belongs to the block; ``source`` ends with an empty string."""
    if block.kind == "fence":
        return not block.open_fence
    blank = len(source) > 1 and not source[-2].strip(" \t")
    return block.kind in _CLOSED_AT_ONCE or (blank and block.kind in _CLOSED_BY_BLANK)


def _without_code(block: Block) -> Block:
    token = block.tokens[0].copy(content="")
    return Block("fence", block.start, block.start + 1, [token])


def _in_code(blocks: list[Block]) -> bool:
    """Whether the next line goes on with code inside a list or a quote."""
    leaves = [token for token in blocks[-1].tokens if token.nesting >= 0] if blocks else []
    return bool(leaves) and leaves[-1].type in ("fence", "code_block")


def _may_be_header(blocks: list[Block], complete: str) -> bool:
    last = complete.rpartition("\n")[2]
    return bool(blocks) and blocks[-1].kind == "paragraph" and last.lstrip().startswith("|")
