"""arawn against LiteLLM's proxy, whose OpenAI and Anthropic sides were written by others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from e2e.litellm_proxy import KEY, SENTENCE, VECTOR, litellm_proxy
from e2e.upstream import NEEDED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.processes import Home

pytestmark = NEEDED
BOTH_PROTOCOLS = pytest.mark.parametrize("backend", ["chat", "messages"])


@pytest.fixture(scope="session")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with litellm_proxy(tmp_path_factory.mktemp("litellm")) as url:
        yield url


@pytest.fixture
def proxied(home: Home, proxy: str) -> Home:
    """A home with a backend for each protocol the proxy speaks."""
    home.configure(f"""
[backends.chat]
adapter = "openai_chat"
base_url = "{proxy}/v1"
api_key = "$env:PROXY_KEY"
model = "greeter"

[backends.responses]
adapter = "openai_responses"
base_url = "{proxy}/v1"
api_key = "$env:PROXY_KEY"
model = "greeter"

[backends.messages]
adapter = "anthropic"
base_url = "{proxy}"
api_key = "$env:PROXY_KEY"
auth_header = "x-api-key"
auth_prefix = ""
model = "relay"
""")
    home.environ["PROXY_KEY"] = KEY
    return home


@BOTH_PROTOCOLS
@pytest.mark.parametrize("how", [(), ("--no-stream",)], ids=["streamed", "at once"])
def test_the_answer_of_the_proxy_is_printed_and_nothing_else(proxied: Home, backend: str, how: tuple[str, ...]) -> None:
    run = proxied.run("-b", backend, "ask", *how, "hi")
    assert (run.code, run.out, run.err) == (0, f"{SENTENCE}\n", ""), run


def test_the_responses_protocol_is_answered_too(proxied: Home) -> None:
    run = proxied.run("-b", "responses", "ask", "--no-stream", "hi")
    assert (run.code, run.out, run.err) == (0, f"{SENTENCE}\n", ""), run


@BOTH_PROTOCOLS
def test_the_answer_comes_in_pieces(proxied: Home, backend: str) -> None:
    run = proxied.run("-b", backend, "ask", "--jsonl", "hi")
    events = [json.loads(line) for line in run.out.splitlines()]
    pieces = [event["text"] for event in events if event["type"] == "delta"]
    assert len(pieces) > 3
    assert "".join(pieces) == SENTENCE
    assert events[-1]["finish_reason"] == "stop"


@BOTH_PROTOCOLS
def test_what_the_proxy_counted_is_in_the_json(proxied: Home, backend: str) -> None:
    run = proxied.run("-b", backend, "ask", "--json", "hi")
    answer = json.loads(run.out)
    usage = answer["usage"]
    assert (answer["text"], answer["finish_reason"], answer["error"]) == (SENTENCE, "stop", None)
    assert not usage["estimated"]
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] > 0
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


@BOTH_PROTOCOLS
def test_a_wrong_key_is_told_as_such(proxied: Home, backend: str) -> None:
    run = proxied.run("-b", backend, "ask", "hi", env={"PROXY_KEY": "sk-a-wrong-key"})
    assert (run.code, run.out) == (4, ""), run
    assert run.err.startswith(f'Error: Authentication failed for backend "{backend}"\n')
    assert "sk-a-wrong-key" not in run.err


@BOTH_PROTOCOLS
def test_a_model_the_proxy_does_not_have_is_refused(proxied: Home, backend: str) -> None:
    run = proxied.run("-b", backend, "-m", "nobody", "ask", "hi")
    assert (run.code, run.out) == (8, ""), run
    assert "nobody" in run.err
    assert f"arawn models -b {backend}" in run.err


@BOTH_PROTOCOLS
def test_its_models_are_listed(proxied: Home, backend: str) -> None:
    run = proxied.run("-b", backend, "models", "--json")
    assert [model["id"] for model in json.loads(run.out)] == ["greeter", "relay", "vectors"], run


def test_a_text_becomes_the_vector_the_proxy_has(proxied: Home) -> None:
    run = proxied.run("-b", "chat", "-m", "vectors", "embed", "--json", "a text")
    answer = json.loads(run.out)
    assert answer["embeddings"] == [VECTOR], run
    assert answer["usage"]["input_tokens"] > 0


def test_fewer_vectors_than_texts_are_an_error(proxied: Home) -> None:
    """The proxy's made-up answer holds one vector however many texts it was sent."""
    run = proxied.run("-b", "chat", "-m", "vectors", "embed", "one", "two")
    assert (run.code, run.out) == (7, ""), run
    assert "2 texts with 1 vectors" in run.err
