"""JSON Schemas: compiled into checks, and the one an answer must fit. Nothing a schema points to is ever fetched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from arawn.answers.extract import json_text
from arawn.errors import IncompleteAnswerError, UsageError
from arawn.files import read_named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LIMIT = 1 << 20
"""Bytes of a file with a schema."""


class RemoteReferenceError(ValueError):
    """A schema points to something at an ``address`` of its own."""

    def __init__(self, address: str) -> None:
        super().__init__(f"$ref to {address}: nothing is fetched")
        self.address = address


def check_of(definition: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return what raises for a value that does not fit a schema.

    Raises RemoteReferenceError, and for what is no schema any exception of the library.
    """
    import fastjsonschema

    check: Callable[[Any], Any] = fastjsonschema.compile(dict(definition), handlers=_NoFetching(), use_default=False)
    return check


class AnswerSchema:
    """A schema given as a file, or as JSON itself. Raises UsageError when it is none."""

    def __init__(self, given: str) -> None:
        self.definition = _parsed(given)
        self._validate = _compiled(self.definition)

    def check(self, text: str) -> None:
        """Raise IncompleteAnswerError unless an answer is JSON that fits."""
        from fastjsonschema import JsonSchemaValueException

        try:
            self._validate(json.loads(json_text(text)))
        except JsonSchemaValueException as error:
            raise IncompleteAnswerError(f"the answer does not fit the schema: {error.message}") from None
        except (ValueError, RecursionError):
            hint = "the model may not know structured output: try another, or a larger limit"
            raise IncompleteAnswerError("the answer is not JSON", hints=[hint]) from None


def _parsed(given: str) -> dict[str, Any]:
    is_json = given.lstrip().startswith("{")
    try:
        schema = json.loads(given if is_json else read_named(given, _LIMIT).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--schema: not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise UsageError("--schema: a JSON Schema is an object")
    return schema


def _compiled(definition: dict[str, Any]) -> Callable[[Any], Any]:
    import fastjsonschema  # noqa: F401 -- a library that is broken is no schema that is wrong

    try:
        return check_of(definition)
    except RemoteReferenceError as error:
        raise UsageError(f"--schema: {error}", hints=["put what it names under $defs"]) from None
    except Exception as error:  # noqa: BLE001 -- what is no schema fails there in many ways
        raise UsageError(f"--schema: not a JSON Schema: {error}") from None


class _NoFetching(dict[str, Any]):
    """Where the library looks for a way to fetch what a $ref points to, by scheme: each has a refusal."""

    def __contains__(self, scheme: object) -> bool:
        return True

    def __missing__(self, scheme: str) -> Callable[[str], NoReturn]:
        return _refuse


def _refuse(address: str) -> NoReturn:
    raise RemoteReferenceError(address)
