"""Messages and all that belongs to them: roles, parts, tools, a request, a response, usage.

All values are frozen. A request says what is wanted in the same terms for every provider; adapters write it as each
protocol wants it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from arawn.values import EMPTY, Value, replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
CITATIONS = "citations"
"""The key in a message's metadata under which its sources stand."""
_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class FinishReason(StrEnum):
    """Why an answer ended, in the same terms for every provider; the provider's own word is kept beside it."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    PAUSE = "pause"
    UNKNOWN = "unknown"


class Text(Value):
    """Visible text. ``extra`` are fields of the block that only its ``owner`` reads; see ``ToolCall``."""

    text: str
    extra: Mapping[str, Any] | None = None
    owner: str = ""


class Image(Value):
    """A picture: its bytes with their media type (``image/png``), or an https URL the provider fetches itself.

    One that a model made has the fields its ``owner`` wants back in ``extra``.
    """

    data: bytes = b""
    media_type: str = ""
    url: str = ""
    extra: Mapping[str, Any] | None = None
    owner: str = ""


class Reasoning(Value):
    """Thinking text. ``owner`` is the backend that made it: no other is sent its ``signature`` or ``item``.

    ``signature`` and ``item`` (a JSON object: redacted thinking, an encrypted reasoning item, ``reasoning_details``)
    go back unchanged; text may be empty where they are present. ``bound_to`` is the only model that takes the
    signature, by the provider's own name; empty where every model of the owner does.
    """

    text: str = ""
    signature: str = ""
    item: Mapping[str, Any] | None = None
    owner: str = ""
    bound_to: str = ""


class Refusal(Value):
    """The model's words for why it will not answer (OpenAI's ``refusal``)."""

    text: str


class ToolCall(Value):
    """The model asks for a tool. ``arguments`` is the JSON text as it came; an empty one means ``{}``.

    ``extra`` are fields that the backend ``owner`` wants back unchanged (a thought signature, a caller) and no other
    backend is sent. A ``custom`` tool takes plain text, which stands in ``arguments`` then.
    """

    id: str
    name: str
    arguments: str = ""
    extra: Mapping[str, Any] | None = None
    owner: str = ""
    custom: bool = False


class ToolResult(Value):
    """What a tool gave back for the call ``call_id``: text and pictures."""

    call_id: str
    content: tuple[Text | Image, ...]
    name: str = ""
    is_error: bool = False


class ProviderItem(Value):
    """A block only its ``owner`` understands (server-side tool use, compaction): kept, and sent back unchanged."""

    item: Mapping[str, Any]
    owner: str = ""


Part: TypeAlias = Text | Image | Reasoning | Refusal | ToolCall | ToolResult | ProviderItem


class Citation(Value):
    """A source that an answer names: ``index`` numbers the sources of the answer from 1, ``text`` is what is cited."""

    index: int
    title: str = ""
    url: str = ""
    text: str = ""


class Message(Value):
    """One message: a role and its parts, in order. Tool results stand in messages of the role TOOL."""

    role: Role
    parts: tuple[Part, ...]
    metadata: Mapping[str, Any] = EMPTY

    @property
    def text(self) -> str:
        """All visible text, joined; what a model refused with counts as text."""
        return "".join(part.text for part in self.parts if isinstance(part, Text | Refusal))

    @property
    def reasoning(self) -> str:
        """All thinking text, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Reasoning))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    @property
    def images(self) -> tuple[Image, ...]:
        """The pictures, in order."""
        return tuple(part for part in self.parts if isinstance(part, Image))

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The sources it names, in order; they are kept in its metadata."""
        return tuple(Citation(**written) for written in self.metadata.get(CITATIONS, ()))


def LLMMessage(role: str, content: str) -> Message:  # noqa: N802 -- a documented name of the public API
    """Make a text message; the short way to write one."""
    return Message(Role(role), (Text(content),))


class Tool(Value):
    """A function the model may ask for; ``parameters`` is a JSON Schema of an object."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = _NO_PARAMETERS
    strict: bool = False


class ToolChoice(Value):
    """``auto``, ``none``, ``required`` (any tool), or ``tool`` with a ``name``."""

    mode: Literal["auto", "none", "required", "tool"] = "auto"
    name: str = ""


class OutputFormat(Value):
    """Ask for JSON: any object where ``schema`` is None, else one that fits the JSON Schema."""

    schema: Mapping[str, Any] | None = None
    name: str = "answer"
    strict: bool = True


class Thinking(Value):
    """How much to reason: an effort word, or a budget in tokens for models that take one."""

    effort: Effort | None = None
    budget_tokens: int | None = None


class Caller(Value):
    """Who makes a call, for the ledger; nothing of it is sent.

    ``role`` is ``llm``, ``indexing`` or ``embeddings``, ``session`` the id of a kept conversation, ``owner`` a client
    of a gateway, ``attempt`` counts the calls before this one that failed. ``fresh`` asks for a new answer even if
    the cache has one. ``lasting`` says that more requests of the conversation are to come, as in a chat.
    """

    role: str = "llm"
    session: str = ""
    owner: str = ""
    attempt: int = 0
    fresh: bool = False
    lasting: bool = False


class ChatRequest(Value):
    """Everything one call asks for. None means the provider's default: the field is not sent.

    ``extra`` holds keys that are added to the body last; ``caller`` is not sent. ``without`` names the parameters that
    the server refused before, so that they are left out, or a limit is sent under its other name.
    """

    model: str
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool | None = None
    output: OutputFormat | None = None
    thinking: Thinking | None = None
    stream: bool = True
    extra: Mapping[str, Any] = EMPTY
    without: frozenset[str] = frozenset()
    caller: Caller = Caller()


class Usage(Value):
    """Tokens of one call, counted the same for every provider.

    ``input_tokens`` includes what was read from and written to the provider's cache, ``output_tokens`` includes
    reasoning. ``estimated`` marks numbers the server did not report. ``cost`` (USD) is what the provider reported, or
    what the tokens cost by its prices; None where no price is known. ``cache_write_1h_tokens`` are those of
    ``cache_write_tokens`` that are kept for an hour, and cost more.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cost: Decimal | None = None
    cache_write_1h_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def counts(self) -> dict[str, int]:
        """The tokens by their names."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cache_read_tokens": self.cache_read_tokens,
            "cache_write_tokens": self.cache_write_tokens,
            "reasoning_tokens": self.reasoning_tokens,
        }

    @classmethod
    def estimate(cls, input_chars: int, output_chars: int) -> Usage:
        """Estimate usage from lengths, at four characters a token."""
        return cls((input_chars + 3) // 4, (output_chars + 3) // 4, estimated=True)

    def marked_estimated(self) -> Usage:
        """Return the same numbers, marked as estimated."""
        return replace(self, estimated=True)


class Response(Value):
    """A complete answer, or as much of one as has come; ``finish_detail`` is the provider's own reason for its end."""

    message: Message
    finish_reason: FinishReason = FinishReason.UNKNOWN
    raw_finish_reason: str = ""
    usage: Usage = Usage(estimated=True)
    model: str = ""
    backend: str = ""
    id: str = ""
    finish_detail: str = ""

    @property
    def text(self) -> str:
        """All visible text."""
        return self.message.text

    @property
    def content(self) -> str:
        """The same as ``text``."""
        return self.message.text

    @property
    def reasoning(self) -> str:
        """All thinking text."""
        return self.message.reasoning

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return self.message.tool_calls

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The sources it names."""
        return self.message.citations


class Embeddings(Value):
    """Vectors in the order of the texts, all of one dimension."""

    vectors: tuple[tuple[float, ...], ...]
    model: str = ""
    usage: Usage = Usage(estimated=True)


class ModelCard(Value):
    """One model in a backend's own list; None where the list does not say."""

    id: str
    context_window: int | None = None
    max_output: int | None = None
    owned_by: str = ""


def joined_text(parts: Sequence[Part]) -> str:
    """Return the text of the text parts, for protocols that take a plain string."""
    return "".join(part.text for part in parts if isinstance(part, Text | Refusal))
