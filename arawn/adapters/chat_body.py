"""The base of the bodies of chat requests: the parts that every protocol writes alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from arawn.adapters.output_schema import RequestSchemas
from arawn.adapters.payload import parse_object
from arawn.errors import RequestError
from arawn.events import Notice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arawn.adapters.base import Quirks
    from arawn.adapters.output_schema import ToolSchema
    from arawn.messages import ChatRequest, Tool, ToolCall


class ChatBody(ABC):
    """Writes the body of one request, and notes what of it the protocol cannot carry."""

    _dialect: ClassVar[str] = "openai-strict"
    """The JSON Schema dialect of models whose facts name none."""

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

    @cached_property
    def _schemas(self) -> RequestSchemas:
        """The JSON Schemas of answer and tools, as they are sent."""
        dialect = self._quirks.rules.schema or self._dialect
        return RequestSchemas(self._request, dialect, enforces=self._enforces_schema)

    @property
    def _enforces_schema(self) -> bool:
        """Whether the service takes a JSON Schema for this answer."""
        return self._quirks.json_schema

    @property
    def _schema_in_words(self) -> str:
        """What asks for an answer that fits the schema of the request where that is not sent, else empty."""
        output = self._request.output
        return "" if output is None or output.schema is None else self._schemas.output.instruction

    def _tool_schema(self, tool: Tool) -> ToolSchema:
        """Return the schema of a tool's arguments as it is sent."""
        found = self._schemas.tools[tool.name]
        if tool.strict and not found.strict:
            self._drop(f'strictness of the tool "{tool.name}"', "what it takes as strict cannot say these parameters")
        return found

    def _arguments(self, call: ToolCall) -> dict[str, Any]:
        """Return the arguments of a tool call as an object. Raises RequestError where they are none."""
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
