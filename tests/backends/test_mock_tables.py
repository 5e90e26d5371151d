"""The mock backend as a table of the configuration scripts it."""

from __future__ import annotations

import json
import tomllib

import pytest
from support.mock_backend import RecordedSleep, answer, hello_request

from arawn.backends.mock import ERROR_KINDS
from arawn.backends.mock_tables import from_table
from arawn.engine.blocking import run
from arawn.errors import BackendError, ConfigError, StreamInterruptedError
from arawn.messages import FinishReason


def table(text):
    return tomllib.loads(text)["backends"]["m"]


def test_a_table_scripts_all_there_is():
    clock = RecordedSleep()
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

    called = answer(backend, hello_request("Weather?"))
    greeted = answer(backend)
    with pytest.raises(StreamInterruptedError) as caught:
        answer(backend)

    assert [(call.name, json.loads(call.arguments)) for call in called.tool_calls] == [("weather", {"city": "Bern"})]
    assert (greeted.reasoning, greeted.text, greeted.finish_reason) == ("Hm", "Hello there", FinishReason.LENGTH)
    assert clock.waits == [0.2, 0.02, 0.02]
    assert caught.value.partial.text == "half "
    assert [card.id for card in run(backend.models())] == ["tiny"]


def test_a_table_in_echo_mode_echoes():
    assert (
        answer(from_table("m", table('[backends.m]\nmode = "echo"')), hello_request("back to me")).text == "back to me"
    )


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
