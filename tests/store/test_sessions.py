from __future__ import annotations

from decimal import Decimal

import pytest
from support.conversations import ManualClock, store_in

from arawn.errors import ConfigError, NotSavedError, UsageError
from arawn.messages import Image, Message, Reasoning, Role, Text, ToolCall, Usage
from arawn.store.records import Entry

DAY = 86_400
MODEL = {"backend": "mock", "model": "mock-1"}


def user(text):
    return Message(Role.USER, (Text(text),))


def answer(text, turn=1, **fields):
    message = Message(Role.ASSISTANT, (Text(text),))
    return Entry(**{"message": message, "turn": turn, "position": 1, **MODEL, **fields})


@pytest.fixture
def now():
    return ManualClock(1_000_000.0)


@pytest.fixture
def store(tmp_path, now):
    sessions = store_in(tmp_path, now=now)
    yield sessions
    sessions._database.close()


def said(store, *words, **fields):
    """A session with a turn for each word, answered with the word in capitals."""
    session = store.create(**{**MODEL, "title": words[0], **fields})
    for word in words:
        turn = store.add_turn(session, user(word), **MODEL)
        store.save_answer(session, answer(word.upper(), turn, usage=Usage(10, 5), cost=Decimal("0.10")))
    return session


def texts(store, session):
    return [entry.message.text for entry in store.load(session).entries]


def test_a_conversation_comes_back_whole(store):
    session = store.create(**MODEL, title="Tea", system="Be brief.", name="tea")
    question = Message(Role.USER, (Text("What is this?"), Image(b"\x89PNG", "image/png")))
    reply = Message(Role.ASSISTANT, (Reasoning("hm", "sig", {"a": 1}, "mock"), Text("Tea"), ToolCall("c", "f", "{")))
    turn = store.add_turn(session, question, **MODEL)
    entry = answer("", message=reply, finish_reason="stop", raw_finish_reason="end", usage=Usage(3, 4, 1), cost=None)
    store.save_answer(session, entry)

    transcript = store.load(session)

    assert turn == 1
    assert [each.message for each in transcript.entries] == [question, reply]
    kept = transcript.entries[1]
    assert (kept.finish_reason, kept.raw_finish_reason, kept.usage, kept.cost) == ("stop", "end", Usage(3, 4, 1), None)
    assert (kept.backend, kept.model, kept.status) == ("mock", "mock-1", "complete")
    info = transcript.info
    assert (info.title, info.system, info.name, info.turns, info.last_text) == ("Tea", "Be brief.", "tea", 1, "Tea")


def test_an_answer_is_written_over_as_it_comes(store):
    session = said(store, "one")
    turn = store.add_turn(session, user("two"), **MODEL)
    for text in ("T", "TW", "TWO"):
        store.save_draft(session, answer(text, turn, status="partial"))

    assert texts(store, session) == ["one", "ONE", "two", "TWO"]
    assert store.load(session).entries[-1].status == "partial"


def test_a_new_answer_takes_the_place_of_all_that_followed_in_its_turn(store):
    session = said(store, "one", "two")
    store.save_draft(session, answer("tool said", 1, position=2))
    store.save_draft(session, answer("and so", 1, position=3))

    store.save_draft(session, answer("UNO", 1))

    assert texts(store, session) == ["one", "UNO", "two", "TWO"]


def test_usage_and_cost_add_up_exactly_and_count_what_was_written_over(store):
    session = said(store, "one", "two")
    store.save_answer(session, answer("again", 2, usage=Usage(1, 1, estimated=True), cost=Decimal("0.0000000001")))
    store.save_draft(session, answer("not yet", 2, usage=Usage(100, 100), cost=Decimal(9)))

    info = store.load(session).info

    assert info.usage == Usage(21, 11, estimated=True)
    assert info.cost == Decimal("0.2000000001")


def test_an_unknown_cost_is_not_zero(store):
    session = store.create(**MODEL)
    turn = store.add_turn(session, user("one"), **MODEL)
    store.save_answer(session, answer("ONE", turn, usage=Usage(1, 1)))

    assert store.load(session).info.cost is None


def test_sessions_are_listed_newest_first_and_empty_ones_not_at_all(store, now):
    first, second = said(store, "one"), said(store, "two", "more")
    store.create(**MODEL, title="nothing said")
    now.now += 5
    store.add_turn(first, user("again"), backend="other", model="big")

    listed = store.recent()

    assert [(info.id, info.turns, info.last_text) for info in listed] == [(first, 2, "again"), (second, 2, "MORE")]
    assert (listed[0].created, listed[0].updated) == (1_000_000.0, 1_000_005.0)
    assert (listed[0].backend, listed[0].model) == ("other", "big")
    assert [info.id for info in store.recent(1)] == [first]


def test_a_word_means_the_last_an_id_its_beginning_or_a_name(store, now):
    old = said(store, "one", name="work on tea")
    now.now += 1
    new = said(store, "two")

    assert store.resolve("last").id == new
    assert store.resolve(old).id == old
    assert store.resolve(old[:4]).id == old
    assert store.resolve(old[:6].upper()).id == old
    assert store.resolve("work on tea").id == old


def test_a_name_comes_before_the_beginning_of_an_id(store):
    session = said(store, "one")
    named = said(store, "two", name=session[:5])

    assert store.resolve(session[:5]).id == named


@pytest.mark.parametrize("word", ["", "abc", "zzzz", "%%%%", "____", "naïve\ud800", "x" * 10_000])
def test_a_word_that_means_nothing_is_found_nowhere_and_resolving_it_says_so(store, word):
    said(store, "one")

    assert store.find(word) is None
    with pytest.raises(UsageError, match="no session"):
        store.resolve(word)


def test_three_letters_of_an_id_are_too_few(store):
    session = said(store, "one")

    assert store.find(session[:3]) is None


def test_a_beginning_of_several_ids_names_them(store):
    ids = [said(store, "one"), said(store, "two")]
    with store._database.writing() as connection:
        for old, new in zip(ids, ["abcd1111", "abcd2222"], strict=True):
            connection.execute("DELETE FROM messages WHERE session = ?", [old])
            connection.execute("UPDATE sessions SET id = ? WHERE id = ?", [new, old])

    with pytest.raises(UsageError, match='"abcd" is the beginning of several') as caught:
        store.resolve("abcd")

    assert caught.value.hints == ("one of abcd2222, abcd1111",)


def test_a_name_nearly_right_is_guessed(store):
    said(store, "one", name="recipes")

    with pytest.raises(UsageError) as caught:
        store.resolve("recipez")

    assert caught.value.hints[0] == 'did you mean "recipes"?'


def test_without_any_session_there_is_no_last(store):
    assert store.find("last") is None
    with pytest.raises(UsageError, match="no session yet"):
        store.resolve("last")


@pytest.mark.parametrize("name", ["last", "-x", " x", "x\n", "\x1b[31m", "x" * 61, "a\ud800"])
def test_what_cannot_be_a_name_is_refused(store, name):
    session = said(store, "one")

    with pytest.raises(UsageError, match="cannot be the name"):
        store.rename(session, name)
    with pytest.raises(UsageError, match="cannot be the name"):
        store.create(**MODEL, name=name)


def test_a_name_belongs_to_one_session(store):
    mine, other = said(store, "one", name="tea"), said(store, "two")

    with pytest.raises(UsageError, match=f'session {mine} already has the name "tea"'):
        store.rename(other, "tea")
    store.rename(mine, "tea")
    store.rename(mine, "")
    store.rename(other, "tea")

    assert store.resolve("tea").id == other
    assert store.load(mine).info.name == ""


def test_title_and_system_prompt_can_be_changed(store):
    session = said(store, "one")

    store.retitle(session, "Half \ud800 a pair")
    store.set_system(session, "Be kind.")

    info = store.load(session).info
    assert (info.title, info.system) == ("Half ? a pair", "Be kind.")


def test_undo_removes_a_turn_and_only_that(store):
    session = said(store, "one", "two")

    store.undo(session, 2)

    assert texts(store, session) == ["one", "ONE"]
    assert store.add_turn(session, user("deux"), **MODEL) == 2


def test_a_branch_begins_with_the_turns_up_to_one_and_leaves_the_original(store):
    session = said(store, "one", "two", "three", system="Be brief.", name="tea")

    branch = store.branch(session, 2)
    store.add_turn(branch, user("other"), **MODEL)

    assert texts(store, branch) == ["one", "ONE", "two", "TWO", "other"]
    assert texts(store, session) == ["one", "ONE", "two", "TWO", "three", "THREE"]
    info = store.load(branch).info
    assert (info.parent, info.branched_at, info.system, info.name) == (session, 2, "Be brief.", "")
    assert (info.usage, info.cost) == (Usage(), None)


def test_a_branch_takes_a_summary_only_of_turns_it_has(store):
    session = said(store, "one", "two", "three")
    store.summarise(session, "They counted.", 2)

    late, early = store.load(store.branch(session, 2)).info, store.load(store.branch(session, 1)).info

    assert (late.summary, late.summarised) == ("They counted.", 2)
    assert (early.summary, early.summarised) == ("", 0)


def test_a_branch_outlives_its_parent(store):
    session = said(store, "one")
    branch = store.branch(session, 1)

    store.delete(session)

    assert store.load(branch).info.parent is None
    assert texts(store, branch) == ["one", "ONE"]


def test_what_is_deleted_is_gone_from_the_disk(store, tmp_path):
    session = said(store, "the canary sings " * 1000, "again")
    store.search("canary")
    kept = said(store, "hello")

    store.delete(session)

    assert [info.id for info in store.recent()] == [kept]
    assert store.search("canary") == ()
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"hello" in on_disk
    assert b"canary" not in on_disk.lower()


def test_purging_spares_what_is_young_or_named(store, now):
    named, old = said(store, "one", name="keep me"), said(store, "two")
    now.now += 29 * DAY
    young = said(store, "three")
    now.now += 2 * DAY

    assert store.purge(30) == 1
    assert store.purge(30) == 0
    assert {info.id for info in store.recent()} == {named, young}
    assert store.find(old) is None


def test_loading_what_is_gone_says_so(store):
    with pytest.raises(UsageError, match="no session 'feedbeef'"):
        store.load("feedbeef")


def test_a_session_deleted_meanwhile_is_not_written_to(store):
    session = said(store, "one")
    store.delete(session)

    for write in (
        lambda: store.add_turn(session, user("two"), **MODEL),
        lambda: store.save_draft(session, answer("TWO", 2)),
        lambda: store.save_answer(session, answer("TWO", 2)),
        lambda: store.branch(session, 1),
    ):
        with pytest.raises(NotSavedError, match="no longer there"):
            write()


def test_two_who_go_on_with_one_session_do_not_write_over_each_other(store):
    session = store.create(**MODEL)

    first, second = store.add_turn(session, user("one"), **MODEL), store.add_turn(session, user("two"), **MODEL)
    store.save_answer(session, answer("TWO", second))
    store.save_answer(session, answer("ONE", first))

    assert texts(store, session) == ["one", "ONE", "two", "TWO"]


def test_a_message_that_cannot_be_read_names_its_session(store):
    session = said(store, "one")
    with store._database.writing() as connection:
        connection.execute("UPDATE messages SET message = '{\"v\": 9}'")

    with pytest.raises(ConfigError, match=f"session {session} cannot be read: version 9"):
        store.load(session)
