"""A batch: many questions, several at a time; each answer is yielded as soon as it is complete, in any order.

Questions are read one by one as others finish, so that neither all questions nor all answers are in memory at any
time. A program runs one with a client:

    async with aclosing(batch.run(client, map(batch.prompt, texts), jobs=16)) as answers:
        async for answer in answers:
            print(answer.question.messages[-1].text, answer.text, answer.error)
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

from arawn.errors import ArawnError, BudgetError, UsageError
from arawn.events import Delta, Notice, ResponseBuilder
from arawn.messages import ChatRequest, Message, Role, Text
from arawn.values import Value

if TYPE_CHECKING:
    from asyncio import Lock, Queue, Semaphore, Task
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable

    from arawn.events import Events, StreamEvent
    from arawn.messages import Response

JOBS = 8
"""How many questions are asked at the same time by default."""

Q = TypeVar("Q")
Q_contra = TypeVar("Q_contra", contravariant=True)


class SupportsStream(Protocol[Q_contra]):
    """What answers: a ``Client``, a backend, or anything else that answers a question with events."""

    def stream(self, question: Q_contra, /) -> Events:
        """Answer, or raise an ArawnError at once; see ``Backend.stream``."""
        ...


class Answer(Value, Generic[Q]):
    """The result of one question: ``response`` is the answer as far as it came, ``error`` why it is not complete.

    Times are in milliseconds since it was asked; ``first_token_ms`` is None where nothing came.
    """

    question: Q
    response: Response
    error: ArawnError | None
    latency_ms: float
    first_token_ms: float | None
    notices: tuple[Notice, ...] = ()

    @property
    def text(self) -> str:
        """All visible text."""
        return self.response.text


Questions: TypeAlias = "Iterable[Q] | AsyncIterable[Q]"


def run(client: SupportsStream[Q], questions: Questions[Q], *, jobs: int = JOBS) -> AsyncGenerator[Answer[Q], None]:
    """Ask all questions, ``jobs`` at a time, and yield the answers as they finish; close it by ``aclosing``.

    A question that fails has its ArawnError in its answer, and the rest goes on. After a BudgetError no further one is
    asked: running calls are finished, and questions that were not asked are not among the answers. What the iterator
    of questions raises is raised.
    """
    return Batch(client, questions, jobs=jobs).answers()


def prompt(text: str, system: str = "") -> ChatRequest:
    """Return the request of a single question."""
    before = (Message(Role.SYSTEM, (Text(system),)),) if system else ()
    return ChatRequest("", (*before, Message(Role.USER, (Text(text),))))


class Batch(Generic[Q]):
    """The same as ``run``, with a ``stop``; ``monotonic`` gives seconds."""

    def __init__(
        self,
        client: SupportsStream[Q],
        questions: Questions[Q],
        *,
        jobs: int = JOBS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if jobs < 1:
            raise UsageError(f"jobs: expected a whole number above 0, got {jobs}")
        self._client = client
        self._source = _asynchronous(questions)
        self._jobs = jobs
        self._monotonic = monotonic
        self._stopped = False
        self._workers: list[Task[None]] = []
        self._waiting: set[Task[None]] = set()

    async def answers(self) -> AsyncGenerator[Answer[Q], None]:
        """Ask, and yield the answers as they finish; once only."""
        from asyncio import Lock, Queue, Semaphore, create_task, gather

        done: Queue[Answer[Q] | Exception | None] = Queue()
        room, turn = Semaphore(2 * self._jobs), Lock()  # how many may be asked or answered and not yet yielded
        self._workers = [create_task(self._work(done, room, turn)) for _ in range(self._jobs)]
        running = self._jobs
        try:
            while running:
                match await done.get():
                    case None:
                        running -= 1
                    case Exception() as failure:
                        raise failure
                    case answer:
                        room.release()
                        yield answer
        finally:
            self.stop()
            await gather(*self._workers, return_exceptions=True)
            if hasattr(self._source, "aclose"):
                await self._source.aclose()

    def stop(self) -> None:
        """Cancel running calls and ask nothing more; answers that are complete are still yielded."""
        self._stopped = True
        for worker in self._workers:
            worker.cancel()

    async def _work(self, done: Queue[Answer[Q] | Exception | None], room: Semaphore, turn: Lock) -> None:
        """Ask one question after the other; None at the end says that this worker has ended."""
        from asyncio import CancelledError

        try:
            while not self._stopped:
                answer = await self._answer(await self._next(room, turn))
                if isinstance(answer.error, BudgetError):
                    self._ask_no_more()
                done.put_nowait(answer)
        except (StopAsyncIteration, CancelledError):
            pass
        except Exception as failure:  # noqa: BLE001 -- raised where the answers are read
            done.put_nowait(failure)
        finally:
            done.put_nowait(None)

    async def _next(self, room: Semaphore, turn: Lock) -> Q:
        """Return the next question when there is room for it. Raises StopAsyncIteration after the last."""
        from asyncio import current_task

        task = current_task()
        assert task is not None
        self._waiting.add(task)
        try:
            await room.acquire()
            async with turn:  # an asynchronous generator has one reader at a time
                return await anext(self._source)
        finally:
            self._waiting.discard(task)

    def _ask_no_more(self) -> None:
        """Let running calls finish, and start no more."""
        self._stopped = True
        for worker in self._waiting:
            worker.cancel()

    async def _answer(self, question: Q) -> Answer[Q]:
        call = _Call(self._monotonic)
        try:
            async with aclosing(self._client.stream(question)) as events:
                async for event in events:
                    call.add(event)
        except ArawnError as failure:  # kept by no name here: its traceback leads to this frame, and the two would stay
            return call.answer(question, failure)
        return call.answer(question)


class _Call:
    """One question while it is being answered."""

    __slots__ = ("_began", "_builder", "_first", "_monotonic", "_notices")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._began = monotonic()
        self._first: float | None = None
        self._builder = ResponseBuilder()
        self._notices: list[Notice] = []

    def add(self, event: StreamEvent) -> None:
        """Add the next event."""
        if isinstance(event, Notice):
            self._notices.append(event)
            return
        if self._first is None and isinstance(event, Delta):
            self._first = self._monotonic()
        self._builder.add(event)

    def answer(self, question: Q, error: ArawnError | None = None) -> Answer[Q]:
        """Return the answer as far as it came."""
        return Answer(
            question,
            (error and error.partial) or self._builder.response(),
            error,
            latency_ms=self._since(self._monotonic()),
            first_token_ms=None if self._first is None else self._since(self._first),
            notices=tuple(self._notices),
        )

    def _since(self, moment: float) -> float:
        return round((moment - self._began) * 1000, 1)


def _asynchronous(questions: Questions[Q]) -> AsyncIterator[Q]:
    return aiter(questions) if isinstance(questions, AsyncIterable) else _each(questions)


async def _each(questions: Iterable[Q]) -> AsyncGenerator[Q, None]:
    for question in questions:
        yield question
