"""The base of the bodies of chat requests: the parts that every protocol writes alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from arawn.adapters.output_schema import RequestSchemas
from arawn.adapters.parameters import without
from arawn.adapters.payload import parse_object
from arawn.adapters.thinking import can_be_off, plan_thinking
from arawn.errors import RequestError
from arawn.events import Notice
from arawn.messages import Role, Thinking, ToolChoice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from arawn.adapters.base import Quirks
    from arawn.adapters.output_schema import ToolSchema
    from arawn.adapters.rules import ModelRules
    from arawn.adapters.thinking import ThinkingPlan
    from arawn.messages import ChatRequest, Image, Text, Tool, ToolCall


class ChatBody(ABC):
    """Writes the body of one request, and notes what of it the protocol cannot carry."""

    _dialect: ClassVar[str] = "openai-strict"
    """The JSON Schema dialect of models whose facts name none."""

    def __init__(self, backend: str, quirks: Quirks, request: ChatRequest) -> None:
        self._backend = backend
        self._quirks = quirks
        self._request = request
        self._rules = self._rules_here(quirks.rules)
        self._dropped: dict[str, str] = {}
        self._plan = self._planned()
        self._thinks = self._plan.thinks
        self._choice = self._allowed_choice()

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What was left out, once each; complete after ``render``."""
        return tuple(
            Notice("dropped", f'{what} not sent to backend "{self._backend}": {why}')
            for what, why in self._dropped.items()
        )

    def render(self) -> dict[str, Any]:
        """Write the body. Keys of ``extra`` override, the request's those of the backend; what is refused goes."""
        body = self._whole()
        for names, why in self._refusals():
            removed = []
            for name in names:
                rest = without(body, name)
                if rest is not None:
                    body = rest
                    removed.append(name)
            if removed:
                self._drop(" and ".join(removed), why)
        return body

    def _whole(self) -> dict[str, Any]:
        return self._fields() | self._cache_marker() | dict(self._quirks.extra) | dict(self._request.extra)

    @abstractmethod
    def _fields(self) -> dict[str, Any]:
        """Write the body without ``extra``."""

    def _rules_here(self, rules: ModelRules) -> ModelRules:
        """Return the rules as they are on this protocol."""
        return rules

    def _effort(self, *place: str) -> dict[str, Any]:
        """Return the effort at its place in the body: the model's own where it has one, else that of the protocol."""
        value: Any = self._plan.effort
        if not value:
            return {}
        own = self._rules.effort_path
        for key in reversed(own.split(".") if own else place):
            value = {key: value}
        placed: dict[str, Any] = value
        return placed

    def _planned(self) -> ThinkingPlan:
        """Decide what is said about thinking, and report what cannot be said."""
        asked = self._request.thinking
        if asked is None and self._must_not_think:
            self._drop("the thinking of this model", "a tool can be forced only without it")
            asked = Thinking("none")
        plan = plan_thinking(asked, self._rules)
        for what, why in plan.losses:
            self._drop(what, why)
        return plan

    @property
    def _forces_tool(self) -> bool:
        return bool(self._request.tools) and self._request.tool_choice.mode in ("required", "tool")

    @property
    def _must_not_think(self) -> bool:
        """Whether a model that thinks unasked has to be stopped, so that the tool can be forced that was asked for."""
        rules = self._rules
        unasked = rules.thinks_by_default and rules.forced_tool == "not_while_thinking"
        return bool(unasked) and self._forces_tool and can_be_off(rules)

    def _allowed_choice(self) -> ToolChoice:
        """Return the choice of a tool, which is the model's own where it may not be forced.

        Where thinking was asked for, it is kept and the choice is not: the tools are still there to be chosen.
        """
        rule = self._rules.forced_tool
        if self._forces_tool and (rule == "never" or (rule == "not_while_thinking" and self._thinks)):
            self._drop("the choice of a tool", f"this model chooses itself{' while it thinks' * (rule != 'never')}")
            return ToolChoice()
        return self._request.tool_choice

    def _refusals(self) -> Iterator[tuple[Sequence[str], str]]:
        """Yield the names of parameters that are not to be sent, with the reason."""
        rules, request = self._rules, self._request
        yield sorted(rules.refused), "this model takes none"
        if self._thinks:
            yield sorted(rules.refused_while_thinking), "a thinking model takes none"
        given = [name for name in rules.one_of if getattr(request, name, None) is not None]
        yield given[1:], f"this model takes only one of {' and '.join(rules.one_of)}"
        yield sorted(request.without), "its server refuses it"

    def _cache_marker(self) -> dict[str, Any]:
        """Return what lets the server keep the prefix of a conversation, which its next request reads.

        Writing costs more than plain input, so it is done only where a next request is likely: a chat, a conversation
        that has gone on, a loop of tools. The marker at the top level moves along by itself
        (https://platform.claude.com/docs/en/build-with-claude/prompt-caching).
        """
        lifetime = self._quirks.prompt_cache or ("5m" if self._rules.cache == "marker" else "off")
        if lifetime == "off" or not self._goes_on:
            return {}
        return {"cache_control": {"type": "ephemeral"} | ({"ttl": lifetime} if lifetime != "5m" else {})}

    @property
    def _goes_on(self) -> bool:
        request = self._request
        return request.caller.lasting or bool(request.tools) or any(m.role is Role.ASSISTANT for m in request.messages)

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

    def _sampling(self) -> dict[str, Any]:
        """Return temperature and top_p, where they are given."""
        pairs = (("temperature", self._request.temperature), ("top_p", self._request.top_p))
        return {key: value for key, value in pairs if value is not None}

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
