"""arawn against a real Ollama: its own protocol, as its own code speaks it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from e2e.ollama_server import MODEL, ollama_server
from e2e.tiny_model import SENTENCE
from e2e.upstream import NEEDED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.processes import Home

pytestmark = NEEDED
COLOUR = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "blue"]}, "warm": {"type": "boolean"}},
    "required": ["colour", "warm"],
    "additionalProperties": False,
}


@pytest.fixture(scope="session")
def ollama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ollama_server(tmp_path_factory.mktemp("ollama")) as url:
        yield url


@pytest.fixture
def local(home: Home, ollama: str) -> Home:
    """A home that knows where Ollama is, and no more."""
    home.configure(f'[backends.ollama]\nbase_url = "{ollama}"\nmodel = "{MODEL}"\n')
    return home


@pytest.mark.parametrize("how", [(), ("--no-stream",)], ids=["streamed", "at once"])
def test_the_answer_of_the_model_is_printed_and_nothing_else(local: Home, how: tuple[str, ...]) -> None:
    run = local.run("-b", "ollama", "ask", *how, "hi")
    assert (run.code, run.out, run.err) == (0, f"{SENTENCE}\n", ""), run


def test_each_token_comes_by_itself_and_is_counted(local: Home) -> None:
    run = local.run("-b", "ollama", "ask", "--jsonl", "hi")
    events = [json.loads(line) for line in run.out.splitlines()]
    pieces = [event["text"] for event in events if event["type"] == "delta"]
    usage = next(event for event in events if event["type"] == "usage")
    assert pieces == ["Hello", " from", " a", " very", " small", " model", "."]
    assert usage["output_tokens"] == len(pieces) + 1  # with the one that ends
    assert usage["input_tokens"] > 0
    assert not usage["estimated"]


def test_without_any_configuration_a_running_ollama_is_found_with_its_model(home: Home, ollama: str) -> None:
    home.configure(f'[backends.ollama]\nbase_url = "{ollama}"\n')
    run = home.run("ask", "hi")
    assert (run.code, run.out) == (0, f"{SENTENCE}\n"), run
    assert run.err.startswith("using ollama: it is running")


def test_an_answer_cut_at_its_limit_is_told(local: Home) -> None:
    run = local.run("-b", "ollama", "ask", "--max-tokens", "3", "hi")
    assert (run.code, run.out) == (0, "Hello from a\n"), run
    assert "cut at its token limit (finish reason: length)" in run.err


def test_under_strict_an_answer_cut_at_its_limit_is_exit_10(local: Home) -> None:
    run = local.run("-b", "ollama", "ask", "--strict", "--json", "--max-tokens", "3", "hi")
    answer = json.loads(run.out)
    assert run.code == 10, run
    assert (answer["text"], answer["finish_reason"]) == ("Hello from a", "length")
    assert answer["usage"]["output_tokens"] == 3


def test_a_model_it_does_not_have_is_told_in_the_fixed_words(local: Home) -> None:
    run = local.run("-b", "ollama", "-m", "nobody", "ask", "hi")
    assert (run.code, run.out) == (8, ""), run
    assert run.err.startswith('Error: Model "nobody" not available\n')


def test_the_answer_keeps_to_a_schema(local: Home) -> None:
    run = local.run("-b", "ollama", "ask", "--max-tokens", "200", "--schema", json.dumps(COLOUR), "paint")
    answer = json.loads(run.out)
    assert run.code == 0, run
    assert answer["colour"] in {"red", "blue"}
    assert answer["warm"] in {True, False}


def test_a_schema_cut_short_is_exit_10(local: Home) -> None:
    run = local.run("-b", "ollama", "ask", "--max-tokens", "4", "--schema", json.dumps(COLOUR), "paint")
    assert run.code == 10, run


def test_its_models_are_listed(local: Home) -> None:
    run = local.run("-b", "ollama", "models", "--json")
    assert [model["id"] for model in json.loads(run.out)] == [f"{MODEL}:latest"], run


def test_texts_become_vectors_in_their_order(local: Home) -> None:
    """The model's vector points in the direction of the last token, here the last letter."""
    run = local.run("-b", "ollama", "-m", MODEL, "embed", "--json", "fox", "toy", "ox")
    fox, toy, ox = (vector.index(max(vector)) for vector in json.loads(run.out)["embeddings"])
    assert (toy - fox, ox) == (1, fox)


def test_what_it_says_when_it_refuses_a_request_reaches_the_user(home: Home, ollama: str) -> None:
    tools = 'tools = [{ type = "function", function = { name = "look" } }]'
    home.configure(f'[backends.ollama]\nbase_url = "{ollama}"\nmodel = "{MODEL}"\nextra = {{ {tools} }}\n')
    run = home.run("-b", "ollama", "ask", "hi")
    assert (run.code, run.out) == (8, ""), run
    assert "does not support tools" in run.err
