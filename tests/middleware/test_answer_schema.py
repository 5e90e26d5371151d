"""The check of answers that must fit a schema, in front of a backend that plays events."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arawn.engine.blocking import iterate
from arawn.errors import BudgetError, IncompleteAnswerError, ServerError, StreamInterruptedError, UsageError
from arawn.events import (
    Finished,
    Notice,
    ProviderItemDone,
    ReasoningDelta,
    RefusalDelta,
    ResponseBuilder,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from arawn.messages import ChatRequest, FinishReason, LLMMessage, OutputFormat, Reasoning, Role, Usage
from arawn.middleware.answer_schema import SchemaCheck, as_sent

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
STARTED = Started("m", "m-1", "a1")
SIGNED = ReasoningDelta("Hm", "signature")


def ended(reason=FinishReason.STOP, cost="0.5"):
    return Finished(reason, reason.value, Usage(7, 2, reasoning_tokens=1, cost=None if cost is None else Decimal(cost)))


class Playing:
    """A backend that plays an answer a call; an event that is an error is raised."""

    name = "m"

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    async def stream(self, request):
        self.requests.append(request)
        for event in self.answers.pop(0):
            if isinstance(event, BaseException):
                raise event
            yield event


def asking(schema=SCHEMA):
    return ChatRequest("m-1", (LLMMessage("user", "n?"),), output=None if schema is None else OutputFormat(schema))


def heard(inner, request=None):
    return list(iterate(SchemaCheck(inner).stream(request or asking())))


def failure_of(inner, request=None):
    """The error an answer ends with, and the events before it."""
    heard_before = []

    def listen():
        heard_before.extend(iterate(SchemaCheck(inner).stream(request or asking())))

    with pytest.raises(IncompleteAnswerError) as caught:
        listen()
    return caught.value, heard_before


def test_without_a_schema_events_pass_by_as_they_come():
    for request in (asking(None), ChatRequest("m-1", (), output=OutputFormat())):
        events = [STARTED, TextDelta("no"), TextDelta(" JSON"), ended()]
        inner = Playing(events)
        assert heard(inner, request) == events
        assert inner.requests == [request]


def test_what_fits_passes_unchanged():
    events = [STARTED, SIGNED, TextDelta('{"n"'), TextDelta(": 1}"), ended()]
    assert heard(Playing(events)) == events


def test_the_second_answer_comes_with_the_usage_of_both_and_without_signatures_of_a_lost_prefix():
    item = ProviderItemDone({"type": "x"})
    inner = Playing(
        [STARTED, SIGNED, TextDelta("one"), ended()],
        [STARTED, Notice("retrying", "r"), SIGNED, item, TextDelta('{"n": '), TextDelta("1}"), ended(cost="0.25")],
    )
    events = heard(inner)
    said = [event for event in events if isinstance(event, Notice)]
    assert [notice.kind for notice in said] == ["schema", "retrying"]
    assert [event for event in events if not isinstance(event, Notice)] == [
        STARTED,
        STARTED,
        ReasoningDelta("Hm"),
        TextDelta('{"n": '),
        TextDelta("1}"),
        Finished(FinishReason.STOP, "stop", Usage(14, 4, reasoning_tokens=2, cost=Decimal("0.75"))),
    ]
    assert inner.requests[1].messages[1].parts[0] == Reasoning("Hm", "signature", None, "m")  # the prefix is unchanged


def test_an_empty_answer_is_asked_for_again_without_an_empty_message():
    inner = Playing([STARTED, ended()], [STARTED, TextDelta('{"n": 1}'), ended()])
    heard(inner)
    assert [message.role for message in inner.requests[1].messages] == [Role.USER, Role.USER]


@pytest.mark.parametrize(("first", "second"), [(None, "1"), ("1", None)])
def test_a_cost_that_is_not_known_of_both_is_not_known(first, second):
    inner = Playing(
        [STARTED, TextDelta("one"), ended(cost=first)], [STARTED, TextDelta('{"n": 1}'), ended(cost=second)]
    )
    assert heard(inner)[-1].usage.cost is None


def test_two_answers_that_do_not_fit_raise_with_the_last_as_partial_and_no_text():
    error, events = failure_of(Playing([STARTED, TextDelta("1"), ended()], [STARTED, TextDelta('{"n": "1"}'), ended()]))
    assert error.message == "the answer does not fit the schema: /n: expected integer, found string"
    assert (error.partial.text, error.partial.usage.total_tokens) == ('{"n": "1"}', 18)
    assert not any(isinstance(event, TextDelta) for event in events)


@pytest.mark.parametrize(
    "answer",
    [
        [STARTED, TextDelta('{"n": '), ended(FinishReason.LENGTH)],
        [STARTED, TextDelta("{}"), ended(FinishReason.CONTENT_FILTER)],
        [STARTED, TextDelta("I will not"), ended(FinishReason.REFUSAL)],
        [STARTED, RefusalDelta("I will not"), ended()],
    ],
)
def test_what_would_end_the_same_again_is_not_asked_for_again(answer):
    inner = Playing(answer)
    error, _ = failure_of(inner)
    assert len(inner.requests) == 1
    assert error.partial is not None


def test_an_answer_whose_end_is_not_known_is_asked_for_again():
    inner = Playing([STARTED, TextDelta("{}"), ended(FinishReason.UNKNOWN)], [STARTED, TextDelta('{"n": 1}'), ended()])
    assert heard(inner)[-1].usage.total_tokens == 18


def test_a_budget_that_is_reached_leaves_the_first_answer_as_the_failure():
    error, _ = failure_of(Playing([STARTED, TextDelta("one"), ended()], [BudgetError("nothing is left")]))
    assert (error.message, error.partial.text) == ("the answer is not JSON", "one")
    assert error.hints[-1] == "not asked again: nothing is left"


def test_a_budget_that_is_reached_before_the_first_call_is_raised():
    with pytest.raises(BudgetError):
        heard(Playing([BudgetError("nothing is left")]))


@pytest.mark.parametrize("kind", [StreamInterruptedError, ServerError])
def test_a_failure_in_the_middle_holds_what_had_come(kind):
    with pytest.raises(kind) as caught:
        heard(Playing([STARTED, TextDelta('{"n'), kind("gone")]))
    assert caught.value.partial.text == '{"n'


def test_a_failure_before_any_text_holds_nothing():
    with pytest.raises(ServerError) as caught:
        heard(Playing([ServerError("gone")]))
    assert caught.value.partial is None


def test_calls_of_tools_pass_with_the_text_beside_them():
    events = [STARTED, TextDelta("Let me look."), ToolCallStarted(0, "c", "look"), ToolCallDelta(0, "{}")]
    events.append(ended(FinishReason.TOOL_CALLS))
    assert heard(Playing(events)) == events


def test_a_schema_that_is_none_sends_nothing():
    inner = Playing()
    with pytest.raises(UsageError, match=r"^schema: not a JSON Schema"):
        heard(inner, asking({"type": 5}))
    assert inner.requests == []


def test_only_a_schema_of_no_object_is_sent_as_one():
    assert as_sent(asking()).output.schema == SCHEMA
    assert as_sent(asking({"type": "integer"})).output.schema["properties"] == {"answer": {"type": "integer"}}
    assert as_sent(asking(None)) == asking(None)


def test_the_text_is_taken_out_of_its_holder():
    events = heard(
        Playing([STARTED, TextDelta('{"answer": '), TextDelta(" 3 }"), ended()]), asking({"type": "integer"})
    )
    builder = ResponseBuilder()
    for event in events:
        builder.add(event)
    assert builder.response().text == "3"


def test_what_is_wrong_is_sent_shortened():
    many = {"type": "object", "properties": {"n": {"type": "array", "items": {"const": "x" * 900}}}}
    wrong = '{"n": [' + ", ".join(["1"] * 30) + "]}"
    inner = Playing([STARTED, TextDelta(wrong), ended()], [STARTED, TextDelta('{"n": []}'), ended()])
    heard(inner, asking(many))
    lines = inner.requests[1].messages[-1].text.splitlines()
    assert len(lines) == 12
    assert max(map(len, lines)) <= 202
