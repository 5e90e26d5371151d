"""Checks values against a schema in its normal form, and says everything that does not fit, each with its place.

A schema is walked, not compiled: nothing of it is ever run as code. A check ends after a number of steps, and where
signals are at hand (the main thread of a Unix process) after some seconds too, since a pattern can take for ever.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from arawn.answers.json_schema import formats, patterns
from arawn.answers.json_schema.keywords import escaped, isfinite_number, type_of, types_of

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator, Mapping

    from arawn.answers.json_schema.keywords import Schema
    from arawn.answers.json_schema.normal import NormalSchema

_MOST_STEPS = 1_000_000
"""Schemas a check applies at most: a small schema can ask for endlessly many."""
_SECONDS = 2.0
_SHOWN = 60
_LONGEST_PLACE = 120
"""Characters of a value and of a place that are shown: both are the model's."""


class Problem(NamedTuple):
    """What does not fit: where, as a JSON pointer, empty for the whole value, and how."""

    pointer: str
    message: str

    def __str__(self) -> str:
        place = "".join(letter if letter.isprintable() else "?" for letter in self.pointer[-_LONGEST_PLACE:])
        return f"{place}: {self.message}" if place else self.message


class UncheckableError(ValueError):
    """A value cannot be checked in reasonable time, or is nested too deeply."""


class Validator:
    """Checks values against one schema."""

    def __init__(self, schema: NormalSchema) -> None:
        self._schema = schema
        self._enums: dict[int, frozenset[Any]] = {}
        self._patterns: dict[str, re.Pattern[str]] = {}
        self._steps = 0

    def problems(self, value: Any, most: int = 20) -> list[Problem]:
        """Return what does not fit, none where all does, the first ``most``. Raises UncheckableError."""
        self._steps = 0
        found: list[Problem] = []
        try:
            with _time_limit(_SECONDS):
                for problem in self._check(self._schema.root, value, ""):
                    found.append(problem)
                    if len(found) == most:
                        break
        except RecursionError:
            raise UncheckableError("it is nested too deeply to be checked") from None
        return found

    def _fits(self, schema: Schema, value: Any) -> bool:
        return next(self._check(schema, value, ""), None) is None

    def _check(self, schema: Schema, value: Any, at: str) -> Iterator[Problem]:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise UncheckableError("it takes too many steps to check")
        if schema is False:
            yield Problem(at, "must not be there")
        elif schema is not True:
            if "$ref" in schema:
                yield from self._check(self._schema.target(schema["$ref"]), value, at)
            yield from self._check_value(schema, value, at)
            yield from self._check_combined(schema, value, at)
            yield from self._check_inside(schema, value, at)

    def _check_inside(self, schema: Mapping[str, Any], value: Any, at: str) -> Iterator[Problem]:
        match value:
            case bool() | None:
                pass
            case int() | float():
                yield from _check_number(schema, value, at)
            case str():
                yield from self._check_text(schema, value, at)
            case list():
                yield from self._check_list(schema, value, at)
            case dict():
                yield from self._check_object(schema, value, at)
            case _:
                pass

    def _check_value(self, schema: Mapping[str, Any], value: Any, at: str) -> Iterator[Problem]:
        types = types_of(schema)
        if types is not None and not any(_is_of(value, name) for name in types):
            yield Problem(at, f"expected {' or '.join(types)}, found {type_of(value)}")
        if "enum" in schema:
            known = self._enums.get(id(schema))
            if known is None:
                known = self._enums[id(schema)] = frozenset(map(_key, schema["enum"]))
            if _key(value) not in known:
                yield Problem(at, f"expected one of {_shown(schema['enum'])}")
        if "const" in schema and _key(value) != _key(schema["const"]):
            yield Problem(at, f"expected {_shown(schema['const'])}")

    def _check_combined(self, schema: Mapping[str, Any], value: Any, at: str) -> Iterator[Problem]:
        for part in schema.get("allOf", ()):
            yield from self._check(part, value, at)
        if "anyOf" in schema:
            yield from self._check_any(schema["anyOf"], value, at)
        if "oneOf" in schema:
            fitting = sum(self._fits(part, value) for part in schema["oneOf"])
            if fitting > 1:
                yield Problem(at, f"fits {fitting} of the oneOf schemas instead of one")
            elif not fitting:
                yield from self._check_any(schema["oneOf"], value, at)
        if "not" in schema and self._fits(schema["not"], value):
            yield Problem(at, 'fits the schema under "not"')
        if "if" in schema:
            branch = "then" if self._fits(schema["if"], value) else "else"
            yield from self._check(schema.get(branch, True), value, at)

    def _check_any(self, choices: list[Schema], value: Any, at: str) -> Iterator[Problem]:
        """Yield what is wrong where no choice fits: that of the one choice that comes nearest."""
        nearest: list[Problem] | None = None
        for choice in choices:
            wrong = list(self._check(choice, value, at))
            if not wrong:
                return
            of_inner = [problem for problem in wrong if problem.pointer != at]
            if len(of_inner) == len(wrong) and (nearest is None or len(wrong) < len(nearest)):
                nearest = wrong
        yield from nearest or [Problem(at, f"fits none of the {len(choices)} schemas it may fit")]

    def _check_text(self, schema: Mapping[str, Any], text: str, at: str) -> Iterator[Problem]:
        yield from _check_count(schema, len(text), at, ("minLength", "maxLength", "characters"))
        if "pattern" in schema and not self._pattern(schema["pattern"]).search(text):
            yield Problem(at, f"does not match the pattern {_shown(schema['pattern'])}")
        if "format" in schema and not formats.check(schema["format"], text):
            yield Problem(at, f"is no {schema['format']}")

    def _check_list(self, schema: Mapping[str, Any], items: list[Any], at: str) -> Iterator[Problem]:
        yield from _check_count(schema, len(items), at, ("minItems", "maxItems", "items"))
        first = schema.get("prefixItems", [])
        for place, (part, item) in enumerate(zip(first, items, strict=False)):
            yield from self._check(part, item, f"{at}/{place}")
        rest = schema.get("items", True)
        if rest is not True:
            for place, item in enumerate(items[len(first) :], len(first)):
                yield from self._check(rest, item, f"{at}/{place}")
        if schema.get("uniqueItems") and len(set(map(_key, items))) < len(items):
            yield Problem(at, "has an item twice")
        if "contains" in schema:
            yield from self._check_contains(schema, items, at)

    def _check_contains(self, schema: Mapping[str, Any], items: list[Any], at: str) -> Iterator[Problem]:
        count = sum(self._fits(schema["contains"], item) for item in items)
        least, most = schema.get("minContains", 1), schema.get("maxContains")
        if count < least:
            yield Problem(at, f"has {count} items that fit contains, expected at least {least}")
        if most is not None and count > most:
            yield Problem(at, f"has {count} items that fit contains, expected at most {most}")

    def _check_object(self, schema: Mapping[str, Any], fields: dict[str, Any], at: str) -> Iterator[Problem]:
        yield from _check_count(schema, len(fields), at, ("minProperties", "maxProperties", "properties"))
        for name in schema.get("required", ()):
            if name not in fields:
                yield Problem(at, f"{_shown(name)} is missing")
        yield from self._check_dependent(schema, fields, at)
        for name in fields if "propertyNames" in schema else ():
            if not self._fits(schema["propertyNames"], name):
                yield Problem(at, f"has a property with a wrong name: {_shown(name)}")
        yield from self._check_properties(schema, fields, at)

    def _check_dependent(self, schema: Mapping[str, Any], fields: dict[str, Any], at: str) -> Iterator[Problem]:
        for given, needed in schema.get("dependentRequired", {}).items():
            missing = [name for name in needed if name not in fields] if given in fields else []
            if missing:
                yield Problem(at, f"{_shown(missing[0])} is missing beside {_shown(given)}")
        for name, part in schema.get("dependentSchemas", {}).items():
            if name in fields:
                yield from self._check(part, fields, at)

    def _check_properties(self, schema: Mapping[str, Any], fields: dict[str, Any], at: str) -> Iterator[Problem]:
        known = schema.get("properties", {})
        found = [(self._pattern(text), part) for text, part in schema.get("patternProperties", {}).items()]
        others = schema.get("additionalProperties", True)
        for name, value in fields.items():
            place = f"{at}/{escaped(name)}"
            applied = [part for pattern, part in found if pattern.search(name)]
            if name in known:
                applied.append(known[name])
            if not applied and others is False:
                yield Problem(at, f"has a property that is not allowed: {_shown(name)}")
            for part in applied or ([] if others is False else [others]):
                yield from self._check(part, value, place)

    def _pattern(self, text: str) -> re.Pattern[str]:
        if text not in self._patterns:
            self._patterns[text] = patterns.compiled(text)
        return self._patterns[text]


def _check_number(schema: Mapping[str, Any], number: float, at: str) -> Iterator[Problem]:
    if not isfinite_number(number):
        yield Problem(at, "is a number beyond all limits")
        return
    for key, is_wrong, expected in _BOUNDS:
        if key in schema and is_wrong(number, schema[key]):
            yield Problem(at, f"is {_shown(number)}, expected {expected} {_shown(schema[key])}")
    if "multipleOf" in schema and Fraction(repr(number)) % Fraction(repr(schema["multipleOf"])):
        yield Problem(at, f"is no multiple of {_shown(schema['multipleOf'])}")


def _check_count(schema: Mapping[str, Any], count: int, at: str, terms: tuple[str, str, str]) -> Iterator[Problem]:
    least, most, what = terms
    if least in schema and count < schema[least]:
        yield Problem(at, f"has {count} {what}, expected at least {schema[least]}")
    if most in schema and count > schema[most]:
        yield Problem(at, f"has {count} {what}, expected at most {schema[most]}")


_BOUNDS: tuple[tuple[str, Callable[[Any, Any], bool], str], ...] = (
    ("minimum", lambda number, bound: number < bound, "at least"),
    ("maximum", lambda number, bound: number > bound, "at most"),
    ("exclusiveMinimum", lambda number, bound: number <= bound, "more than"),
    ("exclusiveMaximum", lambda number, bound: number >= bound, "less than"),
)


def _is_of(value: Any, name: str) -> bool:
    match name:
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "integer":
            return (isinstance(value, int) and not isinstance(value, bool)) or (
                isinstance(value, float) and value.is_integer()
            )
        case _:
            return type_of(value) == name


def _key(value: Any) -> Any:
    """Return what is equal for values that JSON takes as equal: 1 and 1.0, but not 1 and true."""
    match value:
        case bool():
            return ("boolean", value)
        case list():
            return ("array", tuple(map(_key, value)))
        case dict():
            return ("object", frozenset((name, _key(part)) for name, part in value.items()))
        case _:
            return value


def _shown(value: Any) -> str:
    from json import dumps

    text = dumps(value[:20] if isinstance(value, list) else value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise UncheckableError in what takes longer; without effect where the process has its own use of the timer."""
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _give_up(*_: object) -> NoReturn:
    raise UncheckableError(f"it takes longer than {_SECONDS:g} seconds to check")
