"""The vectors of the Python API."""

from __future__ import annotations

import asyncio

import pytest
from support.loopback import Loopback, answer
from support.python_api import body_of, client_of, configure

from arawn import Client
from arawn.errors import ConfigError

VECTOR = answer(b'{"data": [{"index": 0, "embedding": [1, 2]}], "model": "vectors"}')


class TestVectors:
    def test_the_role_embeddings_has_its_own_model(self, home):
        configure(home, '[embeddings]\nbackend = "mock"\n')

        async def story():
            async with Client(role="embeddings") as client:
                one, same, other = await client.embed_all(["a cat", "a cat", "a dog"])
                assert one == same != other
                return await client.embed("a cat"), list(one)

        found, expected = asyncio.run(story())
        assert found == expected

    def test_a_client_for_answers_asks_its_backends_embedding_model(self, home):
        async def story(server):
            configure(home, f'[backends.openai]\nbase_url = "{server.url}/v1"\napi_key = "a-key"\n')
            async with Client("openai") as client:
                return await client.embed("a cat")

        with Loopback([VECTOR]) as server:
            assert asyncio.run(story(server)) == [1.0, 2.0]
        assert body_of(server)["model"] == "text-embedding-3-small"

    def test_a_backend_without_embeddings_says_so(self):
        async def story():
            async with Client("anthropic") as client:
                await client.embed("a cat")

        with pytest.raises(ConfigError, match="anthropic"):
            asyncio.run(story())

    def test_no_texts_are_no_vectors_and_no_call(self):
        async def story(server):
            async with client_of(server) as client:
                return await client.embed_all([])

        with Loopback([VECTOR]) as server:
            assert asyncio.run(story(server)) == ()
        assert not server.requests
