"""Files as parts of a message: a text with its name, or an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.errors import UsageError
from arawn.files import media_type, read_named
from arawn.messages import Image, Text
from arawn.texts import shown_path, without_line_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.messages import Part

MAX_INPUT = 32 << 20
"""The largest file or standard input that is read, in bytes."""


def attachment(path: str) -> Text | Image:
    """Return a file as it goes into a message: a text with its name, or an image. Raises UsageError."""
    return as_part(read_named(path, MAX_INPUT), shown_path(path))


def as_part(data: bytes, name: str) -> Text | Image:
    """Return what was read as it goes into a message, with the ``name`` of where it comes from. Raises UsageError."""
    kind = media_type(data)
    if kind:
        return Image(data, kind)
    return Text(f'<file path="{name}">\n{without_line_end(decode(data, name))}\n</file>')


def compose(attached: Sequence[Text | Image], text: str) -> tuple[Part, ...]:
    """Return the parts of a message: images, then the text of files, a blank line, and the text itself."""
    texts = [*[part.text for part in attached if isinstance(part, Text)], *([text] if text else [])]
    images = [part for part in attached if isinstance(part, Image)]
    return (*images, *([Text("\n\n".join(texts))] if texts else []))


def read_text(path: str) -> str:
    """Return a text file without its last line end. Raises UsageError for anything else."""
    return without_line_end(decode(read_named(path, MAX_INPUT), shown_path(path)))


def decode(data: bytes, name: str) -> str:
    """Return bytes as text. Raises UsageError, with the ``name`` of where they come from, when they are none."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(
            f"{name} is neither UTF-8 text nor a PNG, JPEG, GIF or WebP image", hints=["convert it to text first"]
        ) from None
