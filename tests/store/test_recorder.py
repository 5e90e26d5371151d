from __future__ import annotations

import pytest
from support.conversations import ManualClock, store_in

from arawn.errors import NotSavedError, UsageError
from arawn.messages import FinishReason, Message, Response, Role, Text, Usage
from arawn.store.recorder import Recorder

MODEL = {"backend": "mock", "model": "mock-1"}
HELLO = Message(Role.USER, (Text("hello"),))


@pytest.fixture
def store(tmp_path):
    sessions = store_in(tmp_path)
    yield sessions
    sessions._database.close()


def opened(recorder, **fields):
    return recorder.open(HELLO, **{**MODEL, "title": "hello", "system": "", "name": "", **fields})


def come(text, **fields):
    return Response(Message(Role.ASSISTANT, (Text(text),)), backend="fallback", model="other", **fields)


def kept(store, recorder):
    return [(entry.message.text, entry.status) for entry in store.load(recorder.id).entries]


def test_the_first_turn_begins_a_session(store):
    recorder = Recorder(store, clock=ManualClock())
    assert recorder.id == ""

    assert [opened(recorder), opened(recorder)] == [1, 2]

    assert store.resolve(recorder.id).turns == 2


def test_an_answer_is_kept_at_once_and_then_twice_a_second(store):
    clock = ManualClock()
    recorder = Recorder(store, clock=clock)
    draft = recorder.draft(opened(recorder), **MODEL)
    seen = []
    for step, text in [(0, "a"), (0.4, "ab"), (0.1, "abc"), (0.49, "abcd"), (0.01, "abcde")]:
        clock.now += step
        draft.offer(lambda text=text: come(text))
        seen.append(kept(store, recorder)[1][0])

    assert seen == ["a", "a", "abc", "abc", "abcde"]
    assert kept(store, recorder)[1] == ("abcde", "partial")


def test_its_end_is_kept_with_who_answered_and_what_it_took(store):
    recorder = Recorder(store, clock=ManualClock())
    draft = recorder.draft(opened(recorder), **MODEL)

    draft.finish(come("done", finish_reason=FinishReason.LENGTH, usage=Usage(1, 2)), "complete", None)

    entry = store.load(recorder.id).entries[1]
    assert (entry.backend, entry.model, entry.finish_reason) == ("fallback", "other", "length")
    assert (entry.message.text, entry.status, entry.usage) == ("done", "complete", Usage(1, 2))


def test_without_a_store_nothing_is_kept_and_nothing_fails():
    recorder = Recorder(None, clock=ManualClock())

    draft = recorder.draft(opened(recorder), **MODEL)
    draft.offer(lambda: come("a"))
    draft.finish(come("a"), "complete", None)
    recorder.summarise("", 1)
    recorder.undo(1)
    recorder.rename("tea")
    recorder.retitle("tea")
    recorder.instruct("tea")

    assert (recorder.keeps, recorder.id, recorder.branch(1), recorder.failure) == (False, "", "", None)
    recorder.raise_failure()


def test_r48_a_store_that_cannot_be_written_stops_nothing_and_is_told_once(store):
    recorder = Recorder(store, clock=ManualClock())
    draft = recorder.draft(opened(recorder), **MODEL)
    store._database.rows("PRAGMA query_only = 1")

    draft.offer(lambda: come("a"))
    draft.offer(lambda: pytest.fail("a store that failed is not tried again for every word"))
    draft.finish(come("a"), "complete", None)

    with pytest.raises(NotSavedError, match=r"^not saved: cannot write .*readonly") as caught:
        recorder.raise_failure()
    assert caught.value.hints == ("check who may write the file and its folder",)
    recorder.raise_failure()


def test_r48_a_store_that_cannot_be_opened_stops_nothing(tmp_path):
    (tmp_path / "arawn.db").write_bytes(b"not a database at all, but long enough to look at" * 50)
    recorder = Recorder(store_in(tmp_path), clock=ManualClock())

    assert opened(recorder) == 0

    with pytest.raises(NotSavedError, match="file is not a database"):
        recorder.raise_failure()


def test_a_turn_after_the_failure_is_kept_again(store):
    recorder = Recorder(store, clock=ManualClock())
    store._database.rows("PRAGMA query_only = 1")
    assert opened(recorder) == 0
    store._database.rows("PRAGMA query_only = 0")

    assert opened(recorder) == 1


def test_a_name_that_is_taken_is_the_users_mistake(store):
    opened(Recorder(store, clock=ManualClock()), name="tea")

    with pytest.raises(UsageError, match="already has the name"):
        opened(Recorder(store, clock=ManualClock()), name="tea")
