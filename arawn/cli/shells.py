"""What the completion scripts of all shells have in common.

Commands, options and choices are spelled out in a script, so that a Tab starts no Python. Only names that live in the
configuration (backends, models, keys) are asked for, from ``arawn __complete``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEADER = "# Completion of arawn for {0}. Made from the command tree by `make generate`; do not edit."


def fill(template: str, shell: str, **blocks: Iterable[str]) -> str:
    """Put lines where the template has @NAME@, as far to the right as that stands; @HEADER@ is the same for all."""
    blocks["header"] = [_HEADER.format(shell)]

    def indented(found: re.Match[str]) -> str:
        return "\n".join((found[1] + line).rstrip() for line in blocks[found[2].lower()])

    return re.sub(r"^( *)@([A-Z]+)@$", indented, template, flags=re.MULTILINE)
