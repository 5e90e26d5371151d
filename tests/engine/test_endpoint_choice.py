"""Which of OpenAI's two protocols a request goes by: the model's, where the backend is known to have both."""

from __future__ import annotations

import json

import pytest
from support.loopback import Loopback, answer
from support.processes import Home

KEYS = {"OPENAI_API_KEY": "k", "AZURE_OPENAI_API_KEY": "k", "XAI_API_KEY": "k"}
CHAT, RESPONSES = "/chat/completions", "/responses"
OWN = "https://llm.example.com/openai/v1"
BOTH, OLDER = "gpt-5.4-pro", "gpt-4o"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def sent(home, backend, model, *words):
    """The path and the body of what would be sent."""
    run = home.run("-b", backend, "-m", model, "ask", "--dry-run", "--max-tokens", "50", "Hi", *words, env=KEYS)
    assert run.code == 0, run
    first, _, body = run.out.partition("\n\n")
    return first.split()[1].partition("/v1")[2] or first.split()[1], json.loads(body)


@pytest.mark.parametrize(
    ("model", "path", "limit"), [(BOTH, RESPONSES, "max_output_tokens"), (OLDER, CHAT, "max_completion_tokens")]
)
@pytest.mark.parametrize("backend", ["openai", "azure"])
def test_the_model_decides(home, backend, model, path, limit):
    home.configure(f'[backends.azure]\nbase_url = "{OWN}"\n')
    where, body = sent(home, backend, model)
    assert (where, body[limit], body["model"]) == (path, 50, model)
    assert len([key for key in body if key.startswith("max_")]) == 1


def test_an_unknown_model_goes_by_chat_completions(home):
    assert sent(home, "openai", "gpt-nosuch")[0] == CHAT


@pytest.mark.parametrize("adapter", ["", 'adapter = "openai"\n', 'adapter = "openai_chat"\n'])
def test_at_another_address_only_chat_completions_is_taken_for_granted(home, adapter):
    home.configure(f'[backends.openai]\nbase_url = "{OWN}"\n{adapter}')
    assert sent(home, "openai", BOTH)[0] == CHAT


def test_the_same_address_with_a_slash_is_no_other(home):
    home.configure('[backends.openai]\nbase_url = "https://api.openai.com/v1/"\n')
    assert sent(home, "openai", BOTH)[0] == RESPONSES


def test_the_users_own_word_counts(home):
    home.configure(f'[backends.openai]\nbase_url = "{OWN}"\nadapter = "openai_responses"\n')
    assert sent(home, "openai", OLDER)[0] == RESPONSES
    home.configure('[backends.openai]\nadapter = "openai_chat"\n')
    assert sent(home, "openai", BOTH)[0] == CHAT
    assert sent(home, "openai-responses", OLDER)[0] == RESPONSES


def test_a_path_for_chat_is_one_of_chat_completions(home):
    home.configure(
        '[backends.azure]\nbase_url = "https://x.example.com"\nquery = { api-version = "2024-10-21" }\n'
        'chat_path = "/openai/deployments/{model}/chat/completions"\n'
    )
    where, body = sent(home, "azure", BOTH)
    assert where == f"https://x.example.com/openai/deployments/{BOTH}/chat/completions?api-version=2024-10-21"
    assert body["max_completion_tokens"] == 50


def test_models_and_vectors_of_such_a_backend_are_those_of_openai(home):
    models, vectors = b'{"data": [{"id": "m-1"}]}', b'{"data": [{"index": 0, "embedding": [1.0]}]}'
    with Loopback([answer(models)], [answer(vectors)]) as server:
        home.configure(f'[backends.mine]\nadapter = "openai"\nbase_url = "{server.url}/v1"\nmodel = "m-1"\n')
        listed = home.run("models", "-b", "mine", "--json")
        embedded = home.run("embed", "-b", "mine", "-m", "e-1", "Hi")
    assert json.loads(listed.out)[0]["id"] == "m-1", listed
    assert embedded.code == 0, embedded
    assert [request.target for request in server.requests] == ["/v1/models", "/v1/embeddings"]


def test_keys_of_a_backend_that_say_what_its_models_take_are_obeyed(home):
    keys = 'adapter = "anthropic"\nbase_url = "https://llm.example.com"\nsampling = false\n'
    for adaptive, thinking in (("", "enabled"), ("adaptive_thinking = true\n", "adaptive")):
        home.configure(f"[backends.mine]\n{keys}{adaptive}")
        body = sent(home, "mine", "m-1", "--think", "low", "--temperature", "0.5")[1]
        assert body["thinking"]["type"] == thinking
        assert "temperature" not in body
