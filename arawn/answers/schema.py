"""The JSON Schema an answer must fit: read and compiled before anybody is asked, nothing fetched for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arawn.answers.compile import Elsewhere, check_of
from arawn.answers.extract import json_text
from arawn.errors import IncompleteAnswerError, UsageError
from arawn.files import read_file

if TYPE_CHECKING:
    from collections.abc import Callable

_LIMIT = 1 << 20


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
    written = given if given.lstrip().startswith("{") else read_file(given, _LIMIT).decode("utf-8-sig", "replace")
    try:
        schema = json.loads(written)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--schema: not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise UsageError("--schema: a JSON Schema is an object")
    return schema


def _compiled(definition: dict[str, Any]) -> Callable[[Any], Any]:
    try:
        return check_of(definition)
    except Elsewhere as error:
        raise UsageError(f"--schema: {error}", hints=["put what it names under $defs"]) from None
    except Exception as error:  # noqa: BLE001 -- what is no schema fails there in many ways
        raise UsageError(f"--schema: not a JSON Schema: {error}") from None
