"""What the log says of a call: every field of a success and a failure, and nothing secret in any of them."""

from __future__ import annotations

import json
from decimal import Decimal
from urllib.parse import quote

import pytest
from support.http_backend import DONE, STREAM, USAGE, delta, event, streamed
from support.loopback import CHUNKED, Fin, Loopback, Rst, answer, chunked, head
from support.observed_calls import KEY, PROMPT, REQUEST, ObservedBackend

from arawn.errors import RequestError, ServerError
from arawn.messages import (
    Caller,
    ChatRequest,
    FinishReason,
    Image,
    Message,
    OutputFormat,
    ProviderItem,
    Reasoning,
    Response,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from arawn.store.calls import Call
from arawn.telemetry.attempts import PROVIDERS, WITHHELD, Attempt, attributes, log_attempt
from arawn.telemetry.log import EventLog
from arawn.values import replace

CALL = Call(backend="here", model="m-1", began=1_795_262_400.0)
ERROR = {"error": {"message": "no", "code": "some_code", "type": "some_type"}}


@pytest.fixture
def log(tmp_path):
    return tmp_path / "arawn.log"


def lines(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


def told(log, tmp_path, *scripts, content=False, request=REQUEST):
    """The log of one call for each script."""
    with Loopback(*scripts) as server:
        service = ObservedBackend(server.url, tmp_path)
        service.observers = [log_attempt(EventLog(str(log), content=content, secrets=service.secrets))]
        for _ in scripts:
            service.ask(request)
    return lines(log)


def refusing(status, message, **fields):
    body = json.dumps({"error": {"message": message, **fields}}).encode()
    return [answer(body, status, headers={"x-request-id": "r-1"})]


def test_a_success_says_what_it_took_in_arawns_words_and_those_of_opentelemetry(log, tmp_path):
    request = replace(REQUEST, caller=Caller("indexing", "s-1", attempt=2), temperature=0.5, max_tokens=9, seed=4)
    (line,) = told(log, tmp_path, streamed(*STREAM), request=request)
    port = line.pop("server.port")
    for name in ("latency_ms", "first_token_ms", "gen_ai.response.time_to_first_chunk"):
        assert line.pop(name) > 0
    assert list(line)[:4] == ["time", "event", "backend", "model"]
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "cost_tracked",
        "backend": "here",
        "model": "m-1",
        "input_tokens": 7,
        "output_tokens": 2,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "counted": "reported",
        "estimated": False,
        "cost": "0.000012",
        "outcome": "complete",
        "role": "indexing",
        "session": "s-1",
        "retry_count": 2,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "here",
        "gen_ai.request.model": "m-1",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.seed": 4,
        "gen_ai.response.id": "a1",
        "gen_ai.response.model": "m-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.conversation.id": "s-1",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.cache_creation.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "server.address": "127.0.0.1",
    }
    assert port > 0


def test_a_failure_is_named_by_its_class_its_line_and_its_retries(log, tmp_path):
    request = replace(REQUEST, caller=Caller(attempt=1))
    (line,) = told(log, tmp_path, refusing(429, "too fast", code="slow_down"), request=request)
    names = ("event", "backend", "model", "error_type", "error_message", "retry_count", "status", "code")
    assert list(line)[1:9] == list(names)
    assert [line[name] for name in names if name != "error_message"] == [
        *("llm_call_failed", "here", "m-1", "RateLimitError", 1, 429, "slow_down"),
    ]
    assert "too fast" in line["error_message"]
    assert (line["error.type"], line["outcome"], line["cost"]) == ("RateLimitError", "rejected", "0")
    assert line["latency_ms"] > 0
    assert line["session"] is None


@pytest.mark.parametrize(
    ("script", "kind", "outcome"),
    [
        ([Rst()], "ConnectionFailedError", "interrupted"),
        ([head(headers=CHUNKED), chunked(delta("Good "), end=False), Fin()], "StreamInterruptedError", "interrupted"),
        (refusing(500, "busy"), "ServerError", "rejected"),
        (refusing(401, "no such key"), "AuthenticationError", "rejected"),
        ([answer(b"<html>", content_type="text/html")], "ProtocolError", "interrupted"),
    ],
    ids=["a reset", "a cut stream", "500", "401", "a page"],
)
def test_every_kind_of_failure_is_a_line(log, tmp_path, script, kind, outcome):
    (line,) = told(log, tmp_path, script)
    assert (line["event"], line["error_type"], line["outcome"]) == ("llm_call_failed", kind, outcome)
    assert line["error_message"]


def test_what_a_cut_answer_cost_is_told_as_an_estimate_and_not_as_the_providers_count(log, tmp_path):
    (line,) = told(log, tmp_path, [head(headers=CHUNKED), chunked(delta("Good "), end=False), Fin()])
    assert (line["counted"], line["estimated"]) == ("estimated", True)
    assert line["input_tokens"] > 0
    assert Decimal(line["cost"]) > 0
    assert not [name for name in line if name.startswith("gen_ai.usage.")]


def test_a_reader_who_leaves_is_no_failure_of_the_call(log, tmp_path):
    with Loopback(streamed(*STREAM)) as server:
        ObservedBackend(server.url, tmp_path, log_attempt(EventLog(str(log)))).leave(after=2)
    (line,) = lines(log)
    assert (line["event"], line["outcome"]) == ("cost_tracked", "interrupted")
    assert "error.type" not in line


def test_an_unknown_price_is_null_and_a_tiny_one_has_all_its_digits(log):
    observe = log_attempt(EventLog(str(log)))
    observe(Attempt(call=CALL))
    observe(Attempt(call=replace(CALL, cost=Decimal("1E-9"))))
    assert [line["cost"] for line in lines(log)] == [None, "0.000000001"]


ECHOES = [
    refusing(400, f"invalid value: {PROMPT!r} is not allowed", type="invalid_request_error"),
    refusing(400, f"content filter: {PROMPT}", code="content_filter"),
    refusing(422, f"unprocessable: {PROMPT[5:30]}"),
    refusing(500, f"internal error while working on {PROMPT}"),
    refusing(503, f"could not route {PROMPT[3:33]}"),
    refusing(429, f"too fast: {PROMPT}"),
    [
        head(headers=CHUNKED),
        chunked(delta("Good "), event(error={"message": f"the server stopped at {PROMPT}", "code": 500})),
    ],
]


@pytest.mark.parametrize("script", ECHOES, ids=["400", "filter", "422", "500", "503", "429", "in a stream"])
def test_no_words_of_the_prompt_are_in_the_log_although_the_server_repeats_them(log, tmp_path, script):
    (line,) = told(log, tmp_path, script)
    assert line["event"] == "llm_call_failed"
    assert line["error_message"] == WITHHELD
    assert "heron" not in log.read_text()


def test_a_short_prompt_is_found_in_an_error_too(log, tmp_path):
    request = replace(REQUEST, messages=(Message(Role.USER, (Text("tulips"),)),))
    (line,) = told(log, tmp_path, refusing(500, "no model for tulips"), request=request)
    assert line["error_message"] == WITHHELD


@pytest.mark.parametrize("script", ECHOES, ids=["400", "filter", "422", "500", "503", "429", "in a stream"])
def test_with_content_the_servers_words_are_told(log, tmp_path, script):
    (line,) = told(log, tmp_path, script, content=True)
    assert "heron" in line["error_message"]
    assert line["gen_ai.input.messages"] == [{"role": "user", "parts": [{"type": "text", "content": PROMPT}]}]


def test_without_content_neither_question_nor_answer_is_in_the_log(log, tmp_path):
    told(log, tmp_path, streamed(delta("A precious word"), delta(finish_reason="stop"), USAGE, DONE))
    assert "heron" not in log.read_text()
    assert "precious" not in log.read_text()


def test_with_content_question_and_answer_are_told_as_messages(log, tmp_path):
    (line,) = told(log, tmp_path, streamed(*STREAM), content=True)
    assert line["text"] == "Good day"
    assert line["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Good day"}], "finish_reason": "stop"}
    ]


def test_every_part_of_a_message_has_a_form_and_no_picture_is_written(log):
    parts = (
        Text("a"),
        Image(b"\x89PNG....", "image/png"),
        Image(url="https://e.example/a.png"),
        Reasoning("thinking"),
        ToolCall("c-1", "search", '{"q": "tea"}'),
        ToolResult("c-1", (Text("green"),)),
        ProviderItem({"type": "web_search", "opaque": "x"}),
    )
    request = ChatRequest("m-1", (Message(Role.USER, parts),))
    log_attempt(EventLog(str(log), content=True))(Attempt(call=CALL, request=request))
    assert lines(log)[0]["gen_ai.input.messages"][0]["parts"] == [
        {"type": "text", "content": "a"},
        {"type": "image", "mime_type": "image/png", "bytes": 8},
        {"type": "uri", "modality": "image", "uri": "https://e.example/a.png"},
        {"type": "reasoning", "content": "thinking"},
        {"type": "tool_call", "id": "c-1", "name": "search", "arguments": '{"q": "tea"}'},
        {"type": "tool_call_response", "id": "c-1", "response": "green"},
        {"type": "provider_item"},
    ]


def test_r14_no_byte_of_the_log_holds_the_key_though_the_server_repeats_it_and_content_is_told(log, tmp_path):
    words = f"Incorrect API key provided: {KEY}. Authorization: Bearer {KEY}; {quote(KEY, safe='')}; ({KEY})"
    echo = json.dumps({"error": {"message": words, "code": KEY, "type": KEY}}).encode()
    scripts = [
        *([answer(echo, status, headers={"x-request-id": KEY})] for status in (400, 401, 404, 429, 500)),
        [answer(b"<html>" + KEY.encode(), content_type="text/html")],
        [answer(status=302, headers={"Location": f"https://e.example/?key={KEY}"})],
        [b"HTTP/1.1 200 OK\r\nX: " + KEY.encode() + b"\0\r\n\r\n"],
        [head(headers=CHUNKED), chunked(delta("x"), event(error={"message": words, "code": KEY}))],
        streamed(delta(f"your key is {KEY}"), delta(finish_reason="stop"), USAGE, DONE),
    ]
    asked = replace(REQUEST, messages=(Message(Role.USER, (Text(f"is {KEY} my key?"), ToolCall(KEY, KEY, KEY))),))
    found = told(log, tmp_path, *scripts, content=True, request=asked)
    assert [line["event"] for line in found] == ["llm_call_failed"] * 9 + ["cost_tracked"]
    assert "my key?" in log.read_text()
    assert b"7f3aK9zQ" not in log.read_bytes()
    assert b"cAnary" not in log.read_bytes()
    assert b"cAnary" not in (tmp_path / "arawn.db").read_bytes()


def test_embeddings_are_an_operation_of_their_own_and_their_errors_may_repeat_the_texts(log):
    observe = log_attempt(EventLog(str(log)))
    usage = Usage(12)
    observe(Attempt(call=replace(CALL, role="embeddings", usage=usage, counted="reported")))
    for error in (RequestError("bad text: heron", status=400), ServerError("heron", status=500), KeyError("heron")):
        observe(Attempt(call=CALL, error=error))
    first, *others = lines(log)
    assert (first["gen_ai.operation.name"], first["gen_ai.usage.input_tokens"]) == ("embeddings", 12)
    assert [line["error_type"] for line in others] == ["RequestError", "ServerError", "KeyError"]
    assert "heron" not in log.read_text()


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://api.anthropic.com", "anthropic"),
        ("https://my-resource.openai.azure.com/openai/v1", "azure.ai.openai"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "gcp.gemini"),
        ("https://api.x.ai/v1", "x_ai"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1", "aws.bedrock"),
        ("https://notopenai.com/v1", "here"),
        ("http://localhost:11434", "here"),
        ("http://[::1", "here"),
        ("", "here"),
    ],
)
def test_a_provider_is_known_by_its_host_and_called_as_its_backend_otherwise(base_url, provider):
    assert attributes(Attempt(call=CALL, base_url=base_url))["gen_ai.provider.name"] == provider


def test_the_names_of_providers_are_those_of_the_conventions():
    from opentelemetry.semconv._incubating.attributes.gen_ai_attributes import GenAiProviderNameValues

    known = {each.value for each in GenAiProviderNameValues}
    assert {name for name in PROVIDERS.values() if name not in known} <= {"moonshot_ai"}  # it came later


def test_the_names_of_attributes_are_those_of_the_conventions():
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    request = replace(REQUEST, top_p=1.0, seed=1, max_tokens=1, temperature=1.0, output=OutputFormat())
    answer = Message(Role.ASSISTANT, (Text("x"),))
    response = Response(answer, finish_reason=FinishReason.LENGTH, model="m-1", id="a1", backend="here")
    call = replace(CALL, session="s", first_token_ms=1.0, counted="reported")
    found = attributes(Attempt(call=call, request=request, response=response, base_url="http://h:1/v1"))
    assert {name for name in found if name.startswith("gen_ai.")} <= known
    assert len(found) == 21
    assert (found["server.address"], found["server.port"]) == ("h", 1)


@pytest.mark.parametrize(("base_url", "port"), [("https://h/v1", 443), ("http://h/v1", 80), ("http://h:8080", 8080)])
def test_the_port_is_told_also_where_it_is_the_schemes_own(base_url, port):
    assert attributes(Attempt(call=CALL, base_url=base_url))["server.port"] == port


def test_without_a_log_nothing_is_made_ready():
    nothing = Attempt(call=None)
    assert log_attempt(EventLog(None))(nothing) is None
