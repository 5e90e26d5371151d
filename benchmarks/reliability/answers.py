"""The cache: no part of an answer is kept, no damaged row is given, and no call gets the answer of another.

Every recorded answer is cut after every event; its row is damaged at every byte and so is the file it is in; and 5,000
tagged requests run at once, of which many leave at any moment.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from arawn.adapters.base import Quirks
from arawn.backends.mock import MockBackend
from arawn.engine.blocking import iterate
from arawn.errors import ConfigError, StreamInterruptedError
from arawn.events import Finished, Notice, Started, TextDelta
from arawn.messages import Caller, ChatRequest, FinishReason, Message, Role, Text, Usage
from arawn.middleware.cache import Cache
from arawn.middleware.cache_key import AnswerKeys
from arawn.store.answers import Answers
from arawn.store.database import Database
from benchmarks.reliability import recorded
from benchmarks.reliability.score import Score
from tests.support.recordings import events_of

if TYPE_CHECKING:
    from arawn.events import Events, StreamEvent

_REQUESTS = 5_000
_TAGS = 500
_AT_ONCE = 200
_DAMAGES = 1_000
_OF = "WHERE key = ?"
_WRITTEN: list[StreamEvent] = [
    Started("recorded", "m", "a1"),
    *(TextDelta(f"word {number} ") for number in range(40)),
    Finished(FinishReason.STOP, "stop", Usage(1, 40)),
]


class _Playing:
    """A backend that plays events, and is cut after some of them."""

    name = "recorded"

    def __init__(self, events: list[StreamEvent], length: int | None = None) -> None:
        self._events = events
        self._length = len(events) if length is None else length

    async def stream(self, request: ChatRequest) -> Events:
        for event in self._events[: self._length]:
            yield event
        if self._length < len(self._events):
            raise StreamInterruptedError("cut")


class _Bench:
    """A cache in a folder."""

    def __init__(self, folder: str) -> None:
        self.database = Database(os.path.join(folder, "arawn.db"))
        self.answers = Answers(self.database)
        self.hits = 0

    def around(self, inner: MockBackend | _Playing) -> Cache:
        return Cache(inner, self.answers, _key, on_hit=self._count)

    def _count(self, *_: object) -> None:
        self.hits += 1


def score(times: int) -> Score:
    """Cut, damage, and storm; ``times`` of 100 tries 1,000 damages of the file."""
    score = Score(
        "cached answers cut and damaged; 5,000 tagged requests with cancellations", "0 kept, given or swapped"
    )
    with tempfile.TemporaryDirectory() as folder:
        bench = _Bench(folder)
        with bench.database:
            for name, events in _answers():
                _cut(score, bench, name, events)
            _damage_row(score, bench)
            _storm(score, bench)
        _damage_file(score, folder, times * _DAMAGES // 100)
    return score


def _answers() -> list[tuple[str, list[StreamEvent]]]:
    """Return the recorded answers that are whole, or one written here where there are no recordings."""
    found = [("written", _WRITTEN)]
    for recording in recorded.streams() if recorded.available() else []:
        events = events_of(recorded.adapter(recording).stream_parser(), [recording.body])
        found.append((recorded.name(recording), events))
    return found


def _cut(score: Score, bench: _Bench, name: str, events: list[StreamEvent]) -> None:
    """Cut after every event: nothing is kept. Of the whole answer, what was kept is given again as it was."""
    request = _asking(name)
    for length in range(len(events)):
        with suppress(StreamInterruptedError):
            for _ in iterate(bench.around(_Playing(events, length)).stream(request)):
                pass
        score.case(f"{name} after event {length}", "kept" if bench.answers.get(_key(request)) else "")
    heard = list(iterate(bench.around(_Playing(events)).stream(request)))
    kept = bench.answers.get(_key(request))
    said = [event for event in heard if not isinstance(event, Notice)]
    score.case(f"{name} whole", "" if kept is None or list(kept.events) == said else "kept otherwise")


def _damage_row(score: Score, bench: _Bench) -> None:
    """Flip a bit of every byte of a row, and cut it at every byte: it is never given."""
    key = _key(_asking("written"))
    kept = bench.database.rows("SELECT * FROM answers WHERE key = ?", key)[0]
    for column in ("events", "checksum", "made", "key"):
        [[whole, form]] = bench.database.rows(
            f"SELECT CAST({column} AS BLOB), typeof({column}) FROM answers {_OF}", key
        )
        broken = [whole[:at] + bytes([whole[at] ^ 1 << at % 7]) + whole[at + 1 :] for at in range(len(whole))]
        for number, value in enumerate([*broken, *(whole[:at] for at in range(len(whole)))]):
            with bench.database.writing() as connection:
                connection.execute(f"UPDATE answers SET {column} = ? {_OF}", [_as(form, value), key])
            if (kept[1],) not in bench.database.rows("SELECT made FROM answers") or column != "made":
                score.case(f"{column}, damage {number}", "given" if bench.answers.get(key) else "")
            with bench.database.writing() as connection:
                connection.execute("DELETE FROM answers WHERE key IN (?, ?)", [key, _as(form, value)])
                connection.execute(f"INSERT INTO answers VALUES ({', '.join('?' * len(kept))})", kept)
    score.case("undamaged", "" if bench.answers.get(key) else "lost")


def _as(form: str, value: bytes) -> bytes | str:
    """Return bytes as the type a column has; SQLite makes numbers of what looks like one."""
    return value if form == "blob" else value.decode("latin-1")


def _damage_file(score: Score, folder: str, times: int) -> None:
    """Flip random bits of the file itself: what is given is as it was, or there is none."""
    dice, path = random.Random(42), os.path.join(folder, "arawn.db")
    with Database(path) as database:
        whole = {key: _events_of(database, key) for [key] in database.rows("SELECT key FROM answers")}
        database.checkpoint()
    for number in range(times):
        with tempfile.TemporaryDirectory() as other:
            damaged, key = shutil.copy(path, other), dice.choice(list(whole))
            _flip(damaged, dice)
            given = _given(damaged, key)
            score.case(f"damaged file {number}", "" if given in (None, whole[key]) else "given")


def _flip(path: str, dice: random.Random) -> None:
    with open(path, "r+b") as file:
        for _ in range(dice.choice((1, 10, 100))):
            place = dice.randrange(os.path.getsize(path))
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1 << dice.randrange(8)]))


def _given(path: str, key: str) -> tuple[StreamEvent, ...] | None:
    """Return what a damaged file gives; nothing is what the cache takes for one that cannot be used."""
    try:
        with Database(path) as database:
            return _events_of(database, key)
    except ConfigError:
        return None


def _events_of(database: Database, key: str) -> tuple[StreamEvent, ...] | None:
    kept = Answers(database).get(key)
    return None if kept is None else kept.events


def _storm(score: Score, bench: _Bench) -> None:
    """Ask 5,000 times, 200 at once, and leave or be cancelled at random: each hears its own tag or a part of it."""
    import asyncio

    dice = random.Random(41)
    cache = bench.around(MockBackend.echo("mock"))
    bench.hits = 0

    async def heard(tag: str, leaving: int) -> str:
        request, text, count = _asking(tag, owner=tag.rsplit(maxsplit=1)[-1]), "", 0
        async with aclosing(cache.stream(request)) as events:
            async for event in events:
                await asyncio.sleep(0)
                text += event.text if isinstance(event, TextDelta) else ""
                count += 1
                if count == leaving:
                    return "" if tag.startswith(text) else f"heard {text!r}"
        return "" if text == tag else f"heard {text!r}"

    async def one(number: int, gate: asyncio.Semaphore) -> None:
        tag = f"the tag of request {number % _TAGS} is of owner {number % 7}"
        async with gate:
            task = asyncio.create_task(heard(tag, dice.randrange(40)))
            if dice.random() < 0.3:
                for _ in range(dice.randrange(20)):
                    await asyncio.sleep(0)
                task.cancel()
            with suppress(asyncio.CancelledError):
                score.case(tag, await task)

    async def storm() -> None:
        gate = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(one(number, gate) for number in range(_REQUESTS)))

    asyncio.run(storm())
    score.case("hits", "" if bench.hits > _REQUESTS // 10 else f"only {bench.hits}: the storm tried nothing")


def _asking(words: str, owner: str = "") -> ChatRequest:
    return ChatRequest("m", (Message(Role.USER, (Text(words),)),), caller=Caller(owner=owner))


def _key(request: ChatRequest) -> str:
    keys = AnswerKeys(backend="b", adapter="mock", base_url="", quirks=Quirks(), credential="")
    return keys.key(request)
