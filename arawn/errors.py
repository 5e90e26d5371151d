"""The errors: one tree, each with a kind, a one-line message, hints, an exit code and an HTTP status.

ArawnError
├── UsageError                 2   the command line, or an argument of the Python API, is wrong
├── ConfigError                3   a configuration file, value or environment variable is wrong
│   └── SecretError            3   a reference to a secret cannot be resolved, or may not be sent there
├── BackendError                 anything that happened between arawn and a backend
│   ├── AuthenticationError    4   401, or the key is missing
│   │   └── PermissionDeniedError  403: the key is good, but not for this
│   ├── ConnectionFailedError  5   DNS, TCP, TLS, proxy, redirect
│   ├── RateLimitError         6   429: too fast                                (transient)
│   │   └── QuotaExceededError     402, insufficient_quota: waiting does not help
│   ├── ServerError            7   5xx                                          (transient)
│   │   └── OverloadedError        529, "overloaded"                            (transient)
│   ├── ProtocolError          7   the answer is not what the protocol promises
│   ├── RequestError           8   400: refused as it stands
│   │   ├── ModelNotAvailableError
│   │   ├── ContextLengthError
│   │   └── ContentFilterError
│   ├── StreamInterruptedError 10  the answer stopped before its end
│   └── BackendTimeoutError    124 a timeout of the call
├── BudgetError                9   nothing was sent
├── IncompleteAnswerError      10  schema not met; ``length`` and refusals under --strict
└── NotSavedError              11  the answer was printed, but could not be stored

Signals have no class here: the process dies by them (130, 141, 143, 129).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.messages import Response


class ArawnError(Exception):
    """A failure a user can meet.

    ``message`` is one line and names what failed; ``hints`` say what to do, a line each. ``partial`` is what had
    arrived of an answer and was not passed on.
    """

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    transient: bool = False
    partial: Response | None = None

    def __init__(self, message: str, *, hints: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hints = tuple(hints)


class UsageError(ArawnError):
    """The command line, or an argument of the Python API, is wrong."""

    kind = "usage"
    exit_code = 2
    http_status = 400


class ConfigError(ArawnError):
    """A configuration file, value or environment variable is wrong."""

    kind = "config"
    exit_code = 3


class SecretError(ConfigError):
    """A secret reference cannot be resolved, or may not be sent where it would go; the value is never named."""

    kind = "secret"


class BackendError(ArawnError):
    """Something that happened between arawn and a backend.

    ``status`` is the HTTP status, ``retry_after`` the seconds the server asked us to wait, ``should_retry`` its
    ``x-should-retry`` header, ``code`` the provider's own name for the failure, ``request_id`` its id.
    ``reached`` says whether the request may have arrived there, ``refused`` that it was answered with a refusal: only
    what arrived and was not refused may have to be paid.
    """

    reached: bool = True
    refused: bool = False

    def __init__(
        self,
        message: str,
        *,
        hints: Sequence[str] = (),
        backend: str = "",
        status: int | None = None,
        code: str = "",
        retry_after: float | None = None,
        should_retry: bool | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message, hints=hints)
        self.backend = backend
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.should_retry = should_retry
        self.request_id = request_id


class AuthenticationError(BackendError):
    """The key is missing or was refused (401)."""

    refused = True
    kind = "authentication"
    exit_code = 4
    http_status = 401


class PermissionDeniedError(AuthenticationError):
    """The key is good, but not for this (403)."""

    kind = "permission"
    http_status = 403


class ConnectionFailedError(BackendError):
    """The backend was not reached: DNS, TCP, TLS, proxy, or it pointed elsewhere.

    ``transient`` is false for what a retry cannot change (an unknown certificate, a redirect).
    """

    kind = "connection"
    exit_code = 5
    http_status = 502
    transient = True
    reached = False


class RateLimitError(BackendError):
    """Too many requests or tokens (429)."""

    refused = True
    kind = "rate_limit"
    exit_code = 6
    http_status = 429
    transient = True


class QuotaExceededError(RateLimitError):
    """No credit left (402, insufficient_quota): waiting does not help."""

    kind = "quota"
    transient = False


class ServerError(BackendError):
    """The backend failed (408, 409 and 5xx)."""

    refused = True
    kind = "server"
    exit_code = 7
    http_status = 502
    transient = True


class OverloadedError(ServerError):
    """The backend has no capacity now (529, or ``overloaded_error`` in a stream)."""

    kind = "overloaded"
    http_status = 503


class ProtocolError(BackendError):
    """The answer is not what the protocol promises: another content type, a bad event, a size over its cap."""

    kind = "protocol"
    exit_code = 7
    http_status = 502


class RequestError(BackendError):
    """The request was refused as it stands (400, 404, 413, 422); ``parameter`` is what it was refused for, if known."""

    refused = True
    kind = "request"
    exit_code = 8
    http_status = 400
    parameter: str = ""


class ModelNotAvailableError(RequestError):
    """The backend does not have this model, or not for this key."""

    kind = "model"
    http_status = 404


class ContextLengthError(RequestError):
    """The request does not fit into the model's context window."""

    kind = "context_length"


class ContentFilterError(RequestError):
    """The provider's filter refused the request."""

    kind = "content_filter"


class StreamInterruptedError(BackendError):
    """The answer stopped before its protocol's end mark."""

    kind = "interrupted"
    exit_code = 10
    http_status = 502
    transient = True


class BackendTimeoutError(BackendError):
    """A timeout of the call; ``clock`` is ``connect``, ``first event``, ``idle``, ``ping`` or ``total``.

    Only a connect timeout is transient: after the request was sent, asking again may pay twice.
    """

    kind = "timeout"
    exit_code = 124
    http_status = 504

    def __init__(self, message: str, *, clock: str, backend: str = "", hints: Sequence[str] = ()) -> None:
        super().__init__(message, backend=backend, hints=hints)
        self.clock = clock
        self.transient = clock == "connect"
        self.reached = clock != "connect"


class BudgetError(ArawnError):
    """The budget is reached: nothing was sent. ``backend`` is whose budget it is, empty for the one of all."""

    kind = "budget"
    exit_code = 9
    http_status = 402

    def __init__(self, message: str, *, backend: str = "", hints: Sequence[str] = ()) -> None:
        super().__init__(message, hints=hints)
        self.backend = backend


class IncompleteAnswerError(ArawnError):
    """An answer came, but not a whole or valid one: schema not met, or cut at its limit under --strict."""

    kind = "incomplete"
    exit_code = 10
    http_status = 502


class NotSavedError(ArawnError):
    """The answer was printed, but could not be stored."""

    kind = "not_saved"
    exit_code = 11
