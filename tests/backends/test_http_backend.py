"""HttpBackend and HttpEmbedder end to end: an adapter, an endpoint, a transport, a server on loopback."""

from __future__ import annotations

import json
import socket
from contextlib import aclosing

import pytest
from support.http_backend import ANSWER, ASK, DONE, STREAM, WHOLE, asking, endpoint, streamed
from support.loopback import CHUNKED, Fin, Flood, Loopback, Pause, Rst, Stall, answer, chunked, head
from support.model_rules import NO_SAMPLING
from support.transports import EVERY_TRANSPORT

from arawn import __version__
from arawn.adapters.base import HttpCall, Quirks
from arawn.adapters.embeddings import OpenAIEmbeddings
from arawn.adapters.ollama import OllamaAdapter
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.backends.http import HttpBackend, HttpEmbedder
from arawn.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailedError,
    ProtocolError,
    RateLimitError,
    SecretError,
)
from arawn.events import Finished, Notice, Started, TextDelta
from arawn.messages import ChatRequest, Usage
from arawn.network.deadlines import Timeouts
from arawn.secrets.references import Secret

AUTH = [("Authorization", "Bearer "), ("x-api-key", ""), ("api-key", ""), ("X-Auth-Token", "Token ")]


# ---- What is sent ----


@EVERY_TRANSPORT
def test_it_sends_the_call_with_its_key_and_its_name(runner):
    with Loopback(streamed(*STREAM)) as server:
        runner.play(asking(server.url, quirks=Quirks(headers={"X-Title": "arawn"}, query={"api-version": "2 b"})))
    [request] = server.requests
    assert (request.method, request.target) == ("POST", "/v1/chat/completions?api-version=2+b")
    assert request.headers["authorization"] == "Bearer sk-canary"
    assert request.headers["user-agent"] == f"arawn/{__version__}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["x-title"] == "arawn"
    assert json.loads(request.body)["messages"] == [{"role": "user", "content": "Hello there"}]


@EVERY_TRANSPORT
@pytest.mark.parametrize(("header", "prefix"), AUTH)
def test_the_key_goes_where_the_service_wants_it(runner, header, prefix):
    with Loopback(streamed(*STREAM)) as server:
        runner.play(asking(server.url, auth_header=header, auth_prefix=prefix))
    assert server.requests[0].headers[header.lower()] == f"{prefix}sk-canary"


@EVERY_TRANSPORT
def test_without_a_key_no_header_is_sent(runner):
    with Loopback(streamed(*STREAM)) as server:
        runner.play(asking(server.url, key=None))
    assert "authorization" not in server.requests[0].headers


@EVERY_TRANSPORT
def test_the_key_is_asked_for_with_each_request_and_not_before(runner):
    asked = []

    def credential():
        asked.append(len(asked))
        return Secret(f"sk-{len(asked)}", "$env:KEY")

    with Loopback(streamed(*STREAM)) as server:

        async def story(transport):
            backend = HttpBackend(
                endpoint(transport, server.url, credential=credential), OpenAIChatAdapter("local", Quirks())
            )
            assert not asked
            for _ in range(2):
                async with aclosing(backend.stream(ASK)) as events:
                    assert [one async for one in events]

        runner.play(story)
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer sk-1", "Bearer sk-2"]


@EVERY_TRANSPORT
@pytest.mark.parametrize("base", ["/v1", "/v1/", "/v1//"])
def test_a_slash_at_the_end_of_base_url_does_not_matter(runner, base):
    with Loopback(streamed(*STREAM)) as server:
        runner.play(asking(server.url, base_url=server.url + base))
    assert server.requests[0].target == "/v1/chat/completions"


@EVERY_TRANSPORT
@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "localhost:8000",
        "ftp://host/v1",
        "http://",
        "http://u:p@host/v1",
        "http://host/v1?a=1",
        "http://höst/",
        "http://[bad/v1",
    ],
)
def test_a_base_url_that_cannot_be_used_is_a_wrong_configuration(runner, base_url):
    with pytest.raises(ConfigError, match='backend "local": base_url'):
        runner.play(asking("", base_url=base_url))


@EVERY_TRANSPORT
def test_a_header_that_would_break_the_request_is_refused_and_its_value_not_shown(runner):
    with Loopback(streamed(*STREAM)) as server, pytest.raises(ConfigError, match="'Authorization'") as caught:
        runner.play(asking(server.url, key="canary\r\nX-Evil: 1"))
    assert "canary" not in str(caught.value)
    assert not server.requests


@EVERY_TRANSPORT
def test_r25_a_key_does_not_travel_unencrypted(runner):
    with pytest.raises(SecretError, match=r"would travel unencrypted to far\.example") as caught:
        runner.play(asking("http://far.example"))
    assert "allow_http" in caught.value.hints[0]


@EVERY_TRANSPORT
@pytest.mark.parametrize("fields", [{"key": None}, {"allow_http": True}], ids=["no key", "allowed"])
def test_r25_plain_http_is_possible_without_a_key_or_when_allowed(runner, fields, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionFailedError, match=r"Cannot connect to Local at http://far\.example/v1"):
        runner.play(asking("http://far.example", **fields))


def test_the_request_can_be_shown_without_its_key():
    backend = HttpBackend(endpoint(None, "https://api.example", credential=None), OpenAIChatAdapter("local", Quirks()))
    shown, _ = backend.describe(ASK)
    assert shown.startswith("POST https://api.example/v1/chat/completions\n")
    assert "\nAuthorization: Bearer ***\n" in shown
    assert shown.endswith('"stream_options":{"include_usage":true}}')


# ---- Answers ----


@EVERY_TRANSPORT
def test_a_stream_becomes_its_events(runner):
    with Loopback(streamed(*STREAM)) as server:
        events = runner.play(asking(server.url))
    assert events[:-1] == ANSWER
    assert events[-1].usage == Usage(7, 2)


@EVERY_TRANSPORT
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_the_events_are_the_same_however_the_bytes_were_cut(runner, size):
    body = b"".join(STREAM)
    with Loopback(streamed(*(body[at : at + size] for at in range(0, len(body), size)))) as server:
        assert runner.play(asking(server.url))[:-1] == ANSWER


@EVERY_TRANSPORT
@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", ""])
def test_a_server_that_does_not_stream_is_read_all_the_same(runner, content_type):
    request = ASK if content_type else ChatRequest("m-1", ASK.messages, stream=False)
    with Loopback([answer(WHOLE, content_type=content_type)]) as server:
        events = runner.play(asking(server.url, request))
    assert [one for one in events if isinstance(one, TextDelta)] == [TextDelta("Good day")]
    assert isinstance(events[-1], Finished)


@EVERY_TRANSPORT
def test_newline_delimited_json_is_a_stream_too(runner):
    lines = [{"model": "m-1", "message": {"content": "Hi"}}, {"model": "m-1", "done": True, "done_reason": "stop"}]
    body = [json.dumps({"done": False, **line}).encode() + b"\n" for line in lines]
    with Loopback(streamed(*body, content_type="application/x-ndjson")) as server:
        events = runner.play(asking(server.url, adapter=OllamaAdapter))
    assert TextDelta("Hi") in events


@EVERY_TRANSPORT
def test_a_stream_without_a_content_type_is_read_as_what_was_asked_for(runner):
    with Loopback(streamed(*STREAM, content_type="")) as server:
        assert runner.play(asking(server.url))[:-1] == ANSWER


OTHER_TYPES = ["application/json", "application/octet-stream", "text/plain; charset=utf-8", "text/html", ""]


@EVERY_TRANSPORT
@pytest.mark.parametrize("content_type", OTHER_TYPES)
@pytest.mark.parametrize("start", [b"", b"\r\n", b": hello\n\n", b"\xef\xbb\xbf", b"retry: 10\nid: 1\n"], ids=repr)
def test_a_stream_under_another_type_is_known_by_its_first_bytes(runner, content_type, start):
    with Loopback(streamed(start, *STREAM, content_type=content_type)) as server:
        assert runner.play(asking(server.url))[:-1] == ANSWER


@EVERY_TRANSPORT
def test_its_first_bytes_may_come_one_by_one(runner):
    body = b"".join(STREAM)
    script = [head(content_type="application/json", headers=CHUNKED)]
    script += [step for at in range(20) for step in (chunked(body[at : at + 1], end=False), Pause(0.01))]
    with Loopback([*script, chunked(body[20:])]) as server:
        assert runner.play(asking(server.url))[:-1] == ANSWER


@EVERY_TRANSPORT
def test_usage_that_is_not_reported_is_estimated_and_marked(runner):
    with Loopback(streamed(*STREAM[:3], DONE)) as server:
        events = runner.play(asking(server.url))
    assert events[-1].usage == Usage(3, 2, estimated=True)


@EVERY_TRANSPORT
def test_notices_of_what_could_not_be_sent_come_before_the_answer(runner):
    request = ChatRequest("m-1", ASK.messages, temperature=0.5)
    with Loopback(streamed(*STREAM)) as server:
        events = runner.play(asking(server.url, request, quirks=NO_SAMPLING))
    assert isinstance(events[0], Notice)
    assert events[0].kind == "dropped"


@EVERY_TRANSPORT
def test_an_answer_is_complete_though_the_server_holds_the_connection_open(runner):
    with Loopback([head(headers=CHUNKED), chunked(*STREAM, end=False), Stall()]) as server:
        assert isinstance(runner.play(asking(server.url))[-1], Finished)


@EVERY_TRANSPORT
@pytest.mark.parametrize(
    "after", [Rst(), Flood(chunked(b": more\n\n", end=False)), b"banana"], ids=["RST", "more", "junk"]
)
def test_what_comes_after_the_end_of_the_answer_does_not_matter(runner, after):
    with Loopback([head(headers=CHUNKED), chunked(*STREAM, end=False), after]) as server:
        assert isinstance(runner.play(asking(server.url))[-1], Finished)


@EVERY_TRANSPORT
def test_the_connection_is_used_again_after_a_stream(runner):
    with Loopback(streamed(*STREAM)) as server:

        async def story(transport):
            for _ in range(3):
                await asking(server.url)(transport)

        runner.play(story)
        assert (len(server.requests), server.connections) == (3, 1)


@EVERY_TRANSPORT
def test_a_reader_who_leaves_early_closes_the_connection(runner):
    with Loopback(
        [head(headers=CHUNKED), chunked(STREAM[0], end=False), Flood(chunked(STREAM[1], end=False))]
    ) as server:

        async def story(transport):
            backend = HttpBackend(endpoint(transport, server.url), OpenAIChatAdapter("local", Quirks()))
            async with aclosing(backend.stream(ASK)) as events:
                assert isinstance(await anext(events), Started)
            server.idle()

        runner.play(story)


# ---- Failures ----


@EVERY_TRANSPORT
def test_a_refused_key_is_an_authentication_error(runner):
    with (
        Loopback([answer(b'{"error": {"message": "bad key"}}', 401)]) as server,
        pytest.raises(AuthenticationError) as caught,
    ):
        runner.play(asking(server.url))
    assert caught.value.message == 'Authentication failed for backend "local"'


@EVERY_TRANSPORT
@pytest.mark.parametrize(
    "body",
    [
        [head(429, headers={"Content-Length": "50", "Retry-After": "7"}), b"half", Fin()],
        [head(429, headers={"Content-Encoding": "gzip", "Content-Length": "2", "Retry-After": "7"}), b"\x1f\x8b"],
        [head(429, headers={**CHUNKED, "Retry-After": "7"}), Flood(chunked(b"x" * 65536, end=False))],
    ],
    ids=["cut", "compressed", "endless"],
)
def test_a_failure_is_known_by_its_status_whatever_its_body(runner, body):
    with Loopback(body) as server, pytest.raises(RateLimitError) as caught:
        runner.play(asking(server.url))
    assert caught.value.retry_after == 7.0


@EVERY_TRANSPORT
def test_a_date_to_retry_at_counts_from_now_when_the_server_names_no_now(runner):
    headers = {"Retry-After": "Thu, 01 Jan 1970 00:01:30 GMT"}
    with Loopback([answer(b"{}", 429, headers=headers)]) as server, pytest.raises(RateLimitError) as caught:
        runner.play(asking(server.url, now=lambda: 60.0))
    assert caught.value.retry_after == 30.0


@EVERY_TRANSPORT
def test_events_that_come_in_time_keep_a_call_alive(runner):
    slow = [step for part in STREAM for step in (Pause(0.6), chunked(part, end=False))]
    with Loopback([head(headers=CHUNKED), *slow, b"0\r\n\r\n"]) as server:
        events = runner.play(asking(server.url, timeouts=Timeouts(first_event=2.5, idle=2.5)))
    assert isinstance(events[-1], Finished)


# ---- Models and vectors ----


@EVERY_TRANSPORT
def test_it_lists_the_models(runner):
    with Loopback([answer(b'{"data": [{"id": "m-1"}, {"id": "m-2"}]}')]) as server:

        async def story(transport):
            return await HttpBackend(endpoint(transport, server.url), OpenAIChatAdapter("local", Quirks())).models()

        assert [card.id for card in runner.play(story)] == ["m-1", "m-2"]
    [request] = server.requests
    assert (request.method, request.target) == ("GET", "/v1/models")
    assert request.headers["authorization"] == "Bearer sk-canary"
    assert "content-type" not in request.headers


def embedding(url, texts):
    async def story(transport):
        embedder = HttpEmbedder(
            endpoint(transport, url), OpenAIEmbeddings("local", Quirks()), model="e-1", dimensions=2
        )
        return await embedder.embed(texts)

    return story


def vectors(*them):
    data = [{"index": index, "embedding": vector} for index, vector in enumerate(them)]
    return answer(json.dumps({"data": data, "model": "e-1", "usage": {"prompt_tokens": 3}}).encode())


@EVERY_TRANSPORT
def test_it_makes_vectors_of_texts(runner):
    with Loopback([vectors([1.0, 0.0], [0.0, 1.0])]) as server:
        embeddings = runner.play(embedding(server.url, ["one", "two"]))
    assert embeddings.vectors == ((1.0, 0.0), (0.0, 1.0))
    assert json.loads(server.requests[0].body)["input"] == ["one", "two"]


@EVERY_TRANSPORT
@pytest.mark.parametrize("sent", [[[1.0, 0.0]], [[1.0, 0.0]] * 3], ids=["too few", "too many"])
def test_a_text_without_its_vector_is_a_protocol_error(runner, sent):
    with Loopback([vectors(*sent)]) as server, pytest.raises(ProtocolError):
        runner.play(embedding(server.url, ["one", "two"]))


@EVERY_TRANSPORT
def test_vectors_in_another_protocol_are_a_protocol_error(runner):
    with (
        Loopback([answer(b"<title>Sign in</title>", content_type="text/html")]) as server,
        pytest.raises(ProtocolError, match="Sign in"),
    ):
        runner.play(embedding(server.url, ["one"]))


def test_a_call_without_a_body_is_described_without_one():
    one = endpoint(None, "https://api.example", credential=None)
    assert one.describe(HttpCall("GET", "/models")).startswith("GET https://api.example/v1/models\n")
