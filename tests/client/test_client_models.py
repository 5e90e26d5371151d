"""What the Python API knows of models, and whether their backend is there."""

from __future__ import annotations

import asyncio

from support.loopback import Loopback, answer
from support.python_api import REFUSED, client_of

from arawn import Client, LLMConfig, get_llm_client


class TestModels:
    def test_the_backend_lists_its_models(self):
        async def story(server):
            async with client_of(server) as client:
                return await client.get_available_models(), await client.health_check()

        with Loopback([answer(b'{"data": [{"id": "tiny"}, {"id": "large"}]}')]) as server:
            assert asyncio.run(story(server)) == (["tiny", "large"], True)

    def test_a_backend_that_refuses_the_key_is_not_healthy(self):
        async def story(server):
            async with client_of(server) as client:
                return await client.health_check()

        with Loopback(REFUSED) as server:
            assert asyncio.run(story(server)) is False

    def test_a_backend_nobody_listens_for_is_not_healthy(self):
        async def story():
            async with get_llm_client(LLMConfig("remote", "tiny", "a-key", "http://127.0.0.1:1/v1")) as client:
                return await client.health_check()

        assert asyncio.run(story()) is False

    def test_a_known_model_is_described(self):
        client = Client("anthropic", "claude-haiku-5-5")
        facts = client.model_info()
        assert (facts.backend, facts.id) == ("anthropic", "claude-haiku-5-5")
        assert facts.context_window > 100_000
        assert client.supports_function_calling()
        assert client.supports_vision()
        assert client.supports_streaming()

    def test_a_model_nobody_knows_may_call_tools_and_is_not_taken_to_see(self):
        client = Client("mock", "strange")
        assert client.model_info() is None
        assert client.supports_function_calling()
        assert not client.supports_vision()

    def test_a_model_known_to_call_no_tools_says_so(self):
        client = Client("openai", "text-embedding-3-small")
        assert client.model_info().capabilities == {"embeddings"}
        assert not client.supports_function_calling()
