"""An answer that came among many: its record, and what of its notices was not told before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.answers.record import Record
from arawn.errors import ArawnError
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arawn.batch.runner import Answer
    from arawn.config.roles import Choice
    from arawn.engine.assembly import Engine
    from arawn.events import Notice
    from arawn.messages import Response

_MOST_TOLD = 100


class Answered(Record):
    """The record of an answer that is there already; ``choice`` is None where nobody was asked."""

    def __init__(self, answer: Answer[Any], engine: Engine, choice: Choice | None) -> None:
        super().__init__()
        self.first_token_ms = answer.first_token_ms
        self._response = answer.response
        self._latency_ms = answer.latency_ms
        if choice is not None and not answer.response.backend:
            self._response = replace(answer.response, backend=choice.backend, model=choice.model)
        self.cost = answer.response.usage.cost
        if answer.error is not None:
            self.cost = None if choice is None else engine.cost(self._response, choice)
            self.fail(answer.error)

    def fail(self, error: ArawnError) -> None:
        """Say why it is no answer, or no whole one."""
        self.error, self.exit_code = error, error.exit_code

    @property
    def response(self) -> Response:
        """The answer as far as it came."""
        return self._response

    def _elapsed_ms(self) -> float:
        return self._latency_ms


class Told:
    """What was told already, so that a thousand answers do not say it a thousand times."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def is_new(self, text: str) -> bool:
        """Whether a text is to be told: the first time, and while there are not too many."""
        if text in self._told or len(self._told) >= _MOST_TOLD:
            return False
        self._told.add(text)
        return True

    def of(self, notices: Iterable[Notice], kinds: tuple[str, ...]) -> Iterator[str]:
        """Yield the texts of notices of these kinds that are to be told."""
        return (notice.text for notice in notices if notice.kind in kinds and self.is_new(notice.text))


def at_line(line: int, error: ArawnError) -> ArawnError:
    """Return an error that says to which line it belongs; its cause is the error itself."""
    told = ArawnError(f"line {line:,}: {error.message}", hints=error.hints)
    told.__cause__ = error
    return told
