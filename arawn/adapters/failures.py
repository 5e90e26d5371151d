"""Maps error responses to our errors, by status, headers and the provider's message.

Tables decide which error it is (codes first, then the message, then the status), its first line and its hint.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from arawn.adapters.failure_report import decode_body, parse_report, printable, retry_after_seconds
from arawn.adapters.rate_limits import seconds_until_reset
from arawn.errors import (
    AuthenticationError,
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
    from collections.abc import Iterator, Mapping
    from typing import TypeAlias

    from arawn.adapters.failure_report import Report
    from arawn.errors import ArawnError, BackendError

    _Kind: TypeAlias = type[BackendError]

_MAX_MESSAGE_SHOWN = 300
"""Characters of a provider's message that are shown."""
_MAX_BODY_SHOWN = 200
"""Characters of a body, or of an address, that are shown."""
_IN_ANSWER = 0  # in place of an HTTP status: the error came inside a successful answer

# First line and hint; {where} is " (HTTP 429)" or empty, {words} ": " and the server's message, or empty.
# {its_model} 'model "m" of ', or empty where no model is known.
_LINES: dict[_Kind, tuple[str, str]] = {
    AuthenticationError: (
        'Authentication failed for backend "{backend}"',
        "Check where the key comes from: arawn config show --secrets",
    ),
    PermissionDeniedError: (
        'Authentication failed for backend "{backend}"',
        "The key may not do this; check where it comes from: arawn config show --secrets",
    ),
    ModelNotAvailableError: ('Model "{model}" not available', "List what there is: arawn models -b {backend}"),
    QuotaExceededError: (
        'No quota left at backend "{backend}"{where}{words}',
        "Waiting does not help: add credit at the provider, or use another backend with -b",
    ),
    RateLimitError: (
        'Rate limit of backend "{backend}" reached{where}{words}',
        "Try again later, or use another backend with -b",
    ),
    ContextLengthError: (
        'The request is too long for {its_model}backend "{backend}"{where}{words}',
        "Send less, or choose a model with a larger context window: arawn models -b {backend}",
    ),
    ContentFilterError: (
        'The content filter of backend "{backend}" refused the request{where}{words}',
        "Rephrase the request, or choose another model",
    ),
    OverloadedError: (
        'Backend "{backend}" is overloaded{where}{words}',
        "Try again later, or use another backend with -b",
    ),
    ServerError: ('Backend "{backend}" failed{where}{words}', "Try again later, or use another backend with -b"),
    RequestError: (
        'Backend "{backend}" refused the request{where}{words}',
        "Change what the server names, or choose another model: arawn models -b {backend}",
    ),
}

# The meaning of a status, where neither a code nor the message says more; other 4xx are RequestError, else ServerError.
_BY_STATUS: dict[int, _Kind] = {
    401: AuthenticationError,
    402: QuotaExceededError,
    403: PermissionDeniedError,
    408: ServerError,
    409: ServerError,
    413: ContextLengthError,
    429: RateLimitError,
    498: ServerError,  # Groq: flex tier without capacity
    499: ServerError,
    501: RequestError,
    503: OverloadedError,
    529: OverloadedError,
}

# Codes that say more than the status they come with; lower case.
_BY_CODE: dict[str, _Kind] = {
    "invalid_api_key": AuthenticationError,
    "no_db_connection": AuthenticationError,  # LiteLLM's proxy without a database: a key it does not know
    "insufficient_quota": QuotaExceededError,
    "billing_hard_limit_reached": QuotaExceededError,
    "billing_not_active": QuotaExceededError,
    "unsupported_parameter": RequestError,
    "unsupported_value": RequestError,
    "model_not_found": ModelNotAvailableError,
    "model_not_supported": ModelNotAvailableError,
    "model_decommissioned": ModelNotAvailableError,
    "invalid_model": ModelNotAvailableError,
    "deploymentnotfound": ModelNotAvailableError,
    "context_length_exceeded": ContextLengthError,
    "exceed_context_size_error": ContextLengthError,
    "too_many_prompt_tokens": ContextLengthError,  # Perplexity
    "throttlingexception": RateLimitError,  # Amazon Bedrock
    "content_filter": ContentFilterError,
    "content_policy_violation": ContentFilterError,
    "responsibleaipolicyviolation": ContentFilterError,
    "overloaded_error": OverloadedError,
    "overloaded": OverloadedError,
}

# The status a code stands for where none came.
_STATUS_OF_CODE = {
    "authentication_error": 401,
    "unauthorized": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "tool_use_failed": 400,
    "validation": 400,
}

_NO_CREDIT = r"credit balance is too low|insufficient (balance|credits?|funds)|more credits|billing hard limit"
# Said of a rate limit, though it looks like a request that is too long (Amazon Bedrock).
_TOO_FAST = r"too many tokens.{0,20}(please wait|per (minute|day))|throttl|tokens per (minute|day)"
# In this order: Anthropic and Bedrock, most others, OpenAI; Hugging Face, Gemini, Perplexity; xAI, Groq, llama.cpp.
_TOO_LONG = (
    r"(prompt|input|request|messages)\b.{0,40}\btoo long|context[ _-]?(length|window|size)|exceeds the context"
    r"|inputs` tokens \+ `max_new_tokens` must be|token count.{0,30}\bexceeds the maximum|input tokens exceeds?\b"
    r"|maximum prompt length|reduce the length of the messages|too large to process|physical batch size"
)
# llama.cpp says 500 of what no retry heals: an option of the server is missing, or it cannot read the request.
_CANNOT = r"requires --jinja|mmproj|(image|audio) input is not supported|failed to parse (grammar|messages|tools)"
_FILTERED = r"content management policy|content filter|input was flagged"
_WRONG_KEY = r"(incorrect|invalid|missing) api[ _-]?key|api[ _-]?key not valid"
_NO_MODEL = (
    r"\bmodel\b.{0,100}\b(does not exist|not found|is not (available|supported)|been (decommissioned|retired))"
    r"|\bmodel not exist|not a valid model|unknown model|invalid model\b|model identifier is invalid"
    r"|isn't supported on this route"
)
_NO_MODEL_404 = r"^model: |no endpoints found|\bmodel\b.{0,60}\b(exist|found|access)"

# Messages that say more than their status. Patterns stay text: they are compiled when a failure is parsed.
_BY_MESSAGE: tuple[tuple[tuple[int, ...], str, _Kind], ...] = (
    ((_IN_ANSWER, 400, 403, 429), _NO_CREDIT, QuotaExceededError),
    ((_IN_ANSWER, 400, 500, 503), _TOO_FAST, RateLimitError),
    ((_IN_ANSWER, 400, 404, 413, 422, 500), _TOO_LONG, ContextLengthError),
    ((_IN_ANSWER, 500), _CANNOT, RequestError),
    ((_IN_ANSWER, 400, 403), _FILTERED, ContentFilterError),
    ((_IN_ANSWER, 400), _WRONG_KEY, AuthenticationError),
    ((_IN_ANSWER, 400, 404, 422), _NO_MODEL, ModelNotAvailableError),
    ((404,), _NO_MODEL_404, ModelNotAvailableError),
)

_WRONG_ADDRESS = (404, 405, 421)
_REFUSED = (400, 422)
_SHOULD_RETRY = {"true": True, "false": False}


class _Answer(NamedTuple):
    """The response that holds a report."""

    backend: str
    model: str
    status: int
    headers: Mapping[str, str]


def read_failure(status: int, headers: Mapping[str, str], body: bytes, *, backend: str, model: str) -> ArawnError:
    """Return the error of an unsuccessful response; header names are lower case."""
    if 300 <= status < 400:
        return _redirect_error(status, headers.get("location", ""), backend)
    value = decode_body(body)
    if 200 <= status < 300:
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, dict) and first.get("error"):
            return stream_failure(value, backend=backend, model=model)
        return not_the_protocol(status, headers.get("content-type", ""), body, backend=backend)
    report = parse_report(value)
    error = _error(_kind(report, status, model), report, _Answer(backend, model, status, headers))
    return _naming_parameter(error, value, report) if status in _REFUSED else error


def stream_failure(error: Any, *, backend: str, model: str) -> ArawnError:
    """Return the error found inside a 200 answer or a stream: its JSON value, or the object around it."""
    report = parse_report(error)
    codes = (code.lower() for code in report.codes)
    status = report.number or next((_STATUS_OF_CODE[code] for code in codes if code in _STATUS_OF_CODE), _IN_ANSWER)
    found = _error(_kind(report, status, model), report, _Answer(backend, model, _IN_ANSWER, {}))
    return _naming_parameter(found, error, report)


def _naming_parameter(error: BackendError, value: Any, report: Report) -> BackendError:
    """Return the error of a refused request with the parameter it was refused for, where the server names one."""
    if type(error) is RequestError:
        from arawn.adapters.refused_parameters import refused_parameter

        error.parameter = refused_parameter(value, report.message)
    return error


def not_the_protocol(status: int, content_type: str, body: bytes, *, backend: str) -> ProtocolError:
    """Return the error for a successful response of another protocol: status, content type, the first characters."""
    text = printable(body[: 8 * _MAX_BODY_SHOWN].decode("utf-8", "replace"), _MAX_BODY_SHOWN) or "nothing"
    kind = printable(content_type, 80) or "content type unknown"
    return ProtocolError(
        f'Backend "{backend}" answered HTTP {status}, but not in its protocol ({kind}): {text}',
        hints=("Check base_url and adapter of this backend: arawn config show",),
        backend=backend,
        status=status,
    )


def _redirect_error(status: int, location: str, backend: str) -> ConnectionFailedError:
    error = ConnectionFailedError(
        f'Backend "{backend}" redirects to {_origin(location) or "another address"} (HTTP {status})',
        hints=("Redirects are not followed, to keep the key where it belongs: change base_url of this backend",),
        backend=backend,
        status=status,
    )
    error.transient = False
    return error


def _origin(location: str) -> str:
    """Return scheme, host and port of an address, without its path, query or credentials."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(location)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return printable(f"{parts.scheme or 'https'}://{parts.hostname}{port}" if parts.hostname else "", _MAX_BODY_SHOWN)


def _kind(report: Report, status: int, model: str) -> _Kind:
    for kind in _candidates(report, status):
        if model or kind is not ModelNotAvailableError:
            return kind
    return RequestError if 400 <= status < 500 else ServerError


def _candidates(report: Report, status: int) -> Iterator[_Kind]:
    """Yield the possible errors, the most certain first."""
    for code in report.codes:
        if code.lower() in _BY_CODE:
            yield _BY_CODE[code.lower()]
    for statuses, pattern, kind in _BY_MESSAGE:
        if status in statuses and re.search(pattern, report.message, re.IGNORECASE):
            yield kind
    if status in _BY_STATUS:
        yield _BY_STATUS[status]


def _error(kind: _Kind, report: Report, answer: _Answer) -> BackendError:
    headers, words = answer.headers, printable(report.message, _MAX_MESSAGE_SHOWN)
    where = f" (HTTP {answer.status})" if answer.status else f" (error {report.number})" if report.number else ""
    names = {"backend": answer.backend, "model": answer.model}
    names["its_model"] = f'model "{answer.model}" of ' if answer.model else ""
    waits = (retry_after_seconds(headers), report.retry_after, seconds_until_reset(report.reset, headers))
    retry_after = next((seconds for seconds in waits if seconds is not None), None)
    line, advice = _LINES[kind]
    if kind is RequestError and answer.status in _WRONG_ADDRESS:
        advice = "Check base_url of this backend: arawn config show"
    hints = [f"The server said{where}: {words}"] if words and "{words}" not in line else []
    if retry_after is not None and kind.transient:
        hints.append(f"The server asks to wait {retry_after:g} s")
    return kind(
        line.format(**names, where=where, words=f": {words}" if words else ""),
        hints=(*hints, advice.format(**names)),
        backend=answer.backend,
        status=answer.status or report.number,
        code=printable(report.codes[0], 80) if report.codes else str(report.number or ""),
        retry_after=retry_after,
        should_retry=_SHOULD_RETRY.get(headers.get("x-should-retry", "").strip().lower()),
        request_id=printable(headers.get("request-id") or headers.get("x-request-id") or report.request_id, 100),
    )
