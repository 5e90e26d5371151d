"""The mock backend: its script, its failures, its pace, and the examples of docs/mock.md."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arawn import MessageMatcher, MockBackend, MockResponse, errors
from arawn.backends.blocking import iterate, run
from arawn.backends.mock import DIMENSIONS, ERROR_KINDS, from_table
from arawn.errors import ArawnError, BackendError, ConfigError, ServerError, StreamInterruptedError
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

PAGE = Path(__file__).parents[2] / "docs" / "mock.md"
ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates and control characters too
BACKEND_KINDS = sorted(
    {cls.kind for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, BackendError)} - {"error"}
)


def asked(text="Hello"):
    return ChatRequest("tiny", (LLMMessage("system", "Be kind"), LLMMessage("user", text)))


def answer(backend, request=None):
    return run(collect(backend.stream(request or asked())))


def events_of(backend):
    return list(iterate(backend.stream(asked())))


def blocks(language):
    """Return the fenced examples of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


class Clock:
    """A sleep that never suspends and remembers how long it was asked for."""

    def __init__(self):
        self.waits = []

    async def sleep(self, seconds):
        self.waits.append(seconds)


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

    assert answer(MockBackend.echo(), asked(text)).text == text


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

    assert [answer(backend, asked(text)).text for text in questions] == ["sunny", "one", "sunny", "two"]


def test_an_echo_may_have_a_script_too():
    backend = MockBackend.echo().with_pattern_response(MessageMatcher.exact("ping"), MockResponse.text("pong"))

    assert [answer(backend, asked(text)).text for text in ("ping", "other")] == ["pong", "other"]


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


def test_it_thinks_first_when_told_to():
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
        answer(backend, asked(text))

    assert backend.call_count == 2
    assert backend.requests == (asked("one"), asked("two"))


def test_it_waits_before_the_first_event_and_between_the_words():
    clock = Clock()
    reply = MockResponse.text("one two three").with_latency(1500).with_tokens_per_second(4)

    answer(MockBackend(sleep=clock.sleep).with_response(reply))

    assert clock.waits == [1.5, 0.25, 0.25]


def test_it_waits_for_nothing_unless_told_to():
    clock = Clock()

    answer(MockBackend(sleep=clock.sleep).with_response(MockResponse.text("one two three")))

    assert clock.waits == []


def test_a_failure_may_take_its_time():
    clock = Clock()
    backend = MockBackend(sleep=clock.sleep).with_response(MockResponse.error("timeout").with_latency(2000))

    with pytest.raises(ArawnError):
        answer(backend)

    assert clock.waits == [2.0]


def test_on_an_event_loop_it_waits_without_a_sleep_of_ours():
    import asyncio

    reply = MockResponse.text("one two").with_latency(1).with_tokens_per_second(1000)

    response = asyncio.run(collect(MockBackend().with_response(reply).stream(asked())))

    assert response.text == "one two"


def test_it_can_fail_in_every_way_a_backend_can():
    assert sorted(ERROR_KINDS) == BACKEND_KINDS


@pytest.mark.parametrize("kind", ERROR_KINDS)
def test_a_failure_is_of_its_kind_and_names_its_backend(kind):
    backend = MockBackend("m").with_response(MockResponse.error(kind, text="some words"))

    with pytest.raises(BackendError) as caught:
        answer(backend)

    assert caught.value.kind == kind
    assert caught.value.backend == "m"
    assert caught.value.message


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("authentication", 'Authentication failed for backend "m"'),
        ("model", 'Model "tiny" not available'),
        ("connection", "Cannot connect to mock at mock://m"),
    ],
)
def test_the_fixed_first_lines_are_those_of_real_backends(kind, line):
    with pytest.raises(BackendError) as caught:
        answer(MockBackend("m").with_response(MockResponse.error(kind)))

    assert caught.value.message == line


def test_an_error_in_words_is_a_server_that_says_them():
    with pytest.raises(ServerError, match="API rate limit exceeded"):
        answer(MockBackend().with_response(MockResponse.error("API rate limit exceeded")))


def test_failures_come_in_order_like_other_replies():
    backend = MockBackend().with_response(MockResponse.error("overloaded")).with_response(MockResponse.text("back"))

    with pytest.raises(ServerError):
        answer(backend)

    assert answer(backend).text == "back"


def test_an_interrupted_answer_sends_half_of_its_text():
    backend = MockBackend("m").with_response(MockResponse.error("interrupted", text="one two three four"))
    seen = []

    with pytest.raises(StreamInterruptedError):
        seen.extend(iterate(backend.stream(asked())))

    assert seen == [Started("m", "tiny", "mock-1"), TextDelta("one "), TextDelta("two "), TextDelta("t")]


def test_an_interruption_without_a_text_has_nothing_to_keep():
    with pytest.raises(StreamInterruptedError) as caught:
        answer(MockBackend().with_response(MockResponse.error("interrupted")))

    assert caught.value.partial is None


def test_it_lists_its_one_model():
    assert [card.id for card in run(MockBackend(model="tiny").models())] == ["tiny"]


def test_its_vectors_are_the_same_each_time_and_near_for_shared_words():
    texts = ["the cat sat", "The cat sat!", "the cat ran", "", "\ud800"]

    embeddings = run(MockBackend().embed(texts))

    cat, shouted, ran, *_ = embeddings.vectors
    assert cat == shouted
    assert run(MockBackend().embed(texts)) == embeddings
    assert 0.5 < sum(a * b for a, b in zip(cat, ran, strict=True)) < 0.99
    assert {len(vector) for vector in embeddings.vectors} == {DIMENSIONS}
    assert [sum(a * a for a in vector) for vector in embeddings.vectors] == pytest.approx([1.0] * len(texts))
    assert embeddings.usage == Usage(9)


def test_importing_it_brings_no_event_loop():
    code = "import sys, arawn.backends.mock; print(sorted({'asyncio', 'threading', 'zlib'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def table(text):
    return tomllib.loads(text)["backends"]["m"]


def test_a_table_scripts_all_there_is():
    clock = Clock()
    backend = from_table(
        "m",
        table("""
            [backends.m]
            adapter = "mock"
            model = "tiny"
            mode = "echo"
            [[backends.m.replies]]
            match = "(?i)weather"
            tool_call = { name = "weather", arguments = { city = "Bern" } }
            [[backends.m.replies]]
            text = "Hello there"
            reasoning = "Hm"
            latency_ms = 200
            tokens_per_second = 50.0
            finish_reason = "length"
            [[backends.m.replies]]
            error = "interrupted"
            text = "half of it"
        """),
        sleep=clock.sleep,
    )

    called = answer(backend, asked("Weather?"))
    greeted = answer(backend)
    with pytest.raises(StreamInterruptedError) as caught:
        answer(backend)

    assert [(call.name, json.loads(call.arguments)) for call in called.tool_calls] == [("weather", {"city": "Bern"})]
    assert (greeted.reasoning, greeted.text, greeted.finish_reason) == ("Hm", "Hello there", FinishReason.LENGTH)
    assert clock.waits == [0.2, 0.02, 0.02]
    assert caught.value.partial.text == "half "
    assert [card.id for card in run(backend.models())] == ["tiny"]


def test_a_table_in_echo_mode_echoes():
    assert answer(from_table("m", table('[backends.m]\nmode = "echo"')), asked("back to me")).text == "back to me"


@pytest.mark.parametrize("kind", ERROR_KINDS)
def test_a_table_can_name_every_failure(kind):
    with pytest.raises(BackendError) as caught:
        answer(from_table("m", {"replies": [{"error": kind}]}))

    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        ({}, "replies[1]: expected one of text, tool_call, error; found none of them"),
        ("hi", "replies[1]: expected a table with text, tool_call or error"),
        (
            {"text": "a", "tool_call": {"name": "b"}},
            "replies[1]: expected one of text, tool_call, error; found text and tool_call",
        ),
        ({"text": "a", "error": "server"}, "replies[1]: expected one of text, tool_call, error; found text and error"),
        ({"text": 7}, "replies[1].text: expected text, found 7"),
        ({"error": "ratelimit"}, "replies[1].error: 'ratelimit' is not known; expected one of authentication, "),
        ({"error": ["server"]}, "replies[1].error: ['server'] is not known; expected one of authentication, "),
        ({"tool_call": "search"}, "replies[1].tool_call: expected a table like {name = "),
        ({"tool_call": {"arguments": {}}}, "replies[1].tool_call: expected a table like {name = "),
        ({"tool_call": {"name": "a", "arguments": "b"}}, "replies[1].tool_call: expected a table like {name = "),
        ({"text": "a", "match": "("}, "replies[1].match: '(' is no regular expression: "),
        ({"text": "a", "match": 1}, "replies[1].match: expected a regular expression, found 1"),
        ({"text": "a", "reasoning": 1}, "replies[1].reasoning: expected text, found 1"),
        ({"text": "a", "latency_ms": -1}, "replies[1].latency_ms: expected a number from 0 up, found -1"),
        ({"text": "a", "latency_ms": True}, "replies[1].latency_ms: expected a number from 0 up, found True"),
        ({"text": "a", "tokens_per_second": "9"}, "replies[1].tokens_per_second: expected a number from 0 up, found"),
        ({"text": "a", "latency_ms": float("nan")}, "replies[1].latency_ms: expected a number from 0 up, found nan"),
        (
            {"text": "a", "finish_reason": "done"},
            "replies[1].finish_reason: 'done' is not known; expected one of stop,",
        ),
    ],
)
def test_a_bad_reply_is_named_with_what_was_expected(reply, line):
    with pytest.raises(ConfigError) as caught:
        from_table("m", {"replies": [{"text": "fine"}, reply]})

    assert caught.value.message.startswith(f"backends.m.{line}")
    assert "\n" not in caught.value.message


def test_arguments_json_cannot_hold_are_refused():
    replies = table("[[backends.m.replies]]\ntool_call = { name = 'a', arguments = { day = 2026-01-01 } }")

    with pytest.raises(
        ConfigError, match=r"^backends\.m\.replies\[0\]\.tool_call: expected arguments that JSON can hold"
    ):
        from_table("m", replies)


def test_a_mode_that_does_not_exist_is_named():
    with pytest.raises(ConfigError, match=r"^backends\.m\.mode: 'ecco' is no mode of the mock; expected \"echo\"$"):
        from_table("m", {"mode": "ecco"})


@pytest.mark.parametrize("index", range(len(blocks("toml"))))
def test_the_toml_examples_of_the_page_load(index):
    tables = tomllib.loads(blocks("toml")[index])["backends"]

    for name, content in tables.items():
        assert content["adapter"] == "mock"
        assert from_table(name, content).name == name


@pytest.mark.parametrize("index", range(len(blocks("python"))))
def test_the_python_examples_of_the_page_run(index):
    done = subprocess.run([sys.executable, "-c", blocks("python")[index]], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_names_every_failure():
    assert [kind for kind in ERROR_KINDS if f"`{kind}`" not in PAGE.read_text(encoding="utf-8")] == []
