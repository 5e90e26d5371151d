"""Files attached to a message: by /file, by --file, or in the message itself as @path."""

from __future__ import annotations

import os
import re
from glob import glob
from typing import TYPE_CHECKING

from arawn.attachments.files import attachment, compose
from arawn.messages import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arawn.messages import Part, Text

_MENTION = re.compile(r'(?<!\S)@(?:"([^"\n]+)"|(\S+))')
_PUNCTUATION = ".,;:!?)]}'\""


class Attachments:
    """The files of the next message; each is read when it is added."""

    def __init__(self) -> None:
        self._parts: dict[str, Text | Image] = {}

    @property
    def descriptions(self) -> tuple[str, ...]:
        """Path, size and type of each file."""
        return tuple(_describe(path, part) for path, part in self._parts.items())

    def add(self, pattern: str) -> tuple[str, ...]:
        """Read a file, or all files that match a pattern; return their descriptions. Raises UsageError."""
        named = os.path.expanduser(pattern)
        paths = [named] if os.path.exists(named) else sorted(path for path in glob(named) if os.path.isfile(path))
        read = {path: attachment(path) for path in paths or [named]}
        self._parts |= read
        return tuple(_describe(path, part) for path, part in read.items())

    def clear(self) -> None:
        """Remove all files."""
        self._parts.clear()

    def message(self, text: str) -> tuple[Part, ...]:
        """Return the parts of a message with this text and all files. Raises UsageError for an unreadable one."""
        for path in mentioned_files(text):
            self.add(path)
        return compose(list(self._parts.values()), text)


def mentioned_files(text: str) -> Iterator[str]:
    """Yield the existing files that a text names as ``@path`` or ``@"a path"``; anything else stays text."""
    for quoted, plain in _MENTION.findall(text):
        for path in (quoted or plain, plain.rstrip(_PUNCTUATION)):
            if path and os.path.isfile(os.path.expanduser(path)):
                yield path
                break


def _describe(path: str, part: Text | Image) -> str:
    size = len(part.data if isinstance(part, Image) else part.text.encode("utf-8", "replace"))
    kind = f", {part.media_type}" if isinstance(part, Image) else ""
    return f"{path} ({size:,} bytes{kind})"
