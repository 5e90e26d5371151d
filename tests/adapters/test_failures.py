"""Error answers of every shape become our errors, with the words and hints a user needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arawn.adapters.failures import not_the_protocol, read_failure, stream_failure
from arawn.errors import (
    AuthenticationError,
    BackendError,
    ConnectionFailedError,
    ContentFilterError,
    ContextLengthError,
    ModelNotAvailableError,
    OverloadedError,
    PermissionDeniedError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    RequestError,
    ServerError,
)

if TYPE_CHECKING:
    from arawn.errors import ArawnError


def failure(status: int, body: Any = b"", headers: dict[str, str] | None = None, model: str = "m-1") -> Any:
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_failure(status, headers or {}, body, backend="here", model=model)


def openai(message: str, **keys: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **keys}}


def test_the_first_line_of_a_refused_key_is_fixed() -> None:
    error = failure(401, {"detail": "Invalid API Key"})
    assert type(error) is AuthenticationError
    assert error.message == 'Authentication failed for backend "here"'
    assert error.hints == (
        "The server said (HTTP 401): Invalid API Key",
        "Check where the key comes from: arawn config show --secrets",
    )


def test_the_first_line_of_a_missing_model_is_fixed() -> None:
    error = failure(404, openai("The model `m-1` does not exist", code="model_not_found"))
    assert type(error) is ModelNotAvailableError
    assert error.message == 'Model "m-1" not available'
    assert error.hints[-1] == "List what there is: arawn models -b here"


@pytest.mark.parametrize(
    ("status", "kind", "transient"),
    [
        (400, RequestError, False),
        (401, AuthenticationError, False),
        (402, QuotaExceededError, False),
        (403, PermissionDeniedError, False),
        (404, RequestError, False),
        (408, ServerError, True),
        (409, ServerError, True),
        (413, ContextLengthError, False),
        (418, RequestError, False),
        (422, RequestError, False),
        (429, RateLimitError, True),
        (498, ServerError, True),
        (499, ServerError, True),
        (500, ServerError, True),
        (502, ServerError, True),
        (503, OverloadedError, True),
        (529, OverloadedError, True),
        (599, ServerError, True),
    ],
)
def test_the_status_decides_where_nothing_says_more(status: int, kind: type[ArawnError], transient: bool) -> None:
    error = failure(status)
    assert type(error) is kind
    assert error.transient is transient
    assert error.status == status
    assert '"here"' in error.message
    assert error.hints


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, openai("You exceeded your quota", code="insufficient_quota"), QuotaExceededError),
        (429, openai("You exceeded your current quota, check your billing details"), RateLimitError),
        (400, {"error": {"message": "Your credit balance is too low to access the API"}}, QuotaExceededError),
        (403, openai("no access", code="model_not_found"), ModelNotAvailableError),
        (400, openai("gone", code="model_decommissioned"), ModelNotAvailableError),
        (400, {"error": "The requested model 'x' is not supported by any provider"}, ModelNotAvailableError),
        (404, {"error": {"message": "No endpoints found for x/y.", "code": 404}}, ModelNotAvailableError),
        (404, {"detail": "Not Found"}, RequestError),
        (400, openai("Unsupported parameter: 'stop' is not supported with this model."), RequestError),
        (400, {"error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 1"}}, ContextLengthError),
        (413, {"error": "input is too long for this context window"}, ContextLengthError),
        (500, {"error": "the request exceeds the available context size"}, ContextLengthError),
        (400, {"error": {"code": "content_filter", "message": "no"}}, ContentFilterError),
        (
            400,
            {"error": {"code": "x", "message": "no", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
            ContentFilterError,
        ),
        (403, {"error": {"code": 403, "message": "Your input was flagged"}}, ContentFilterError),
        (400, {"code": "invalid-argument", "error": "Incorrect API key provided."}, AuthenticationError),
        (400, [{"error": {"code": 400, "message": "API key not valid. Please pass one."}}], AuthenticationError),
        (500, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, OverloadedError),
        (413, openai("Request too large", code="rate_limit_exceeded"), ContextLengthError),
        (400, openai("Model Not Exist", code="invalid_request_error"), ModelNotAvailableError),
        (400, openai("Invalid model 'x'. See the documentation", code="invalid_model"), ModelNotAvailableError),
        (400, openai("Invalid model: x"), ModelNotAvailableError),
        (400, openai("acme/x is not a valid model ID", code=400), ModelNotAvailableError),
        (400, openai("The model x isn't supported on this route"), ModelNotAvailableError),
        (400, {"message": "The provided model identifier is invalid."}, ModelNotAvailableError),
        (
            400,
            openai("The input token count (9) exceeds the maximum number of tokens allowed (8)."),
            ContextLengthError,
        ),
        (400, openai("This model's maximum prompt length is 8 but the request has 9"), ContextLengthError),
        (400, openai("Please reduce the length of the messages or completion."), ContextLengthError),
        (400, openai("Prompt of 9 tokens is too large for model with 8 maximum context length"), ContextLengthError),
        (400, openai("The number of tokens is greater than the context length (8)"), ContextLengthError),
        (400, {"message": "Input is too long for requested model."}, ContextLengthError),
        (400, openai("User input tokens exceeds 8 tokens", type="too_many_prompt_tokens"), ContextLengthError),
        (400, openai("The total is too much", type="too_many_prompt_tokens"), ContextLengthError),
        (500, openai("input (9 tokens) is too large to process. increase the physical batch size"), ContextLengthError),
        (
            500,
            openai("request (9) exceeds the available context size", type="exceed_context_size_error"),
            ContextLengthError,
        ),
        (500, openai("tools param requires --jinja flag", type="server_error"), RequestError),
        (500, openai("image input is not supported - hint: you may need to provide the mmproj"), RequestError),
        (500, openai("Failed to parse grammar", type="server_error"), RequestError),
        (500, openai("the GPU has left", type="server_error"), ServerError),
        (501, openai("This server does not support embeddings"), RequestError),
        (429, {"message": "Too many tokens, please wait before trying again."}, RateLimitError),
        (400, {"message": "Too many tokens, please wait before trying again."}, RateLimitError),
        (400, {"__type": "ThrottlingException", "code": "ThrottlingException", "message": "slow"}, RateLimitError),
    ],
)
def test_codes_and_words_say_more_than_the_status(status: int, body: Any, kind: type[ArawnError]) -> None:
    assert type(failure(status, body)) is kind


def test_without_a_model_nothing_is_said_about_one() -> None:
    assert type(failure(404, openai("x", code="model_not_found"), model="")) is RequestError
    too_long = openai("x", code="context_length_exceeded")
    assert failure(400, too_long, model="").message.startswith('The request is too long for backend "here" (HTTP 400)')
    assert failure(400, too_long).message.startswith('The request is too long for model "m-1" of backend "here"')


@pytest.mark.parametrize("status", [404, 405, 421])
def test_a_wrong_address_points_at_base_url(status: int) -> None:
    assert "base_url" in failure(status, {"detail": "Not Found"}).hints[-1]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "words"}}, "words"),
        ({"error": "words", "error_type": "t"}, "words"),
        ({"error": {"error": {"message": "words"}}}, "words"),
        ({"message": "words", "request_id": "1"}, "words"),
        ({"object": "error", "message": {"detail": [{"loc": ["body"], "msg": "words"}]}}, "words"),
        ({"detail": "words"}, "words"),
        ({"detail": [{"msg": "some"}, {"msg": "words"}]}, "some words"),
        ({"errors": ["words"]}, "words"),
        ([{"error": {"message": "words"}}], "words"),
        ({"error": {"message": "Provider returned error", "metadata": {"raw": "words"}}}, "returned error words"),
        (b"words \n in\tlines", "words in lines"),
        (b"<html><title>502 words</title><body>x", "502 words"),
        ("words", "words"),
    ],
)
def test_every_shape_is_read(body: Any, words: str) -> None:
    error = failure(500, body)
    assert error.message.endswith(words)
    assert error.message.startswith('Backend "here" failed (HTTP 500): ')


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"null", b"[]", b"{}", b"7", b"[" * 100_000, b'{"error":{}}'])
def test_r31_a_body_without_words_still_makes_one_line(body: bytes) -> None:
    error = failure(500, body)
    assert error.message.startswith('Backend "here" failed (HTTP 500)')
    assert "\n" not in error.message


@given(status=st.integers(100, 599), body=st.binary(max_size=80), header=st.text(max_size=20))
def test_r31_no_answer_makes_it_crash(status: int, body: bytes, header: str) -> None:
    headers = dict.fromkeys(("retry-after", "retry-after-ms", "date", "location", "x-should-retry"), header)
    error = read_failure(status, headers, body, backend="here", model="m")
    assert isinstance(error, BackendError)
    assert error.message.isprintable()


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "detail", "details", "metadata"]), inner)
    ),
)


@given(value=_json)
def test_r31_no_error_inside_an_answer_makes_it_crash(value: Any) -> None:
    assert isinstance(stream_failure(value, backend="here", model="m"), BackendError)


def test_long_words_are_shortened() -> None:
    error = failure(500, {"error": "x" * 5000})
    assert len(error.message) < 350
    assert error.message.endswith("x…")


def test_r1_nothing_unprintable_comes_through() -> None:
    error = failure(500, {"error": "a\x1b[31m\u202eb\x00\r\nc"}, {"x-request-id": "\x1b]0;x\x07"})
    assert error.message.isprintable()
    assert error.request_id.isprintable()


@pytest.mark.parametrize(
    "key",
    [
        "sk-abc***",
        "sk-proj-Abc_123-xyz",
        "gsk_abcdEFG123",
        "hf_abcdef123",
        "xai-abcdef123",
        "AIzaSyA-1234567890",
    ],
)
def test_r14_a_key_the_server_echoes_is_masked(key: str) -> None:
    error = failure(401, openai(f"Incorrect API key provided: {key}. Find yours elsewhere, not {key}"))
    text = " ".join((error.message, *error.hints))
    assert key not in text
    assert key[-6:] not in text
    assert "***" in text


@pytest.mark.parametrize("words", ["Incorrect API key provided: 0123abcdef0123", "Bad header: Bearer 0123abcdef0123"])
def test_r14_a_key_without_a_known_beginning_is_masked_where_it_is_named(words: str) -> None:
    assert "0123abcdef0123" not in str(failure(400, {"error": words}).hints)


def test_r14_ordinary_words_are_not_masked() -> None:
    words = "Bearer authentication needs an API key: see the risk-free sk page"
    assert words in failure(500, {"error": words}).message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, None),
        ({"retry-after": "soon", "date": "now"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-3"}, None),
        ({}, None),
    ],
)
def test_r35_the_wait_comes_from_the_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert failure(429, b"", headers).retry_after == seconds


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Please try again in 5.289s.", 5.289),
        ("Please try again in 2m1.5s. Visit", 121.5),
        ("Please try again in 1h2m3s", 3723.0),
        ("Please try again in 20ms", 0.02),
        ("try again in 20 seconds", 20.0),
        ("Please retry in 48.5s.", 48.5),
        ("Wait 2 minutes", 120.0),
        ("limit 30000, used 2, requested 5s", None),
        ("Please try again later", None),
        ("try again in 0s", None),
    ],
)
def test_r35_the_wait_comes_from_the_words(words: str, seconds: float | None) -> None:
    assert failure(429, openai(words)).retry_after == (None if seconds is None else pytest.approx(seconds))


def test_r35_headers_take_precedence_over_words_and_the_wait_is_shown() -> None:
    error = failure(429, openai("Please try again in 5s"), {"retry-after": "7"})
    assert error.retry_after == 7.0
    assert "The server asks to wait 7 s" in error.hints


DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
IN_SIX_SECONDS = "1792567686000"


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        (IN_SIX_SECONDS, 6.0),
        (int(IN_SIX_SECONDS), 6.0),
        (IN_SIX_SECONDS[:-3], 6.0),
        ("30", 30.0),
        ("1792567680000", None),
        ("tomorrow", None),
        (None, None),
        ("9" * 40, None),
    ],
)
def test_r35_the_wait_comes_from_the_headers_that_stand_in_the_body(reset: Any, seconds: float | None) -> None:
    body = openai("Rate limit exceeded", code=429, metadata={"headers": {"X-RateLimit-Reset": reset}})
    assert failure(429, body, {"date": DATE}).retry_after == seconds


@pytest.mark.parametrize("key", ["retry_after", "retry_after_seconds"])
@pytest.mark.parametrize(("value", "seconds"), [(7, 7.0), ("2.5", 2.5), (0, None), (-1, None), ("soon", None)])
def test_r35_the_wait_comes_from_a_field_of_the_error(key: str, value: Any, seconds: float | None) -> None:
    assert failure(429, openai("slow down", **{key: value})).retry_after == seconds


def test_a_success_with_a_list_of_errors_is_the_first_of_them() -> None:
    error = failure(200, [openai("The model is overloaded", code=503)])
    assert (type(error), error.status) == (OverloadedError, 503)


def test_r35_the_wait_comes_from_the_details_of_the_error() -> None:
    details = [{"@type": "x/Help"}, {"@type": "x/RetryInfo", "retryDelay": "48s"}]
    assert failure(429, {"error": {"code": 429, "message": "slow", "details": details}}).retry_after == 48.0


@pytest.mark.parametrize(("word", "wanted"), [("true", True), ("false", False), ("", None), ("maybe", None)])
def test_the_server_may_say_whether_to_retry(word: str, wanted: bool | None) -> None:
    assert failure(500, b"", {"x-should-retry": word}).should_retry is wanted


def test_the_request_id_and_the_code_are_kept() -> None:
    assert failure(500, b"", {"request-id": "r1"}).request_id == "r1"
    assert failure(500, b"", {"x-request-id": "r2"}).request_id == "r2"
    assert failure(500, {"error": {"message": "x"}, "request_id": "r3"}).request_id == "r3"
    assert failure(404, {"error": {"code": "DeploymentNotFound", "message": "x"}}).code == "DeploymentNotFound"
    assert failure(500, {"error": {"code": 500, "type": "server_error", "message": "x"}}).code == "server_error"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://other.example/v1?key=1", "https://other.example"),
        ("http://u:p@other.example:8080/x", "http://other.example:8080"),
        ("//other.example/x", "https://other.example"),
        ("/login", "another address"),
        ("https://[bad", "another address"),
        ("", "another address"),
    ],
)
def test_r24_a_redirect_is_an_error_that_names_its_target(location: str, target: str) -> None:
    error = failure(307, b"", {"location": location})
    assert type(error) is ConnectionFailedError
    assert not error.transient
    assert error.message == f'Backend "here" redirects to {target} (HTTP 307)'
    assert "base_url" in error.hints[0]


def test_r29_a_success_that_is_not_the_protocol_shows_what_it_is() -> None:
    error = not_the_protocol(200, "text/html", b"<html>\n<b>Sign in\x1b[0m" + b"x" * 500, backend="here")
    assert type(error) is ProtocolError
    assert error.message.startswith('Backend "here" answered HTTP 200, but not in its protocol (text/html): <html> <b>')
    assert error.message.isprintable()
    assert len(error.message) < 300
    assert error.status == 200


def test_r29_an_empty_success_says_so() -> None:
    assert failure(200).message.endswith("(content type unknown): nothing")


def test_a_success_with_an_error_in_it_is_that_error() -> None:
    assert type(failure(200, {"error": {"code": 429, "message": "slow"}})) is RateLimitError


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, OverloadedError),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, OverloadedError),
        ({"type": "rate_limit_error", "message": "x"}, RateLimitError),
        ({"type": "api_error", "message": "x"}, ServerError),
        ({"type": "invalid_request_error", "message": "x"}, RequestError),
        ({"type": "authentication_error", "message": "x"}, AuthenticationError),
        ({"code": 429, "message": "x", "metadata": {"provider_name": "p"}}, RateLimitError),
        ({"code": 502, "message": "x"}, ServerError),
        ({"code": "503", "message": "x"}, OverloadedError),
        ({"code": 402, "message": "x"}, QuotaExceededError),
        ({"code": "tool_use_failed", "message": "x", "status_code": 400}, RequestError),
        ({"code": "server_error", "message": "x"}, ServerError),
        ({"error": "`inputs` tokens + `max_new_tokens` must be <= 9", "error_type": "validation"}, ContextLengthError),
        ({"error": "Model is overloaded", "error_type": "overloaded"}, OverloadedError),
        ("the runner has stopped", ServerError),
        (None, ServerError),
    ],
)
def test_an_error_inside_an_answer_finds_its_kind(value: Any, kind: type[ArawnError]) -> None:
    error = stream_failure(value, backend="here", model="m")
    assert type(error) is kind
    assert '"here"' in error.message
    assert "HTTP" not in error.message


def test_an_error_inside_an_answer_keeps_its_number_and_its_wait() -> None:
    error = stream_failure({"code": 429, "message": "try again in 2s"}, backend="here", model="m")
    assert isinstance(error, RateLimitError)
    assert (error.status, error.retry_after) == (429, 2.0)
    assert error.message == 'Rate limit of backend "here" reached (error 429): try again in 2s'
