"""What every adapter of JSON over HTTP does in the same way: describe its calls, and read its failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from arawn.adapters.base import HttpCall, path_for
from arawn.adapters.payload import render_body

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from arawn.adapters.base import Quirks
    from arawn.errors import ArawnError
    from arawn.events import Notice
    from arawn.messages import ChatRequest


class Rendering(Protocol):
    """One request being written; its notices are complete once its body is."""

    notices: list[Notice]

    def body(self) -> Mapping[str, Any]:
        """Write the body."""
        ...


class Wire:
    """The base of adapters. ``backend`` is the name that answers and errors carry."""

    def __init__(self, backend: str, quirks: Quirks) -> None:
        self._backend = backend
        self._quirks = quirks

    def parse_failure(self, status: int, headers: Mapping[str, str], body: bytes, model: str) -> ArawnError:
        """Read an answer that is not a success; header names are lower case."""
        from arawn.adapters.failures import read_failure

        return read_failure(status, headers, body, backend=self._backend, model=model)

    def _post(
        self, path: str, body: Mapping[str, Any], notices: Sequence[Notice] = (), *, stream: bool = False
    ) -> HttpCall:
        written = render_body(body, backend=self._backend)
        return HttpCall("POST", path, written, self._headers(), dict(self._quirks.query), stream, tuple(notices))

    def _headers(self) -> dict[str, str]:
        return dict(self._quirks.headers)


class ChatWire(Wire):
    """The base of adapters that chat and list models; a subclass names the paths of its protocol."""

    _chat_path: ClassVar[str] = ""
    _models_path: ClassVar[str] = ""
    _models_query: ClassVar[Mapping[str, str]] = {}

    def render_models(self) -> HttpCall:
        """Describe the call that lists the models."""
        path = self._quirks.models_path or self._models_path
        return HttpCall("GET", path, headers=self._headers(), query={**self._models_query, **self._quirks.query})

    def _chat_call(self, rendering: Rendering, request: ChatRequest) -> HttpCall:
        path = path_for(self._quirks.chat_path or self._chat_path, request.model)
        body = rendering.body()
        return self._post(path, body, rendering.notices, stream=request.stream)
