"""The base of the bodies of chat requests: the parts that every protocol writes alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from arawn.adapters.payload import parse_object
from arawn.errors import RequestError
from arawn.events import Notice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arawn.adapters.base import Quirks
    from arawn.messages import ChatRequest, Image, Text, ToolCall


class ChatBody(ABC):
    """Writes the body of one request, and notes what of it the protocol cannot carry."""

    def __init__(self, backend: str, quirks: Quirks, request: ChatRequest) -> None:
        self._backend = backend
        self._quirks = quirks
        self._request = request
        self._dropped: dict[str, str] = {}

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What was left out, once each; complete after ``render``."""
        return tuple(
            Notice("dropped", f'{what} not sent to backend "{self._backend}": {why}')
            for what, why in self._dropped.items()
        )

    def render(self) -> dict[str, Any]:
        """Write the body. Keys of ``extra`` override, the request's those of the backend."""
        return self._fields() | dict(self._quirks.extra) | dict(self._request.extra)

    @abstractmethod
    def _fields(self) -> dict[str, Any]:
        """Write the body without ``extra``."""

    def _drop(self, what: str, why: str) -> None:
        self._dropped[what] = why

    def _drop_records(self) -> None:
        self._drop("the reasoning and tool records of another backend", "only the one that made them reads them")

    def _own(self, item: Mapping[str, Any], owner: str) -> dict[str, Any] | None:
        """Return an item that only the backend which made it can read, None where that is another one."""
        if owner == self._backend:
            return dict(item)
        self._drop_records()
        return None

    def _extra(self, part: Text | Image | ToolCall) -> dict[str, Any]:
        """Return the fields of a part that go back to the backend which made it, nothing for any other."""
        return {} if part.extra is None else self._own(part.extra, part.owner) or {}

    def _is_custom(self, call: ToolCall) -> bool:
        """Whether a call goes back as one of a custom tool; to another backend it is a function with one argument."""
        return call.custom and call.owner == self._backend

    @property
    def _max_tokens(self) -> int | None:
        given = self._request.max_tokens
        return self._quirks.default_max_tokens if given is None else given

    def _sampling(self, *, thinks: bool = False) -> dict[str, Any]:
        """Return temperature and top_p, where the model takes them; no model does that ``thinks``."""
        pairs = (("temperature", self._request.temperature), ("top_p", self._request.top_p))
        given = {key: value for key, value in pairs if value is not None}
        if given and (thinks or not self._quirks.sampling):
            self._drop(" and ".join(given), "a thinking model takes none" if thinks else "its models take none")
            return {}
        return given

    def _schema(self) -> Mapping[str, Any] | None:
        """Return the JSON Schema of the answer, None where the service is asked for any JSON object."""
        schema = self._request.output.schema if self._request.output is not None else None
        if schema is not None and not self._quirks.json_schema:
            self._drop("the JSON Schema", "it only knows how to answer with some JSON object")
            return None
        return schema

    def _arguments(self, call: ToolCall) -> dict[str, Any]:
        """Return the arguments of a tool call as an object. Raises RequestError where they are none."""
        if call.custom:
            return {"input": call.arguments}
        text = call.arguments.strip()
        if text in {"", "null"}:  # both are written for a tool without parameters
            return {}
        try:
            return parse_object(text)
        except ValueError:
            raise RequestError(
                f'The arguments of the tool call "{call.name}" are not a JSON object',
                hints=("Leave this call out of the conversation: its answer was probably cut off",),
                backend=self._backend,
            ) from None
