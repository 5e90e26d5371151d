from __future__ import annotations

from threading import Thread
from time import monotonic, sleep

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


class Timers:
    """Starts timers that run out when the test says so."""

    def __init__(self):
        self.started = []
        self.running = []

    def __call__(self, seconds, function):
        self.started.append(round(seconds, 3))
        timer = Timer(self, function)
        self.running.append(timer)
        return timer

    def run_out(self):
        """Let every running timer call its function, in a thread of its own."""
        for timer in list(self.running):
            self.running.remove(timer)
            thread = Thread(target=timer.function)
            thread.start()
            thread.join()


class Timer:
    def __init__(self, timers, function):
        self.timers = timers
        self.function = function

    def cancel(self):
        self.timers.running.remove(self)


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
    recorder = Recorder(store, clock=clock, start_timer=Timers())
    draft = recorder.draft(opened(recorder), **MODEL)
    seen = []
    for step, text in [(0, "a"), (0.4, "ab"), (0.1, "abc"), (0.49, "abcd"), (0.01, "abcde")]:
        clock.now += step
        draft.update(lambda text=text: come(text))
        seen.append(kept(store, recorder)[1][0])

    assert seen == ["a", "a", "abc", "abc", "abcde"]
    assert kept(store, recorder)[1] == ("abcde", "partial")


def test_the_last_piece_before_a_silence_is_kept_when_half_a_second_is_over(store):
    clock, timers = ManualClock(), Timers()
    recorder = Recorder(store, clock=clock, start_timer=timers)
    draft = recorder.draft(opened(recorder), **MODEL)
    draft.update(lambda: come("a"))
    clock.now += 0.1
    draft.update(lambda: come("ab"))
    draft.update(lambda: come("abc"))
    assert kept(store, recorder)[1] == ("a", "partial")

    clock.now += 0.4
    timers.run_out()

    assert timers.started == [0.4]
    assert kept(store, recorder)[1] == ("abc", "partial")


def test_after_a_write_by_the_timer_the_next_one_is_half_a_second_later(store):
    clock, timers = ManualClock(), Timers()
    recorder = Recorder(store, clock=clock, start_timer=timers)
    draft = recorder.draft(opened(recorder), **MODEL)
    for step, text in [(0, "a"), (0.1, "ab")]:
        clock.now += step
        draft.update(lambda text=text: come(text))
    clock.now += 0.4
    timers.run_out()

    clock.now += 0.2
    draft.update(lambda: come("abc"))

    assert timers.started == [0.4, 0.3]
    assert kept(store, recorder)[1] == ("ab", "partial")


def test_no_timer_runs_once_all_is_kept(store):
    clock, timers = ManualClock(), Timers()
    recorder = Recorder(store, clock=clock, start_timer=timers)
    draft = recorder.draft(opened(recorder), **MODEL)
    for step in (0, 0.1):
        clock.now += step
        draft.update(lambda: come("a"))
    assert len(timers.running) == 1

    clock.now += 0.4
    draft.update(lambda: come("ab"))

    assert timers.running == []
    assert kept(store, recorder)[1] == ("ab", "partial")


def test_a_timer_that_ran_out_late_does_not_undo_the_end(store):
    clock, timers = ManualClock(), Timers()
    recorder = Recorder(store, clock=clock, start_timer=timers)
    draft = recorder.draft(opened(recorder), **MODEL)
    for step in (0, 0.1):
        clock.now += step
        draft.update(lambda: come("a"))
    [late] = timers.running

    draft.finish(come("done"), "complete", None)
    assert timers.running == []
    late.function()

    assert kept(store, recorder)[1] == ("done", "complete")


def test_the_timer_of_a_process_keeps_the_last_piece(store):
    recorder = Recorder(store, clock=monotonic)
    draft = recorder.draft(opened(recorder), **MODEL)
    for text in ("a", "ab"):
        draft.update(lambda text=text: come(text))

    deadline = monotonic() + 20
    while kept(store, recorder)[1] != ("ab", "partial"):
        assert monotonic() < deadline
        sleep(0.05)


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
    draft.update(lambda: come("a"))
    draft.finish(come("a"), "complete", None)
    recorder.summarise("", 1)
    recorder.undo(1)
    recorder.rename("tea")
    recorder.retitle("tea")
    recorder.set_system("tea")

    assert (recorder.saves, recorder.id, recorder.branch(1), recorder.failure) == (False, "", "", None)
    recorder.raise_failure()


def test_r48_a_store_that_cannot_be_written_stops_nothing_and_is_told_once(store):
    recorder = Recorder(store, clock=ManualClock())
    draft = recorder.draft(opened(recorder), **MODEL)
    store._database.rows("PRAGMA query_only = 1")

    draft.update(lambda: come("a"))
    draft.update(lambda: pytest.fail("a store that failed is not tried again for every word"))
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
