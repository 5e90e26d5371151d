"""What OpenTelemetry is told of a call: the span, the metrics, and what happens where nobody takes them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from support.http_backend import DONE, STREAM, USAGE, delta, streamed
from support.loopback import CHUNKED, Fin, Loopback, Stall, answer, chunked, head
from support.observed_calls import KEY, PROMPT, REQUEST, ObservedBackend

from arawn.errors import ConfigError
from arawn.messages import Caller, Usage
from arawn.store.calls import Call
from arawn.telemetry.attempts import Attempt, attributes
from arawn.telemetry.otel import DURATION, FIRST_CHUNK, FLUSH_TIMEOUT, TOKENS, Providers, otel_attempt
from arawn.values import replace

CALL = Call(
    backend="here",
    model="m-1",
    began=1_795_262_400.5,
    latency_ms=1500.0,
    first_token_ms=250.0,
    usage=Usage(7, 2),
    counted="reported",
    outcome="complete",
)
EXPORTER_GIVES_UP = 10.0
"""Seconds after which OpenTelemetry's own exporters give up a collector that takes nothing."""
OK = [answer(b"", content_type="application/x-protobuf")]


class Collected:
    """Providers that keep everything in memory."""

    def __init__(self):
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)

    def observer(self, **options):
        return otel_attempt(providers=Providers(self.tracers, self.meters), **options)

    @property
    def spans(self):
        return self._exporter.get_finished_spans()

    def points(self, name):
        """The points of a metric as their attributes, count, sum and bounds."""
        data = self._reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        return [
            (dict(point.attributes), point.count, point.sum, tuple(point.explicit_bounds))
            for scope in scopes
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def collected():
    made = Collected()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


def told(collected, tmp_path, *scripts, request=REQUEST, **options):
    """The spans of one call for each script."""
    with Loopback(*scripts) as server:
        service = ObservedBackend(server.url, tmp_path)
        service.observers = [collected.observer(secrets=service.secrets, **options)]
        for _ in scripts:
            service.ask(request)
    return collected.spans


def test_a_call_is_one_span_with_its_times_and_attributes(collected):
    attempt = Attempt(call=CALL, request=REQUEST, base_url="http://h:1/v1")
    collected.observer()(attempt)
    (span,) = collected.spans
    assert (span.name, span.kind, span.status.status_code) == ("chat m-1", SpanKind.CLIENT, StatusCode.UNSET)
    assert (span.start_time, span.end_time) == (1_795_262_400_500_000_000, 1_795_262_402_000_000_000)
    assert span.instrumentation_scope.name == "arawn"
    found = {name: list(value) if isinstance(value, tuple) else value for name, value in span.attributes.items()}
    assert {name: value for name, value in found.items() if not name.startswith("arawn.")} == attributes(attempt)
    assert {name for name in found if name.startswith("arawn.")} == {
        *("arawn.backend", "arawn.role", "arawn.outcome", "arawn.retry_count"),
    }


def test_a_call_over_the_wire_is_told_with_its_usage_cost_and_session(collected, tmp_path):
    request = replace(REQUEST, caller=Caller("indexing", "s-1", attempt=2))
    (span,) = told(collected, tmp_path, streamed(*STREAM), request=request)
    wanted = {
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.response.id": "a1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.conversation.id": "s-1",
        "server.address": "127.0.0.1",
        "arawn.role": "indexing",
        "arawn.retry_count": 2,
        "arawn.outcome": "complete",
        "arawn.cost_usd": 0.000012,
    }
    assert {name: span.attributes.get(name) for name in wanted} == wanted
    assert span.end_time - span.start_time > 0


def test_a_failure_is_an_error_with_its_type(collected, tmp_path):
    body = json.dumps({"error": {"message": "too fast"}}).encode()
    (span,) = told(collected, tmp_path, [answer(body, 429)])
    assert span.status.status_code == StatusCode.ERROR
    assert "too fast" in span.status.description
    assert span.attributes["error.type"] == "RateLimitError"
    assert span.events == ()


def test_metrics_count_tokens_and_time_by_the_conventions(collected):
    observer = collected.observer()
    observer(Attempt(call=CALL, request=REQUEST))
    observer(Attempt(call=CALL, request=REQUEST))
    own = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "here", "gen_ai.request.model": "m-1"}
    seconds = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
    tokens = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
    assert collected.points(DURATION) == [(own, 2, 3.0, seconds)]
    assert collected.points(FIRST_CHUNK) == [(own, 2, 0.5, seconds)]
    assert collected.points(TOKENS) == [
        (own | {"gen_ai.token.type": "input"}, 2, 14, tokens),
        (own | {"gen_ai.token.type": "output"}, 2, 4, tokens),
    ]


def test_guesses_are_not_counted_and_what_did_not_stream_has_no_first_chunk(collected, tmp_path):
    told(collected, tmp_path, [head(headers=CHUNKED), chunked(delta("Good "), end=False), Fin()])
    collected.observer()(Attempt(call=replace(CALL, counted="counted"), request=replace(REQUEST, stream=False)))
    assert collected.points(TOKENS) == []
    assert [point[0].get("error.type") for point in collected.points(DURATION)] == ["StreamInterruptedError", None]
    assert len(collected.points(FIRST_CHUNK)) == 1


def test_embeddings_have_input_tokens_alone(collected):
    collected.observer()(Attempt(call=replace(CALL, role="embeddings")))
    assert collected.spans[0].name == "embeddings m-1"
    assert [point[0]["gen_ai.token.type"] for point in collected.points(TOKENS)] == ["input"]
    assert collected.points(FIRST_CHUNK) == []


def test_neither_question_nor_answer_is_told_unless_asked_for(collected, tmp_path):
    body = json.dumps({"error": {"message": f"not allowed: {PROMPT}"}}).encode()
    told(collected, tmp_path, streamed(*STREAM), [answer(body, 400)])
    assert "heron" not in "".join(span.to_json() for span in collected.spans)
    assert "Good day" not in "".join(span.to_json() for span in collected.spans)


def test_with_content_both_are_attributes_of_json(collected, tmp_path):
    (span,) = told(collected, tmp_path, streamed(*STREAM), content=True)
    asked, answered = (json.loads(span.attributes[f"gen_ai.{which}.messages"]) for which in ("input", "output"))
    assert asked == [{"role": "user", "parts": [{"type": "text", "content": PROMPT}]}]
    assert answered[0]["parts"] == [{"type": "text", "content": "Good day"}]


def test_r14_no_span_holds_the_key_though_the_server_repeats_it_and_content_is_told(collected, tmp_path):
    echo = json.dumps({"error": {"message": f"no such key {KEY}", "code": KEY}}).encode()
    scripts = [[answer(echo, 401)], streamed(delta(f"it is {KEY}"), delta(finish_reason="stop"), USAGE, DONE)]
    spans = told(collected, tmp_path, *scripts, content=True)
    written = "".join(span.to_json() for span in spans)
    assert "it is" in written
    assert "cAnary" not in written


# ---- without providers of its own, the program sends OTLP to where the environment says ----


@pytest.fixture(scope="module", autouse=True)
def exporters_end():
    """Leave no thread of an exporter to the tests after these: one that tries again draws from the global random."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("Otel"):
            thread.join(60)


@pytest.fixture
def collector(monkeypatch):
    for name in ("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)

    @contextmanager
    def serve(*scripts):
        with Loopback(*scripts) as server:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
            yield server

    return serve


def test_spans_and_metrics_are_sent_at_the_end_to_the_address_of_the_environment(collector, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=research")
    said = []
    with collector(OK) as server:
        observer = otel_attempt(warn=said.append)
        observer(Attempt(call=CALL, request=REQUEST))
        observer.close()
        observer.close()
    bodies = {request.target: request.body for request in server.requests}
    assert sorted(bodies) == ["/v1/metrics", "/v1/traces"]
    assert b"chat m-1" in bodies["/v1/traces"]
    assert TOKENS.encode() in bodies["/v1/metrics"]
    assert all(b"service.name" in body and b"arawn" in body for body in bodies.values())
    assert {request.headers["x-team"] for request in server.requests} == {"research"}
    port = server.url.rpartition(":")[2]  # the exporter of an earlier test may still report its own server
    assert [text for text in said if f"port={port}" in text or "port=" not in text] == []


def test_a_service_name_and_a_signal_left_out_are_obeyed(collector, monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my-script")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    with collector(OK) as server:
        observer = otel_attempt()
        observer(Attempt(call=CALL, request=REQUEST))
        observer.close()
    (request,) = server.requests
    assert request.target == "/v1/traces"
    assert b"my-script" in request.body


@pytest.mark.parametrize(
    ("script", "patience"),
    [([Stall()], FLUSH_TIMEOUT), ([Fin()], 0.4), ([answer(b"", 503)], 0.4), ([answer(b"", 400)], FLUSH_TIMEOUT)],
    ids=["silent", "gone", "busy", "refusing"],
)
def test_a_collector_that_does_not_take_it_costs_two_seconds_at_most_and_is_told(
    collector, monkeypatch, script, patience, capfd
):
    monkeypatch.setattr("arawn.telemetry.otel.FLUSH_TIMEOUT", patience)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", str(EXPORTER_GIVES_UP))
    said = []
    with collector(script):
        observer = otel_attempt(warn=said.append)
        observer(Attempt(call=CALL, request=REQUEST))
        began = time.monotonic()
        observer.close()
        assert time.monotonic() - began < EXPORTER_GIVES_UP
    assert len(said) == 1
    assert said[0].startswith("OpenTelemetry was not told everything: ")
    assert "\n" not in said[0]
    assert capfd.readouterr() == ("", "")


def test_a_program_that_has_set_up_opentelemetry_is_told_through_its_own(monkeypatch, collected, tmp_path):
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: collected.tracers)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: collected.meters)
    observer = otel_attempt()
    with collected.tracers.get_tracer("program").start_as_current_span("work") as outer:
        observer(Attempt(call=CALL, request=REQUEST))
    observer.close()
    observer(Attempt(call=CALL, request=REQUEST))  # it is the program's to end
    inner = collected.spans[0]
    assert inner.parent.span_id == outer.get_span_context().span_id
    assert len(collected.spans) == 3
    assert collected.points(DURATION)[0][1] == 2


def test_without_the_extra_it_is_one_line_that_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigError) as caught:
        otel_attempt()
    assert caught.value.message == "log.otel needs the extra 'otel'"
    assert "pip install 'arawn[otel]'" in caught.value.hints[0]


def test_importing_it_loads_nothing_of_opentelemetry():
    found = "[name for name in sys.modules if 'opentelemetry' in name]"
    script = f"import sys, arawn.telemetry.otel, arawn.telemetry.attempts; print({found})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
