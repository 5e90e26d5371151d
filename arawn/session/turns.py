"""The turns of a conversation: a user's message with its answer, and an answer while it streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.errors import ArawnError
from arawn.events import ResponseBuilder
from arawn.messages import Refusal, Text, Usage
from arawn.models.estimates import tokens
from arawn.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arawn.messages import ChatRequest, Message, Response
    from arawn.store.records import Entry, Status

PARTIAL = "partial"
"""The key in a message's metadata that says why it is not complete: ``stopped``, or the kind of the error."""
LONGEST_TITLE = 60


class Turn(Value):
    """A user's message and what was answered to it; ``number`` is its number in the store, 0 where it is not saved."""

    messages: tuple[Message, ...]
    number: int = 0

    @property
    def question(self) -> Message:
        """The user's message."""
        return self.messages[0]

    @property
    def answer(self) -> Message | None:
        """The last message of the answer, None before there is one."""
        return self.messages[-1] if len(self.messages) > 1 else None

    @property
    def sendable(self) -> tuple[Message, ...]:
        """What is sent of it later: of an incomplete answer only the text, of a turn without an answer nothing."""
        answer = self.answer
        if answer is not None and PARTIAL in answer.metadata:
            answer = replace(answer, parts=tuple(part for part in answer.parts if isinstance(part, Text | Refusal)))
        return (*self.messages[:-1], answer) if answer is not None and answer.parts else ()


class StreamedAnswer:
    """An answer while it streams: what has come of it, and how it ended."""

    def __init__(self, backend: str, model: str) -> None:
        self.builder = ResponseBuilder(backend, model)
        self.request: ChatRequest | None = None
        self.ended = False

    def end(self, error: BaseException | None) -> tuple[Response, Status]:
        """Return what came and how it ended; the metadata of an incomplete one says why."""
        self.ended = True
        partial = error.partial if isinstance(error, ArawnError) else None
        response = self._with_usage(partial or self.builder.response())
        if error is None:
            return response, "complete"
        status: Status = "partial"
        mark = {PARTIAL: "stopped"}
        if isinstance(error, ArawnError):
            status = "incomplete" if response.message.parts else "error"
            mark = {PARTIAL: error.kind, "error": error.message}
        return replace(response, message=replace(response.message, metadata=mark)), status

    def _with_usage(self, response: Response) -> Response:
        """Estimate the usage where the backend reported none."""
        if self.request is None or response.usage != Usage(estimated=True):
            return response
        sent, received = tokens(self.request.messages), tokens([response.message])
        return replace(response, usage=Usage(sent, received, estimated=True))


def turns_of(entries: Iterable[Entry]) -> list[Turn]:
    """Return the turns of a saved conversation."""
    turns: dict[int, list[Message]] = {}
    for entry in entries:
        messages = turns.setdefault(entry.turn, [])
        if entry.status == "complete":
            messages.append(entry.message)
        elif entry.message.parts:
            messages.append(replace(entry.message, metadata={PARTIAL: "stopped", **entry.message.metadata}))
    return [Turn(tuple(messages), number) for number, messages in turns.items()]


def first_line(text: str) -> str:
    """Return the first line that is not empty, cut to the length of a title at the end of a word."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in line).split())
    if len(line) <= LONGEST_TITLE:
        return line
    cut = line[:LONGEST_TITLE]
    return (cut.rpartition(" ")[0] or cut[:-1]) + "…"
