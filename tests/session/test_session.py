from __future__ import annotations

from contextlib import aclosing
from decimal import Decimal

import pytest
from support.conversations import (
    Bench,
    asked,
    broken,
    echoing,
    hear,
    kept,
    read,
    replying,
    session,
    store_in,
    talk,
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
from arawn.session.session import Session

RED = Image(b"\x89PNG", "image/png")


@pytest.fixture
def store(tmp_path):
    sessions = store_in(tmp_path)
    yield sessions
    sessions._database.close()


def test_what_was_said_before_is_sent_again():
    bench = Bench(mock=replying("Hello!", "Ann."))
    conversation = talk(session(bench, system="Be brief."), "I am Ann", "Who am I?")

    assert asked(bench.backends["mock"]) == [
        ("system", "Be brief."),
        ("user", "I am Ann"),
        ("assistant", "Hello!"),
        ("user", "Who am I?"),
    ]
    assert texts(conversation.history) == ["I am Ann", "Hello!", "Who am I?", "Ann."]


def test_the_events_are_those_of_the_backend():
    events = hear(session(Bench(mock=replying("Good day"))).send("Hi"))

    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Good ", "day"]
    assert isinstance(events[-1], Finished)


def test_what_is_asked_for_besides_goes_with_every_call():
    bench = Bench(mock=echoing())
    conversation = session(bench, request=ChatRequest("", (), temperature=0.5, max_tokens=9))
    talk(conversation, "one")
    conversation.request = ChatRequest("", (), seed=7)
    talk(conversation, "two")

    first, second = bench.backends["mock"].requests
    assert (first.model, first.temperature, first.max_tokens, first.seed) == ("mock-1", 0.5, 9, None)
    assert (second.model, second.temperature, second.seed) == ("mock-1", None, 7)


def test_parts_that_are_no_text_are_sent_as_they_are():
    bench = Bench(mock=echoing())
    hear(session(bench).send((RED, Text("What is this?"))))

    assert bench.backends["mock"].requests[0].messages[0].parts == (RED, Text("What is this?"))


def test_it_talks_on_the_real_engine_as_the_configuration_says(tmp_path, store):
    (tmp_path / "config.toml").write_text(
        '[llm]\nbackend = "m"\nsystem = "Be brief."\n[backends.m]\nadapter = "mock"\nmode = "echo"\nmodel = "parrot"\n'
    )
    settings = load(environ={"ARAWN_HOME": str(tmp_path)}, cwd=str(tmp_path), project=False)
    engine = Engine.blocking(settings)

    conversation = talk(Session(engine, engine.choose(), sessions=store), "hello", "again")
    engine.close()

    assert texts(conversation.history) == ["hello", "hello", "again", "again"]
    assert (store.resolve("last").model, store.resolve("last").turns) == ("parrot", 2)


def test_of_an_answer_that_was_cut_the_text_is_sent_with_the_next_question():
    reply = broken("one two").with_reasoning("hm")
    bench = Bench(mock=replying(reply, "ok"))
    conversation = session(bench)
    with pytest.raises(StreamInterruptedError):
        talk(conversation, "count")

    talk(conversation, "go on")

    sent = bench.backends["mock"].requests[1].messages
    assert [message.parts for message in sent] == [(Text("count"),), (Text("one"),), (Text("go on"),)]


def test_retry_asks_the_same_again_and_the_new_answer_takes_the_old_ones_place(store):
    bench = Bench(mock=replying("one", "first", "second"))
    conversation = talk(session(bench, store), "a", "b")

    hear(conversation.retry())

    assert asked(bench.backends["mock"], 1) == asked(bench.backends["mock"], 2)
    assert texts(conversation.history) == ["a", "one", "b", "second"]
    assert [text for text, _ in kept(store, conversation)] == ["a", "one", "b", "second"]


def test_a_retry_that_brings_nothing_leaves_the_old_answer(store):
    conversation = talk(session(Bench(mock=replying("good", MockResponse.error("server"))), store), "a")

    with pytest.raises(Exception, match="mock"):
        hear(conversation.retry())

    assert texts(conversation.history) == ["a", "good"]
    assert kept(store, conversation) == [("a", "complete"), ("good", "complete")]


def test_a_question_that_failed_can_be_asked_again(store):
    conversation = session(Bench(mock=replying(MockResponse.error("server"), "good")), store)
    with pytest.raises(Exception, match="mock"):
        talk(conversation, "a")

    hear(conversation.retry())

    assert kept(store, conversation) == [("a", "complete"), ("good", "complete")]


def test_undo_takes_back_the_last_turn(store):
    conversation = talk(session(Bench(mock=echoing()), store), "one", "two")

    undone = conversation.undo()

    assert (undone.question.text, undone.answer.text) == ("two", "two")
    assert texts(conversation.history) == ["one", "one"]
    assert kept(store, conversation) == [("one", "complete"), ("one", "complete")]


def test_editing_the_last_turn_asks_it_in_other_words_with_its_images(store):
    bench = Bench(mock=echoing())
    conversation = talk(session(bench, store), "one")
    hear(conversation.send((RED, Text("wot is this?"))))

    hear(conversation.edit(2, "what is this?"))

    assert bench.backends["mock"].requests[-1].messages[-1].parts == (RED, Text("what is this?"))
    assert texts(conversation.history) == ["one", "one", "what is this?", "what is this?"]
    assert len(store.recent()) == 1


def test_editing_an_earlier_turn_goes_on_in_a_branch_and_leaves_the_original_whole(store):
    conversation = talk(session(Bench(mock=echoing()), store), "one", "two", "three")
    original = conversation.id

    hear(conversation.edit(2, "zwei"))

    assert texts(conversation.history) == ["one", "one", "zwei", "zwei"]
    assert store.load(original).info.turns == 3
    assert (store.load(conversation.id).info.parent, conversation.id != original) == (original, True)


def test_a_branch_goes_on_by_itself(store):
    conversation = talk(session(Bench(mock=echoing()), store, name="tea"), "one", "two")
    original = conversation.id

    branch = conversation.branch(1)
    talk(conversation, "other")

    assert (conversation.id, conversation.name) == (branch, "")
    assert texts(conversation.history) == ["one", "one", "other", "other"]
    assert store.load(original).info.turns == 2
    assert store.load(conversation.branch()).info.turns == 2


@pytest.mark.parametrize("turn", [0, 3, -1])
def test_a_turn_that_is_not_there_is_named(turn):
    conversation = talk(session(Bench(mock=echoing())), "one", "two")

    with pytest.raises(UsageError, match=rf"no turn {turn}: it has 2"):
        conversation.edit(turn, "x")


def test_before_anything_was_said_there_is_nothing_to_take_back_or_ask_again():
    conversation = session(Bench(mock=echoing()))

    for verb in (conversation.undo, conversation.retry):
        with pytest.raises(UsageError, match="nothing was said yet"):
            verb()


def test_switching_keeps_the_conversation(store):
    bench = Bench(mock=replying("Hello!"), other=echoing("other"))
    conversation = talk(session(bench, store), "I am Ann")

    assert conversation.switch("other", "big").model == "big"
    talk(conversation, "Who am I?")

    assert texts(bench.backends["other"].requests[0].messages) == ["I am Ann", "Hello!", "Who am I?"]
    models = [(each.backend, each.model) for each in store.load(conversation.id).entries]
    assert models == [("mock", "mock-1"), ("mock", "mock-1"), ("other", "big"), ("other", "big")]


def test_switching_to_what_is_not_there_changes_nothing():
    conversation = session(Bench(mock=echoing()))

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

    conversation = session(Bench(mock=Dropping.echo()))
    told = [[each.text for each in hear(conversation.send("x")) if isinstance(each, Notice)] for _ in range(2)]

    assert told == [["reasoning not sent", "again in 1 s"], ["again in 1 s"]]


def test_usage_and_cost_are_of_the_whole_conversation(store):
    bench = Bench(mock=replying("12345678", "1234"))
    bench.knows("mock", input_price=Decimal(1_000_000), output_price=Decimal(10_000_000))
    conversation = talk(session(bench, store), "1234", "1234")

    assert conversation.usage == Usage(1 + 4, 2 + 1)
    assert conversation.cost == 5 + 30
    info = store.load(conversation.id).info
    assert (info.usage, info.cost) == (Usage(5, 3), 35)


def test_the_usage_of_an_answer_that_was_cut_is_guessed_and_says_so():
    conversation = session(Bench(mock=replying("one two three")))

    run(read(conversation.send("count to three"), 3))

    assert conversation.usage == Usage(4, 3, estimated=True)
