"""A conversation: its history, its turns, their usage and cost, what still fits, and that nothing of it is lost.

The user's message is saved before the call, the answer while it streams. A session knows no terminal and runs on either
engine, one answer at a time.
"""

from __future__ import annotations

import time
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Generic, Literal, Protocol, Self, TypeAlias, TypeVar

from arawn.errors import ArawnError, ContextLengthError, IncompleteAnswerError, UsageError
from arawn.events import Delta, Finished, Notice, collect
from arawn.messages import Caller, ChatRequest, Message, Role, Text, Usage
from arawn.models.estimates import tokens
from arawn.session import compaction
from arawn.session.prefix import Prefix
from arawn.session.turns import StreamedAnswer, Turn, first_line, sent_turns, turns_of
from arawn.store.recorder import Recorder, start_timer
from arawn.store.sessions import add_cost, add_usage
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from arawn.backends.base import Backend
    from arawn.errors import NotSavedError
    from arawn.events import Events, StreamEvent
    from arawn.messages import Part, Response
    from arawn.models.catalog import ModelFacts
    from arawn.session.turns import Sent
    from arawn.store.recorder import Draft, StartTimer
    from arawn.store.records import Transcript
    from arawn.store.sessions import Sessions

Overflow: TypeAlias = Literal["summary", "drop", "error"]
"""What happens to the oldest turns when the conversation no longer fits the context window."""
_PLAIN = ChatRequest("", ())


class Chosen(Protocol):
    """A backend and one of its models, as the engine chose them."""

    @property
    def backend(self) -> str:
        """The name of the backend."""
        ...

    @property
    def model(self) -> str:
        """The id of the model."""
        ...


C = TypeVar("C", bound=Chosen)


class Engine(Protocol[C]):
    """What a conversation needs of the engine."""

    def choose(
        self, backend: str | None = None, model: str | None = None, role: Literal["llm", "indexing"] = "llm"
    ) -> C:
        """Return the backend and model that serve a role. Raises ConfigError when none can."""
        ...

    def backend(self, choice: C) -> Backend:
        """Return the backend of a choice with its middleware."""
        ...

    def complete(self, request: ChatRequest, choice: C) -> ChatRequest:
        """Fill what a request leaves open."""
        ...

    def facts(self, backend: str, model: str) -> ModelFacts | None:
        """Return what is known of a model."""
        ...

    def cost(self, response: Response, choice: C) -> Decimal | None:
        """Return what an answer cost in USD, None where that is not known."""
        ...


class Session(Generic[C]):
    """A conversation with the backend and model of ``choice``; saved in ``sessions``, nowhere where that is None.

    ``request`` holds what every call asks for besides its messages and model, and may be set at any time. ``usage``
    and ``cost`` (USD; None: not known) are of all answers, also those undone. ``name`` is given to the session when it
    begins.
    """

    def __init__(
        self,
        engine: Engine[C],
        choice: C,
        *,
        sessions: Sessions | None = None,
        request: ChatRequest = _PLAIN,
        system: str = "",
        name: str = "",
        overflow: Overflow = "summary",
        clock: Callable[[], float] = time.monotonic,
        start_timer: StartTimer = start_timer,
    ) -> None:
        self.choice = choice
        self.request = request
        self.overflow: Overflow = overflow
        self.name = name
        self.title = ""
        self.usage = Usage()
        self.cost: Decimal | None = None
        self._engine = engine
        self._recorder = Recorder(sessions, clock=clock, start_timer=start_timer)
        self._system = system
        self._turns: list[Turn] = []
        self._summary = ""
        self._compacted = 0
        self._dropped_before: set[str] = set()
        self._is_retry = False

    def resume(self, transcript: Transcript) -> Self:
        """Go on with a saved conversation; its system prompt is used unless this one has its own. Returns this one."""
        info = transcript.info
        self.name, self.title, self.usage, self.cost = info.name, info.title, info.usage, info.cost
        self._recorder.id = info.id
        self._turns = turns_of(transcript.entries)
        self._summary = info.summary
        self._compacted = sum(turn.number <= info.summarised for turn in self._turns)
        if self._system:
            with self._recorder.deferring_errors():
                self._recorder.set_system(self._system)
        self._system = self._system or info.system
        return self

    @property
    def id(self) -> str:
        """The id of the session; empty before the first turn is saved, and where nothing is."""
        return self._recorder.id

    @property
    def private(self) -> bool:
        """Whether nothing is saved."""
        return not self._recorder.saves

    @property
    def unsaved(self) -> NotSavedError | None:
        """Why something was not saved, where that was not raised yet: the answer failed too, or its reader left."""
        return self._recorder.failure

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns, oldest first."""
        return tuple(self._turns)

    @property
    def history(self) -> tuple[Message, ...]:
        """All messages, oldest first; the metadata of an answer that was cut says ``partial``."""
        return tuple(message for turn in self._turns for message in turn.messages)

    @property
    def system(self) -> str:
        """The conversation's own system prompt; empty leaves it to the configuration."""
        return self._system

    @system.setter
    def system(self, text: str) -> None:
        self._recorder.set_system(text)
        self._system = text

    def send(self, parts: str | Sequence[Part]) -> Events:
        """Send a message and stream the answer. Close it by ``aclosing``: what came until then is saved.

        Raises what the backend raises; ContextLengthError when the conversation is too long and ``overflow`` is
        ``error``; UsageError when the session's name is taken; and after the whole answer NotSavedError when something
        could not be saved.
        """
        content = (Text(parts),) if isinstance(parts, str) else tuple(parts)
        return self._answer(Message(Role.USER, content))

    def preview(self, message: Message) -> ChatRequest:
        """Return the request that ``send`` would make of a message if all earlier turns fit."""
        return self._full_request(len(self._turns), message)

    def retry(self) -> Events:
        """Ask the last question again, as ``send`` does; the old answer goes when the new one begins."""
        self._turn(len(self._turns))
        return self._answer(None)

    def edit(self, turn: int, text: str) -> Events:
        """Ask the question of a turn (1 is the first) in other words, as ``send`` does; its images stay.

        Later turns stay in the original: the conversation goes on in a branch.
        """
        images = (part for part in self._turn(turn).question.parts if not isinstance(part, Text))
        if turn < len(self._turns):
            self.branch(turn - 1)
        else:
            self.undo()
        return self.send((*images, Text(text)))

    def undo(self) -> Turn:
        """Remove the last turn and return it. Raises UsageError when there is none."""
        last = self._turn(len(self._turns))
        self._recorder.undo(last.number)
        self._truncate(len(self._turns) - 1)
        return last

    def branch(self, turn: int | None = None) -> str:
        """Go on from the end of a turn (None: the last) in a session of its own; return its id, empty if not saved."""
        count = len(self._turns) if turn is None else turn
        if count:
            self._turn(count)
        made = self._recorder.branch(self._last_number(count))
        self.name = ""
        self._truncate(count)
        return made

    def switch(self, backend: str | None, model: str | None) -> C:
        """Go on with another backend or model. Raises ConfigError for what is not defined; then nothing changes."""
        self.choice = self._engine.choose(backend, model)
        return self.choice

    def rename(self, name: str) -> None:
        """Give the conversation a name, an empty one takes it away. Raises UsageError for one that is taken."""
        self._recorder.rename(name)
        self.name = name

    def retitle(self, title: str) -> None:
        """Give the conversation another title."""
        self.title = first_line(title)
        self._recorder.retitle(self.title)

    async def make_title(self) -> str:
        """Ask the indexing role for a title from the first turn; when that fails, the old one stays. Returns it."""
        first = self._turn(1)
        with suppress(ArawnError):
            made = await self._ask_indexing_role(lambda choice: compaction.title_request(choice.model, first.messages))
            self.retitle(made.strip("\"'*#. ") or self.title)
        return self.title

    def context_left(self) -> int | None:
        """Return about how many tokens still fit beside the longest answer; None where the window is not known."""
        request = self._full_request(len(self._turns))
        limit = self._input_limit(request)
        return None if limit is None else max(0, limit - tokens(request.messages))

    async def compact(self) -> Notice | None:
        """Send a summary in place of all turns but the last from now on; None when there is nothing to summarise."""
        upto = len(self._turns) - 1
        return await self._compact(upto, summarise=True) if upto > self._compacted else None

    async def _answer(self, message: Message | None) -> Events:
        """Stream an answer to the message; None asks the last question again."""
        if message is not None:
            self._begin_turn(message)
        self._is_retry = message is None
        backend, model = self.choice.backend, self.choice.model
        answer = StreamedAnswer(backend, model)
        draft = self._recorder.draft(self._turns[-1].number, backend=backend, model=model)
        try:
            for notice in await self._prepare(answer):
                yield notice
            assert answer.request is not None
            async with aclosing(self._engine.backend(self.choice).stream(answer.request)) as events:
                async for event in events:
                    answer.add(event)
                    if isinstance(event, Finished):
                        self._end_answer(answer, draft, None)
                    if not self._is_repeated(event):
                        yield event
                    if isinstance(event, Delta):  # after the reader has it, which must not wait for the disk
                        draft.update(answer.response)
        except BaseException as error:
            self._end_answer(answer, draft, error)
            raise
        self._recorder.raise_failure()

    def _begin_turn(self, message: Message) -> None:
        """Save the user's message, before anything is sent."""
        title = self.title or first_line(message.text) or "(no words)"
        backend, model = self.choice.backend, self.choice.model
        number = self._recorder.open(
            message, backend=backend, model=model, title=title, system=self._system, name=self.name
        )
        if not self.title:
            with self._recorder.deferring_errors():
                self.retitle(title)
        self._turns.append(Turn((message,), number))

    async def _prepare(self, answer: StreamedAnswer) -> Sequence[Notice]:
        """Make the request for an answer to the last question. Returns the notices for the user."""
        notices = list(await self._make_room())
        empty = self._empty_request()
        sent = self._sent(len(self._turns) - 1, empty)
        answer.prefix = sent.prefix
        answer.request = self._filled(empty, sent, self._turns[-1].question)
        if sent.notice and not self._is_repeated(notice := Notice("dropped", sent.notice)):
            notices.append(notice)
        return notices

    def _end_answer(self, answer: StreamedAnswer, draft: Draft, error: BaseException | None) -> None:
        """End an answer, once: count it, put it into its turn, save it. Where nothing came, an older one stays."""
        turn = self._turns[-1]
        if answer.ended:
            return
        response, status = answer.end(error)
        arrived = status == "complete" or response.message.parts
        if not arrived and turn.answer is not None:
            return
        cost = None if status == "error" else self._add_cost(response, self.choice)
        if arrived:
            self._turns[-1] = replace(turn, messages=(turn.question, response.message))
        draft.finish(response, status, cost)

    def _add_cost(self, response: Response, choice: C) -> Decimal | None:
        cost = self._engine.cost(response, choice)
        self.usage, self.cost = add_usage(self.usage, response.usage), add_cost(self.cost, cost)
        return cost

    async def _make_room(self) -> tuple[Notice, ...]:
        """Leave old turns out when the last one does not fit beside them. Returns the notices for the user."""
        older = self._turns[self._compacted : -1]
        if not older:
            return ()
        request = self._full_request(len(self._turns) - 1, self._turns[-1].question)
        limit, total = self._input_limit(request), tokens(request.messages)
        if limit is None or total <= limit:
            return ()
        if self.overflow == "error":
            raise ContextLengthError(
                f"the conversation has outgrown the context window of {self.choice.model}: it has about {total:,} "
                f"tokens, and {limit:,} leave room for an answer",
                backend=self.choice.backend,
                hints=['begin a new one, or let old turns be summarised: chat.overflow = "summary"'],
            )
        count = compaction.turns_to_drop([tokens(turn.sendable) for turn in older], total, limit)
        return (await self._compact(self._compacted + count, summarise=self.overflow == "summary"),)

    async def _compact(self, upto: int, *, summarise: bool) -> Notice:
        """Stop sending the turns up to this one; send a summary of them, if it is wanted and can be made."""
        outcome = "no longer sent"
        if summarise:
            try:
                self._summary = await self._summarised(self._turns[self._compacted : upto])
                outcome = "sent as a summary from now on"
            except ArawnError as error:
                outcome = f"no longer sent, since no summary could be made: {error.message}"
        self._compacted = upto
        self._recorder.summarise(self._summary, self._last_number(upto))
        return Notice(
            "dropped", f"to fit the context window, the first {upto} turns are {outcome}; a new prefix begins"
        )

    async def _summarised(self, turns: Sequence[Turn]) -> str:
        messages = [message for turn in turns for message in turn.messages]

        def request(choice: C) -> ChatRequest:
            limit = compaction.input_limit(self._engine.facts(choice.backend, choice.model), None)
            return compaction.summary_request(choice.model, self._summary, messages, limit)

        return await self._ask_indexing_role(request)

    async def _ask_indexing_role(self, request: Callable[[C], ChatRequest]) -> str:
        """Return the answer of the indexing role. Raises ArawnError when it fails, or is empty."""
        choice = self._engine.choose(role="indexing")
        asked = replace(request(choice), caller=Caller("indexing", self.id))
        response = await collect(self._engine.backend(choice).stream(asked))
        self._add_cost(response, choice)
        if not response.text.strip():
            raise IncompleteAnswerError(f"{choice.backend} answered with nothing")
        return response.text.strip()

    def _full_request(self, upto: int, *more: Message) -> ChatRequest:
        """Return a request with what is sent of the turns before ``upto``, followed by these messages."""
        empty = self._empty_request()
        return self._filled(empty, self._sent(upto, empty), *more)

    def _filled(self, empty: ChatRequest, sent: Sent, *more: Message) -> ChatRequest:
        """Return an empty request with what is sent of earlier turns, followed by these messages."""
        messages = compaction.with_summary((*sent.messages, *more), self._summary)
        return replace(empty, messages=(*empty.messages, *messages))

    def _empty_request(self) -> ChatRequest:
        """Return a request with the system prompt and without a message."""
        system = (Message(Role.SYSTEM, (Text(self._system),)),) if self._system else ()
        caller = replace(self.request.caller, session=self.id, fresh=self._is_retry)
        request = replace(self.request, model=self.choice.model, messages=system, caller=caller)
        return self._engine.complete(request, self.choice)

    def _sent(self, upto: int, empty: ChatRequest) -> Sent:
        """Return what is sent of the turns before ``upto`` after the beginning of a request."""
        prefix = Prefix.of(empty, backend=self.choice.backend, summary=self._summary, dropped_turns=self._compacted)
        return sent_turns(self._turns[self._compacted : upto], prefix, self.choice.backend)

    def _input_limit(self, request: ChatRequest) -> int | None:
        return compaction.input_limit(self._engine.facts(self.choice.backend, self.choice.model), request.max_tokens)

    def _turn(self, number: int) -> Turn:
        if not 1 <= number <= len(self._turns):
            have = f"it has {len(self._turns)}" if self._turns else "nothing was said yet"
            raise UsageError(f"the conversation has no turn {number}: {have}")
        return self._turns[number - 1]

    def _last_number(self, count: int) -> int:
        """Return the store's number of the last of so many turns that is saved, 0 where none is."""
        return max((turn.number for turn in self._turns[:count]), default=0)

    def _truncate(self, count: int) -> None:
        """Drop the turns after so many, and a summary that covers one of them."""
        del self._turns[count:]
        if not count:
            self.title = ""
        if self._compacted > count:
            self._summary, self._compacted = "", 0
            self._recorder.summarise("", 0)

    def _is_repeated(self, event: StreamEvent) -> bool:
        """Whether a notice says again that something is not sent: an adapter says so with every request."""
        if not (isinstance(event, Notice) and event.kind == "dropped"):
            return False
        known = event.text in self._dropped_before
        self._dropped_before.add(event.text)
        return known
