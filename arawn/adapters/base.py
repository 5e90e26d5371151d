"""What an adapter is: one wire protocol, pure. Values become a described HTTP call, bytes become events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from arawn.values import EMPTY, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from arawn.errors import ArawnError
    from arawn.events import Notice, StreamEvent
    from arawn.messages import ChatRequest, Embeddings, ModelCard


class HttpCall(Value):
    """A request described, not sent. ``path`` begins with ``/`` and follows the backend's ``base_url``.

    ``headers`` never hold a credential: the backend adds it, as late as possible. ``notices`` say what of the request
    this wire could not carry.
    """

    method: Literal["GET", "POST"]
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = EMPTY
    query: Mapping[str, str] = EMPTY
    stream: bool = False
    notices: tuple[Notice, ...] = ()


class Quirks(Value, kw_only=True):
    """How one service deviates from its protocol, as data; each field is a key of a ``[backends.NAME]`` table.

    A field left empty means: as the adapter's protocol has it.
    """

    chat_path: str = ""  # may hold {model}
    models_path: str = ""
    embeddings_path: str = ""  # may hold {model}
    headers: Mapping[str, str] = EMPTY
    query: Mapping[str, str] = EMPTY
    max_tokens_key: str = ""
    default_max_tokens: int | None = None  # for protocols that insist on a number
    system_role: str = ""
    stream_usage: bool = True
    effort_key: str = ""  # "reasoning_effort", or "reasoning" for an object with an effort in it
    json_schema: bool = True  # false: the service knows only {"type": "json_object"}
    sampling: bool = True  # false: temperature and top_p are refused
    adaptive_thinking: bool = False  # true: an effort word, no budget in tokens
    output_includes_reasoning: bool = True  # false: the service counts reasoning tokens beside the output
    extra: Mapping[str, Any] = EMPTY


def path_for(template: str, model: str) -> str:
    """Return a path with its ``{model}`` filled in; paths without one are as they are."""
    if "{model}" not in template:
        return template
    from urllib.parse import quote

    return template.replace("{model}", quote(model, safe=""))


class StreamParser(Protocol):
    """Turns the bytes of one streamed answer into events; the same events however the bytes were cut."""

    def feed(self, data: bytes) -> Iterable[StreamEvent]:
        """Take in the next bytes. Raises what the stream reports as its error, and ProtocolError for a bad event."""
        ...

    def close(self) -> Iterable[StreamEvent]:
        """Say that the bytes have ended. Raises StreamInterruptedError when the answer had not."""
        ...


class Adapter(Protocol):
    """One wire protocol. ``backend`` is the name the answers, errors and owned parts carry."""

    def __init__(self, backend: str, quirks: Quirks) -> None: ...

    def render_chat(self, request: ChatRequest) -> HttpCall:
        """Describe the call. Raises RequestError for what no version of this wire can carry."""
        ...

    def parse_chat(self, body: bytes) -> Iterable[StreamEvent]:
        """Read an unstreamed answer as the events its stream would have had."""
        ...

    def stream_parser(self) -> StreamParser:
        """Return a fresh parser for one streamed answer."""
        ...

    def parse_failure(self, status: int, headers: Mapping[str, str], body: bytes, model: str) -> ArawnError:
        """Read an answer that is not a success; header names are lower case."""
        ...

    def render_models(self) -> HttpCall:
        """Describe the call that lists the models."""
        ...

    def parse_models(self, body: bytes) -> Sequence[ModelCard]:
        """Read the list of models."""
        ...


class EmbeddingAdapter(Protocol):
    """The embedding half of a wire protocol."""

    def __init__(self, backend: str, quirks: Quirks) -> None: ...

    def render_embed(self, model: str, texts: Sequence[str], dimensions: int | None) -> HttpCall:
        """Describe the call; ``dimensions`` asks for shorter vectors where the model can."""
        ...

    def parse_embed(self, body: bytes) -> Embeddings:
        """Read the vectors, in the order of the texts."""
        ...

    def parse_failure(self, status: int, headers: Mapping[str, str], body: bytes, model: str) -> ArawnError:
        """Read an answer that is not a success; header names are lower case."""
        ...
