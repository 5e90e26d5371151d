"""A question as a turn of a saved conversation: which one it belongs to, and what could not be saved."""

from __future__ import annotations

import os

import pytest
from support.conversations import MockBackends, collect_events, scripted_backend, sent_messages

from arawn.errors import UsageError
from arawn.messages import ChatRequest, LLMMessage
from arawn.session.recording import Recording
from arawn.store.database import Database
from arawn.store.sessions import Sessions

PLAIN = ChatRequest("", ())


@pytest.fixture
def database(tmp_path):
    with Database(str(tmp_path / "arawn.db")) as opened:
        yield opened


@pytest.fixture
def bench():
    return MockBackends(mock=scripted_backend("one", "two"))


def ask(recording, bench, text):
    return collect_events(recording.answer(bench, bench.choose(), PLAIN, LLMMessage("user", text)))


def saved(database):
    sessions = Sessions(database)
    return [[entry.message.text for entry in sessions.load(info.id).entries] for info in sessions.recent()]


def test_a_question_is_a_session_of_its_own(database, bench):
    for text in ("first", "second"):
        recording = Recording(database)
        ask(recording, bench, text)
        assert (recording.usual, recording.unsaved) == (None, None)

    assert saved(database) == [["second", "two"], ["first", "one"]]


@pytest.mark.parametrize("how", [{"go_on": True}, {"name": "tea"}])
def test_it_goes_on_with_the_newest_or_a_named_session(database, bench, how):
    ask(Recording(database, name="tea", system="Be brief."), bench, "first")

    recording = Recording(database, **how)
    ask(recording, bench, "second")

    assert recording.usual == ("mock", "mock-1")
    assert saved(database) == [["first", "one", "second", "two"]]
    assert sent_messages(bench.backends["mock"]) == [
        ("system", "Be brief."),
        ("user", "first"),
        ("assistant", "one"),
        ("user", "second"),
    ]


def test_without_keeping_it_saves_nothing_but_may_go_on(database, bench):
    ask(Recording(database), bench, "first")

    ask(Recording(database, go_on=True, keeps=False), bench, "second")

    assert saved(database) == [["first", "one"]]
    assert [text for _, text in sent_messages(bench.backends["mock"])] == ["first", "one", "second"]


def test_what_is_not_there_cannot_go_on(database):
    with pytest.raises(UsageError, match="there is no session yet"):
        Recording(database, name="tea", keeps=False)
    assert not os.path.exists(database.path)


def test_a_preview_saves_nothing(database, bench):
    recording = Recording(database, system="Be brief.")

    request = recording.preview(bench, bench.choose(), PLAIN, LLMMessage("user", "Hi"))

    assert [message.text for message in request.messages] == ["Be brief.", "Hi"]
    assert not os.path.exists(database.path)


def test_an_answer_that_cannot_be_saved_comes_and_says_why(tmp_path, bench):
    (tmp_path / "arawn.db").write_bytes(b"this is no database" * 100)
    recording = Recording(Database(str(tmp_path / "arawn.db")))

    events = ask(recording, bench, "first")

    assert events
    assert recording.unsaved.message.startswith("answer not saved: cannot use ")
    assert recording.unsaved.hints[-1].startswith("to keep nothing: --no-save")


def test_a_store_that_others_could_read_is_a_warning(database, bench):
    ask(Recording(database), bench, "first")
    os.chmod(database.path, 0o644)
    warnings = []

    ask(Recording(Database(database.path), warn=warnings.append), bench, "second")

    assert [text for text in warnings if "could be read by others" in text]
