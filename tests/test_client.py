"""The Python API, over the mock and over real sockets, in a real event loop; and the examples of its page."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from loopback import CHUNKED, Loopback, Pause, answer, chunked, head

import arawn
from arawn import ChatRequest, Client, LLMConfig, LLMMessage, Message, Role, Tool, collect, get_llm_client
from arawn.config.sources import load
from arawn.errors import (
    AuthenticationError,
    BackendTimeoutError,
    ConfigError,
    ModelNotAvailableError,
    StreamInterruptedError,
    UsageError,
)
from arawn.events import Finished, Started, TextDelta

PAGE = Path(__file__).parents[1] / "docs" / "python-api.md"
KEPT = ("PATH", "SYSTEMROOT", "COVERAGE_PROCESS_START")
QUESTION = [{"role": "user", "content": "Hello"}]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A fresh ARAWN_HOME, no key in the environment, and no Ollama where one would be looked for."""
    for name in set(os.environ) - set(KEPT):
        if not name.startswith("PYTEST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ARAWN_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    configure(tmp_path)
    return tmp_path


def configure(folder, text=""):
    file = folder / "config.toml"
    file.write_text(f'[backends.ollama]\nbase_url = "http://127.0.0.1:1"\n{text}')
    file.chmod(0o600)


def pieces(*texts, end=True):
    """An answer of Chat Completions as a stream."""
    events = [{"model": "tiny", "choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    events += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}] * end
    return b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n" * end


def streamed(*texts):
    return [head(headers=CHUNKED) + chunked(pieces(*texts))]


BEGUN = head(headers=CHUNKED) + chunked(pieces("Good", end=False), end=False)  # and then the server listens
VECTOR = answer(b'{"data": [{"index": 0, "embedding": [1, 2]}], "model": "vectors"}')
REFUSED = [answer(b'{"error": {"message": "no such key"}}', 401)]


@asynccontextmanager
async def client_of(server, **config):
    """A client of the server on loopback."""
    async with get_llm_client(LLMConfig("remote", "tiny", "a-key", f"{server.url}/v1", **config)) as client:
        yield client


async def eventually(holds):
    """Wait until something holds, which it does soon or never."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def body_of(server, place=0):
    return json.loads(server.requests[place].body)


def mocked(folder, *replies, more=""):
    """A configuration whose [llm] plays these replies."""
    tables = "".join(f"[[backends.m.replies]]\n{reply}\n" for reply in replies)
    configure(
        folder, f'[llm]\nbackend = "m"\n[backends.m]\nadapter = "mock"\nmodel = "tiny"\nmax_retries = 0\n{tables}{more}'
    )


class TestChoosing:
    def test_the_configuration_says_who_answers(self, home):
        mocked(home, 'text = "Good day"')
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
        mocked(home, 'text = "Good day"')
        settings = load(environ={"ARAWN_HOME": str(home)}, cwd="/", project=False)
        configure(home)
        assert Client(settings=settings).backend == "m"

    def test_the_key_of_a_config_is_not_in_its_repr(self):
        assert "sk-0123" not in repr(LLMConfig(api_key="sk-0123"))


class TestAnswers:
    def test_a_prompt_is_answered(self, home):
        mocked(home, 'text = "Good day"')

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
        mocked(home, 'tool_call = { name = "look", arguments = { place = "Oslo" } }', 'text = "Snow"')

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
        mocked(home, 'text = "one"', 'text = "two"', 'text = "three"')

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


class TestStreams:
    def test_events_come_in_order(self):
        async def story(server):
            async with client_of(server) as client, aclosing(client.infer_stream(QUESTION)) as events:
                return [event async for event in events]

        with Loopback(streamed("Good ", "day")) as server:
            first, *texts, last = asyncio.run(story(server))
        assert (first, texts) == (Started("remote", "tiny"), [TextDelta("Good "), TextDelta("day")])
        assert isinstance(last, Finished)

    def test_pieces_of_text_come_by_themselves(self):
        async def story(server):
            async with client_of(server) as client, aclosing(client.stream_chat_completion(QUESTION)) as stream:
                return [piece async for piece in stream]

        with Loopback(streamed("Good ", "day")) as server:
            assert asyncio.run(story(server)) == ["Good ", "day"]

    @pytest.mark.parametrize("ask", [Client.infer_stream, Client.stream_chat_completion], ids=lambda ask: ask.__name__)
    def test_a_reader_who_leaves_early_ends_the_connection(self, ask):
        async def story(server):
            async with client_of(server) as client:
                async with aclosing(ask(client, QUESTION)) as stream:
                    async for _ in stream:
                        break
                await eventually(lambda: not server._open)

        with Loopback([BEGUN]) as server:
            asyncio.run(story(server))

    def test_a_cancelled_call_leaves_no_connection_behind(self):
        async def story(server):
            async with client_of(server) as client:
                calls = [asyncio.create_task(client.generate("Hello")) for _ in range(5)]
                await eventually(lambda: len(server.requests) == 5)
                for call in calls:
                    call.cancel()
                ended = await asyncio.gather(*calls, return_exceptions=True)
                await eventually(lambda: not server._open)
                return ended

        with Loopback([BEGUN]) as server:
            ended = asyncio.run(story(server))
        assert [type(end) for end in ended] == [asyncio.CancelledError] * 5

    def test_a_call_cancelled_before_its_answer_begins_leaves_no_connection_behind(self):
        async def story(server):
            async with client_of(server) as client:
                call = asyncio.create_task(client.generate("Hello"))
                await eventually(lambda: server.requests)
                call.cancel()
                await eventually(lambda: not server._open)

        with Loopback([]) as server:
            asyncio.run(story(server))

    def test_after_a_whole_answer_the_connection_is_used_again(self):
        async def story(server):
            async with client_of(server) as client:
                return [(await client.generate("Hello")).text for _ in range(3)]

        with Loopback(streamed("Hi")) as server:
            assert asyncio.run(story(server)) == ["Hi"] * 3
        assert server.connections == 1

    def test_closing_the_client_closes_its_connections(self):
        async def story(server):
            async with client_of(server) as client:
                await client.generate("Hello")
                assert server._open
            await eventually(lambda: not server._open)

        with Loopback(streamed("Hi")) as server:
            asyncio.run(story(server))


@asynccontextmanager
async def echoing():
    """A server that streams the last message back word by word, giving way to others between the words."""
    at_work = set()

    async def serve(reader, writer):
        at_work.add(writer)
        while request := await read_request(reader):
            writer.write(head(headers=CHUNKED))
            for word in request["messages"][-1]["content"].split(" "):
                writer.write(chunked(pieces(f"{word} ", end=False), end=False))
                await writer.drain()
                await asyncio.sleep(0)
            writer.write(chunked(pieces()))
        writer.close()
        await writer.wait_closed()
        at_work.remove(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        await eventually(lambda: not at_work)


async def read_request(reader):
    """The body of the next request; None where the client has left."""
    try:
        before = (await reader.readuntil(b"\r\n\r\n")).lower()
    except asyncio.IncompleteReadError:
        return None
    length = int(re.search(rb"content-length: (\d+)", before)[1])
    return json.loads(await reader.readexactly(length))


class TestAtTheSameTime:
    def test_each_of_many_calls_gets_its_own_answer(self):
        async def story():
            async with (
                echoing() as url,
                get_llm_client(LLMConfig("remote", "tiny", "a-key", url)) as client,
            ):
                asked = [f"{number} " * 20 for number in range(50)]
                responses = await asyncio.gather(*(client.generate(text.strip()) for text in asked))
                return asked, [response.text for response in responses]

        asked, answered = asyncio.run(story())
        assert answered == asked

    def test_a_call_that_waits_holds_up_no_other(self):
        async def story(server):
            async with client_of(server) as client:
                slow = asyncio.create_task(client.generate("Hello"))
                await eventually(lambda: server.requests)
                quick = await client.generate("Hello")
                assert not slow.done()
                slow.cancel()
                return quick.text

        with Loopback([BEGUN], streamed("Hi")) as server:
            assert asyncio.run(story(server)) == "Hi"

    def test_the_loop_turns_while_a_call_waits(self):
        async def story(server):
            async with client_of(server) as client:
                call = asyncio.create_task(client.generate("Hello"))
                turns = 0
                while not call.done():
                    turns += 1
                    await asyncio.sleep(0.001)
                return turns

        with Loopback([Pause(0.2), *streamed("Hi")]) as server:
            assert asyncio.run(story(server)) > 3


class TestTiers:
    MORE = """
[tiers]
small = "m/small"
[aliases]
bare = "large"
"""

    def asked(self, home, name, backend=None):
        """The backend and model a tier leads a client to."""
        mocked(home, 'text = "Good day"', more=self.MORE)
        choice = Client(backend)._tier(name)
        return choice.backend, choice.model

    def test_without_a_name_it_is_the_clients_own(self, home):
        assert self.asked(home, None) == ("m", "tiny")

    def test_a_tier_is_what_the_configuration_says(self, home):
        assert self.asked(home, "small", "mock") == ("m", "small")

    def test_an_alias_of_an_id_stays_with_the_clients_backend(self, home):
        assert self.asked(home, "bare", "mock") == ("mock", "large")

    def test_backend_and_model_are_taken_as_they_stand(self, home):
        assert self.asked(home, "vllm/Qwen/Qwen2.5-7B-Instruct") == ("vllm", "Qwen/Qwen2.5-7B-Instruct")

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
        mocked(home, 'error = "interrupted"')

        async def story():
            async with get_llm_client() as client:
                await client.generate("Hello")

        with pytest.raises(StreamInterruptedError) as caught:
            asyncio.run(story())
        assert caught.value.partial is None

    def test_silence_ends_the_call_after_the_programs_timeout_and_closes_the_connection(self):
        async def story(server):
            async with client_of(server, timeout=0.2) as client:
                with pytest.raises(BackendTimeoutError) as caught:
                    await client.generate("Hello")
                await eventually(lambda: not server._open)
                return caught.value.clock

        with Loopback([BEGUN]) as server:
            assert asyncio.run(story(server)) == "idle"


class TestNames:
    def test_every_public_name_is_there_for_programs_and_for_type_checkers(self):
        source = ast.parse(Path(arawn.__file__).read_text())
        typed = [name.asname for node in ast.walk(source) if isinstance(node, ast.ImportFrom) for name in node.names]
        public = set(dir(arawn)) - {"__version__"}
        assert public == set(filter(None, typed))
        assert all(getattr(arawn, name) is not None for name in public)

    def test_a_name_that_is_none_is_told_as_python_tells_it(self):
        with pytest.raises(AttributeError, match="module 'arawn' has no attribute 'nobody'"):
            arawn.nobody  # noqa: B018 -- to look is the test

    def test_importing_arawn_loads_nothing_else_of_it(self):
        code = "import arawn, sys; print([name for name in sys.modules if name.startswith('arawn.')])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"


EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


class TestThePage:
    CONFIGURATION = """
[llm]
backend = "demo"
[embeddings]
backend = "mock"
[tiers]
small = "demo/small"
large = "demo/large"

[backends.demo]
adapter = "mock"
model = "demo"
[[backends.demo.replies]]
text = "One two three"

[backends.weather]
adapter = "mock"
model = "demo"
[[backends.weather.replies]]
tool_call = { name = "look", arguments = { place = "Oslo" } }
[[backends.weather.replies]]
text = "It is raining in Oslo."
[[backends.weather.replies]]
text = '{"rain": true}'
"""

    @pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
    def test_its_examples_run(self, home, example):
        configure(home, self.CONFIGURATION)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, cwd=home, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, ""), example

    def test_every_public_name_is_on_a_page(self):
        pages = PAGE.read_text(encoding="utf-8") + PAGE.with_name("mock.md").read_text(encoding="utf-8")
        missing = [name for name in dir(arawn) if not name.startswith("_") and not re.search(rf"\b{name}\b", pages)]
        assert missing == []
