"""Which parameter an error response refuses, where it names one: from its fields, else from the words of its message.

The name is looked up in a closed list (``parameters.parameter_at``), so that whatever a server writes, nothing else can
be taken for a parameter. The shapes: OpenAI's ``param`` with a code, FastAPI's ``loc``, and sentences.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from arawn.adapters.parameters import EFFORT_BESIDE_TOOLS, SIGNED_THINKING, parameter_at

if TYPE_CHECKING:
    from collections.abc import Iterator

_CODES = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden"})
_NAME = r"[\"'`]?(?P<name>[A-Za-z][\w.\[\]]{1,60}|[Aa]daptive thinking)[\"'`]?"
_REFUSES = r"(is|are) (not (supported|permitted|allowed|enabled|available)|unsupported|deprecated|unknown)"
_SENTENCES = (
    rf"unsupported (parameter|value|argument)s?:? {_NAME}",
    rf"(unrecognized|unknown|unexpected|invalid) (request )?(argument|parameter|field|name)s?( supplied)?:? {_NAME}",
    rf"argument not supported( on this model)?: {_NAME}",
    rf"{_NAME}: extra inputs are not permitted",
    r"'loc': [\[(]'body', '(?P<name>[\w.]{1,60})'",
    rf"additional properties are not allowed \({_NAME} (was|were) unexpected",
    rf"`(temperature|top_p)` and {_NAME} cannot both be",
    rf"does not support (the )?(parameter )?{_NAME}",
    rf"(property|parameter|argument|field|option) {_NAME} {_REFUSES}",
    rf"{_NAME}( parameter)? {_REFUSES}",
)
_PHRASES = (
    (r"\bthinking( level| budget| mode)?\b.{0,40}\b(not supported|invalid)|only works in thinking mode", "thinking"),
    (r"\bpenalty is not enabled", "presence_penalty"),
    (r"\bblock is bound to a different (conversation|model)", SIGNED_THINKING),
)
_EFFORT_BESIDE_TOOLS = r"\btools with `?reasoning_effort`? are not supported"


def refused_parameter(value: Any, message: str) -> str:
    """Return the parameter that a 400 or 422 refuses, "" where it names none; ``value`` is the body's JSON value."""
    if re.search(_EFFORT_BESIDE_TOOLS, message, re.IGNORECASE):
        return EFFORT_BESIDE_TOOLS
    named = (*_in_fields(value), *_in_words(message))
    return next((name for path in named if (name := parameter_at(path))), _in_phrases(message))


def _in_fields(value: Any) -> Iterator[str]:
    """Yield the paths that an error names in fields of their own, where it says that they are refused."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return
    error = value.get("error", value)
    if isinstance(error, dict) and error.get("code") in _CODES and isinstance(error.get("param"), str):
        yield error["param"]
    details = value.get("detail")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and detail.get("type") in _CODES and isinstance(detail.get("loc"), list):
            yield ".".join(str(word) for word in detail["loc"])


def _in_words(message: str) -> Iterator[str]:
    """Yield what the sentences of a message refuse, the surest kind of sentence first."""
    for sentence in _SENTENCES:
        for found in re.finditer(sentence, message, re.IGNORECASE):
            yield found["name"].strip(".")


def _in_phrases(message: str) -> str:
    return next((name for phrase, name in _PHRASES if re.search(phrase, message, re.IGNORECASE)), "")
