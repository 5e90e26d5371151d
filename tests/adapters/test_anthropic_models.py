"""The Messages adapter's list of models, and how it reads a refusal."""

import json

import pytest

from arawn.adapters.anthropic.messages import AnthropicAdapter
from arawn.adapters.base import Quirks
from arawn.errors import AuthenticationError, ProtocolError
from arawn.messages import ModelCard


def test_the_model_list_is_asked_for_in_one_page():
    call = AnthropicAdapter("mine", Quirks()).render_models()

    assert (call.method, call.path, call.query, call.body) == ("GET", "/v1/models", {"limit": "1000"}, b"")
    assert call.headers == {"anthropic-version": "2023-06-01"}
    assert AnthropicAdapter("mine", Quirks(models_path="/models")).render_models().path == "/models"


def test_the_model_list_is_read_without_the_retired_and_the_nameless():
    models = [
        {"id": "m-1", "display_name": "M 1", "max_input_tokens": 200000, "max_tokens": 64000, "lifecycle": "active"},
        {"id": "m-0", "lifecycle": "retired"},
        {"id": "m-2", "max_input_tokens": None, "max_tokens": "many"},
        {"display_name": "?"},
    ]

    cards = AnthropicAdapter("mine", Quirks()).parse_models(json.dumps({"data": models}).encode())

    assert cards == [ModelCard("m-1", 200000, 64000), ModelCard("m-2")]


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"data": 1}', b'{"data": [1]}', b"<html>", b"[" * 100_000])
def test_r31_a_model_list_that_is_none_is_a_protocol_error(answer):
    with pytest.raises(ProtocolError) as caught:
        AnthropicAdapter("mine", Quirks()).parse_models(answer)

    assert caught.value.backend == "mine"


def test_a_failure_is_read_into_its_error():
    answer = b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}'

    error = AnthropicAdapter("mine", Quirks()).parse_failure(401, {}, answer, "m-1")

    assert isinstance(error, AuthenticationError)
    assert error.message == 'Authentication failed for backend "mine"'
