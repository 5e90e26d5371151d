from __future__ import annotations

from contextlib import aclosing, suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.conversations import (
    MockBackends,
    collect_events,
    echo_backend,
    read_events,
    send_all,
    session,
    store_in,
)

from arawn.backends.mock import MockBackend
from arawn.engine.blocking import run, sleep
from arawn.errors import ServerError
from arawn.events import Notice, ProviderItemDone, ReasoningDelta, TextDelta
from arawn.messages import ChatRequest, Message, OutputFormat, ProviderItem, Reasoning, Role, Text, Tool
from arawn.session.prefix import Prefix, drop_records
from arawn.values import replace

TEA = ChatRequest("", (), tools=(Tool("tea"),))
MILK = ChatRequest("", (), tools=(Tool("tea"), Tool("milk")))
NOT_USED = "a new prefix begins, and what was cached or signed for the old one is not used"


class Signing(MockBackend):
    """An echo that signs its thinking with the number of the call, and adds a record of its own."""

    async def stream(self, request):
        number = self.call_count + 1
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                if isinstance(event, TextDelta) and number:
                    yield ReasoningDelta("hm", signature=f"s{number}")
                    yield ProviderItemDone({"type": "search", "id": f"i{number}"})
                    number = 0
                yield event


@pytest.fixture
def store(tmp_path):
    sessions = store_in(tmp_path)
    yield sessions
    sessions._database.close()


@pytest.fixture
def bench():
    return MockBackends(mock=Signing.echo(sleep=sleep), indexing=echo_backend("indexing"))


def records(bench):
    """The signatures and records in the last request."""
    parts = [part for message in bench.backends["mock"].requests[-1].messages for part in message.parts]
    signed = [part.signature for part in parts if isinstance(part, Reasoning)]
    return [*signed, *(part.item["id"] for part in parts if isinstance(part, ProviderItem))]


def notices(events):
    return [event.text for event in events if isinstance(event, Notice)]


def test_what_was_signed_goes_back_while_nothing_changes(bench):
    conversation = send_all(session(bench, system="Be brief.", request=TEA), "one", "two")

    assert notices(collect_events(conversation.send("three"))) == []
    assert records(bench) == ["s1", "s2", "i1", "i2"]


def test_other_settings_begin_no_new_prefix(bench):
    conversation = send_all(session(bench), "one")
    conversation.request = ChatRequest("", (), temperature=1.0, max_tokens=9, seed=1)

    assert notices(collect_events(conversation.send("two"))) == []
    assert records(bench) == ["s1", "i1"]


def test_a_retry_sends_the_same_again(bench):
    conversation = send_all(session(bench), "one", "two")
    collect_events(conversation.retry())

    first, again = bench.backends["mock"].requests[1:]
    assert first.messages == again.messages
    send_all(conversation, "three")
    assert records(bench) == ["s1", "s3", "i1", "i3"]


def test_compaction_begins_a_new_prefix_and_the_turns_that_stay_lose_what_was_signed(bench):
    conversation = send_all(session(bench), "one", "two", "three")

    notice = run(conversation.compact())
    assert notice.text.endswith("; a new prefix begins")
    assert notices(collect_events(conversation.send("four"))) == []
    assert records(bench) == []
    assert len(bench.backends["mock"].requests[-1].messages) == 3
    send_all(conversation, "five")
    assert records(bench) == ["s4", "i4"]


def test_a_branch_from_before_compaction_has_the_old_prefix(bench, store):
    conversation = send_all(session(bench, store), "one", "two", "three")
    run(conversation.compact())
    send_all(conversation, "four")

    conversation.branch(1)
    assert notices(collect_events(conversation.send("other"))) == []
    assert records(bench) == ["s1", "i1"]


@pytest.mark.parametrize(
    ("system", "request_", "changed"),
    [
        ("Be kind.", TEA, "the system prompt"),
        ("", TEA, "the system prompt"),
        ("Be brief.", MILK, "the tools"),
        ("Be brief.", ChatRequest("", ()), "the tools"),
        ("Be kind.", MILK, "the system prompt and the tools"),
        ("Be brief.", replace(TEA, output=OutputFormat({"type": "object"})), "the schema"),
    ],
)
def test_another_system_prompt_or_other_tools_begin_a_new_prefix_which_is_said_once(bench, system, request_, changed):
    conversation = send_all(session(bench, system="Be brief.", request=TEA), "one")
    conversation.system, conversation.request = system, request_

    assert notices(collect_events(conversation.send("two"))) == [f"{changed} changed: {NOT_USED}"]
    assert records(bench) == []
    assert notices(collect_events(conversation.send("three"))) == []
    assert records(bench) == ["s2", "i2"]


def test_a_conversation_that_returns_to_its_prefix_sends_what_was_signed_for_it(bench):
    conversation = send_all(session(bench, system="Be brief."), "one")
    conversation.system = "Be kind."
    send_all(conversation, "two")
    conversation.system = "Be brief."
    send_all(conversation, "three")

    assert records(bench) == ["s1", "i1"]
    send_all(conversation, "four")
    assert records(bench) == ["s1", "s3", "i1", "i3"]


def test_a_resumed_conversation_knows_its_prefix(bench, store):
    conversation = send_all(session(bench, store, request=TEA), "one")
    same = session(bench, store, request=TEA).resume(store.load(conversation.id))
    assert notices(collect_events(same.send("two"))) == []
    assert records(bench) == ["s1", "i1"]

    other = session(bench, store, request=MILK).resume(store.load(conversation.id))
    assert notices(collect_events(other.send("three"))) == [f"the tools changed: {NOT_USED}"]
    assert records(bench) == []


def test_turns_of_two_processes_that_did_not_know_each_other_lose_what_was_signed(bench, store):
    first = send_all(session(bench, store), "one")
    second = session(bench, store).resume(store.load(first.id))
    send_all(first, "two")
    send_all(second, "three")
    third = session(bench, store).resume(store.load(first.id))

    course = (
        "reasoning and tool records of earlier turns not sent: they were signed for another course of the conversation"
    )
    assert notices(collect_events(third.send("four"))) == [course]
    assert records(bench) == ["s1", "s2", "i1", "i2"]
    assert notices(collect_events(third.send("five"))) == []
    assert records(bench) == ["s1", "s2", "s4", "i1", "i2", "i4"]


def test_a_question_without_an_answer_changes_nothing(bench, store):
    conversation = send_all(session(bench, store), "one")
    store.add_turn(conversation.id, Message(Role.USER, (Text("lost"),)), backend="mock", model="mock-1")
    resumed = session(bench, store).resume(store.load(conversation.id))
    send_all(resumed, "two", "three")

    assert records(bench) == ["s1", "s2", "i1", "i2"]
    again = session(bench, store).resume(store.load(conversation.id))
    assert notices(collect_events(again.send("four"))) == []
    assert records(bench) == ["s1", "s2", "s3", "i1", "i2", "i3"]


def test_what_a_fallback_signed_is_not_sent_since_it_may_be_another_model(bench):
    class FellBack(Signing):
        async def stream(self, request):
            yield Notice("fallback", "mock/other answers")
            async with aclosing(super().stream(request)) as events:
                async for event in events:
                    yield event

    conversation = send_all(session(bench), "one")
    bench.backends["mock"] = FellBack.echo(sleep=sleep)
    send_all(conversation, "two")
    bench.backends["mock"] = Signing.echo(sleep=sleep)

    assert notices(collect_events(conversation.send("three"))) == [
        "reasoning and tool records of earlier turns not sent: it is not known what they were signed for"
    ]
    assert len(records(bench)) == 2


def test_before_the_first_answer_nothing_begins_anew(bench):
    conversation = session(bench, system="Be brief.")
    conversation.system = "Be kind."

    assert notices(collect_events(conversation.send("one"))) == []


def test_answers_saved_without_a_prefix_lose_what_was_signed(bench, store):
    conversation = send_all(session(bench, store), "one")
    with store._database.writing() as connection:
        connection.execute("""UPDATE messages SET message = json_set(message, '$.metadata', json('{}'))""")
    resumed = session(bench, store).resume(store.load(conversation.id))

    assert notices(collect_events(resumed.send("two"))) == [
        "reasoning and tool records of earlier turns not sent: it is not known what they were signed for"
    ]
    assert records(bench) == []


def test_of_a_message_only_what_its_backend_signed_is_dropped():
    kept = (
        Text("a"),
        Reasoning("plain", owner="b"),
        Reasoning("marked", item={"type": "reasoning_content"}, owner="b"),
        Reasoning("other", "sig", owner="c"),
        ProviderItem({"type": "x"}, "c"),
    )
    dropped = (
        Reasoning("", "sig", owner="b"),
        Reasoning("", "", {"type": "x", "data": "y"}, "b"),
        ProviderItem({}, "b"),
    )

    assert drop_records(Message(Role.ASSISTANT, (*kept, *dropped)), "b").parts == kept


def test_a_prefix_is_told_by_each_of_its_parts():
    def prefix(system="s", tools=TEA.tools, model="m", **changes):
        request = ChatRequest(
            model, (Message(Role.SYSTEM, (Text(system),)), Message(Role.USER, (Text("q"),))), tools=tools
        )
        return Prefix.of(request, **{"backend": "b", "summary": "", "dropped_turns": 0, **changes})

    others = [
        prefix(system="t"),
        prefix(tools=()),
        prefix(tools=(Tool("tea", "d"),)),
        prefix(model="n"),
        prefix(backend="c"),
        prefix(dropped_turns=1),
        prefix(dropped_turns=1, summary="x"),
        prefix(dropped_turns=2, summary="x"),
    ]
    assert len({prefix(), prefix(), *others}) == len(others) + 1


class Moody(Signing):
    """A signing echo that fails before it says anything, or is left in the middle, where the question says so."""

    async def stream(self, request):
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                if request.messages[-1].text == "fail":
                    raise ServerError("it failed", backend="mock")
                yield event


def carry_out(conversation, action, number):
    """Do one thing in a conversation."""
    if action == "settings":
        conversation.request = ChatRequest("", (), temperature=number / 100)
    elif action == "stop":
        run(read_events(conversation.send(f"stop {number}"), 4))
    elif action == "retry" and conversation.turns:
        with suppress(ServerError):
            collect_events(conversation.retry())
    elif action in ("fail", "send"):
        with suppress(ServerError):
            collect_events(conversation.send("fail" if action == "fail" else f"send {number}"))


@given(st.lists(st.sampled_from(["send", "send", "send", "fail", "stop", "retry", "settings", "resume"]), max_size=12))
def test_whatever_happens_a_request_begins_with_what_the_one_before_began_with(actions):
    bench = MockBackends(mock=Moody.echo(sleep=sleep))
    with TemporaryDirectory() as folder:
        store = store_in(Path(folder))
        conversation = session(bench, store)
        for number, action in enumerate(actions):
            if action == "resume" and conversation.id:
                conversation = session(bench, store).resume(store.load(conversation.id))
            carry_out(conversation, action, number)
        store._database.close()
    sent = [request.messages for request in bench.backends["mock"].requests]
    for earlier, later in pairwise(sent):
        assert later[: len(earlier) - 1] == earlier[:-1]
        answered = earlier[-1].text != "fail" and len(later) > len(earlier)
        assert not answered or later[len(earlier) - 1] == earlier[-1]
