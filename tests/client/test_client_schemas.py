"""JSON Schemas in the Python API: the same check and the same second try as on the command line."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from support.loopback import Loopback
from support.python_api import QUESTION, body_of, client_of, configure_mock, streamed

import arawn
from arawn import ChatRequest, LLMMessage, OutputFormat, TextDelta, collect, get_llm_client
from arawn.errors import IncompleteAnswerError, UsageError

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def ask(*replies, home, schema=SCHEMA):
    configure_mock(home, *(f"text = '''{reply}'''" for reply in replies))

    async def story():
        async with get_llm_client() as client:
            response = await client.generate("Hello", schema=schema)
            return response, client.recent_calls()

    return asyncio.run(story())


def test_an_answer_that_fits_is_the_json_alone(home):
    response, calls = ask('Here:\n```json\n{"n": 1}\n```', home=home)
    assert (response.text, len(calls)) == ('{"n": 1}', 1)


def test_a_second_answer_that_fits_counts_with_the_usage_of_both(home):
    response, calls = ask("no", '{"n": 1}', home=home)
    assert response.text == '{"n": 1}'
    assert response.usage.output_tokens == sum(call.usage.output_tokens for call in calls)
    assert response.usage.input_tokens == sum(call.usage.input_tokens for call in calls)


def test_an_answer_that_does_not_fit_is_raised_with_its_text(home):
    with pytest.raises(IncompleteAnswerError, match="does not fit the schema: /n: expected integer") as caught:
        ask("no", '{"n": "1"}', home=home)
    assert caught.value.partial is not None
    assert caught.value.partial.text == '{"n": "1"}'


def test_a_list_is_unwrapped(home):
    assert ask('{"items": [1]}', home=home, schema={"type": "array", "items": {"type": "integer"}})[0].text == "[1]"


@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"unevaluatedItems": False}, {"enum": [{1, 2}]}])
def test_a_schema_that_is_none_is_a_wrong_argument(home, schema):
    with pytest.raises(UsageError, match=r"^schema: "):
        ask("{}", home=home, schema=schema)


def test_a_stream_gives_the_text_once_it_fits(home):
    async def story(server):
        request = ChatRequest("", (LLMMessage("user", "Hello"),), output=OutputFormat(SCHEMA))
        async with client_of(server) as client, aclosing(client.stream(request)) as events:
            return "".join([event.text async for event in events if isinstance(event, TextDelta)])

    with Loopback(streamed('{"n"', ": 1", "}")) as server:
        assert asyncio.run(story(server)) == '{"n": 1}'
        form = body_of(server)["response_format"]["json_schema"]
    assert (form["strict"], form["schema"]) == (True, {**SCHEMA, "additionalProperties": False})


def test_a_batch_checks_each_answer(home):
    configure_mock(home, "text = 'no'", "text = '{\"n\": 1}'", "text = 'no'")

    async def story():
        requests = [
            ChatRequest("", (LLMMessage("user", f"q{number}"),), output=OutputFormat(SCHEMA)) for number in "12"
        ]
        async with get_llm_client() as client, aclosing(client.batch(requests, jobs=1)) as answers:
            return [answer async for answer in answers]

    good, bad = asyncio.run(story())
    assert (good.text, good.error) == ('{"n": 1}', None)
    assert (bad.text, type(bad.error)) == ("no", IncompleteAnswerError)


def test_an_answer_that_calls_tools_is_no_answer_yet(home):
    configure_mock(home, 'tool_call = {name = "look", arguments = {}}')

    async def story():
        request = ChatRequest("", (LLMMessage("user", "Hi"),), tools=(arawn.Tool("look"),), output=OutputFormat(SCHEMA))
        async with get_llm_client() as client:
            return await collect(client.stream(request))

    assert asyncio.run(story()).tool_calls[0].name == "look"


def test_a_conversation_takes_a_schema_too(home):
    configure_mock(home, "text = '{\"n\": 1}'")

    async def story():
        async with get_llm_client() as client:
            return (await client.chat(QUESTION, schema=SCHEMA)).text

    assert asyncio.run(story()) == '{"n": 1}'
