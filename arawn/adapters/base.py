"""The interfaces of adapters. An adapter is one wire protocol, without I/O: requests become calls, bytes events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from arawn.adapters.rules import ModelRules
from arawn.values import EMPTY, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from arawn.errors import ArawnError
    from arawn.events import Notice, StreamEvent
    from arawn.messages import ChatRequest, Embeddings, ModelCard


class HttpCall(Value):
    """An HTTP request described, not sent. ``path`` begins with ``/`` and follows the backend's ``base_url``.

    ``headers`` never hold a credential: the backend adds it when it sends. ``notices`` list what of the request the
    protocol cannot carry.
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

    An empty field means the default of the protocol.
    """

    chat_path: str = ""  # may hold {model}
    models_path: str = ""
    embeddings_path: str = ""  # may hold {model}
    headers: Mapping[str, str] = EMPTY
    query: Mapping[str, str] = EMPTY
    max_tokens_key: str = ""
    default_max_tokens: int | None = None  # for protocols that require a number
    system_role: str = ""
    stream_usage: bool = True
    effort_key: str = ""  # "reasoning_effort", or "reasoning" for an object with an effort in it
    json_schema: bool = True  # false: the service knows only {"type": "json_object"}
    prompt_cache: str = ""  # how long prefixes are cached on request: "5m", "1h", "off"; empty: by the model's rules
    cache_key: str = ""  # the key of the body that keeps a conversation where its prefix is cached
    output_includes_reasoning: bool = True  # false: the service counts reasoning tokens separately
    tool_call_id_length: int | None = None  # letters and digits of the ids of tool calls, where a service insists
    reasoning_tag: str = ""  # "reasoning": the text of an answer opens with thoughts in <reasoning>
    extra: Mapping[str, Any] = EMPTY
    rules: ModelRules = ModelRules()  # those of the model a call is for


def path_for(template: str, model: str) -> str:
    """Return a path with ``{model}`` replaced by the quoted model."""
    if "{model}" not in template:
        return template
    from urllib.parse import quote

    return template.replace("{model}", quote(model, safe=""))


class StreamParser(Protocol):
    """Turns the bytes of one streamed answer into events, which do not depend on how the bytes were split."""

    def feed(self, data: bytes) -> Iterable[StreamEvent]:
        """Parse the next bytes. Raises the error that the stream reports, and ProtocolError for a malformed event."""
        ...

    def close(self) -> Iterable[StreamEvent]:
        """Signal the end of the bytes. Raises StreamInterruptedError when the answer is not complete."""
        ...


class Adapter(Protocol):
    """One wire protocol. ``backend`` is the name in its answers, errors and owned parts."""

    def __init__(self, backend: str, quirks: Quirks) -> None: ...

    def render_chat(self, request: ChatRequest) -> HttpCall:
        """Describe the call. Raises RequestError for what the protocol cannot carry at all."""
        ...

    def parse_chat(self, body: bytes) -> Iterable[StreamEvent]:
        """Parse an unstreamed answer into the events that its stream would have had."""
        ...

    def stream_parser(self) -> StreamParser:
        """Return a fresh parser for one streamed answer."""
        ...

    def parse_failure(self, status: int, headers: Mapping[str, str], body: bytes, model: str) -> ArawnError:
        """Parse an error response; header names are lower case."""
        ...

    def render_models(self) -> HttpCall:
        """Describe the call that lists the models."""
        ...

    def parse_models(self, body: bytes) -> Sequence[ModelCard]:
        """Parse the list of models."""
        ...


class EmbeddingAdapter(Protocol):
    """The embeddings part of a wire protocol."""

    def __init__(self, backend: str, quirks: Quirks) -> None: ...

    def render_embed(self, model: str, texts: Sequence[str], dimensions: int | None) -> HttpCall:
        """Describe the call; ``dimensions`` requests shorter vectors from models that support it."""
        ...

    def parse_embed(self, body: bytes) -> Embeddings:
        """Parse the vectors, in the order of the texts."""
        ...

    def parse_failure(self, status: int, headers: Mapping[str, str], body: bytes, model: str) -> ArawnError:
        """Parse an error response; header names are lower case."""
        ...
