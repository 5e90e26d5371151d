"""The errors of the Python API."""

from __future__ import annotations

import asyncio

import pytest
from support.loopback import CHUNKED, Loopback, answer, chunked, head
from support.python_api import BEGUN, REFUSED, client_of, configure_mock, pieces
from support.waiting import eventually

from arawn import get_llm_client
from arawn.errors import AuthenticationError, BackendTimeoutError, ModelNotAvailableError, StreamInterruptedError


class TestErrors:
    def failed(self, server, **config):
        async def story():
            async with client_of(server, **config) as client:
                await client.generate("Hello")

        return asyncio.run(story())

    def test_a_refused_key_is_told_in_the_fixed_words_and_without_the_key(self):
        with Loopback(REFUSED) as server, pytest.raises(AuthenticationError) as caught:
            self.failed(server)
        assert caught.value.message == 'Authentication failed for backend "remote"'
        assert "a-key" not in repr(caught.value)
        assert (caught.value.kind, caught.value.exit_code, caught.value.status) == ("authentication", 4, 401)

    def test_a_model_that_is_not_there_is_told_in_the_fixed_words(self):
        gone = answer(b'{"error": {"code": "model_not_found", "message": "no tiny"}}', 404)
        with Loopback([gone]) as server, pytest.raises(ModelNotAvailableError) as caught:
            self.failed(server)
        assert caught.value.message == 'Model "tiny" not available'

    def test_an_answer_that_breaks_off_has_what_came_of_it(self):
        cut = head(headers=CHUNKED) + chunked(pieces("Good da", end=False))
        with Loopback([cut]) as server, pytest.raises(StreamInterruptedError) as caught:
            self.failed(server)
        assert caught.value.partial.text == "Good da"

    def test_an_answer_that_broke_off_before_it_began_has_no_part(self, home):
        configure_mock(home, 'error = "interrupted"')

        async def story():
            async with get_llm_client() as client:
                await client.generate("Hello")

        with pytest.raises(StreamInterruptedError) as caught:
            asyncio.run(story())
        assert caught.value.partial is None

    def test_silence_ends_the_call_after_the_programs_timeout_and_closes_the_connection(self):
        async def story(server):
            async with client_of(server, timeout=2.0) as client:
                with pytest.raises(BackendTimeoutError) as caught:
                    await client.generate("Hello")
                await eventually(lambda: not server._open)
                return caught.value.clock

        with Loopback([BEGUN]) as server:
            assert asyncio.run(story(server)) == "idle"
