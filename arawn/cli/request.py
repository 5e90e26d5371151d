"""What commands that ask have in common: a request made of options, and the judgement of how an answer ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.answers.ending import unnatural_end
from arawn.errors import ArawnError, IncompleteAnswerError
from arawn.messages import ChatRequest, FinishReason, Message, OutputFormat, Role, Text, Thinking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from arawn.cli.options import RequestOptions
    from arawn.events import Notice
    from arawn.messages import Response

_MOST_NOTICES = 100


def make_request(
    request_options: RequestOptions,
    *,
    messages: tuple[Message, ...] = (),
    schema: Mapping[str, Any] | None = None,
    stream: bool = True,
) -> ChatRequest:
    """Return what options ask for besides the model, with the system prompt before the messages."""
    return ChatRequest(
        model="",
        messages=(
            *([Message(Role.SYSTEM, (Text(request_options.system),))] if request_options.system else []),
            *messages,
        ),
        max_tokens=request_options.max_tokens,
        temperature=request_options.temperature,
        thinking=None if request_options.think is None else Thinking(request_options.think),
        output=None if schema is None else OutputFormat(schema),
        stream=stream,
    )


def judge_end(response: Response, warn: Callable[[str], None], *, strict: bool = False) -> None:
    """Warn of any end that is not a natural one. Raises IncompleteAnswerError instead where that is ``strict``."""
    text = unnatural_end(response)
    if text and strict:
        raise IncompleteAnswerError(
            text, hints=["raise --max-tokens"] * (response.finish_reason is FinishReason.LENGTH)
        )
    if text:
        warn(text)


class NewNotices:
    """Lets a notice through the first time it comes, so that a thousand answers do not repeat it a thousand times."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def is_new(self, text: str) -> bool:
        """Say whether a text is to be shown: the first time, and while there are not too many."""
        if text in self._seen or len(self._seen) >= _MOST_NOTICES:
            return False
        self._seen.add(text)
        return True

    def of(self, notices: Iterable[Notice], kinds: tuple[str, ...]) -> Iterator[str]:
        """Yield the texts of notices of these kinds that are to be shown."""
        return (notice.text for notice in notices if notice.kind in kinds and self.is_new(notice.text))


def at_line(line: int, error: ArawnError) -> ArawnError:
    """Return an error that says to which line it belongs; its cause is the error itself."""
    found = ArawnError(f"line {line:,}: {error.message}", hints=error.hints)
    found.__cause__ = error
    return found
