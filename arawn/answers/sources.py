"""The sources of an answer, and the tools that its provider ran, as lines of text for people.

The texts come from other sites, and are not escaped here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arawn.events import ServerToolDone
    from arawn.messages import Citation

MAX_SOURCES = 100
"""Sources that are shown."""
_MAX_TITLE, _MAX_URL = 200, 2000
_MAX_TOOL_TEXT = 100
"""Characters that are shown of what a tool gave back."""


def source_lines(citations: Iterable[Citation]) -> list[str]:
    """Return a line for each source: its number, title and address; of very many the first ones."""
    found: dict[int, tuple[str, str]] = {}
    for citation in citations:
        title, url = found.get(citation.index, ("", ""))
        found[citation.index] = title or citation.title, url or citation.url
    lines = [
        " ".join(filter(None, (f"[{index}]", title[:_MAX_TITLE], url[:_MAX_URL])))
        for index, (title, url) in sorted(found.items())[:MAX_SOURCES]
    ]
    return lines + [f"… and {len(found) - MAX_SOURCES:,} more"] * (len(found) > MAX_SOURCES)


def server_tool_line(done: ServerToolDone) -> str:
    """Return the line that says that a tool ran: what it printed or found first."""
    first = done.text.partition("\n")[0]
    return f"{done.name}: {first[:_MAX_TOOL_TEXT]}" if first else done.name
