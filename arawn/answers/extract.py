"""The parts of an answer that are asked for: its code blocks, its JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def json_lines(text: str) -> str:
    """Return the items of a list, which is given as JSON, as a line of JSON each."""
    import json

    return "".join(f"{json.dumps(item, ensure_ascii=_is_half(item))}\n" for item in json.loads(text))


def _is_half(item: Any) -> bool:
    """Say whether a text in a value has half of a surrogate pair, which only an escape can write."""
    import json

    return any("\ud800" <= letter <= "\udfff" for letter in json.dumps(item, ensure_ascii=False))
