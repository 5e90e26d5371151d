"""What is asked: the words, standard input and files of a command line, made into messages."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from arawn.errors import UsageError
from arawn.files import media_type, read_file
from arawn.messages import Image, Message, Role, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.messages import Part

MAX_INPUT = 32 << 20


def read_prompt(words: Sequence[str], files: Sequence[str]) -> Message:
    """Return the user's message: the words, a blank line, standard input; then the files in order.

    ``-`` as the only word means standard input alone. Raises UsageError when there is nothing to ask.
    """
    typed = "" if list(words) == ["-"] else " ".join(words)
    piped = standard_input(expected=list(words) == ["-"])
    text = "\n\n".join(part for part in (typed, piped) if part.strip())
    parts = compose([attachment(path) for path in files], text)
    if not parts:
        raise UsageError("nothing to ask", hints=['arawn ask "your question"', "or pipe text into: arawn ask -"])
    return Message(Role.USER, parts)


def compose(attached: Sequence[Text | Image], text: str) -> tuple[Part, ...]:
    """Return the parts of a message: images, then the text of files, a blank line, and the text itself."""
    texts = [*[part.text for part in attached if isinstance(part, Text)], *([text] if text else [])]
    images = [part for part in attached if isinstance(part, Image)]
    return (*images, *([Text("\n\n".join(texts))] if texts else []))


def standard_input(*, expected: bool) -> str:
    """Read standard input when it is a pipe or a file, or when it was asked for by ``-``."""
    try:
        is_device = stat.S_ISCHR(os.fstat(0).st_mode)
    except OSError:
        return ""
    if is_device and not expected:
        return ""
    with open(0, "rb", closefd=False) as stream:
        data = stream.read(MAX_INPUT + 1)
    if len(data) > MAX_INPUT:
        raise UsageError(f"standard input is larger than {MAX_INPUT >> 20} MiB")
    return _decoded(data, "standard input").removesuffix("\n")


def read_text(path: str) -> str:
    """Return a text file without its last line end. Raises UsageError for anything else."""
    return _decoded(read_file(path, MAX_INPUT), path).removesuffix("\n")


def attachment(path: str) -> Text | Image:
    """Return a file as it goes into a message: a text with its name, or an image. Raises UsageError."""
    data = read_file(path, MAX_INPUT)
    kind = media_type(data)
    if kind:
        return Image(data, kind)
    return Text(f'<file path="{path}">\n{_decoded(data, path).removesuffix(chr(10))}\n</file>')


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(
            f"{name} is neither UTF-8 text nor a PNG, JPEG, GIF or WebP image", hints=["convert it to text first"]
        ) from None
