"""The parameters of a request that a model or a server may refuse: where they stand in a body, and their removal.

A parameter has one name here, that of ChatRequest where it has one there, and stands elsewhere in each protocol. What
is not listed is never removed: messages, tools, schemas and limits mean too much to be left out quietly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATHS: Mapping[str, tuple[str, ...]] = {
    "temperature": ("temperature", "options.temperature"),
    "top_p": ("top_p", "options.top_p"),
    "top_k": ("top_k", "options.top_k"),
    "seed": ("seed", "options.seed"),
    "stop": ("stop", "stop_sequences", "options.stop"),
    "presence_penalty": ("presence_penalty", "options.presence_penalty"),
    "frequency_penalty": ("frequency_penalty", "options.frequency_penalty"),
    "effort": (
        *("reasoning_effort", "reasoning.effort", "output_config.effort"),
        "extra_body.google.thinking_config.thinking_level",
    ),
    "thinking": (
        *("thinking", "think", "reasoning", "include", "extra_body.google.thinking_config"),
        *("chat_template_kwargs.enable_thinking", "chat_template_kwargs.thinking"),
    ),
    "thinking_text": (
        *("reasoning.summary", "thinking.display", "reasoning_format", "include_reasoning"),
        "extra_body.google.thinking_config.include_thoughts",
    ),
    "verbosity": ("verbosity", "text.verbosity"),
    "strict": ("tools.*.strict", "tools.*.function.strict", "response_format.json_schema.strict", "text.format.strict"),
    "cache": ("cache_control", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
    "parallel_tool_calls": ("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"),
    "logit_bias": ("logit_bias",),
    "logprobs": ("logprobs",),
    "top_logprobs": ("top_logprobs",),
}
_ONLY_BY_RULE = frozenset({"logit_bias", "logprobs", "top_logprobs"})
DROPPABLE = frozenset(_PATHS) - _ONLY_BY_RULE
"""What may be left out because a server refused it."""
SIGNED_THINKING = "signed_thinking"
"""Not a parameter: the earlier thinking in the messages, where a server finds that its signature is for others."""
EFFORT_BESIDE_TOOLS = "effort beside tools"
"""An effort that a server refuses beside function tools, also where none is sent: it wants the word ``none``."""
LIMIT_KEYS = ("max_completion_tokens", "max_tokens")
"""The names of one limit in Chat Completions: it is never left out, only sent under the other name."""

_ALIASES: Mapping[str, str] = {
    **{path.replace("*.", ""): name for name in DROPPABLE for path in _PATHS[name]},
    **{key: key for key in LIMIT_KEYS},
    **dict.fromkeys(("effort", "output_config"), "effort"),
    **dict.fromkeys(("thinking_config.include_thoughts", "include_thoughts"), "thinking_text"),
    **dict.fromkeys(
        ("adaptive thinking", "thinking_budget", "thinking_level", "budget_tokens", "enable_thinking"), "thinking"
    ),
    **dict.fromkeys(("disable_parallel_tool_use", "parallel tool calls"), "parallel_tool_calls"),
    **dict.fromkeys(("messages.content.cache_control", "system.cache_control", "tools.cache_control"), "cache"),
    **dict.fromkeys(("strict", "tools.custom.strict"), "strict"),
}


def parameter_at(path: str) -> str:
    """Return the parameter that a server names by a path of the body (``tools[0].function.strict``), "" for others.

    Of the limit the very key is returned, since it is only renamed.
    """
    words = [word for word in path.replace("[", ".").replace("]", "").split(".") if word and not word.isdigit()]
    whole = _squeezed(".".join(words[words[:1] == ["body"] :]))
    found = next((name for alias, name in _ALIASES.items() if _squeezed(alias) == whole), "")
    return found or ("thinking" if whole.startswith("thinking.") else "")


def without(body: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return a body without one parameter, None where it has none of it. Nothing in the body given is changed."""
    changed = dict(body)
    found = False
    for path in _PATHS.get(name, ()):
        rest = _removed(changed, path.split("."))
        if rest is not None:
            changed, found = rest, True
    return changed if found else None


def _removed(value: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any] | None:
    """Return a mapping without what is at a path; what is empty then goes too. None where there is nothing."""
    key, rest = path[0], path[1:]
    if key not in value:
        return None
    if not rest:
        return {name: each for name, each in value.items() if name != key}
    inner = value[key]
    changed = _removed_in_each(inner, rest[1:]) if rest[0] == "*" else _removed_in(inner, rest)
    if changed is None:
        return None
    return {**value, key: changed} if changed else {name: each for name, each in value.items() if name != key}


def _removed_in(value: Any, path: Sequence[str]) -> dict[str, Any] | None:
    return _removed(value, path) if isinstance(value, Mapping) else None


def _removed_in_each(values: Any, path: Sequence[str]) -> list[Any] | None:
    if not isinstance(values, list):
        return None
    changed = [_removed_in(value, path) for value in values]
    if not any(each is not None for each in changed):
        return None
    return [value if each is None else each for value, each in zip(values, changed, strict=True)]


def _squeezed(path: str) -> str:
    """Return a path however it is written: some services name ``presencePenalty`` what they take as another."""
    return path.lower().replace("_", "").replace(" ", "")
