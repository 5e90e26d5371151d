"""The estimate of usage where a server reported none."""

from __future__ import annotations

from arawn.backends.usage_estimate import UsageEstimate
from arawn.events import Finished, ReasoningDelta, RefusalDelta, Started, TextDelta, ToolCallDelta, ToolCallStarted
from arawn.messages import (
    ChatRequest,
    FinishReason,
    Image,
    Message,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)

FINISHED = Finished(FinishReason.STOP, "stop")


def test_everything_that_was_asked_counts():
    parts = (
        Text("x" * 10),
        Image(b"y" * 1000, "image/png"),
        Reasoning("x" * 10),
        ToolCall("id", "find", "x" * 6),
        ToolResult("id", (Text("x" * 10),)),
    )
    estimate = UsageEstimate(ChatRequest("m", (Message(Role.USER, parts[:2]), Message(Role.ASSISTANT, parts[2:]))))
    assert estimate.complete(FINISHED).usage == Usage(10, 0, estimated=True)


def test_everything_that_was_said_counts():
    estimate = UsageEstimate(ChatRequest("m", ()))
    said = [
        Started("b", "m"),
        TextDelta("x" * 4),
        RefusalDelta("x" * 4),
        ReasoningDelta("x" * 4),
        ToolCallStarted(0, "id", "find"),
        ToolCallDelta(0, "x" * 4),
    ]
    assert [estimate.complete(event) for event in said] == said
    assert estimate.complete(FINISHED).usage == Usage(0, 4, estimated=True)


def test_what_the_server_reported_stays():
    reported = Finished(FinishReason.STOP, "stop", Usage(1, 2))
    estimate = UsageEstimate(ChatRequest("m", ()))
    estimate.complete(TextDelta("x" * 100))
    assert estimate.complete(reported) is reported
