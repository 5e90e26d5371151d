"""Pictures that a model made, as protocols carry them: base64, data URLs and addresses."""

from __future__ import annotations

from binascii import Error, a2b_base64
from typing import TYPE_CHECKING, Any

from arawn.events import ImageDone, Notice

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_PICTURE = 32 << 20
"""Bytes of the largest picture that is kept."""
_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def picture_of(
    written: str, media_type: str = "image/png", extra: Mapping[str, Any] | None = None
) -> ImageDone | Notice:
    """Return the picture that base64, a data URL or an https address says; a Notice where it says none.

    Nothing is fetched. ``media_type`` is that of plain base64.
    """
    if written.startswith(("https://", "http://")):
        return ImageDone(url=written, extra=extra)
    if written.startswith("data:"):
        head, _, written = written[5:].partition(",")
        media_type, _, coding = head.lower().partition(";")
        media_type = "image/jpeg" if media_type == "image/jpg" else media_type
        if "base64" not in coding.split(";"):
            return _left_out("is not written in base64")
    if media_type not in _TYPES:
        return _left_out("is of an unknown type")
    if len(written) // 4 * 3 > MAX_PICTURE:
        return _left_out(f"has more than {MAX_PICTURE:,} bytes")
    try:
        data = a2b_base64(written, strict_mode=True)
    except (Error, ValueError):
        return _left_out("is not valid base64")
    return ImageDone(data, media_type, extra=extra) if data else _left_out("is empty")


def _left_out(why: str) -> Notice:
    return Notice("dropped", f"a picture of the answer is left out: it {why}")
