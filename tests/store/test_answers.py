"""Answers on a real file: given again whole, or not at all; never too old, never too many."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arawn.errors import NotSavedError
from arawn.events import (
    Finished,
    ImageDone,
    Notice,
    PartExtra,
    ProviderItemDone,
    ReasoningDelta,
    RefusalDelta,
    ServerToolDone,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from arawn.messages import Citation, FinishReason, Usage
from arawn.store import database as database_module
from arawn.store.answers import Answers, _checksum
from arawn.store.database import Database
from arawn.store.event_json import dumps, loads

KEY = "ab" * 32
USAGE = Usage(7, 2, 1, 1, 1, cost=Decimal("0.000123"))
ANSWER = (
    Started("groq", "m-1", "a1"),
    ReasoningDelta("So", "", None, 1),
    ReasoningDelta(signature="sig", item={"type": "thought"}, block=1),
    TextDelta("Good "),
    TextDelta("day"),
    Finished(FinishReason.STOP, "stop", USAGE),
)


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def database(tmp_path):
    with Database(str(tmp_path / "arawn.db")) as opened:
        yield opened


@pytest.fixture
def answers(database, clock):
    return Answers(database, ttl=60, max_bytes=1e6, now=clock)


def put(answers, key=KEY, events=ANSWER, backend="groq"):
    answers.put(key, events, backend, "m-1")


def change(database, sql, *values):
    with database.writing() as connection:
        connection.execute(sql, values)


def keys(database):
    return {key for [key] in database.rows("SELECT key FROM answers")}


def saying(text):
    return (Started("groq", "m-1"), TextDelta(text), Finished(FinishReason.STOP))


# ---- events as JSON ----

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.just("half \ud83d, half")
NUMBER = st.integers(0, 9)
ITEM = st.dictionaries(TEXT, TEXT | st.integers() | st.none() | st.lists(TEXT, max_size=2), max_size=3)
SPENT = st.builds(
    Usage, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, st.booleans(), st.none() | st.decimals(0, 9, places=12)
)
EVENT = (
    st.builds(Started, TEXT, TEXT, TEXT)
    | st.builds(TextDelta, TEXT, NUMBER)
    | st.builds(RefusalDelta, TEXT)
    | st.builds(ReasoningDelta, TEXT, TEXT, st.none() | ITEM, NUMBER)
    | st.builds(ToolCallStarted, NUMBER, TEXT, TEXT, st.booleans())
    | st.builds(ToolCallDelta, NUMBER, TEXT)
    | st.builds(ProviderItemDone, ITEM)
    | st.builds(PartExtra, ITEM, st.none() | NUMBER, NUMBER)
    | st.builds(Citation, NUMBER, TEXT, TEXT, TEXT)
    | st.builds(ImageDone, st.binary(max_size=40), TEXT, TEXT, st.none() | ITEM)
    | st.builds(ServerToolDone, TEXT, TEXT)
    | st.builds(Notice, st.sampled_from(["dropped", "cached"]), TEXT)
    | st.builds(Finished, st.sampled_from(FinishReason), TEXT, st.none() | SPENT, TEXT)
)


@given(st.lists(EVENT, max_size=8).map(tuple))
def test_all_events_come_back_as_they_were(events):
    assert loads(dumps(events)) == events


def test_events_that_an_earlier_version_wrote_are_read():
    written = (
        b'{"v":1,"events":[["started","groq","m-1","a1"],["text","Hi"],["call",0,"c1","f"],'
        b'["finished","stop","stop",null]]}'
    )

    assert loads(written) == (
        Started("groq", "m-1", "a1"),
        TextDelta("Hi"),
        ToolCallStarted(0, "c1", "f"),
        Finished(FinishReason.STOP, "stop"),
    )


@pytest.mark.parametrize(
    "text",
    [
        b'{"v":1,"events":[["image","no base64","image/png","",null]]}',
        b'{"v":1,"events":[["citation","1","","",""]]}',
        b"",
        b"\xff",
        b"null",
        b"[]",
        b'{"v":1}',
        b'{"v":2,"events":[]}',
        b'{"v":1,"events":7}',
        b'{"v":1,"events":[7]}',
        b'{"v":1,"events":[["smell","x"]]}',
        b'{"v":1,"events":[["text"]]}',
        b'{"v":1,"events":[["text",5]]}',
        b'{"v":1,"events":[["item","x"]]}',
        b'{"v":1,"events":[["finished","tired","",null]]}',
        b'{"v":1,"events":[["finished","stop",""]]}',
        b'{"v":1,"events":[["finished","stop","",{"cost":"much"}]]}',
        b'{"v":1,"events":[["finished","stop","",{"smell":1}]]}',
        b'{"v":1,"events":' + b"[" * 100_000,
    ],
    ids=lambda text: text[:50].decode("latin-1"),
)
def test_what_are_no_events_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        loads(text)


# ---- kept and given again ----


def test_an_answer_comes_back_with_its_events_as_they_were_cut_and_with_its_age(answers, clock):
    put(answers)
    clock.now += 12

    kept = answers.get(KEY)

    assert kept.events == ANSWER
    assert kept.age == 12
    assert answers.get("cd" * 32) is None


def test_a_later_answer_stands_in_place_of_the_earlier_one(answers, clock, database):
    put(answers, events=saying("old"))
    answers.record_use(KEY)
    clock.now += 50
    put(answers, events=saying("new"))
    clock.now += 50

    assert answers.get(KEY).events == saying("new")
    assert database.rows("SELECT count(*), sum(hits) FROM answers") == [(1, 0)]


def test_an_answer_counts_as_long_as_it_was_told_to_and_goes_with_the_next(answers, clock, database):
    put(answers)
    clock.now += 59.9
    assert answers.get(KEY) is not None
    clock.now += 0.1
    assert answers.get(KEY) is None
    put(answers, "cd" * 32)
    assert keys(database) == {"cd" * 32}


def test_an_answer_from_before_the_clock_was_set_back_has_expired(answers, clock, database):
    put(answers)
    clock.now -= 1
    assert answers.get(KEY) is None
    put(answers, "cd" * 32)
    assert keys(database) == {"cd" * 32}


# ---- R42: what is broken is never given ----


@pytest.mark.parametrize("column", ["made", "checksum", "events", "key"])
def test_r42_no_row_with_a_flipped_bit_is_given_and_it_is_removed(answers, database, column):
    put(answers)
    whole = database.rows("SELECT made, checksum, events, key FROM answers")[0]
    made, checksum, events, key = whole
    forms = {"made": repr(made).encode(), "checksum": checksum, "events": events, "key": key.encode()}
    for at in range(len(forms[column])):
        damaged = bytearray(forms[column])
        damaged[at] ^= 1 << at % 7
        value = bytes(damaged)
        if column in ("made", "key"):
            value = value.decode("latin-1")
        change(database, f"UPDATE answers SET {column} = ?", value)
        assert answers.get(KEY) is None, at
        if column != "key":
            assert keys(database) == set(), at
        change(database, "DELETE FROM answers")
        put(answers)
        assert answers.get(KEY) is not None


def test_r42_no_row_that_was_cut_is_given(answers, database):
    put(answers)
    [[written, size]] = database.rows("SELECT events, length(events) FROM answers")
    for length in range(size):
        change(database, "UPDATE answers SET events = ?", written[:length])
        assert answers.get(KEY) is None
        put(answers)


def test_r42_an_answer_is_not_given_under_the_key_of_another(answers, database):
    put(answers, "11" * 32, saying("mine"))
    put(answers, "22" * 32, saying("yours"))
    taken = "made, checksum, events) = (SELECT made, checksum, events FROM answers WHERE key ="
    change(database, f"UPDATE answers SET ({taken} ?) WHERE key = ?", "22" * 32, "11" * 32)
    assert answers.get("11" * 32) is None
    assert answers.get("22" * 32).events == saying("yours")


@pytest.mark.parametrize("written", [b'{"v":2,"events":[]}', b"not JSON", b'{"v":1,"events":[["text",5]]}'])
def test_r42_a_row_of_another_version_is_not_given_and_removed_however_well_it_is_sealed(answers, database, written):
    put(answers)
    [[made]] = database.rows("SELECT made FROM answers")
    change(database, "UPDATE answers SET events = ?, checksum = ?", written, _checksum(KEY, made, written))
    assert answers.get(KEY) is None
    assert keys(database) == set()


# ---- not more than there is room for ----


def test_the_least_recently_used_go_first(database, clock):
    answers = Answers(database, ttl=1e6, max_bytes=10 * 1_300, now=clock)
    for number in range(10):
        clock.now += 1
        put(answers, str(number), saying("x" * 900))
    clock.now += 1
    answers.record_use("0")
    clock.now += 1
    put(answers, "new", saying("x" * 1_800))
    left = keys(database)
    assert {"new", "0"} < left
    assert left - {"new", "0"} == {str(number) for number in range(10 - (len(left) - 2), 10)}


def test_the_answers_are_never_more_than_there_is_room_for(database, clock):
    answers, dice = Answers(database, ttl=1e6, max_bytes=20_000, now=clock), random.Random(1)
    for number in range(200):
        clock.now += dice.random()
        put(answers, str(number), saying("x" * dice.randrange(8_000)))
        [[total]] = database.rows("SELECT sum(size) FROM answers")
        assert total <= 20_000
        assert database.rows("SELECT size FROM answer_sums") == [(total,)]
        assert str(number) in keys(database)


def test_the_size_of_all_is_known_also_when_answers_are_replaced_removed_and_expire(database, clock):
    answers, dice = Answers(database, ttl=50, now=clock), random.Random(2)
    for number in range(100):
        clock.now += dice.random() * 10
        put(answers, str(number % 20), saying("x" * dice.randrange(900)))
        answers.discard(str(dice.randrange(20)))
        assert database.rows("SELECT size FROM answer_sums") == database.rows("SELECT sum(size) FROM answers")
    answers.clear()
    assert database.rows("SELECT size FROM answer_sums") == [(0,)]


def test_an_answer_larger_than_all_may_be_is_not_kept_and_costs_no_other_its_place(database, clock):
    answers = Answers(database, ttl=1e6, max_bytes=2_000, now=clock)
    put(answers, "small", saying("x"))
    put(answers, "large", saying("x" * 3_000))
    assert keys(database) == {"small"}


def test_what_an_answer_counts_is_about_what_it_takes_of_the_file(database, tmp_path):
    answers = Answers(database)
    for number in range(3_000):
        put(answers, f"{number:064}", saying("x" * 200))
    database.checkpoint()
    [[told]] = database.rows("SELECT sum(size) FROM answers")
    assert 0.8 < told / (tmp_path / "arawn.db").stat().st_size < 1.2


# ---- among other processes ----


def test_nobody_waits_for_a_process_that_is_writing_to_read_or_to_note_a_hit(answers, database, tmp_path):
    put(answers)
    with closing(sqlite3.connect(tmp_path / "arawn.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert answers.get(KEY).events == ANSWER
        answers.record_use(KEY)
        answers.discard(KEY)
        assert time.monotonic() - began < 8  # one that waits gives up after ten seconds
        other.execute("ROLLBACK")
    assert database.rows("SELECT hits FROM answers") == [(0,)]
    answers.record_use(KEY)
    assert database.rows("SELECT hits FROM answers") == [(1,)]


def test_what_cannot_be_written_in_time_is_told(answers, tmp_path, monkeypatch):
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 0.05)
    put(answers)
    with closing(sqlite3.connect(tmp_path / "arawn.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotSavedError, match="locked"):
            put(answers)


WRITER = """
import sys
from arawn.events import Finished, Started, TextDelta
from arawn.messages import FinishReason
from arawn.store.answers import Answers
from arawn.store.database import Database

with Database(sys.argv[1]) as database:
    answers = Answers(database, ttl=1000, max_bytes=20_000)
    for number in range(150):
        key = f"{number % 25:064}"
        kept = answers.get(key)
        if kept is not None:
            assert kept.events[1].text == key * 9, kept.events
            answers.record_use(key)
        answers.put(key, (Started("b", "m"), TextDelta(key * 9), Finished(FinishReason.STOP)), "b", "m")
"""


def test_many_processes_keep_answers_at_once_and_none_gets_anothers(database, tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path / "arawn.db")]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    assert [process.communicate(timeout=60)[1] for process in running] == [b""] * 4
    [[total]] = database.rows("SELECT sum(size) FROM answers")
    assert 18_000 < total <= 20_000


# ---- shown and cleared ----


def test_what_is_kept_is_counted_by_backend(answers, clock):
    put(answers, "1", saying("one"), backend="groq")
    answers.record_use("1")
    answers.record_use("1")
    clock.now += 20
    put(answers, "2", saying("two"), backend="groq")
    put(answers, "3", saying("three"), backend="ollama")
    clock.now += 45

    groq, ollama = answers.stats()

    assert (groq.backend, groq.answers, groq.hits, groq.oldest, groq.expired) == ("groq", 2, 2, 1_000_000.0, 1)
    assert (ollama.backend, ollama.answers, ollama.hits, ollama.oldest, ollama.expired) == (
        "ollama",
        1,
        0,
        1_000_020.0,
        0,
    )
    assert groq.bytes > 2 * len(json.dumps("one"))


def test_what_is_cleared_is_gone_from_the_disk_too(answers, tmp_path):
    put(answers, "1", saying("a secret answer"), backend="groq")
    put(answers, "2", saying("another one"), backend="ollama")

    assert answers.clear("groq") == 1
    assert answers.clear("groq") == 0

    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"another one" in written
    assert b"a secret answer" not in written
    assert answers.clear() == 1
