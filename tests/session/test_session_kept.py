from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from support.conversations import (
    MockBackends,
    collect_events,
    echo_backend,
    interrupted_reply,
    read_events,
    scripted_backend,
    send_all,
    sent_messages,
    session,
    store_in,
    stored_messages,
    texts,
)

from arawn.backends.mock import MockBackend, MockResponse
from arawn.engine.blocking import run
from arawn.errors import (
    NotSavedError,
    RateLimitError,
    StreamInterruptedError,
    UsageError,
)
from arawn.events import Finished, TextDelta
from arawn.messages import FinishReason, Role


def marks(answer):
    """The metadata of an answer besides its prefix."""
    return {key: value for key, value in answer.metadata.items() if key != "prefix"}


@pytest.fixture
def store(tmp_path):
    sessions = store_in(tmp_path)
    yield sessions
    sessions._database.close()


def test_r47_the_question_is_kept_before_anything_is_sent(store):
    class Looking(MockBackend):
        async def stream(self, request):
            seen.extend(stored_messages(store, conversation))
            async with aclosing(super().stream(request)) as events:
                async for event in events:
                    yield event

    seen = []
    conversation = session(MockBackends(mock=Looking.echo()), store)

    send_all(conversation, "hello")

    assert seen == [("hello", "complete")]


def test_r47_the_answer_is_kept_while_it_comes_and_for_good_before_its_last_event_is_handed_out(store):
    conversation = session(MockBackends(mock=scripted_backend("one two three")), store, clock=iter(range(100)).__next__)
    seen = []

    async def watch():
        async with aclosing(conversation.send("count")) as events:
            async for event in events:
                seen.append((type(event).__name__, stored_messages(store, conversation)[1:]))  # noqa: PERF401 -- what is kept changes

    run(watch())

    assert seen == [
        ("Started", []),
        ("TextDelta", []),
        ("TextDelta", [("one ", "partial")]),
        ("TextDelta", [("one two ", "partial")]),
        ("Finished", [("one two three", "complete")]),
    ]


def test_r51_an_answer_that_is_left_keeps_what_came_with_a_mark(store):
    conversation = session(MockBackends(mock=scripted_backend("one two three", "again")), store)

    run(read_events(conversation.send("count"), 3))

    assert marks(conversation.turns[0].answer) == {"partial": "stopped"}
    assert stored_messages(store, conversation) == [("count", "complete"), ("one two ", "partial")]


class Signal(BaseException):
    """Like what a signal raises: no Exception."""


def test_r51_whatever_stops_it_the_partial_answer_is_kept(store):
    class Stopped(MockBackend):
        async def stream(self, request):
            async with aclosing(super().stream(request)) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        raise Signal
                    yield event

    conversation = session(MockBackends(mock=Stopped.echo()), store)

    with pytest.raises(Signal):
        send_all(conversation, "one two")

    assert stored_messages(store, conversation) == [("one two", "complete"), ("one two", "partial")]
    assert marks(conversation.turns[0].answer) == {"partial": "stopped"}


def test_r51_a_cancelled_task_keeps_the_partial_answer(store):
    reply = MockResponse.text("one two three").with_tokens_per_second(0.001)
    conversation = session(MockBackends(mock=MockBackend().with_response(reply)), store)

    async def listen(came):
        async with aclosing(conversation.send("count")) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    came.set()

    async def talk_and_cancel():
        came = asyncio.Event()
        task = asyncio.create_task(listen(came))
        await came.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(talk_and_cancel())

    assert stored_messages(store, conversation) == [("count", "complete"), ("one ", "partial")]


def test_a_reader_who_leaves_after_the_last_event_has_a_whole_answer(store):
    conversation = session(MockBackends(mock=scripted_backend("one")), store)

    run(read_events(conversation.send("count"), 3))

    assert stored_messages(store, conversation)[1] == ("one", "complete")
    assert marks(conversation.turns[0].answer) == {}


def test_an_answer_that_broke_off_is_kept_as_incomplete_with_the_reason(store):
    conversation = session(MockBackends(mock=scripted_backend(interrupted_reply("one two three four"))), store)

    with pytest.raises(StreamInterruptedError):
        send_all(conversation, "count")

    assert stored_messages(store, conversation)[1] == ("one two t", "incomplete")
    error = 'The answer of backend "mock" stopped before its end'
    assert marks(conversation.turns[0].answer) == {"partial": "interrupted", "error": error}


def test_a_question_without_an_answer_is_kept_with_the_reason_but_not_sent_again(store):
    bench = MockBackends(mock=scripted_backend(MockResponse.error("rate_limit"), "ok"))
    conversation = session(bench, store)
    with pytest.raises(RateLimitError):
        send_all(conversation, "one")

    send_all(conversation, "two")

    assert sent_messages(bench.backends["mock"]) == [("user", "two")]
    assert stored_messages(store, conversation)[:2] == [("one", "complete"), ("", "error")]
    assert store.load(conversation.id).entries[1].message.metadata["partial"] == "rate_limit"
    assert conversation.usage.input_tokens == 1


def test_editing_the_first_turn_gives_the_branch_a_title_of_its_own(store):
    conversation = send_all(session(MockBackends(mock=echo_backend()), store), "one", "two")

    collect_events(conversation.edit(1, "uno"))

    assert (conversation.title, store.load(conversation.id).info.title) == ("uno", "uno")


def test_a_kept_conversation_goes_on_where_it_was(store):
    first = send_all(
        session(MockBackends(mock=scripted_backend("Hello!")), store, system="Be brief.", name="ann"), "I am Ann"
    )
    bench = MockBackends(mock=scripted_backend("Ann."))

    second = session(bench, store).resume(store.load(store.resolve("ann").id))
    send_all(second, "Who am I?")

    assert texts(bench.backends["mock"].requests[0].messages) == ["Be brief.", "I am Ann", "Hello!", "Who am I?"]
    assert (second.id, second.name, second.title) == (first.id, "ann", "I am Ann")
    assert second.usage.output_tokens > first.usage.output_tokens
    assert store.load(first.id).info.turns == 2


def test_what_a_killed_process_left_is_marked_when_it_is_taken_up(store):
    conversation = session(MockBackends(mock=scripted_backend("one two three")), store)
    run(read_events(conversation.send("count"), 3))
    with store._database.writing() as connection:
        connection.execute("UPDATE messages SET message = replace(message, ',\"partial\":\"stopped\"', '')")

    taken_up = session(MockBackends(mock=echo_backend()), store).resume(store.load(conversation.id))

    assert marks(taken_up.turns[0].answer) == {"partial": "stopped"}


def test_a_system_prompt_of_ones_own_beats_that_of_the_kept_conversation(store):
    conversation = send_all(session(MockBackends(mock=echo_backend()), store, system="Be brief."), "one")

    session(MockBackends(mock=echo_backend()), store, system="Be kind.").resume(store.load(conversation.id))

    assert store.load(conversation.id).info.system == "Be kind."


def test_system_name_and_title_can_be_changed_at_any_time(store):
    conversation = session(MockBackends(mock=echo_backend()), store)
    conversation.system = "Be brief."
    conversation.rename("tea")
    conversation.retitle("About tea\nand more")
    send_all(conversation, "one")
    before = store.load(conversation.id).info
    conversation.system = "Be kind."
    conversation.rename("coffee")
    conversation.retitle("About coffee")
    after = store.load(conversation.id).info

    assert (conversation.system, conversation.name, conversation.title) == ("Be kind.", "coffee", "About coffee")
    assert (before.system, before.name, before.title) == ("Be brief.", "tea", "About tea")
    assert (after.system, after.name, after.title) == ("Be kind.", "coffee", "About coffee")


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("What is tea?", "What is tea?"),
        ("\n\n  Tea\t and\x1b[31m coffee \nmore", "Tea and [31m coffee"),
        ("word " * 30, "word word word word word word word word word word word word…"[:60]),
        ("x" * 100, "x" * 59 + "…"),
        ("", "(no words)"),
    ],
)
def test_the_title_is_the_first_line(store, said, title):
    conversation = send_all(session(MockBackends(mock=scripted_backend("ok")), store), said)

    assert (conversation.title, len(title) <= 60) == (title, True)
    assert store.resolve("last").title == title


def test_the_indexing_role_can_make_the_title(store):
    bench = MockBackends(
        mock=scripted_backend("Leaves in water."), indexing=scripted_backend('"About Tea"\n', name="indexing")
    )
    conversation = send_all(session(bench, store), "What is tea?")

    assert run(conversation.make_title()) == "About Tea"

    assert store.resolve("last").title == "About Tea"
    assert "user: What is tea?\n\nassistant: Leaves in water." in sent_messages(bench.backends["indexing"])[1]


@pytest.mark.parametrize(
    "bench", [MockBackends(mock=echo_backend()), MockBackends(mock=echo_backend(), indexing=scripted_backend(" \n"))]
)
def test_a_title_that_cannot_be_made_stays_the_first_line(bench):
    assert run(send_all(session(bench), "What is tea?").make_title()) == "What is tea?"


def test_a_private_conversation_keeps_nothing():
    conversation = send_all(session(MockBackends(mock=echo_backend())), "one", "two")
    conversation.undo()
    conversation.rename("tea")

    assert (conversation.private, conversation.id, conversation.branch(1)) == (True, "", "")


def test_r48_when_it_cannot_be_kept_the_whole_answer_comes_first_and_then_the_error(store):
    conversation = send_all(session(MockBackends(mock=echo_backend()), store), "one")
    store._database.rows("PRAGMA query_only = 1")
    heard = []

    async def listen():
        async with aclosing(conversation.send("one two three")) as events:
            async for event in events:
                heard.append(event)  # noqa: PERF401 -- what came before a failure counts

    with pytest.raises(NotSavedError, match="not saved: cannot write") as caught:
        run(listen())

    assert caught.value.exit_code == 11
    assert isinstance(heard[-1], Finished)
    assert "".join(each.text for each in heard if isinstance(each, TextDelta)) == "one two three"
    assert texts(conversation.history) == ["one", "one", "one two three", "one two three"]


def test_r48_the_conversation_goes_on_and_is_kept_again_when_that_is_possible(store):
    conversation = session(MockBackends(mock=echo_backend()), store)
    send_all(conversation, "one")
    store._database.rows("PRAGMA query_only = 1")
    with pytest.raises(NotSavedError):
        send_all(conversation, "two")
    store._database.rows("PRAGMA query_only = 0")

    send_all(conversation, "three")

    assert texts(conversation.history) == ["one", "one", "two", "two", "three", "three"]
    assert [text for text, _ in stored_messages(store, conversation)] == ["one", "one", "three", "three"]
    assert conversation.undo().number == 2


def test_r48_when_the_answer_fails_too_that_is_raised_and_the_other_can_be_asked_for(store):
    conversation = session(MockBackends(mock=scripted_backend(MockResponse.error("rate_limit"))), store)
    store._database.rows("PRAGMA query_only = 1")

    with pytest.raises(RateLimitError):
        send_all(conversation, "one")

    assert "not saved: cannot write" in conversation.unsaved.message


def test_a_name_that_is_taken_is_refused_before_anything_is_sent(store):
    send_all(session(MockBackends(mock=echo_backend()), store, name="tea"), "one")
    bench = MockBackends(mock=echo_backend())
    conversation = session(bench, store, name="tea")

    with pytest.raises(UsageError, match="already has the name"):
        send_all(conversation, "two")

    assert (bench.backends["mock"].call_count, conversation.turns) == (0, ())


def test_an_answer_cut_at_its_limit_is_complete_and_says_why_it_ended(store):
    cut = MockResponse.text("one two").with_finish_reason(FinishReason.LENGTH)
    conversation = send_all(session(MockBackends(mock=scripted_backend(cut)), store), "count")

    assert store.load(conversation.id).entries[1].finish_reason == "length"
    assert conversation.history[1].role is Role.ASSISTANT
