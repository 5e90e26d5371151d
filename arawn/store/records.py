"""What the store returns: a session, its messages, a hit of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from arawn.values import Value

if TYPE_CHECKING:
    from decimal import Decimal

    from arawn.messages import Message, Usage

Status: TypeAlias = Literal["complete", "partial", "incomplete", "error"]
"""How a message ended.

``complete``: with its whole answer. ``partial``: the reader stopped it, or its process died. ``incomplete``: the
stream broke, or the backend failed in the middle. ``error``: nothing came; its metadata says why.
"""


class SessionInfo(Value, kw_only=True):
    """A conversation, without its messages. Times are seconds since the epoch.

    ``name`` is the user's, empty for none; ``system`` its own system prompt. A branch has its ``parent`` and how many
    of its turns it began with. Turns up to the number ``summarised`` are sent as ``summary``. ``usage`` and ``cost``
    (USD; None: not known) are of every answer, also those undone.
    """

    id: str
    name: str
    title: str
    created: float
    updated: float
    backend: str
    model: str
    system: str
    parent: str | None
    branched_at: int | None
    summary: str
    summarised: int
    usage: Usage
    cost: Decimal | None
    turns: int = 0
    last_text: str = ""


class Entry(Value, kw_only=True):
    """A saved message: the user's at ``position`` 0 of its turn, what follows after it.

    ``written`` is when, in seconds since the epoch; the store sets it. ``backend`` and ``model`` are those that
    answered, or were to. ``usage`` and ``cost`` (USD) are of an answer.
    """

    message: Message
    turn: int
    position: int = 0
    status: Status = "complete"
    written: float = 0.0
    backend: str = ""
    model: str = ""
    finish_reason: str = ""
    raw_finish_reason: str = ""
    usage: Usage | None = None
    cost: Decimal | None = None


class Transcript(Value):
    """A whole conversation, oldest message first."""

    info: SessionInfo
    entries: tuple[Entry, ...]

    @property
    def last_asked(self) -> tuple[str, str] | None:
        """The backend and model that the last question went to."""
        questions = [entry for entry in self.entries if not entry.position]
        return (questions[-1].backend, questions[-1].model) if questions else None


class Hit(Value, kw_only=True):
    """Where a search found something: ``found`` stands between ``before`` and ``after`` on one line."""

    session: str
    title: str
    turn: int
    role: str
    written: float
    before: str
    found: str
    after: str
