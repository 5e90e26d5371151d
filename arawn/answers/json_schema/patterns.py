"""The regular expressions of JSON Schema, which are those of ECMA-262, as Python reads them."""

from __future__ import annotations

import re
import warnings

_PIECES = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\(\?<(?=[A-Za-z_])|\$", re.DOTALL)
_REPLACED = {"$": r"\Z", "(?<": "(?P<"}
_LOOKAROUND = re.compile(r"\(\?<?[=!]")
_BACKREFERENCE_OR_BOUNDARY = re.compile(r"\\[1-9bBk]")


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern: ``$`` is the very end, digits and words are ASCII. Raises ValueError for what is none."""
    written = _PIECES.sub(lambda piece: _REPLACED.get(piece[0], piece[0]), pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a "[[" may mean something else in a later Python
            return re.compile(written, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None


def looks_around(pattern: str) -> bool:
    """Say whether a pattern looks ahead or behind."""
    return bool(_LOOKAROUND.search(_without_classes(pattern)))


def refers_back(pattern: str) -> bool:
    """Say whether a pattern refers to an earlier group or to the boundary of a word."""
    return bool(_BACKREFERENCE_OR_BOUNDARY.search(_without_classes(pattern).replace("\\\\", "")))


def is_anchored(pattern: str) -> bool:
    """Say whether a pattern is about a whole text."""
    return pattern.startswith("^") and pattern.endswith("$") and not pattern.endswith("\\$")


def _without_classes(pattern: str) -> str:
    return re.sub(r"(?<!\\)\[(?:\\.|[^\]\\])*\]", "", pattern)
