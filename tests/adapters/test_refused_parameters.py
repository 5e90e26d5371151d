"""What a server's refusal is read as: one parameter of a closed list, or none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from arawn.adapters.failures import read_failure, stream_failure
from arawn.adapters.parameters import DROPPABLE, EFFORT_BESIDE_TOOLS, LIMIT_KEYS, parameter_at
from arawn.errors import ModelNotAvailableError, RequestError


def openai(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", **fields}}


def fastapi(kind: str, *where: Any) -> dict[str, Any]:
    return {"detail": [{"type": kind, "loc": list(where), "msg": "Extra inputs are not permitted", "input": 1}]}


def refused(body: Any, status: int = 400) -> str:
    error = read_failure(status, {}, json.dumps(body).encode(), backend="b", model="m-1")
    assert isinstance(error, RequestError)
    return error.parameter


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (openai("no", param="temperature", code="unsupported_value"), "temperature"),
        (openai("no", param="max_tokens", code="unsupported_parameter"), "max_tokens"),
        (openai("no", param="reasoning.effort", code="unsupported_value"), "effort"),
        (openai("no", param="reasoning.summary", code="unsupported_value"), "thinking_text"),
        (openai("no", param="text.verbosity", code="unsupported_value"), "verbosity"),
        (openai("no", param="tools[0].function.strict", code="unknown_parameter"), "strict"),
        (fastapi("extra_forbidden", "body", "reasoning_effort"), "effort"),
        (fastapi("extra_forbidden", "body", "max_completion_tokens"), "max_completion_tokens"),
        (openai("Unsupported parameter: 'top_p' is not supported with this model."), "top_p"),
        (openai("`temperature` is deprecated for this model."), "temperature"),
        (openai("`temperature` and `top_p` cannot both be specified for this model."), "top_p"),
        (openai('"thinking.type.disabled" is not supported for this model. Use "thinking.type.adaptive".'), "thinking"),
        (openai("adaptive thinking is not supported on this model"), "thinking"),
        (openai("This model does not support the effort parameter."), "effort"),
        (openai("cache_control: Extra inputs are not permitted"), "cache"),
        (openai("messages.1.content.0.cache_control: Extra inputs are not permitted"), "cache"),
        (openai("tools.0.custom.strict: Extra inputs are not permitted"), "strict"),
        ([openai('Invalid JSON payload received. Unknown name "seed": Cannot find field.')], "seed"),
        ([openai("Penalty is not enabled for this model")], "presence_penalty"),
        ([openai("Budget 0 is invalid. This model only works in thinking mode.")], "thinking"),
        (openai("[{'type': 'extra_forbidden', 'loc': ('body', 'top_k'), 'msg': 'Extra inputs'}]"), "top_k"),
        (openai("Model m-1 does not support parameter presencePenalty."), "presence_penalty"),
        (openai("Argument not supported on this model: stop"), "stop"),
        (openai("Unrecognized request argument supplied: parallel_tool_calls"), "parallel_tool_calls"),
        (openai("Additional properties are not allowed ('verbosity' was unexpected)"), "verbosity"),
        ({"error": '"m-1" does not support thinking'}, "thinking"),
        ({"message": "property 'frequency_penalty' is unsupported"}, "frequency_penalty"),
    ],
)
def test_a_refusal_names_its_parameter(body: Any, name: str) -> None:
    assert refused(body) == refused(body, 422) == name


@pytest.mark.parametrize(
    "body",
    [
        openai("Unsupported parameter: 'tools'", param="tools", code="unsupported_parameter"),
        openai("Unsupported parameter: 'messages'. 'tools' is not supported."),
        openai("Invalid schema", param="response_format", code="invalid_json_schema"),
        openai("tools.0.input_schema.properties.temperature: Extra inputs are not permitted"),
        openai("messages.1.content.0.thinking: Extra inputs are not permitted"),
        openai("max_tokens: 200000 > 128000, which is the maximum allowed number of output tokens"),
        openai("temperature: must be between 0 and 1"),
        openai("no", param="temperature", code="invalid_type"),
        openai("no", param={"temperature": 1}, code="unsupported_parameter"),
        openai("`logprobs` is not supported with this model"),
        openai("This model does not support tool_choice"),
        fastapi("extra_forbidden", "body", "stream_options"),
        fastapi("missing", "body", "temperature"),
        {"detail": [None, 3, {"type": "extra_forbidden", "loc": "body"}]},
        {"detail": "no"},
        {"error": None},
        [],
        "",
        "x" * 5000,
    ],
)
def test_what_names_no_parameter_of_the_list_names_none(body: Any) -> None:
    assert refused(body) == ""


def test_only_a_refused_request_names_a_parameter() -> None:
    body = json.dumps(openai("`temperature` is deprecated for this model.")).encode()
    assert getattr(read_failure(500, {}, body, backend="b", model="m"), "parameter", "") == ""
    assert refused(openai("no", param="temperature", code="unsupported_value"), 404) == ""
    gone = json.dumps(openai("The model `m-1` does not exist", code="model_not_found")).encode()
    assert isinstance(read_failure(400, {}, gone, backend="b", model="m-1"), ModelNotAvailableError)


def test_a_refusal_inside_an_answer_names_it_too() -> None:
    error = stream_failure(openai("no", param="seed", code="unsupported_parameter"), backend="b", model="m-1")
    assert isinstance(error, RequestError)
    assert error.parameter == "seed"


@pytest.mark.parametrize("name", sorted(DROPPABLE.union(LIMIT_KEYS) - {"effort", "cache", "thinking_text"}))
def test_every_name_of_the_list_is_its_own_path(name: str) -> None:
    assert parameter_at(name) == parameter_at(f"body.{name}") == parameter_at(name.upper()) == name


def test_an_effort_beside_tools_is_a_case_of_its_own() -> None:
    message = "Function tools with reasoning_effort are not supported for m-1 in /v1/chat/completions."
    assert refused(openai(message, param="reasoning_effort", code=None)) == EFFORT_BESIDE_TOOLS


def test_a_block_signed_for_another_conversation_is_known() -> None:
    assert refused(openai("messages.1.content.0: The block is bound to a different conversation")) == "signed_thinking"
