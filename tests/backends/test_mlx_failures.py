"""The ways in which the MLX backend fails."""

from __future__ import annotations

import sys

import pytest
from support.mlx_stand_in import answer_to, request

from arawn.errors import ConfigError, ModelNotAvailableError, RequestError, ServerError, StreamInterruptedError


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlx_lm", None)

    with pytest.raises(ConfigError, match="Apple Silicon only") as caught:
        answer_to(request())

    assert "pip install 'arawn[mlx]'" in caught.value.hints[0]


def test_a_model_that_cannot_be_loaded_is_not_available(mlx_lm):
    mlx_lm.load_failure = FileNotFoundError("no safetensors found in tiny\nat all")

    with pytest.raises(ModelNotAvailableError) as caught:
        answer_to(request())

    assert caught.value.message == 'Model "mlx-community/tiny" not available'
    assert caught.value.hints[0] == "mlx-lm says: no safetensors found in tiny at all"


def test_a_conversation_the_template_refuses_is_a_bad_request(mlx_lm):
    mlx_lm.template_failure = "roles must alternate"

    with pytest.raises(RequestError, match="refused the conversation: roles must alternate"):
        answer_to(request())


def test_a_failure_while_generating_is_the_backends(mlx_lm):
    mlx_lm.failure = "[METAL] out of memory"

    with pytest.raises(ServerError) as caught:
        answer_to(request())

    assert caught.value.message == 'Backend "local" failed: [METAL] out of memory'


def test_an_answer_without_its_end_is_interrupted(mlx_lm):
    mlx_lm.finish_reason = None

    with pytest.raises(StreamInterruptedError):
        answer_to(request())
