"""The JSON Schema an answer must fit: as the user gave it, as services are sent it, and the answer that fits it.

Services want an object as the whole answer. Another schema is sent as that of an object's one property, ``items`` for a
list and ``answer`` for all else, and the answer is what stands there. Nothing a schema refers to is ever fetched.
"""

from __future__ import annotations

import json
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from arawn.answers.extract import first_code_block
from arawn.answers.json_schema.keywords import SchemaError, types_of
from arawn.answers.json_schema.normal import normal_form
from arawn.answers.json_schema.short_form import is_short_form, read_short_form
from arawn.answers.json_schema.validator import UncheckableError, Validator
from arawn.errors import IncompleteAnswerError, UsageError
from arawn.files import read_named
from arawn.texts import require_valid, shown_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from arawn.answers.json_schema.normal import NormalSchema
    from arawn.answers.json_schema.validator import Problem

_LIMIT = 1 << 20
"""Bytes of a file with a schema."""
_SHOWN_PROBLEMS = 3


class UnfitAnswerError(IncompleteAnswerError):
    """An answer does not fit its schema; ``problems`` says everything that is wrong, a line each."""

    def __init__(self, message: str, problems: Sequence[str], *, hints: Sequence[str] = ()) -> None:
        super().__init__(message, hints=hints)
        self.problems = tuple(problems)


class AnswerSchema:
    """One schema. Raises SchemaError for a definition that is none, or that cannot be checked."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        normal = normal_form(definition).with_plain_root()
        self._validator = Validator(normal)
        self._holder = _holder(normal)
        self.sent = (normal.below_property(self._holder) if self._holder else normal).document()
        """The schema services are sent: one of an object."""

    def accepts(self, value: Any) -> bool:
        """Say whether a JSON value fits."""
        try:
            return not self._validator.problems(value, most=1)
        except UncheckableError:
            return False

    def read(self, text: str) -> str:
        """Return the JSON in an answer that fits. Raises UnfitAnswerError."""
        failure: UnfitAnswerError | None = None
        for written in self._candidates(text):
            try:
                value = _parsed(written)
            except (ValueError, RecursionError):
                continue
            wrong = self._problems(value)
            if not wrong:
                return written
            failure = failure or _unfit(wrong)
        if failure is None:
            hint = "the model may not know structured output: try another, or a larger limit"
            failure = UnfitAnswerError("the answer is not JSON", ["it is not JSON"], hints=[hint])
        raise failure

    def _candidates(self, text: str) -> Iterator[str]:
        """Yield what may be the JSON of an answer: what the holder holds, all of it, its first code block."""
        text = text.strip().removeprefix("\ufeff")
        for written in (text, first_code_block(text)):
            if written is not None:
                inner = _held(written, self._holder) if self._holder else None
                yield from (written,) if inner is None else (inner, written)

    def _problems(self, value: Any) -> list[Problem]:
        try:
            return self._validator.problems(value)
        except UncheckableError as error:
            raise UnfitAnswerError(f"the answer cannot be checked: {error}", [str(error)]) from None


def read_schema(given: str, flag: str, *, is_of_item: bool = False) -> dict[str, Any]:
    """Return the schema that an option gives: as JSON, in short form, or as a file with JSON. Raises UsageError.

    Where it ``is_of_item``, the schema of a list of them is returned.
    """
    definition = _given(given, flag)
    try:
        if is_of_item:
            definition = normal_form(definition).with_plain_root().below_items().document()
    except SchemaError as error:
        raise _refused(error, flag) from None
    answer_schema(definition, flag)
    return definition


def _given(given: str, flag: str) -> dict[str, Any]:
    is_json = given.lstrip().startswith("{")
    try:
        if not is_json and is_short_form(given) and not os.path.exists(given):
            return read_short_form(given)
        definition = _parsed(given if is_json else _text_of(given))
    except SchemaError as error:
        raise _refused(error, flag) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{flag}: not JSON: {error}") from None
    if not isinstance(definition, dict):
        raise UsageError(f"{flag}: a JSON Schema is an object")
    require_valid(json.dumps(definition, ensure_ascii=False), flag)
    return definition


def answer_schema(definition: Mapping[str, Any], name: str = "schema") -> AnswerSchema:
    """Return a schema, read once for all requests that have the same. Raises UsageError, which begins with ``name``."""
    try:
        return _read(json.dumps(definition, ensure_ascii=False, allow_nan=False))
    except SchemaError as error:
        raise _refused(error, name) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{name}: not a JSON Schema: {error}") from None


@lru_cache(maxsize=64)
def _read(written: str) -> AnswerSchema:
    return AnswerSchema(json.loads(written))


def _text_of(path: str) -> str:
    data = read_named(path, _LIMIT)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{shown_path(path)} is not valid UTF-8 text") from None


def _refused(error: SchemaError, name: str) -> UsageError:
    text = str(error) if error.hint else f"not a JSON Schema: {error}"
    return UsageError(f"{name}: {text}", hints=[error.hint] if error.hint else [])


def _unfit(problems: Sequence[Problem]) -> UnfitAnswerError:
    shown = "; ".join(map(str, problems[:_SHOWN_PROBLEMS]))
    more = f"; and {len(problems) - _SHOWN_PROBLEMS} more" if len(problems) > _SHOWN_PROBLEMS else ""
    return UnfitAnswerError(f"the answer does not fit the schema: {shown}{more}", list(map(str, problems)))


def _holder(schema: NormalSchema) -> str:
    """Return the name of the property that a schema is sent below, empty for one of an object."""
    root = schema.root if isinstance(schema.root, dict) else {}
    if types_of(root) == ("array",):
        return "items"
    is_object = types_of(root) == ("object",) and root.keys().isdisjoint({"anyOf", "oneOf", "$ref"})
    return "" if is_object else "answer"


def _held(text: str, name: str) -> str | None:
    """Return the JSON that stands in an object's one property, as it is written there."""
    head = re.match(rf'\s*\{{\s*"{name}"\s*:\s*', text)
    if head is None:
        return None
    try:
        _, end = _DECODER.raw_decode(text, head.end())
    except (ValueError, RecursionError):
        return None
    return text[head.end() : end] if text[end:].strip() == "}" else None


def _parsed(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder()
