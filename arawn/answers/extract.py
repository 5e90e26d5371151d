"""The parts of an answer that are asked for: its code blocks, its JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def code_blocks(text: str) -> Iterator[str]:
    """Yield the insides of the fenced code blocks; a fence that never closes runs to the end."""
    import re

    opening, at = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})[^\n]*\n", re.MULTILINE), 0
    while fence := opening.search(text, at):
        mark = fence[1]
        close = re.compile(rf"^[ ]{{0,3}}{re.escape(mark[0])}{{{len(mark)},}}[ \t]*$", re.MULTILINE)
        end = close.search(text, fence.end())
        yield text[fence.end() : end.start() if end else len(text)].removesuffix("\n")
        at = end.end() if end else len(text)


def first_code_block(text: str) -> str | None:
    """Return the inside of the first fenced code block, or None."""
    return next(code_blocks(text), None)


def json_text(text: str) -> str:
    """Return the JSON of an answer that was asked for JSON: its fenced block where the model wrapped it in one."""
    text = text.strip()
    return (first_code_block(text) or text) if text.startswith("```") else text
