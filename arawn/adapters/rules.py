"""What one model takes, as data that adapters obey: thinking, tools, parameters, JSON Schema, prompt caching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Mapping


class ModelRules(Value, kw_only=True):
    """The rules of one model. An empty field, or None, means: not known, and nothing is changed because of it.

    ``api`` is the endpoint the model wants where its service has both Chat Completions and Responses.
    ``tools_need_no_effort`` is true where Chat Completions takes function tools only beside the effort ``none``.

    Thinking: ``efforts`` are the effort words it takes, in rising order (none of them: an empty tuple), "none" where it
    switches thinking off; ``efforts_chat`` those on Chat Completions, where they are fewer. ``effort_path`` are the
    dotted keys of the effort in the body, where that is not the place of its protocol. It
    ``always_thinks`` where thinking cannot be switched off, and ``thinks_by_default`` where a request need not ask.
    What is merged into the body is ``thinking_on`` to think, ``thinking_off`` to stop (empty: say nothing), and
    ``thinking_shown`` to get the text of thinking; ``off_max_effort`` is the highest effort beside ``thinking_off``.
    ``thinking_budget`` is true where thinking takes a number of tokens, and no effort unless ``thinking_on`` is there
    too; false where such a number is refused. ``thinking_back`` is the key of Chat Completions under which the text of
    thinking must come back with each message that called a tool, empty where none came.

    ``foreign_call`` is what Chat Completions wants in the first tool call of a message that another backend made.

    ``refused`` are parameters that are answered with 400, ``refused_while_thinking`` those that are while it thinks,
    both by the names of ChatRequest or of the body; of ``one_of`` only the first that is given is taken.
    ``forced_tool`` says when a tool choice may be forced.

    ``schema`` names the JSON Schema dialect of structured output, ``cache`` how prefixes are cached and
    ``cache_min_tokens`` the shortest that are. ``binds_prefix`` is true where signed thinking is checked against the
    system prompt, tools and messages before it, ``binds_model`` where no other model takes it.
    """

    api: Literal["", "chat", "responses"] = ""
    tools_need_no_effort: bool = False
    efforts: tuple[str, ...] | None = None
    efforts_chat: tuple[str, ...] | None = None
    effort_path: str = ""
    always_thinks: bool = False
    thinks_by_default: bool | None = None
    thinking_on: Mapping[str, Any] | None = None
    thinking_off: Mapping[str, Any] | None = None
    thinking_shown: Mapping[str, Any] | None = None
    off_max_effort: str = ""
    thinking_budget: bool | None = None
    thinking_back: str = ""
    foreign_call: Mapping[str, Any] | None = None
    refused: frozenset[str] = frozenset()
    refused_while_thinking: frozenset[str] = frozenset()
    one_of: tuple[str, ...] = ()
    forced_tool: Literal["", "always", "not_while_thinking", "never"] = ""
    schema: str = ""
    cache: Literal["", "automatic", "marker"] = ""
    cache_min_tokens: int | None = None
    binds_prefix: bool = False
    binds_model: bool = False
