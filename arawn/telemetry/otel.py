"""Sends attempts to OpenTelemetry: a span each, and the metrics of the conventions (the extra ``otel``).

Where the program that uses arawn has set up OpenTelemetry, its providers are used. Else arawn sets up its own, which
send OTLP over HTTP to where the environment's OTEL_* variables say.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from arawn.errors import ConfigError
from arawn.telemetry.attempts import attributes, content_of, error_message
from arawn.telemetry.log import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import TracerProvider

    from arawn.secrets.references import Secret
    from arawn.telemetry.attempts import Attempt

FLUSH_TIMEOUT = 2.0
"""Seconds that sending the rest may take at the end."""
SCHEMA = "https://opentelemetry.io/schemas/1.41.0"
TOKENS = "gen_ai.client.token.usage"
DURATION = "gen_ai.client.operation.duration"
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
_TOKEN_BOUNDS = [4**power for power in range(14)]
_SECOND_BOUNDS = [round(0.01 * 2**power, 2) for power in range(14)]
_DIMENSIONS = (
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "server.address",
    "server.port",
)


class Providers(NamedTuple):
    """What makes spans and metrics; ``shutdowns``, for providers of our own, send the rest and close."""

    tracers: TracerProvider
    meters: MeterProvider
    shutdowns: tuple[Callable[[], object], ...] = ()


class OpenTelemetry:
    """Called with every attempt. Close it: what is not sent by then is lost."""

    def __init__(
        self, providers: Providers, *, content: bool, secrets: Iterable[Secret], warn: Callable[[str], object]
    ) -> None:
        from arawn import __version__

        self._content = content
        self._secrets = secrets
        self._warn = warn
        self._shutdowns = providers.shutdowns
        self._warnings = _CapturedWarnings() if providers.shutdowns else None
        self._tracer = providers.tracers.get_tracer("arawn", __version__, schema_url=SCHEMA)
        meter = providers.meters.get_meter("arawn", __version__, schema_url=SCHEMA)

        def histogram(name: str, unit: str, text: str, bounds: list[float]) -> Histogram:
            return meter.create_histogram(name, unit, text, explicit_bucket_boundaries_advisory=bounds)

        self._tokens = histogram(TOKENS, "{token}", "Tokens of questions and answers.", [*_TOKEN_BOUNDS])
        self._duration = histogram(DURATION, "s", "How long calls took.", _SECOND_BOUNDS)
        self._first_chunk = histogram(FIRST_CHUNK, "s", "How long streams took to begin.", _SECOND_BOUNDS)

    def __call__(self, attempt: Attempt) -> None:
        """Make the span and measure."""
        found = plain(attributes(attempt), self._secrets)
        self._trace(attempt, found)
        self._measure(attempt, {name: found[name] for name in _DIMENSIONS if name in found})

    def close(self) -> None:
        """Send the rest, in FLUSH_TIMEOUT at most, and warn of what went wrong."""
        from threading import Thread
        from time import monotonic

        threads = [Thread(target=_quietly, args=(shutdown,), daemon=True) for shutdown in self._shutdowns]
        self._shutdowns = ()
        for thread in threads:
            thread.start()
        deadline = monotonic() + FLUSH_TIMEOUT
        for thread in threads:
            thread.join(max(0.0, deadline - monotonic()))
        captured, self._warnings = self._warnings, None
        text = "" if captured is None else captured.end(still_running=any(map(Thread.is_alive, threads)))
        if text:
            self._warn(f"OpenTelemetry was not told everything: {text}")

    def _trace(self, attempt: Attempt, found: dict[str, Any]) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        call = attempt.call
        began = int(call.began * 1e9)
        own = {
            "arawn.backend": call.backend,
            "arawn.role": call.role,
            "arawn.outcome": call.outcome,
            "arawn.retry_count": call.retries,
            **({} if call.cost is None else {"arawn.cost_usd": float(call.cost)}),
        }
        span = self._tracer.start_span(
            f"{attempt.operation} {call.model}",
            kind=SpanKind.CLIENT,
            attributes={**found, **plain(own, self._secrets), **self._contents(attempt)},
            start_time=began,
        )
        if attempt.failed:
            message = error_message(attempt, content=self._content)
            span.set_status(Status(StatusCode.ERROR, plain(message, self._secrets)))
        span.end(began + int((call.latency_ms or 0) * 1e6))

    def _contents(self, attempt: Attempt) -> dict[str, str]:
        """Return what was asked and answered as JSON: an attribute holds no objects."""
        import json

        found = content_of(attempt) if self._content else {}
        return {name: json.dumps(plain(value, self._secrets)) for name, value in found.items()}

    def _measure(self, attempt: Attempt, dimensions: dict[str, Any]) -> None:
        call = attempt.call
        failure = {"error.type": type(attempt.error).__name__} if attempt.failed else {}
        if call.latency_ms is not None:
            self._duration.record(call.latency_ms / 1000, {**dimensions, **failure})
        if attempt.request is not None and attempt.request.stream and call.first_token_ms is not None:
            self._first_chunk.record(call.first_token_ms / 1000, dimensions)
        if call.counted == "reported":  # the conventions want no guesses here
            self._tokens.record(call.usage.input_tokens, {**dimensions, "gen_ai.token.type": "input"})
            if attempt.request is not None:
                self._tokens.record(call.usage.output_tokens, {**dimensions, "gen_ai.token.type": "output"})


def otel_attempt(
    *,
    content: bool = False,
    secrets: Iterable[Secret] = (),
    warn: Callable[[str], object] = lambda _: None,
    providers: Providers | None = None,
) -> OpenTelemetry:
    """Return the observer that sends every attempt to OpenTelemetry.

    ``content`` sends also what was asked and answered. ``secrets`` are taken out of every text, as is all that looks
    like a key. ``warn`` is called at the end with what could not be sent. Raises ConfigError where the extra is not
    installed, or a variable of the environment makes no sense.
    """
    try:
        return OpenTelemetry(providers or _of_program() or _own(), content=content, secrets=secrets, warn=warn)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "opentelemetry":
            raise
        hint = "Install it: pip install 'arawn[otel]', or leave log.otel out"
        raise ConfigError("log.otel needs the extra 'otel'", hints=(hint,)) from None
    except ValueError as error:
        raise ConfigError(f"OpenTelemetry cannot be set up: {error}", hints=("check the OTEL_* variables",)) from error


def _of_program() -> Providers | None:
    """Return the providers that the program around arawn has set up, None where it has none."""
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

    tracers, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
    known = isinstance(tracers, TracerProvider) or isinstance(meters, MeterProvider)
    return Providers(tracers, meters) if known else None


def _own() -> Providers:
    """Set up providers that send to where the environment says; a signal whose exporter is ``none`` is not sent."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create()
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "arawn"}))
    sent = os.environ.get("OTEL_METRICS_EXPORTER") != "none"
    readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if sent else []
    meters = MeterProvider(readers, resource, shutdown_on_exit=False)
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    if os.environ.get("OTEL_TRACES_EXPORTER") != "none":
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Providers(tracers, meters, (tracers.shutdown, meters.shutdown))


class _CapturedWarnings:
    """What OpenTelemetry logs as warnings, which would go to the user's screen otherwise."""

    def __init__(self) -> None:
        import logging

        messages: list[str] = []

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                messages.append(record.getMessage())

        self._messages = messages
        self._handler = Handler(logging.WARNING)
        self._logger = logging.getLogger("opentelemetry")
        self._logger.addHandler(self._handler)

    def end(self, *, still_running: bool) -> str:
        """Return the first warning, in one line and without keys; capture no more, unless more may come."""
        if not still_running:
            self._logger.removeHandler(self._handler)
        text = str(plain(" ".join(self._messages[:1]), ()))
        return " ".join(text.split()) or (f"no answer within {FLUSH_TIMEOUT:g} s" if still_running else "")


def _quietly(shutdown: Callable[[], object]) -> None:
    with suppress(Exception):
        shutdown()
