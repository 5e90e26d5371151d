"""The JSON Schemas that providers take for answers and tools, as data: keywords and limits.

* openai-strict: https://platform.openai.com/docs/guides/structured-outputs. ``minLength`` and ``maxLength`` are taken
  at api.openai.com and refused on Azure: a schema with them is not strict.
* anthropic: https://platform.claude.com/docs/en/build-with-claude/structured-outputs
* gemini: https://ai.google.dev/gemini-api/docs/structured-output; definitions are written in place.
* groq: https://console.groq.com/docs/structured-outputs
"""

from __future__ import annotations

from typing import TypeAlias

from arawn.values import Value

Names: TypeAlias = frozenset[str]

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})


class Dialect(Value, kw_only=True):
    """What one provider takes. ``constraints`` are the keywords that limit a text, a number or a list.

    Where it ``relaxes``, what it cannot say is left out and said in the description: answers are checked here in
    any case. Where it does not, such a schema is not strict. ``loose`` is true where a schema can be sent without
    being enforced, ``closed`` where each object must refuse other properties, and ``all_required`` where each
    property must be required. ``max_optional``, ``max_unions`` and ``max_strict_tools`` are counted over a whole
    request. ``strict_alone`` is true where strict goes neither with a stream nor with tools, ``has_strict`` false
    where a service knows no strict.
    """

    constraints: Names
    formats: Names
    relaxes: bool = False
    loose: bool = False
    closed: bool = True
    all_required: bool = False
    recursive: bool = False
    inlines: bool = False
    tuples: bool = False
    free_objects: bool = False
    plain_patterns: bool = False
    single_min_items: bool = False
    max_depth: int = 10
    max_properties: int = 5000
    max_enum: int = 1000
    max_optional: int | None = None
    max_unions: int | None = None
    max_strict_tools: int | None = None
    strict_alone: bool = False
    has_strict: bool = True


OPENAI_STRICT = Dialect(
    constraints=_BOUNDS | {"pattern", "minItems", "maxItems"},
    formats=_FORMATS,
    loose=True,
    all_required=True,
    recursive=True,
)
ANTHROPIC = Dialect(
    constraints=frozenset({"pattern", "minItems"}),
    formats=_FORMATS | {"uri"},
    relaxes=True,
    plain_patterns=True,
    single_min_items=True,
    max_optional=24,
    max_unions=16,
    max_strict_tools=20,
)
GEMINI = Dialect(
    constraints=frozenset({"minimum", "maximum", "minItems", "maxItems"}),
    formats=frozenset({"date-time", "date", "time"}),
    relaxes=True,
    closed=False,
    inlines=True,
    tuples=True,
    free_objects=True,
)
GROQ = Dialect(
    constraints=OPENAI_STRICT.constraints,
    formats=_FORMATS,
    loose=True,
    all_required=True,
    strict_alone=True,
)
LOOSE = Dialect(constraints=frozenset(), formats=frozenset(), loose=True, has_strict=False)

DIALECTS = {
    "openai-strict": OPENAI_STRICT,
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "groq": GROQ,
    "loose": LOOSE,
}
"""By the name in a model's facts; ``loose`` is a service that takes any schema and has no strict."""
