"""Builds mock backends from ``[backends.NAME]`` tables of the configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from arawn.backends.mock import ERROR_KINDS, INTERRUPTED, MessageMatcher, MockBackend, MockResponse, asyncio_sleep
from arawn.errors import ConfigError
from arawn.messages import FinishReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.backends.mock import Sleep


def from_table(
    name: str, table: Mapping[str, Any], *, sleep: Sleep = asyncio_sleep, total: float | None = None
) -> MockBackend:
    """Build the backend of a ``[backends.NAME]`` table. Raises ConfigError that names the key and what it expects."""
    mode = table.get("mode")
    if mode not in (None, "echo"):
        raise ConfigError(f'backends.{name}.mode: {mode!r} is no mode of the mock; expected "echo"')
    make = MockBackend.echo if mode else MockBackend
    backend = make(name, model=table.get("model") or "mock", sleep=sleep, total=total)
    for index, row in enumerate(table.get("replies", ())):
        reply = _Reply(f"backends.{name}.replies[{index}]", row)
        if "match" in row:
            backend.with_pattern_response(reply.matcher(), reply.response())
        else:
            backend.with_response(reply.response())
    return backend


class _Reply:
    """Decodes one ``[[replies]]`` table."""

    def __init__(self, where: str, row: object) -> None:
        if not isinstance(row, Mapping):
            raise ConfigError(f"{where}: expected a table with text, tool_call or error")
        self._where = where
        self._row: Mapping[str, Any] = row

    def matcher(self) -> MessageMatcher:
        pattern = self._value("match", str, "a regular expression")
        try:
            return MessageMatcher.regex(pattern)
        except re.error as error:
            raise self._wrong("match", f"{pattern!r} is no regular expression: {error}") from None

    def response(self) -> MockResponse:
        reply = self._answer().with_latency(self._number("latency_ms"))
        reply = reply.with_tokens_per_second(self._number("tokens_per_second"))
        if "reasoning" in self._row:
            reply = reply.with_reasoning(self._value("reasoning", str, "text"))
        if "finish_reason" in self._row:
            reply = reply.with_finish_reason(self._one_of("finish_reason", tuple(FinishReason)))
        return reply

    def _answer(self) -> MockResponse:
        match [key for key in ("text", "tool_call", "error") if key in self._row]:
            case ["text"]:
                return MockResponse.text(self._value("text", str, "text"))
            case ["tool_call"]:
                return self._tool_call()
            case ["error"]:
                return MockResponse.error(self._one_of("error", ERROR_KINDS))
            case ["text", "error"] if self._row["error"] == INTERRUPTED:
                return MockResponse.error(INTERRUPTED, text=self._value("text", str, "text"))
            case []:
                raise ConfigError(f"{self._where}: expected one of text, tool_call, error; found none of them")
            case several:
                raise ConfigError(
                    f"{self._where}: expected one of text, tool_call, error; found {' and '.join(several)}",
                    hints=('Only error = "interrupted" takes a text: half of it is sent before the stream stops.',),
                )

    def _tool_call(self) -> MockResponse:
        expected = 'a table like {name = "search", arguments = {q = "tea"}}'
        call = self._value("tool_call", Mapping, expected)
        name, arguments = call.get("name"), call.get("arguments", {})
        if not (isinstance(name, str) and name and isinstance(arguments, Mapping)):
            raise self._wrong("tool_call", f"expected {expected}")
        try:
            return MockResponse.tool_call(name, arguments)
        except TypeError:
            raise self._wrong("tool_call", "expected arguments that JSON can hold; it has no dates or times") from None

    def _one_of(self, key: str, choices: Sequence[str]) -> str:
        value = self._row[key]
        if value not in choices:
            raise self._wrong(key, f"{value!r} is not known; expected one of {', '.join(choices)}")
        return str(value)

    def _number(self, key: str) -> float:
        value = self._row.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self._wrong(key, f"expected a number from 0 up, found {value!r}")
        return value

    def _value(self, key: str, kind: type, expected: str) -> Any:
        if not isinstance(self._row[key], kind):
            raise self._wrong(key, f"expected {expected}, found {self._row[key]!r}")
        return self._row[key]

    def _wrong(self, key: str, what: str) -> ConfigError:
        return ConfigError(f"{self._where}.{key}: {what}")
