from __future__ import annotations

from contextlib import aclosing
from decimal import Decimal

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
from arawn.config.sources import load
from arawn.engine.assembly import Engine
from arawn.engine.blocking import run
from arawn.errors import (
    ConfigError,
    StreamInterruptedError,
    UsageError,
)
from arawn.events import Finished, Notice, TextDelta
from arawn.messages import ChatRequest, Image, Text, Usage
from arawn.models.prices import Price
from arawn.session.session import Session

RED = Image(b"\x89PNG", "image/png")


@pytest.fixture
def store(tmp_path):
    sessions = store_in(tmp_path)
    yield sessions
    sessions._database.close()


def test_what_was_said_before_is_sent_again():
    bench = MockBackends(mock=scripted_backend("Hello!", "Ann."))
    conversation = send_all(session(bench, system="Be brief."), "I am Ann", "Who am I?")

    assert sent_messages(bench.backends["mock"]) == [
        ("system", "Be brief."),
        ("user", "I am Ann"),
        ("assistant", "Hello!"),
        ("user", "Who am I?"),
    ]
    assert texts(conversation.history) == ["I am Ann", "Hello!", "Who am I?", "Ann."]


def test_the_events_are_those_of_the_backend():
    events = collect_events(session(MockBackends(mock=scripted_backend("Good day"))).send("Hi"))

    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Good ", "day"]
    assert isinstance(events[-1], Finished)


def test_what_is_asked_for_besides_goes_with_every_call():
    bench = MockBackends(mock=echo_backend())
    conversation = session(bench, request=ChatRequest("", (), temperature=0.5, max_tokens=9))
    send_all(conversation, "one")
    conversation.request = ChatRequest("", (), seed=7)
    send_all(conversation, "two")

    first, second = bench.backends["mock"].requests
    assert (first.model, first.temperature, first.max_tokens, first.seed) == ("mock-1", 0.5, 9, None)
    assert (second.model, second.temperature, second.seed) == ("mock-1", None, 7)


def test_parts_that_are_no_text_are_sent_as_they_are():
    bench = MockBackends(mock=echo_backend())
    collect_events(session(bench).send((RED, Text("What is this?"))))

    assert bench.backends["mock"].requests[0].messages[0].parts == (RED, Text("What is this?"))


def test_it_talks_on_the_real_engine_as_the_configuration_says(tmp_path, store):
    (tmp_path / "config.toml").write_text(
        '[llm]\nbackend = "m"\nsystem = "Be brief."\n[backends.m]\nadapter = "mock"\nmode = "echo"\nmodel = "parrot"\n'
    )
    settings = load(environ={"ARAWN_HOME": str(tmp_path)}, cwd=str(tmp_path), project=False)
    engine = Engine.blocking(settings)

    conversation = send_all(Session(engine, engine.choose(), sessions=store), "hello", "again")
    engine.close()

    assert texts(conversation.history) == ["hello", "hello", "again", "again"]
    assert (store.resolve("last").model, store.resolve("last").turns) == ("parrot", 2)


def test_of_an_answer_that_was_cut_the_text_is_sent_with_the_next_question():
    reply = interrupted_reply("one two").with_reasoning("hm")
    bench = MockBackends(mock=scripted_backend(reply, "ok"))
    conversation = session(bench)
    with pytest.raises(StreamInterruptedError):
        send_all(conversation, "count")

    send_all(conversation, "go on")

    sent = bench.backends["mock"].requests[1].messages
    assert [message.parts for message in sent] == [(Text("count"),), (Text("one"),), (Text("go on"),)]


def test_retry_asks_the_same_again_and_the_new_answer_takes_the_old_ones_place(store):
    bench = MockBackends(mock=scripted_backend("one", "first", "second"))
    conversation = send_all(session(bench, store), "a", "b")

    collect_events(conversation.retry())

    assert sent_messages(bench.backends["mock"], 1) == sent_messages(bench.backends["mock"], 2)
    assert texts(conversation.history) == ["a", "one", "b", "second"]
    assert [text for text, _ in stored_messages(store, conversation)] == ["a", "one", "b", "second"]


def test_a_retry_that_brings_nothing_leaves_the_old_answer(store):
    conversation = send_all(
        session(MockBackends(mock=scripted_backend("good", MockResponse.error("server"))), store), "a"
    )

    with pytest.raises(Exception, match="mock"):
        collect_events(conversation.retry())

    assert texts(conversation.history) == ["a", "good"]
    assert stored_messages(store, conversation) == [("a", "complete"), ("good", "complete")]


def test_a_question_that_failed_can_be_asked_again(store):
    conversation = session(MockBackends(mock=scripted_backend(MockResponse.error("server"), "good")), store)
    with pytest.raises(Exception, match="mock"):
        send_all(conversation, "a")

    collect_events(conversation.retry())

    assert stored_messages(store, conversation) == [("a", "complete"), ("good", "complete")]


def test_undo_takes_back_the_last_turn(store):
    conversation = send_all(session(MockBackends(mock=echo_backend()), store), "one", "two")

    undone = conversation.undo()

    assert (undone.question.text, undone.answer.text) == ("two", "two")
    assert texts(conversation.history) == ["one", "one"]
    assert stored_messages(store, conversation) == [("one", "complete"), ("one", "complete")]


def test_editing_the_last_turn_asks_it_in_other_words_with_its_images(store):
    bench = MockBackends(mock=echo_backend())
    conversation = send_all(session(bench, store), "one")
    collect_events(conversation.send((RED, Text("wot is this?"))))

    collect_events(conversation.edit(2, "what is this?"))

    assert bench.backends["mock"].requests[-1].messages[-1].parts == (RED, Text("what is this?"))
    assert texts(conversation.history) == ["one", "one", "what is this?", "what is this?"]
    assert len(store.recent()) == 1


def test_editing_an_earlier_turn_goes_on_in_a_branch_and_leaves_the_original_whole(store):
    conversation = send_all(session(MockBackends(mock=echo_backend()), store), "one", "two", "three")
    original = conversation.id

    collect_events(conversation.edit(2, "zwei"))

    assert texts(conversation.history) == ["one", "one", "zwei", "zwei"]
    assert store.load(original).info.turns == 3
    assert (store.load(conversation.id).info.parent, conversation.id != original) == (original, True)


def test_a_branch_goes_on_by_itself(store):
    conversation = send_all(session(MockBackends(mock=echo_backend()), store, name="tea"), "one", "two")
    original = conversation.id

    branch = conversation.branch(1)
    send_all(conversation, "other")

    assert (conversation.id, conversation.name) == (branch, "")
    assert texts(conversation.history) == ["one", "one", "other", "other"]
    assert store.load(original).info.turns == 2
    assert store.load(conversation.branch()).info.turns == 2


@pytest.mark.parametrize("turn", [0, 3, -1])
def test_a_turn_that_is_not_there_is_named(turn):
    conversation = send_all(session(MockBackends(mock=echo_backend())), "one", "two")

    with pytest.raises(UsageError, match=rf"no turn {turn}: it has 2"):
        conversation.edit(turn, "x")


def test_before_anything_was_said_there_is_nothing_to_take_back_or_ask_again():
    conversation = session(MockBackends(mock=echo_backend()))

    for verb in (conversation.undo, conversation.retry):
        with pytest.raises(UsageError, match="nothing was said yet"):
            verb()


def test_switching_keeps_the_conversation(store):
    bench = MockBackends(mock=scripted_backend("Hello!"), other=echo_backend("other"))
    conversation = send_all(session(bench, store), "I am Ann")

    assert conversation.switch("other", "big").model == "big"
    send_all(conversation, "Who am I?")

    assert texts(bench.backends["other"].requests[0].messages) == ["I am Ann", "Hello!", "Who am I?"]
    models = [(each.backend, each.model) for each in store.load(conversation.id).entries]
    assert models == [("mock", "mock-1"), ("mock", "mock-1"), ("other", "big"), ("other", "big")]


def test_switching_to_what_is_not_there_changes_nothing():
    conversation = session(MockBackends(mock=echo_backend()))

    with pytest.raises(ConfigError):
        conversation.switch("absent", None)

    assert conversation.choice.backend == "mock"


def test_what_an_adapter_leaves_out_is_told_once():
    class Dropping(MockBackend):
        async def stream(self, request):
            yield Notice("dropped", "reasoning not sent")
            yield Notice("retrying", "again in 1 s")
            async with aclosing(super().stream(request)) as events:
                async for event in events:
                    yield event

    conversation = session(MockBackends(mock=Dropping.echo()))
    told = [
        [each.text for each in collect_events(conversation.send("x")) if isinstance(each, Notice)] for _ in range(2)
    ]

    assert told == [["reasoning not sent", "again in 1 s"], ["again in 1 s"]]


def test_usage_and_cost_are_of_the_whole_conversation(store):
    bench = MockBackends(mock=scripted_backend("12345678", "1234"))
    bench.knows("mock", prices=(Price(input=Decimal(1_000_000), output=Decimal(10_000_000)),))
    conversation = send_all(session(bench, store), "1234", "1234")

    assert conversation.usage == Usage(1 + 4, 2 + 1)
    assert conversation.cost == 5 + 30
    info = store.load(conversation.id).info
    assert (info.usage, info.cost) == (Usage(5, 3), 35)


def test_the_usage_of_an_answer_that_was_cut_is_guessed_and_says_so():
    conversation = session(MockBackends(mock=scripted_backend("one two three")))

    run(read_events(conversation.send("count to three"), 3))

    assert conversation.usage == Usage(4, 3, estimated=True)
