"""The JSON Schemas of a request, of its answer and its tools, as its model takes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arawn.answers.json_schema.wire import Fitted
    from arawn.messages import ChatRequest, OutputFormat, Tool

_MOST_NAME = 64


class OutputSchema(NamedTuple):
    """The schema of the answer as it is sent, and whether the service is to enforce it.

    Without a schema that is sent, ``instruction`` says in words what the answer must be.
    """

    schema: Mapping[str, Any] | None
    strict: bool = False
    instruction: str = ""


class ToolSchema(NamedTuple):
    """The schema of a tool's arguments as it is sent, and whether the service is to enforce it."""

    schema: Mapping[str, Any]
    strict: bool


class RequestSchemas:
    """The schemas of one request, in a ``dialect``; ``enforces`` says that the service takes one for answers."""

    def __init__(self, request: ChatRequest, dialect: str, *, enforces: bool) -> None:
        from arawn.answers.json_schema.dialects import DIALECTS

        self._dialect = DIALECTS.get(dialect, DIALECTS["openai-strict"])
        self._optional = self._unions = 0
        self._may_be_strict = self._dialect.has_strict and not (
            self._dialect.strict_alone and (request.stream or request.tools)
        )
        self.output = _NOTHING if request.output is None else self._output(request.output, enforces=enforces)
        strict = sum(tool.strict for tool in request.tools)
        most = self._dialect.max_strict_tools
        self._may_be_strict = self._may_be_strict and (most is None or strict <= most)
        self.tools = {tool.name: self._tool(tool) for tool in request.tools}

    def _output(self, output: OutputFormat, *, enforces: bool) -> OutputSchema:
        if output.schema is None or not enforces:
            return OutputSchema(None, instruction=in_words(output))
        fitted = self._fitted(output.schema, checked=True)
        strict = fitted is not None and fitted.exact and output.strict and self._may_be_strict
        if fitted is not None and (strict or not self._dialect.loose):
            return OutputSchema(fitted.schema, strict)
        if self._dialect.loose:
            return OutputSchema(output.schema)
        return OutputSchema(None, instruction=in_words(output))

    def _tool(self, tool: Tool) -> ToolSchema:
        strict = tool.strict and self._may_be_strict
        if not strict and not self._dialect.inlines:
            return ToolSchema(tool.parameters, strict=False)
        nothing = {} if tool.parameters.get("properties") else {"properties": {}, "additionalProperties": False}
        fitted = self._fitted({"type": "object", **nothing, **tool.parameters}, checked=not strict)
        return ToolSchema(tool.parameters, strict=False) if fitted is None else ToolSchema(fitted.schema, strict)

    def _fitted(self, schema: Mapping[str, Any], *, checked: bool) -> Fitted | None:
        """Return a schema in the dialect, None where it does not fit, also into what is left for the whole request."""
        from arawn.answers.json_schema.wire import fit

        fitted = fit(schema, self._dialect, checked=checked)
        if fitted is None:
            return None
        optional, unions = self._optional + fitted.optional, self._unions + fitted.unions
        most_optional, most_unions = self._dialect.max_optional, self._dialect.max_unions
        if (most_optional is not None and optional > most_optional) or (
            most_unions is not None and unions > most_unions
        ):
            return None
        self._optional, self._unions = optional, unions
        return fitted


_NOTHING = OutputSchema(None)
_ANY_OBJECT = "Answer with a single JSON object and nothing else."


def in_words(output: OutputFormat) -> str:
    """Return what asks for the JSON of an answer in words."""
    if output.schema is None:
        return _ANY_OBJECT
    from arawn.adapters.payload import json_text

    return f"{_ANY_OBJECT}\n\nIt must fit this JSON Schema: {json_text(output.schema)}"


def output_name(name: str) -> str:
    """Return a name as services take it: 1 to 64 letters, digits, ``_`` and ``-``."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:_MOST_NAME] or "answer"
