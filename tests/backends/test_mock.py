"""The mock backend: its script, its echo, its pace, and what it remembers."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mock_backend import RecordedSleep, answer, events_of, hello_request

from arawn import MessageMatcher, MockBackend, MockResponse
from arawn.backends.mock import EMBEDDING_DIMENSIONS
from arawn.engine.blocking import run
from arawn.events import Finished, ReasoningDelta, Started, TextDelta, ToolCallDelta, ToolCallStarted, collect
from arawn.messages import (
    ChatRequest,
    FinishReason,
    LLMMessage,
    Message,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates and control characters too


def test_it_answers_with_its_text_word_by_word():
    backend = MockBackend("m").with_response(MockResponse.text("Hello, wide world"))

    events = events_of(backend)

    assert events == [
        Started("m", "tiny", "mock-1"),
        TextDelta("Hello, "),
        TextDelta("wide "),
        TextDelta("world"),
        Finished(FinishReason.STOP, "stop", Usage(3, 5)),
    ]


@given(ANY_TEXT)
def test_the_pieces_of_a_text_are_the_text(text):
    assert answer(MockBackend().with_response(MockResponse.text(text))).text == text


@given(ANY_TEXT)
def test_an_echo_is_the_last_user_message_character_by_character(text):
    conversation = (LLMMessage("user", "earlier"), LLMMessage("user", text), LLMMessage("assistant", "later"))

    assert answer(MockBackend.echo(), ChatRequest("tiny", conversation)).text == text


def test_r1_an_echo_brings_escape_sequences_back_unchanged():
    text = "\x1b]52;c;aGk=\x07 \x9b31m \x00 \r\b \x7f"

    assert answer(MockBackend.echo(), hello_request(text)).text == text


def test_replies_come_in_order_and_the_last_one_repeats():
    backend = MockBackend().with_response(MockResponse.text("one")).with_response(MockResponse.text("two"))

    assert [answer(backend).text for _ in range(4)] == ["one", "two", "two", "two"]


@pytest.mark.parametrize(
    ("matcher", "hits", "misses"),
    [
        (MessageMatcher.contains("a.b"), ["xa.by", "a.b\n"], ["axb", "A.B"]),
        (MessageMatcher.exact("a.b"), ["a.b"], ["a.b ", "axb", "a.b\n"]),
        (MessageMatcher.regex(r"^a.b$"), ["axb"], ["xaxb"]),
    ],
    ids=["contains", "exact", "regex"],
)
def test_a_matcher_means_what_its_name_says(matcher, hits, misses):
    assert [matcher.matches(text) for text in hits] == [True] * len(hits)
    assert [matcher.matches(text) for text in misses] == [False] * len(misses)


def test_patterns_are_looked_at_before_the_sequence_and_use_nothing_up():
    backend = (
        MockBackend()
        .with_response(MockResponse.text("one"))
        .with_response(MockResponse.text("two"))
        .with_pattern_response(MessageMatcher.contains("weather"), MockResponse.text("sunny"))
        .with_pattern_response(MessageMatcher.contains("weather in Bern"), MockResponse.text("never reached"))
    )

    questions = ["weather in Bern?", "hi", "weather", "hi"]

    assert [answer(backend, hello_request(text)).text for text in questions] == ["sunny", "one", "sunny", "two"]


def test_an_echo_may_have_a_script_too():
    backend = MockBackend.echo().with_pattern_response(MessageMatcher.exact("ping"), MockResponse.text("pong"))

    assert [answer(backend, hello_request(text)).text for text in ("ping", "other")] == ["pong", "other"]


def test_without_a_script_it_says_what_it_is_and_how_to_script_it():
    text = answer(MockBackend("m")).text

    assert 'mock backend "m"' in text
    assert "[[backends.m.replies]]" in text


def test_a_tool_call_comes_in_pieces_and_is_remembered():
    backend = MockBackend("m").with_response(MockResponse.tool_call("search", {"q": "Zürich"}))

    events = events_of(backend)

    assert events == [
        Started("m", "tiny", "mock-1"),
        ToolCallStarted(0, "call_1", "search"),
        ToolCallDelta(0, '{"q": "'),
        ToolCallDelta(0, 'Zürich"}'),
        Finished(FinishReason.TOOL_CALLS, "tool_calls", Usage(3, 6)),
    ]
    assert backend.was_tool_called("search")
    assert not backend.was_tool_called("Zürich")


def test_a_tool_that_was_never_reached_was_not_called():
    backend = MockBackend().with_response(MockResponse.text("no")).with_response(MockResponse.tool_call("search"))

    answer(backend)

    assert not backend.was_tool_called("search")


def test_every_tool_call_has_its_own_id():
    backend = MockBackend().with_response(MockResponse.tool_call("search", {}))

    assert [answer(backend).tool_calls[0].id for _ in range(2)] == ["call_1", "call_2"]


def test_arguments_given_as_text_go_out_as_they_are():
    assert (
        answer(MockBackend().with_response(MockResponse.tool_call("t", '{"q": '))).tool_calls[0].arguments == '{"q": '
    )


def test_it_sends_scripted_reasoning_first():
    backend = MockBackend().with_response(MockResponse.text("Yes").with_reasoning("Well, hm"))

    events = events_of(backend)

    assert events[1:4] == [ReasoningDelta("Well, "), ReasoningDelta("hm"), TextDelta("Yes")]
    assert events[-1].usage == Usage(3, 3, reasoning_tokens=2)


def test_it_ends_for_the_reason_it_was_given():
    response = answer(MockBackend().with_response(MockResponse.text("cut").with_finish_reason("length")))

    assert (response.finish_reason, response.raw_finish_reason) == (FinishReason.LENGTH, "length")


def test_it_counts_every_part_of_the_conversation():
    conversation = (
        LLMMessage("user", "12345678"),
        Message(Role.ASSISTANT, (Reasoning("1234"), ToolCall("c", "1234", "5678"))),
        Message(Role.TOOL, (ToolResult("c", (Text("12345"),)),)),
    )

    usage = answer(MockBackend().with_response(MockResponse.text("12345")), ChatRequest("tiny", conversation)).usage

    assert usage == Usage(7, 2, estimated=False)


def test_it_remembers_what_it_was_asked():
    backend = MockBackend.echo()

    for text in ("one", "two"):
        answer(backend, hello_request(text))

    assert backend.call_count == 2
    assert backend.requests == (hello_request("one"), hello_request("two"))


def test_it_waits_before_the_first_event_and_between_the_words():
    clock = RecordedSleep()
    reply = MockResponse.text("one two three").with_latency(1500).with_tokens_per_second(4)

    answer(MockBackend(sleep=clock.sleep).with_response(reply))

    assert clock.waits == [1.5, 0.25, 0.25]


def test_it_does_not_wait_without_a_delay():
    clock = RecordedSleep()

    answer(MockBackend(sleep=clock.sleep).with_response(MockResponse.text("one two three")))

    assert clock.waits == []


def test_on_an_event_loop_it_waits_without_a_sleep_of_ours():
    import asyncio

    reply = MockResponse.text("one two").with_latency(1).with_tokens_per_second(1000)

    response = asyncio.run(collect(MockBackend().with_response(reply).stream(hello_request())))

    assert response.text == "one two"


def test_it_lists_its_one_model():
    assert [card.id for card in run(MockBackend(model="tiny").models())] == ["tiny"]


def test_its_vectors_are_the_same_each_time_and_near_for_shared_words():
    texts = ["the cat sat", "The cat sat!", "the cat ran", "", "\ud800"]

    embeddings = run(MockBackend().embed(texts))

    cat, shouted, ran, *_ = embeddings.vectors
    assert cat == shouted
    assert run(MockBackend().embed(texts)) == embeddings
    assert 0.5 < sum(a * b for a, b in zip(cat, ran, strict=True)) < 0.99
    assert {len(vector) for vector in embeddings.vectors} == {EMBEDDING_DIMENSIONS}
    assert [sum(a * a for a in vector) for vector in embeddings.vectors] == pytest.approx([1.0] * len(texts))
    assert embeddings.usage == Usage(9)


def test_importing_it_brings_no_event_loop():
    code = "import sys, arawn.backends.mock; print(sorted({'asyncio', 'threading', 'zlib'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
