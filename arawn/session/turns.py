"""The turns of a conversation: a user's message with its answer, and an answer while it streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from arawn.errors import ArawnError
from arawn.events import Notice, ResponseBuilder
from arawn.messages import Refusal, Text, Usage
from arawn.models.estimates import tokens
from arawn.session.prefix import Prefix, drop_records
from arawn.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arawn.events import StreamEvent
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

    @property
    def prefix(self) -> Prefix | None:
        """The prefix its answer was given under; None where there is no answer, or it was saved without one."""
        return Prefix.recorded_in(self.messages)

    def without_records(self, backend: str) -> Turn:
        """Return it without what a backend signed."""
        return replace(self, messages=tuple(drop_records(message, backend) for message in self.messages))


class Sent(NamedTuple):
    """What is sent of earlier turns; the next answer is given under ``prefix``, and ``notice`` says what changed."""

    messages: list[Message]
    prefix: Prefix
    notice: str


def sent_turns(turns: Iterable[Turn], prefix: Prefix, backend: str) -> Sent:
    """Return what is sent of turns to a backend; ``prefix`` is that before the first."""
    messages: list[Message] = []
    drops, notice = False, ""
    for turn in turns:
        goes_on = turn.prefix == prefix
        sendable = turn.sendable if goes_on else turn.without_records(backend).sendable
        if sendable:
            drops = drops or sendable != turn.sendable
            notice = "" if goes_on else prefix.notice_after(turn.prefix, drops=drops)
            messages += sendable
            prefix = replace(prefix, after=turn.number)
    return Sent(messages, prefix, notice)


class StreamedAnswer:
    """An answer while it streams: what has come of it, and how it ended.

    ``prefix`` is what it is given under, None where that is not known: another backend or model may have answered.
    """

    def __init__(self, backend: str, model: str) -> None:
        self._builder = ResponseBuilder(backend, model)
        self.request: ChatRequest | None = None
        self.prefix: Prefix | None = None
        self.ended = False

    def add(self, event: StreamEvent) -> None:
        """Add the next event."""
        self._builder.add(event)
        if isinstance(event, Notice) and event.kind == "fallback":
            self.prefix = None

    def response(self, partial: Response | None = None) -> Response:
        """Return what has come, or a partial answer that an error holds; its metadata names the prefix."""
        response = partial or self._builder.response()
        if self.prefix is None:
            return response
        metadata = {**response.message.metadata, **self.prefix.metadata}
        return replace(response, message=replace(response.message, metadata=metadata))

    def end(self, error: BaseException | None) -> tuple[Response, Status]:
        """Return what came and how it ended; the metadata of an incomplete one says why."""
        self.ended = True
        response = self._with_usage(self.response(error.partial if isinstance(error, ArawnError) else None))
        if error is None:
            return response, "complete"
        status: Status = "partial"
        mark = {PARTIAL: "stopped"}
        if isinstance(error, ArawnError):
            status = "incomplete" if response.message.parts else "error"
            mark = {PARTIAL: error.kind, "error": error.message}
        metadata = {**response.message.metadata, **mark}
        return replace(response, message=replace(response.message, metadata=metadata)), status

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
