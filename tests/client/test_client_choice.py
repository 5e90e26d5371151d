"""Which backend and model a client of the Python API stands for."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from support.loopback import Loopback, answer
from support.python_api import QUESTION, body_of, client_of, configure, configure_mock, streamed

import arawn
from arawn import Client, LLMConfig, get_llm_client
from arawn.config.sources import load
from arawn.errors import ConfigError


class TestChoosing:
    def test_the_configuration_says_who_answers(self, home):
        configure_mock(home, 'text = "Good day"')
        client = get_llm_client()
        assert (client.backend, client.model) == ("m", "tiny")

    def test_a_key_in_the_environment_is_enough(self, monkeypatch):
        monkeypatch.setenv("GROQ_API_KEY", "gsk-0123456789")
        assert get_llm_client().backend == "groq"

    def test_a_running_ollama_is_found_also_from_within_an_event_loop(self, home):
        async def story():
            with Loopback([answer(b'{"models": [{"name": "tiny"}]}')]) as server:
                configure(home)
                file = home / "config.toml"
                file.write_text(f'[backends.ollama]\nbase_url = "{server.url}"\n')
                async with Client() as client, get_llm_client() as other:
                    return client.backend, client.model, other.model

        assert asyncio.run(story()) == ("ollama", "tiny", "tiny")

    def test_where_nothing_is_configured_the_mock_answers_only_if_it_may(self):
        with pytest.raises(ConfigError, match="no backend"):
            get_llm_client()
        assert get_llm_client(allow_mock=True).backend == "mock"

    def test_a_backend_asked_for_by_name_is_not_replaced_by_the_mock(self, home):
        with pytest.raises(ConfigError, match="nobody"):
            get_llm_client(LLMConfig(backend="nobody"), allow_mock=True)
        configure(home, '[llm]\nbackend = "nobody"\n')
        with pytest.raises(ConfigError, match="nobody"):
            get_llm_client(allow_mock=True)

    def test_a_broken_configuration_is_not_hidden_by_the_mock(self, home):
        configure(home, "[llm\n")
        with pytest.raises(ConfigError, match=r"config\.toml:3"):
            get_llm_client(allow_mock=True)

    def test_a_tier_is_a_model_with_its_backend(self):
        client = get_llm_client(LLMConfig(model="haiku"))
        assert (client.backend, client.model) == ("anthropic", "claude-haiku-5-5")

    def test_a_backend_without_an_address_takes_the_programs(self):
        config = LLMConfig("azure", "deployed", "a-key", "https://me.openai.azure.com/openai/v1")
        assert get_llm_client(config).model == "deployed"

    def test_a_project_has_no_say(self, tmp_path, monkeypatch):
        (tmp_path / ".arawn.toml").write_text('[llm]\nbackend = "mock"\n')
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigError):
            get_llm_client()

    def test_settings_may_be_handed_in(self, home):
        configure_mock(home, 'text = "Good day"')
        settings = load(environ={"ARAWN_HOME": str(home)}, cwd="/", project=False)
        configure(home)
        assert Client(settings=settings).backend == "m"

    def test_the_key_of_a_config_is_not_in_its_repr(self):
        assert "sk-0123" not in repr(LLMConfig(api_key="sk-0123"))


class TestTiers:
    MORE = """
[tiers]
small = "m/small"
[aliases]
bare = "large"
"""

    def asked(self, home, name, backend=None):
        """The backend and model a tier leads a client to."""
        configure_mock(home, 'text = "Good day"', more=self.MORE)
        choice = Client(backend)._tier(name)
        return choice.backend, choice.model

    def test_without_a_name_it_is_the_clients_own(self, home):
        assert self.asked(home, None) == ("m", "tiny")

    def test_a_tier_is_what_the_configuration_says(self, home):
        assert self.asked(home, "small", "mock") == ("m", "small")

    def test_an_alias_of_an_id_stays_with_the_clients_backend(self, home):
        assert self.asked(home, "bare", "mock") == ("mock", "large")

    def test_backend_and_model_are_taken_as_they_stand(self, home):
        assert self.asked(home, "vllm/Qwen/Qwen3-8B") == ("vllm", "Qwen/Qwen3-8B")

    def test_any_other_name_is_a_model_of_the_clients_backend(self, home):
        assert self.asked(home, "medium", "mock") == ("mock", "medium")
        assert self.asked(home, "someone/medium", "mock") == ("mock", "someone/medium")

    def test_an_id_the_clients_backend_is_known_to_have_stays_there_though_it_looks_like_another(self, home):
        known = "openai/gpt-5.4-mini"
        assert arawn.Client("openrouter", known).model_info() is not None
        assert self.asked(home, known, "openrouter") == ("openrouter", known)

    def test_both_calls_ask_the_model_of_the_tier(self):
        async def story(server):
            async with client_of(server) as client:
                await client.chat_completion(QUESTION, "large", max_tokens=5)
                async with aclosing(client.stream_chat_completion(QUESTION, "larger", temperature=1)) as stream:
                    return [piece async for piece in stream]

        with Loopback(streamed("Hi")) as server:
            assert asyncio.run(story(server)) == ["Hi"]
        first, second = body_of(server, 0), body_of(server, 1)
        assert (first["model"], first["max_tokens"]) == ("large", 5)
        assert (second["model"], second["temperature"]) == ("larger", 1)
