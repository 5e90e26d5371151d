"""Pictures that a model made, as files beside the text of the answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from arawn.files import media_type, write_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.messages import Image

_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp"}
_SYSTEM_FOLDERS = ("/dev/", "/proc/")


def save_pictures(images: Sequence[Image], path: str) -> tuple[str | None, ...]:
    """Write pictures beside a file and return their paths: NAME-1.png, or the next number whose name is free.

    NAME is ``path`` without its suffix. Nothing is written beside a device or a pipe, or for a picture that is only an
    address: their path is None. Raises UsageError or NotSavedError as ``write_output`` does.
    """
    is_file = os.path.isfile(path) or not os.path.lexists(path)
    if not is_file or path.startswith(_SYSTEM_FOLDERS):
        return (None,) * len(images)
    root, number = os.path.splitext(path)[0], 0
    paths: list[str | None] = []
    for image in images:
        paths.append(None)
        if image.data:
            suffix = _SUFFIXES.get(media_type(image.data) or image.media_type, ".bin")
            number += 1
            while os.path.lexists(f"{root}-{number}{suffix}"):
                number += 1
            write_output(f"{root}-{number}{suffix}", image.data)
            paths[-1] = f"{root}-{number}{suffix}"
    return tuple(paths)


def described(image: Image) -> str:
    """Return a picture in a few words: its type and size, or its address."""
    return image.url if not image.data else f"{image.media_type}, {len(image.data):,} bytes"
