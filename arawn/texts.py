"""Text as it comes in: refused where it is no valid Unicode, so that no character is replaced on its way.

Bytes that are not UTF-8 become halves of surrogate pairs on the command line, in the environment and at a prompt
(PEP 383), and an escape in JSON may be such a half. No encoder can write one.
"""

from __future__ import annotations

from arawn.errors import UsageError


def is_valid(text: str) -> bool:
    """Say whether a text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_valid(text: str, name: str) -> None:
    """Raise UsageError, with the ``name`` of where a text comes from, unless it can be written as UTF-8."""
    if not is_valid(text):
        raise UsageError(f"{name} is not valid UTF-8 text", hints=["convert it first: iconv -f latin1 -t utf-8"])


def without_line_end(text: str) -> str:
    """Return a text without its last line end: LF, or CR LF."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def shown_path(path: str) -> str:
    r"""Return a path as text; a byte that is not UTF-8 as ``\xe9``."""
    return path if is_valid(path) else path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
