"""What the Python API asks, and the answer a program gets."""

from __future__ import annotations

import asyncio
import json

import pytest
from support.loopback import Loopback
from support.python_api import QUESTION, body_of, client_of, configure, configure_mock, streamed

import arawn
from arawn import ChatRequest, Client, LLMMessage, Message, Role, Tool, collect, get_llm_client
from arawn.errors import UsageError


class TestAnswers:
    def test_a_prompt_is_answered(self, home):
        configure_mock(home, 'text = "Good day"')

        async def story():
            async with get_llm_client() as client:
                return await client.generate("Hello", system_prompt="Be kind")

        response = asyncio.run(story())
        assert (response.text, response.content, response.backend, response.model) == ("Good day",) * 2 + ("m", "tiny")
        assert response.finish_reason == "stop"
        assert response.usage.total_tokens > 0

    def test_what_the_call_says_beats_the_config_and_that_the_file(self, home):
        configure(home, "[llm]\nmax_tokens = 1\ntemperature = 0.1\n")

        async def story(server):
            async with client_of(server, max_tokens=2, temperature=0.2) as client:
                await client.generate("Hello", "Be kind")
                await client.chat(QUESTION, max_tokens=3, temperature=0)

        with Loopback(streamed("Hi")) as server:
            asyncio.run(story(server))
        configured, said = body_of(server, 0), body_of(server, 1)
        assert (configured["max_tokens"], configured["temperature"], configured["model"]) == (2, 0.2, "tiny")
        assert configured["messages"][0] == {"role": "system", "content": "Be kind"}
        assert (said["max_tokens"], said["temperature"]) == (3, 0)
        assert server.requests[0].headers["authorization"] == "Bearer a-key"

    def test_messages_are_taken_as_mappings_and_as_messages(self):
        async def story():
            async with Client("mock") as client:
                both = [{"role": "assistant", "content": "Yes?"}, LLMMessage("user", "Hello")]
                return (await client.chat(iter(both))).text, (await client.infer(QUESTION)).text

        assert asyncio.run(story()) == ("Hello", "Hello")

    @pytest.mark.parametrize(
        "said",
        [
            "Hello",
            {"role": "user"},
            {"role": "friend", "content": "Hello"},
            {"role": "user", "content": ["Hello"]},
            {"role": "tool", "content": "4"},
            {"role": None, "content": "Hello"},
        ],
        ids=repr,
    )
    def test_what_is_no_message_is_refused_before_anything_is_sent(self, said):
        async def story():
            async with Client("mock") as client:
                await client.chat([said])

        with pytest.raises(UsageError, match="not a message") as caught:
            asyncio.run(story())
        assert "role" in caught.value.hints[0]

    def test_a_tool_is_called_and_its_result_goes_back(self, home):
        configure_mock(home, 'tool_call = { name = "look", arguments = { place = "Oslo" } }', 'text = "Snow"')

        async def story():
            async with get_llm_client() as client:
                talk = [LLMMessage("user", "Look")]
                first = await client.infer(talk, [Tool("look")])
                (call,) = first.tool_calls
                result = arawn.ToolResult(call.id, (arawn.Text("Snow"),))
                second = await client.chat([*talk, first.message, Message(Role.TOOL, (result,))])
                return call.name, json.loads(call.arguments), second.text

        assert asyncio.run(story()) == ("look", {"place": "Oslo"}, "Snow")

    def test_a_script_goes_on_from_call_to_call(self, home):
        configure_mock(home, 'text = "one"', 'text = "two"', 'text = "three"')

        async def story():
            async with get_llm_client() as client:
                first = (await client.generate("Hello")).text
                second = await client.chat_completion(QUESTION)
                return [first, second, (await collect(client.infer_stream(QUESTION))).text]

        assert asyncio.run(story()) == ["one", "two", "three"]

    def test_a_request_may_name_another_model_of_the_backend(self):
        async def story(server):
            async with client_of(server) as client:
                for model in ("", "large"):
                    await collect(client.stream(ChatRequest(model, (LLMMessage("user", "Hello"),), seed=7)))

        with Loopback(streamed("Hi")) as server:
            asyncio.run(story(server))
        assert [body_of(server, place)["model"] for place in (0, 1)] == ["tiny", "large"]
        assert body_of(server)["seed"] == 7
