"""The base of all adapters, which speak JSON over HTTP: their calls, their lists of models, their failures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from arawn.adapters.base import HttpCall, path_for
from arawn.adapters.payload import malformed, render_body

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from arawn.adapters.answer_parser import AnswerParser
    from arawn.adapters.base import Quirks
    from arawn.adapters.chat_body import ChatBody
    from arawn.errors import ArawnError
    from arawn.events import Notice, StreamEvent
    from arawn.messages import ChatRequest, ModelCard


class HttpAdapter:
    """The base of adapters. ``backend`` is the name that answers and errors carry."""

    def __init__(self, backend: str, quirks: Quirks) -> None:
        self._backend = backend
        self._quirks = quirks

    def parse_failure(self, status: int, headers: Mapping[str, str], body: bytes, model: str) -> ArawnError:
        """Parse an error response; header names are lower case."""
        from arawn.adapters.failures import read_failure

        return read_failure(status, headers, body, backend=self._backend, model=model)

    def _post(
        self, path: str, body: Mapping[str, Any], notices: Sequence[Notice] = (), *, stream: bool = False
    ) -> HttpCall:
        written = render_body(body, backend=self._backend)
        return HttpCall("POST", path, written, self._headers(), dict(self._quirks.query), stream, tuple(notices))

    def _headers(self) -> dict[str, str]:
        return dict(self._quirks.headers)


class ChatAdapter(HttpAdapter, ABC):
    """The base of chat adapters. A subclass names its paths, the class of its bodies and that of its answers."""

    _chat_path: ClassVar[str]
    _models_path: ClassVar[str]
    _models_query: ClassVar[Mapping[str, str]] = {}
    _body: ClassVar[type[ChatBody]]
    _parser: ClassVar[type[AnswerParser]]

    def render_chat(self, request: ChatRequest) -> HttpCall:
        """Describe the call. Raises RequestError for what the protocol cannot carry at all."""
        path = path_for(self._quirks.chat_path or self._chat_path, request.model)
        body = self._body(self._backend, self._quirks, request)
        fields = body.render()  # collects the notices
        return self._post(path, fields, body.notices, stream=request.stream)

    def parse_chat(self, body: bytes) -> Sequence[StreamEvent]:
        """Parse an unstreamed answer into the events that its stream would have had."""
        return self._parser(self._backend, self._quirks).whole(body)

    def stream_parser(self) -> AnswerParser:
        """Return a fresh parser for one streamed answer."""
        return self._parser(self._backend, self._quirks)

    def render_models(self) -> HttpCall:
        """Describe the call that lists the models."""
        path = self._quirks.models_path or self._models_path
        return HttpCall("GET", path, headers=self._headers(), query={**self._models_query, **self._quirks.query})

    def parse_models(self, body: bytes) -> Sequence[ModelCard]:
        """Parse the list of models."""
        try:
            return self._models(body)
        except ValueError as error:
            raise malformed(error, backend=self._backend) from None

    @abstractmethod
    def _models(self, body: bytes) -> Sequence[ModelCard]:
        """Parse the list of models. Raises ValueError where it is malformed."""
