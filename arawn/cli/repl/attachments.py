"""Files that go along with a message: named by /file, by --file, or in the message itself as @path."""

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
    """The files of the next message, read when they are named."""

    def __init__(self) -> None:
        self._read: dict[str, Text | Image] = {}

    @property
    def described(self) -> tuple[str, ...]:
        """A description of each."""
        return tuple(_described(path, part) for path, part in self._read.items())

    def add(self, pattern: str) -> tuple[str, ...]:
        """Read a file, or all that a pattern matches; return their descriptions. Raises UsageError."""
        named = os.path.expanduser(pattern)
        paths = [named] if os.path.exists(named) else sorted(path for path in glob(named) if os.path.isfile(path))
        read = {path: attachment(path) for path in paths or [named]}
        self._read |= read
        return tuple(_described(path, part) for path, part in read.items())

    def clear(self) -> None:
        """Attach nothing after all."""
        self._read.clear()

    def message(self, text: str) -> tuple[Part, ...]:
        """Return the parts of a message with this text and all its files. Raises UsageError for one not readable."""
        for path in mentioned(text):
            self.add(path)
        return compose(list(self._read.values()), text)


def mentioned(text: str) -> Iterator[str]:
    """Yield the existing files a text names as ``@path`` or ``@"a path"``; what is no file is just text."""
    for quoted, plain in _MENTION.findall(text):
        for path in (quoted or plain, plain.rstrip(_PUNCTUATION)):
            if path and os.path.isfile(os.path.expanduser(path)):
                yield path
                break


def _described(path: str, part: Text | Image) -> str:
    size = len(part.data if isinstance(part, Image) else part.text.encode("utf-8", "replace"))
    kind = f", {part.media_type}" if isinstance(part, Image) else ""
    return f"{path} ({size:,} bytes{kind})"
