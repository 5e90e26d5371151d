"""The prefix of a conversation: what stands in a request before its newest message.

Providers cache prefixes, and some check the signature of thinking against the very system prompt, tools and messages
before it: where one of them changed, they answer 400. A signature also names the thinking before it, of which some may
be missing at the start and none in the middle
(https://platform.claude.com/docs/en/build-with-claude/preserved-thinking/prefix-checks). So a conversation only grows
at its end, and what was sent is sent again unchanged. A change of model, system prompt, tools or JSON Schema begins a
new prefix, and so does compaction.

Each answer remembers the prefix it was given under. What was signed in it goes back as long as just this stands before
it, and is left out otherwise, for every provider: those that check nothing make little use of it. Since that depends on
nothing else, one prefix is always followed by the same signatures: a conversation that returns to it (to its old system
prompt or model) sends what was signed for it again. Two processes that ask in one session at the same time do not know
each other's turns: what was signed beside one does not go back either.
"""

from __future__ import annotations

from binascii import crc32
from json import dumps
from typing import TYPE_CHECKING, Any

from arawn.messages import ProviderItem, Reasoning, Role
from arawn.values import Value, as_dict, replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arawn.messages import ChatRequest, Message, Part

_KEY = "prefix"
"""The key in an answer's metadata."""
_NAMES = {"system": "system prompt", "tools": "tools", "schema": "schema"}
"""What of a prefix is named where it changed."""


class Prefix(Value):
    """Which prefix: ``model`` as ``backend/model``, and marks of the other parts, empty for none.

    ``dropped`` stands for the summary that is sent in place of the first turns, and for their number; ``after`` is the
    store's number of the last turn that is sent, 0 for none.
    """

    model: str
    system: str = ""
    tools: str = ""
    schema: str = ""
    dropped: str = ""
    after: int = 0

    @classmethod
    def of(cls, request: ChatRequest, *, backend: str, summary: str, dropped_turns: int) -> Prefix:
        """Return the prefix of a request that is complete."""
        system = "\n".join(message.text for message in request.messages if message.role is Role.SYSTEM)
        tools = dumps([as_dict(tool) for tool in request.tools], default=dict) if request.tools else ""
        schema = dumps(as_dict(request.output), default=dict) if request.output else ""
        dropped = f"{dropped_turns}\n{summary}" if dropped_turns else ""
        return cls(f"{backend}/{request.model}", _mark(system), _mark(tools), _mark(schema), _mark(dropped))

    @classmethod
    def recorded_in(cls, messages: Sequence[Message]) -> Prefix | None:
        """Return the prefix that the last answer of a turn remembers; None where none does."""
        found: Any = next((message.metadata[_KEY] for message in reversed(messages) if _KEY in message.metadata), None)
        return None if found is None else cls(**{key: found[key] for key in cls.__match_args__ if key in found})

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What an answer remembers of it."""
        return {_KEY: as_dict(self)}

    def notice_after(self, earlier: Prefix | None, *, drops: bool) -> str:
        """Return what to say where this one follows another; empty for nothing. ``drops`` says that records go."""
        now, before = as_dict(self), as_dict(earlier or self)
        if changed := [f"the {name}" for key, name in _NAMES.items() if now[key] != before[key]]:
            begins = "a new prefix begins, and what was cached or signed for the old one is not used"
            return f"{' and '.join(changed)} changed: {begins}"
        if not drops or (earlier is not None and earlier.dropped != self.dropped):
            return ""  # compaction says so itself
        why = "it is not known what they were signed for"
        if earlier is not None:
            what = "model" if earlier.model != self.model else "course of the conversation"
            why = f"they were signed for another {what}"
        return f"reasoning and tool records of earlier turns not sent: {why}"


def drop_records(message: Message, backend: str) -> Message:
    """Return a message without what ``backend`` signed, for another prefix; what others signed, adapters leave out."""
    return replace(message, parts=tuple(part for part in message.parts if not _is_record(part, backend)))


def _is_record(part: Part, backend: str) -> bool:
    match part:
        case Reasoning(signature=signature, item=item, owner=owner):
            is_signed = bool(signature) or (item is not None and len(item) > 1)  # a type alone is an adapter's mark
            return owner == backend and is_signed
        case ProviderItem(owner=owner):
            return owner == backend
        case _:
            return False


def _mark(text: str) -> str:
    """Return what tells a text from the one before it; no import of a hash function, which costs 3 ms at each start."""
    data = text.encode("utf-8", "surrogatepass")
    return f"{len(data)}-{crc32(data):08x}" if data else ""
