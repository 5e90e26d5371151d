"""The guard between a model's text and a terminal: only printable characters pass.

Every C0 character but LF and TAB, DEL, every C1 character, every lone surrogate and every character that reorders or
hides text is shown as something visible. The mapping is per character, so a sequence cut across chunks is caught too.
"""

from __future__ import annotations

import re

# Patterns are compiled on their first use: an answer into a pipe needs none.
_UNSAFE = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
_HIDDEN = (
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def printable(text: str) -> str:
    """Return prose that is safe on a terminal; ordinary text comes back as it is."""
    return re.sub(_UNSAFE, _shown, text) if re.search(_UNSAFE, text) else text


def escaped(text: str) -> str:
    """Return JSON that is safe on a terminal and still the same JSON."""
    return re.sub(_UNSAFE, _json_escape, text) if re.search(_UNSAFE, text) else text


def one_line(text: str) -> str:
    """Return a name, path or message on one line, with every character that could hide something made visible."""
    return re.sub(_HIDDEN, _shown, text)


def _shown(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"<U+{code:04X}>"


def _json_escape(match: re.Match[str]) -> str:
    from json import dumps

    return dumps(match.group())[1:-1]
