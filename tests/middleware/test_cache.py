"""The cache in front of a backend, on a real file: what it keeps, what it never keeps, and how it gives it again."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import aclosing, closing
from decimal import Decimal

import pytest
from support.loopback import Loopback, answer

from arawn.adapters.base import Quirks
from arawn.backends.mock import MockBackend, MockResponse
from arawn.engine.blocking import iterate, sleep
from arawn.errors import ArawnError, StreamInterruptedError
from arawn.events import (
    Finished,
    Notice,
    ProviderItemDone,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from arawn.messages import Caller, ChatRequest, FinishReason, Message, OutputFormat, Role, Text, Usage
from arawn.middleware.cache import Cache
from arawn.middleware.cache_key import AnswerKeys
from arawn.store import database as database_module
from arawn.store.answers import Answers, _checksum
from arawn.store.database import Database
from arawn.store.event_json import dumps
from arawn.values import replace

STOP = Finished(FinishReason.STOP, "stop", Usage(7, 2, cost=Decimal("0.5")))
ANSWER = (Started("m", "m-1", "a1"), ReasoningDelta("Hm"), TextDelta("Good "), TextDelta("day"), STOP)


class Playing:
    """A backend that plays events; one that is an error is raised."""

    name = "m"

    def __init__(self, *events):
        self.events = events
        self.calls = 0

    async def stream(self, request):
        self.calls += 1
        for event in self.events:
            if isinstance(event, BaseException):
                raise event
            yield event


class Bench:
    """A cache on a file of the test, with a clock; ``hits`` is what it told of those."""

    def __init__(self, path):
        self.database = Database(str(path))
        self.now = 1_000_000.0
        self.hits = []
        self.answers = Answers(self.database, ttl=3_600, max_bytes=1e6, now=lambda: self.now)

    def around(self, inner):
        def hit(*told):
            self.hits.append(told)

        return Cache(inner, self.answers, self.key, on_hit=hit, monotonic=iter(range(10_000)).__next__)

    def key(self, request):
        keys = AnswerKeys(backend="m", adapter="mock", base_url="", quirks=Quirks(), credential="")
        return keys.key(request)

    def kept(self):
        return self.database.rows("SELECT count(*) FROM answers")[0][0]


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "arawn.db")
    with made.database:
        yield made


def asking(words="Hello", **fields):
    return ChatRequest("m-1", (Message(Role.USER, (Text(words),)),), **fields)


def heard(backend, request=None):
    return tuple(iterate(backend.stream(request or asking())))


# ---- given again ----


def test_the_same_request_is_answered_once_and_given_again_event_by_event_at_no_cost(bench):
    inner = Playing(Notice("dropped", "no seed there"), *ANSWER)
    cache = bench.around(inner)

    first = heard(cache)
    bench.now += 200
    second = heard(cache)

    assert first == inner.events
    assert inner.calls == 1
    free = replace(STOP, usage=Usage(7, 2, cost=Decimal(0)))
    assert second == (Notice("cached", "from the cache, answered 3 min ago"), *ANSWER[:-1], free)


def test_a_hit_is_told_with_its_request_its_free_response_and_its_time_and_is_counted(bench):
    cache = bench.around(Playing(*ANSWER))
    heard(cache)
    assert bench.hits == []
    heard(cache, asking(caller=Caller(session="s-1")))

    [(request, response, seconds)] = bench.hits
    assert (request.caller.session, response.text, response.backend, response.model) == ("s-1", "Good day", "m", "m-1")
    assert (response.usage, seconds) == (Usage(7, 2, cost=Decimal(0)), 1)
    assert bench.database.rows("SELECT hits, used FROM answers") == [(1, bench.now)]


def test_an_answer_whose_tokens_nobody_counted_costs_nothing_the_second_time_too(bench):
    cache = bench.around(Playing(*ANSWER[:-1], Finished(FinishReason.STOP)))
    heard(cache)
    assert heard(cache)[-1].usage == Usage(estimated=True, cost=Decimal(0))


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (0.4, "just now"),
        (1, "1 s ago"),
        (59.9, "59 s ago"),
        (61, "1 min ago"),
        (7_300, "2 h ago"),
        (100_000, "27 h ago"),
        (200_000, "2 days ago"),
    ],
)
def test_the_age_of_an_answer_is_told(bench, age, said):
    bench.answers._ttl = 1e6
    cache = bench.around(Playing(*ANSWER))
    heard(cache)
    bench.now += age
    assert heard(cache)[0] == Notice("cached", f"from the cache, answered {said}")


def test_a_reader_who_leaves_in_the_middle_of_a_hit_had_one_all_the_same(bench):
    cache = bench.around(Playing(*ANSWER))
    heard(cache)
    events = iterate(cache.stream(asking()))
    assert [next(events), next(events)][1] == ANSWER[0]
    events.close()
    assert len(bench.hits) == 1


def test_who_wants_a_fresh_answer_gets_one_and_it_is_the_one_that_is_kept(bench):
    inner = (
        MockBackend("m", sleep=sleep).with_response(MockResponse.text("old")).with_response(MockResponse.text("new"))
    )
    cache = bench.around(inner)
    heard(cache)
    assert TextDelta("new") in heard(cache, asking(caller=Caller(fresh=True)))
    assert TextDelta("new") in heard(cache)
    assert inner.call_count == 2


def test_r41_two_owners_with_the_same_words_never_get_each_others_answers(bench):
    inner = MockBackend("m", sleep=sleep)
    for owner in ("ann", "bob"):
        inner.with_response(MockResponse.text(f"for {owner}"))
    cache = bench.around(inner)
    for _ in range(3):
        for owner in ("ann", "bob"):
            events = heard(cache, asking(caller=Caller(owner=owner)))
            assert "".join(event.text for event in events if type(event) is TextDelta) == f"for {owner}"
    assert inner.call_count == 2


# ---- R42: only whole answers are kept ----


@pytest.mark.parametrize(
    "events",
    [
        *(ANSWER[:length] for length in range(len(ANSWER))),
        *((*ANSWER[:length], StreamInterruptedError("cut")) for length in range(len(ANSWER))),
        *((*ANSWER[:-1], Finished(reason)) for reason in FinishReason if reason is not FinishReason.STOP),
        (ANSWER[0], STOP),
        (ANSWER[0], TextDelta(" \n"), STOP),
        (ANSWER[0], ReasoningDelta("only thoughts"), STOP),
        (ANSWER[0], RefusalDelta("No."), STOP),
        (ANSWER[0], TextDelta("I look"), ToolCallStarted(0, "c", "look"), ToolCallDelta(0, "{}"), STOP),
        (Started("another", "m-1"), *ANSWER[1:]),
        (Notice("fallback", "asking another"), *ANSWER),
        (Notice("cached", "from another cache"), *ANSWER),
        (*ANSWER[:2], ANSWER[0], *ANSWER[2:]),
        (ANSWER[0], TextDelta("x"), ProviderItemDone({"what": {1, 2}}), STOP),
    ],
    ids=lambda events: " ".join(str(getattr(event, "finish_reason", type(event).__name__)) for event in events),
)
def test_r42_what_is_no_whole_answer_is_never_kept(bench, events):
    inner = Playing(*events)
    cache = bench.around(inner)
    for _ in range(2):
        try:
            assert heard(cache) == events
        except ArawnError:
            assert isinstance(events[-1], ArawnError)
    assert (inner.calls, bench.kept(), bench.hits) == (2, 0, [])


def test_what_an_answer_brings_for_the_next_turn_is_kept_with_it(bench):
    item = ProviderItemDone({"type": "search", "found": ["a"]})
    cache = bench.around(Playing(ANSWER[0], ReasoningDelta(signature="s"), item, TextDelta("x"), STOP))
    assert heard(cache)[1:4] == heard(cache)[2:5]
    assert len(bench.hits) == 1


@pytest.mark.parametrize("leaving", range(1, len(ANSWER)))
def test_r42_a_reader_who_leaves_early_has_nothing_kept(bench, leaving):
    events = iterate(bench.around(Playing(*ANSWER)).stream(asking()))
    for _ in range(leaving):
        next(events)
    events.close()
    assert bench.kept() == 0


def test_who_leaves_with_the_last_event_has_heard_all_of_it(bench):
    events = iterate(bench.around(Playing(*ANSWER)).stream(asking()))
    for _ in ANSWER:
        next(events)
    events.close()
    assert bench.kept() == 1


SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "text", "kept"),
    [
        (None, '{"n": 1}', 1),
        (None, " {}\n", 1),
        (None, "[1]", 0),
        (None, '{"n": NaN}', 0),
        (None, '{"n": 1', 0),
        (None, "Here it is: {}", 0),
        (None, "[" * 100_000, 0),
        (SCHEMA, '{"n": 1}', 1),
        (SCHEMA, '{"n": "1"}', 0),
        (SCHEMA, "{}", 0),
        ({"type": "array"}, "[1]", 1),
        ({"type": "no such type"}, "{}", 0),
    ],
)
def test_r42_where_json_was_asked_for_only_what_fits_is_kept(bench, schema, text, kept):
    cache = bench.around(Playing(ANSWER[0], TextDelta(text), STOP))
    heard(cache, asking(output=OutputFormat(schema)))
    assert bench.kept() == kept


def test_nothing_is_fetched_to_judge_an_answer(bench):
    with Loopback([answer(b"{}")]) as server:
        cache = bench.around(Playing(ANSWER[0], TextDelta("{}"), STOP))
        heard(cache, asking(output=OutputFormat({"$ref": f"{server.url}/schema.json"})))
    assert (server.requests, bench.kept()) == ([], 0)


def test_r42_a_row_that_holds_no_whole_answer_is_not_given_however_well_it_is_sealed(bench):
    inner = Playing(*ANSWER)
    cache = bench.around(inner)
    heard(cache)
    cut = dumps(ANSWER[:-1])
    with bench.database.writing() as connection:
        key = bench.key(asking())
        connection.execute("UPDATE answers SET events = ?, checksum = ?", [cut, _checksum(key, bench.now, cut)])
    assert heard(cache) == ANSWER
    assert inner.calls == 2


# ---- where there can be no cache, there is none ----


def test_a_file_that_cannot_be_read_breaks_no_call_and_is_told_once(bench, tmp_path):
    (tmp_path / "arawn.db").write_bytes(b"this is no database, whatever its name says" * 100)
    (tmp_path / "arawn.db").chmod(0o600)
    cache = bench.around(Playing(*ANSWER))

    first, second = heard(cache), heard(cache)

    assert (first[0].kind, first[1:], second) == ("config", ANSWER, ANSWER)
    assert "the cache cannot be used: " in first[0].text
    assert "arawn.db" in first[0].text


def test_an_answer_that_cannot_be_written_is_delivered_and_that_is_told_before_its_end(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 0.05)
    cache = bench.around(Playing(*ANSWER))
    heard(cache, asking("first, so that the file is there"))
    with closing(sqlite3.connect(tmp_path / "arawn.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        events = heard(cache)
        assert heard(cache) == ANSWER
    assert (events[:-2], events[-1]) == (ANSWER[:-1], STOP)
    assert (events[-2].kind, "locked" in events[-2].text) == ("config", True)


def test_a_hit_is_given_while_another_process_writes(bench, tmp_path):
    cache = bench.around(Playing(*ANSWER))
    heard(cache)
    with closing(sqlite3.connect(tmp_path / "arawn.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert heard(cache)[0].kind == "cached"
    assert len(bench.hits) == 1


def test_a_request_that_has_no_key_goes_to_the_backend_each_time(bench):
    inner = Playing(*ANSWER)
    cache = bench.around(inner)
    for _ in range(2):
        assert heard(cache, asking(extra={"when": {1, 2}})) == ANSWER
    assert (inner.calls, bench.kept()) == (2, 0)


# ---- many at once ----


def test_r41_answers_are_not_swapped_where_many_ask_at_once_and_many_leave(bench):
    dice = random.Random(41)
    cache = bench.around(MockBackend.echo("m"))

    async def one(number, gate):
        tag, text, patience = f"tag {number % 60} of them all", "", dice.randrange(12)
        async with gate, aclosing(cache.stream(asking(tag))) as events:
            async for event in events:
                await asyncio.sleep(0)
                text += event.text if isinstance(event, TextDelta) else ""
                patience -= 1
                if patience == 0:
                    return tag.startswith(text)
        return text == tag

    async def storm():
        gate = asyncio.Semaphore(20)
        return await asyncio.gather(*(one(number, gate) for number in range(600)))

    assert all(asyncio.run(storm()))
    assert 30 < bench.kept() <= 60
    assert len(bench.hits) > 200
