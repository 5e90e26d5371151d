from __future__ import annotations

import pytest
from support.conversations import (
    MockBackends,
    collect_events,
    echo_backend,
    scripted_backend,
    send_all,
    sent_messages,
    session,
    store_in,
)

from arawn.backends.mock import MockResponse
from arawn.engine.blocking import run
from arawn.errors import ContextLengthError
from arawn.events import Notice
from arawn.messages import (
    ChatRequest,
    Image,
    Message,
    ProviderItem,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from arawn.models.catalog import ModelFacts
from arawn.models.estimates import IMAGE_TOKENS, tokens
from arawn.session.compaction import input_limit, turns_to_drop

DROPPED = "to fit the context window, the first 2 turns are"
LONG = "word " * 16  # 21 tokens, and an echo is as long


@pytest.fixture
def store(tmp_path):
    sessions = store_in(tmp_path)
    yield sessions
    sessions._database.close()


def outgrown(store=None, *, summary="They spoke of words.", **options):
    """A conversation of three long turns, in a window that has no room for a fourth; its summary is scripted."""
    indexing = scripted_backend(summary, name="indexing")
    bench = MockBackends(mock=echo_backend(), indexing=indexing)
    conversation = send_all(session(bench, store, **options), "A " + LONG, "B " + LONG, "C " + LONG)
    bench.knows("mock", context_window=260, max_output=130)
    return bench, conversation


def notices(events):
    return [event.text for event in events if isinstance(event, Notice)]


def openings(backend):
    return [text[:2].strip() for _, text in sent_messages(backend)]


@pytest.mark.parametrize(
    ("part", "count"),
    [
        (Text(""), 1),
        (Text("12345678"), 3),
        (Text("茶茶茶茶"), 4),
        (Text("\ud800"), 1),
        (Refusal("1234"), 2),
        (Image(b"x"), IMAGE_TOKENS),
        (ToolCall("id", "1234", "1234"), 3),
        (ToolResult("id", (Text("1234"), Image(b"x"))), 2 + IMAGE_TOKENS),
        (Reasoning("1234"), 2),
        (Reasoning("", "", {"a": "12345678"}), 5),
        (ProviderItem({"a": "12345678"}), 5),
    ],
)
def test_tokens_are_guessed_at_four_bytes_each(part, count):
    assert tokens([Message(Role.USER, (part,))]) == count


@pytest.mark.parametrize(
    ("window", "max_output", "max_tokens", "expected"),
    [
        (None, 10, 10, None),
        (1000, 100, None, 900),
        (1000, 100, 300, 700),
        (1000, None, None, 500),
        (1000, 1000, None, 500),
        (1000, 100, 5000, 500),
    ],
)
def test_the_answer_has_its_share_of_the_window_but_at_most_half(window, max_output, max_tokens, expected):
    facts = ModelFacts(backend="b", id="m", context_window=window, max_output=max_output)

    assert input_limit(facts, max_tokens) == expected


@pytest.mark.parametrize(("max_input", "expected"), [(899, 899), (900, 900), (901, 900)])
def test_input_may_have_less_room_than_the_window_leaves(max_input, expected):
    facts = ModelFacts(backend="b", id="m", context_window=1000, max_input=max_input, max_output=100)

    assert input_limit(facts, None) == expected


def test_nothing_is_known_of_the_room_of_an_unknown_model():
    assert input_limit(None, 100) is None


@pytest.mark.parametrize(
    ("turns", "total", "limit", "going"),
    [
        ([30, 30, 30], 100, 100, 0),
        ([30, 30, 30], 101, 100, 2),
        ([60, 20, 20], 101, 100, 1),
        ([1, 1, 1], 500, 100, 3),
        ([], 500, 100, 0),
    ],
)
def test_so_many_turns_go_that_what_stays_fills_half_the_room(turns, total, limit, going):
    assert turns_to_drop(turns, total, limit) == going


def test_old_turns_are_sent_as_a_summary_once_they_no_longer_fit():
    bench, conversation = outgrown()

    events = collect_events(conversation.send("D " + LONG))

    assert notices(events) == [f"{DROPPED} sent as a summary from now on; a new prefix begins"]
    sent = sent_messages(bench.backends["mock"])
    assert sent[0] == ("user", f"[What was said before, in summary]\nThey spoke of words.\n\nC {LONG}")
    assert [text[:2] for _, text in sent[1:]] == ["C ", "D "]
    assert len(conversation.turns) == 4


def test_the_summary_is_made_of_the_turns_that_go_and_of_the_summary_before():
    bench, conversation = outgrown()
    collect_events(conversation.send("D " + LONG))

    told = notices(collect_events(conversation.send("E " + LONG)) + collect_events(conversation.send("F " + LONG)))

    first, second = (text for text in (sent_messages(bench.backends["indexing"], call)[1][1] for call in (0, 1)))
    assert first.startswith(f"user: A {LONG}\n\nassistant: A ")
    assert second.startswith("[What was said before, in summary]\nThey spoke of words.\n\nuser: C ")
    assert len(told) == 1


def test_it_says_so_once_and_goes_on_quietly():
    bench, conversation = outgrown()
    collect_events(conversation.send("D " + LONG))

    assert notices(collect_events(conversation.send("short"))) == []
    assert len(bench.backends["indexing"].requests) == 1


def test_the_original_stays_in_the_store_and_the_summary_is_there_too(store):
    _, conversation = outgrown(store)
    collect_events(conversation.send("D " + LONG))

    transcript = store.load(conversation.id)
    assert transcript.info.turns == 4
    assert (transcript.info.summary, transcript.info.summarised) == ("They spoke of words.", 2)


def test_a_conversation_taken_up_again_has_its_summary(store):
    _, conversation = outgrown(store)
    collect_events(conversation.send("D " + LONG))
    bench = MockBackends(mock=echo_backend())

    send_all(session(bench, store).resume(store.load(conversation.id)), "E")

    assert sent_messages(bench.backends["mock"])[0][1].startswith(
        "[What was said before, in summary]\nThey spoke of words."
    )
    assert len(sent_messages(bench.backends["mock"])) == 5


@pytest.mark.parametrize("failure", [MockResponse.error("server"), " "])
def test_when_no_summary_can_be_made_the_turns_are_left_out_and_that_is_said(failure):
    bench, conversation = outgrown(summary=failure)

    [told] = notices(collect_events(conversation.send("D " + LONG)))

    assert told.startswith("to fit the context window, the first 2 turns are no longer sent, since no summary")
    assert openings(bench.backends["mock"]) == ["C", "C", "D"]


def test_old_turns_can_be_left_out_without_a_summary():
    bench, conversation = outgrown(overflow="drop")

    assert notices(collect_events(conversation.send("D " + LONG))) == [f"{DROPPED} no longer sent; a new prefix begins"]
    assert openings(bench.backends["mock"]) == ["C", "C", "D"]
    assert bench.backends["indexing"].call_count == 0


def test_a_conversation_that_outgrew_the_window_can_be_refused(store):
    bench, conversation = outgrown(store, overflow="error")

    with pytest.raises(ContextLengthError, match="outgrown the context window of mock-1: it has about 1") as caught:
        send_all(conversation, "D " + LONG)

    assert caught.value.exit_code == 8
    assert bench.backends["mock"].call_count == 3
    assert store.load(conversation.id).entries[-1].status == "error"


def test_a_first_message_too_long_is_the_backends_to_refuse():
    bench = MockBackends(mock=echo_backend())
    bench.knows("mock", context_window=20)

    assert notices(collect_events(session(bench).send(LONG * 10))) == []


def test_a_window_that_is_not_known_is_never_full():
    bench, conversation = outgrown()
    bench.known.clear()

    assert notices(collect_events(conversation.send("D " + LONG))) == []
    assert conversation.context_left() is None


def test_how_much_fits_still_is_known_where_the_window_is():
    bench = MockBackends(mock=echo_backend())
    bench.knows("mock", context_window=1000, max_output=100)
    conversation = session(bench, system="1234567")
    assert conversation.context_left() == 898

    send_all(conversation, "12345678")

    assert conversation.context_left() == 892
    conversation.request = ChatRequest("", (), max_tokens=200)
    assert conversation.context_left() == 792
    bench.knows("mock", context_window=8)
    assert conversation.context_left() == 0


def test_compacting_on_request_leaves_the_last_turn():
    bench, conversation = outgrown(overflow="drop")

    notice = run(conversation.compact())
    collect_events(conversation.send("D"))

    assert notice.text.endswith("the first 2 turns are sent as a summary from now on; a new prefix begins")
    assert len(sent_messages(bench.backends["mock"])) == 3
    assert run(send_all(session(bench), "only one").compact()) is None


def test_undoing_what_a_summary_speaks_of_forgets_the_summary(store):
    bench, conversation = outgrown(store)
    run(conversation.compact())
    bench.known.clear()
    conversation.undo()
    conversation.undo()

    collect_events(conversation.send("E"))

    assert openings(bench.backends["mock"]) == ["A", "A", "E"]
    assert store.load(conversation.id).info.summary == ""


def test_what_is_summarised_is_cut_to_what_the_indexing_model_can_take():
    bench, conversation = outgrown()
    bench.knows("indexing", context_window=100)

    collect_events(conversation.send("D " + LONG))

    assert len(sent_messages(bench.backends["indexing"])[1][1]) == 100


def test_what_a_summary_takes_counts_too():
    _, conversation = outgrown()
    before = conversation.usage.total_tokens

    run(conversation.compact())

    assert conversation.usage.total_tokens > before + 100
