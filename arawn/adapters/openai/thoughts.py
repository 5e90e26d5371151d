"""Thoughts that a service writes into the content of its answer, between tags.

They are separated from text only where the service itself marks them. Gemini marks each delta with
``extra_content.google.thought`` (ai.google.dev/gemini-api/docs/openai, "Thinking"); others open the answer with a tag,
which the ``reasoning_tag`` of the backend names (Amazon Bedrock: gpt-oss).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.events import ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_GOOGLE_TAG = "thought"


class ContentThoughts:
    """Separates thoughts from text; ``is_open`` while the next content may be, or end, a thought."""

    def __init__(self, tag: str) -> None:
        self.is_open = bool(tag)
        self._tag = tag
        self._inside = False
        self._held = ""  # what may become a tag

    def take(self, content: str, *, marked: bool) -> Iterator[TextDelta | ReasoningDelta]:
        """Yield the pieces of a delta's content; ``marked`` means that its service calls it a thought."""
        if marked and not self._inside:
            self._begin(_GOOGLE_TAG)
            content = content.removeprefix(f"<{_GOOGLE_TAG}>")
        elif self._inside and self._tag == _GOOGLE_TAG and not marked and f"</{_GOOGLE_TAG}>" not in content:
            self._inside = self.is_open = False
        text = self._held + content
        self._held = ""
        if self.is_open and not self._inside:
            opening = f"<{self._tag}>"
            begun = text.lstrip()
            if len(begun) < len(opening) and opening.startswith(begun):
                self._held = text
                return
            if begun.startswith(opening):
                self._begin(self._tag)
                text = begun.removeprefix(opening)
            else:
                self.is_open = False
        yield from self._pieces(text)

    def close(self) -> Iterator[TextDelta | ReasoningDelta]:
        """Yield what is still held: it was no tag."""
        held, self._held = self._held, ""
        if held:
            yield ReasoningDelta(held) if self._inside else TextDelta(held)

    def _begin(self, tag: str) -> None:
        self._tag, self._inside, self.is_open = tag, True, True

    def _pieces(self, text: str) -> Iterator[TextDelta | ReasoningDelta]:
        if self._inside:
            closing = f"</{self._tag}>"
            thought, found, text = text.partition(closing)
            if found:
                self._inside = self.is_open = False
            elif self._tag != _GOOGLE_TAG:
                kept = next(n for n in range(len(closing) - 1, -1, -1) if thought.endswith(closing[:n]))
                thought, self._held = thought[: len(thought) - kept], thought[len(thought) - kept :]
            if thought:
                yield ReasoningDelta(thought)
        if text:
            yield TextDelta(text)


def is_marked(delta: Mapping[str, Any]) -> bool:
    """Whether Gemini marks a delta as a thought."""
    extra = delta.get("extra_content")
    google = extra.get("google") if type(extra) is dict else None
    return type(google) is dict and google.get("thought") is True
