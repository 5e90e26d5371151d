from __future__ import annotations

import pytest
from support.conversations import store_in

from arawn.messages import Message, Reasoning, Role, Text
from arawn.store import search
from arawn.store.records import Entry

MODEL = {"backend": "mock", "model": "mock-1"}


@pytest.fixture
def store(tmp_path):
    sessions = store_in(tmp_path)
    yield sessions
    sessions._database.close()


def say(store, *texts, title="talk"):
    session = store.create(**MODEL, title=title)
    for text in texts:
        store.add_turn(session, Message(Role.USER, (Text(text),)), **MODEL)
    return session


def found(store, words):
    return [hit.before + hit.found + hit.after for hit in store.search(words)]


def test_it_finds_all_the_words_in_any_order_and_case(store):
    session = say(store, "Green tea from Japan", "black coffee", "tea without colour", title="Drinks")

    [hit] = store.search("JAPAN tea")

    assert (hit.session, hit.title, hit.turn, hit.role) == (session, "Drinks", 1, "user")
    assert (hit.before, hit.found, hit.after) == ("Green ", "tea", " from Japan")
    assert hit.written > 0


def test_it_finds_beginnings_of_words_and_letters_without_their_accents(store):
    say(store, "Une théière pour le café")

    assert found(store, "theie caf") == ["Une théière pour le café"]


@pytest.mark.parametrize("part", ["ellow", "黄色", "00%", "a_b", "c\\d", '"quoted'])
def test_it_finds_parts_of_words_and_signs(store, part):
    say(store, 'yellow 这是黄色的茶 100% a_b c\\d "quoted"', "yell 这是 100 aXb cd")

    assert len(found(store, part)) == 1


@pytest.mark.parametrize(
    "words", ["", "  ", "absent", '"', "*", "NOT", "a AND", "text:x", "\0", "\ud800", "(", "-", "^"]
)
def test_any_words_can_be_searched_for(store, words):
    say(store, "nothing of the kind")

    assert found(store, words) in ([], ["nothing of the kind"])


def test_what_is_said_later_is_found_too(store):
    session = say(store, "first")
    assert found(store, "second") == []

    store.add_turn(session, Message(Role.USER, (Text("second"),)), **MODEL)

    assert found(store, "second") == ["second"]


def test_an_answer_is_found_by_its_last_words_only(store):
    session = say(store, "question")
    for text in ("Let me", "It is Thursday"):
        store.save_draft(session, Entry(message=Message(Role.ASSISTANT, (Text(text),)), turn=1, position=1, **MODEL))
        store.search("warm up the index")

    assert found(store, "thursday") == ["It is Thursday"]
    assert found(store, "let") == []


def test_reasoning_is_not_searched(store):
    session = say(store, "question")
    thought = Message(Role.ASSISTANT, (Reasoning("a secret thought"), Text("answer")))
    store.save_draft(session, Entry(message=thought, turn=1, position=1, **MODEL))

    assert found(store, "secret") == []


def test_what_a_branch_shares_with_its_parent_is_found_once(store):
    session = say(store, "shared words")
    branch = store.branch(session, 1)
    store.add_turn(branch, Message(Role.USER, (Text("other words"),)), **MODEL)

    assert {(hit.session, hit.turn) for hit in store.search("words")} == {(session, 1), (branch, 2)}
    store.delete(session)
    assert {(hit.session, hit.turn) for hit in store.search("words")} == {(branch, 1), (branch, 2)}


def test_a_long_text_is_cut_around_what_was_found_and_put_on_one_line(store):
    say(store, "a" * 500 + "\n\nthe needle\there\n" + "b" * 500)

    [hit] = store.search("needle")

    assert hit.found == "needle"
    assert hit.before == "…" + "a" * 54 + " the "
    assert hit.after == " here " + "b" * 54 + "…"


def test_it_gives_no_more_than_wanted(store):
    say(store, *["tea"] * 5)

    assert len(store.search("tea", 3)) == 3


def test_without_the_full_text_index_it_searches_all_the_same(store, monkeypatch):
    monkeypatch.setattr(search, "_CAN_INDEX", "SELECT 1 WHERE 0")
    session = say(store, "Green tea", "black tea")

    assert found(store, "tea") == ["black tea", "Green tea"]
    store.delete(session)
    assert found(store, "tea") == []


def test_with_no_room_for_the_index_it_searches_all_the_same(store):
    say(store, "Green tea")
    store._database.rows("PRAGMA query_only = 1")

    assert found(store, "tea") == ["Green tea"]
