"""Errors that come inside an answer, in any form and place, are errors with the server's words; noise is skipped."""

from __future__ import annotations

import json

import pytest
from support.answers import ANTHROPIC, CHAT, OLLAMA, WIRES

from arawn.errors import BackendError, OverloadedError, ProtocolError, RateLimitError, ServerError

ERRORS = [
    {"error": {"code": 500, "message": "out of memory"}},
    {"error": "out of memory"},
    {"detail": "out of memory"},
    {"detail": [{"msg": "out of memory"}]},
    {"message": "out of memory"},
    {"object": "error", "message": "out of memory"},
    [{"error": {"code": 500, "message": "out of memory"}}],
]


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("value", ERRORS, ids=json.dumps)
@pytest.mark.parametrize("first", [True, False])
def test_an_error_in_the_place_of_an_event_has_the_servers_words(name, value, first):
    wire = WIRES[name]
    before = [] if first else [*wire.opening, wire.piece("text", "half")]

    text, error = wire.gather(wire.framed(*before, value, *wire.ending))

    assert text == ("" if first else "half")
    assert "out of memory" in error.message
    assert not isinstance(error, ProtocolError)


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("value", ['{"code":500,"message":"failed to decode"}', "failed to decode"])
@pytest.mark.parametrize("ends", [True, False])
def test_an_error_line_is_an_error_also_where_the_stream_ends_properly(name, value, ends):
    wire = WIRES[name]
    data = wire.framed(*wire.opening, wire.piece("text", "half")) + f"error: {value}\n\n".encode()

    text, error = wire.gather(data + (wire.framed(*wire.ending) if ends else b""))

    assert (text, type(error)) == ("half", ServerError)
    assert "failed to decode" in error.message


@pytest.mark.parametrize("name", [name for name in WIRES if name != "ollama"])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("tail", [b"", b"\n", b"\n\n", b"\n\ndata: [DONE]\n\n", b"\ndata: [DONE]\n\n"])
@pytest.mark.parametrize("value", ERRORS, ids=json.dumps)
def test_a_bare_json_error_between_events_is_an_error(name, indent, tail, value):
    wire = WIRES[name]
    data = wire.framed(*wire.opening, wire.piece("text", "half")) + json.dumps(value, indent=indent).encode()

    text, error = wire.gather(data + tail)

    assert text == "half"
    assert "out of memory" in error.message


@pytest.mark.parametrize("name", [name for name in WIRES if name != "ollama"])
@pytest.mark.parametrize("junk", ['{"a": 1}', "[1]", "[", "{never ends", "hello"])
def test_other_bare_lines_are_skipped(name, junk):
    wire = WIRES[name]
    events = [*wire.opening, wire.piece("text", "half")]
    data = wire.framed(*events) + f"{junk}\n\n".encode() + wire.framed(wire.piece("text", "!"), *wire.ending)

    assert wire.read(data) == wire.read(wire.framed(*events, wire.piece("text", "!"), *wire.ending))


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("noise", ["null", "[]", '"ping"', "7", "true", "[1]", '[{"a":1}]'])
def test_values_that_are_no_objects_keep_the_connection_alive(name, noise):
    wire = WIRES[name]
    pieces = [wire.piece("text", "a"), wire.piece("text", "b")]

    assert wire.response(noise, pieces[0], noise, pieces[1], noise).text == "ab"


@pytest.mark.parametrize("name", WIRES)
def test_a_whole_answer_that_is_a_list_of_errors_is_the_first_error(name):
    body = json.dumps([{"error": {"code": 503, "message": "The model is overloaded", "status": "UNAVAILABLE"}}])

    with pytest.raises(OverloadedError, match="The model is overloaded"):
        list(WIRES[name].adapter().parse_chat(body.encode()))


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("value", [{"detail": "no such route"}, {"message": "no such route"}])
def test_a_whole_answer_that_is_only_a_message_is_an_error_with_it(name, value):
    with pytest.raises(BackendError, match="no such route"):
        list(WIRES[name].adapter().parse_chat(json.dumps(value).encode()))


@pytest.mark.parametrize("word", ["error", "network_error", "insufficient_system_resource", "abort"])
def test_a_finish_reason_that_is_a_failure_is_an_error(word):
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": word}]}

    text, error = CHAT.gather(CHAT.framed(CHAT.piece("text", "half"), end, "[DONE]"))

    assert text == "half"
    assert isinstance(error, ServerError)


def test_the_wait_and_the_kind_of_an_error_inside_a_stream_are_kept():
    value = {"error": {"code": 429, "message": "Rate limit reached. Please try again in 5.289s"}}

    _, error = ANTHROPIC.gather(ANTHROPIC.framed(*ANTHROPIC.opening, value))

    assert (type(error), error.retry_after) == (RateLimitError, 5.289)


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("empty", [{"error": None}, {"error": ""}, {"error": None, "detail": None}])
def test_an_error_that_is_empty_is_none(name, empty):
    wire = WIRES[name]
    piece = {**json.loads(wire.piece("text", "a")), **empty}

    assert wire.response(piece, piece).text == "aa"


def test_an_ollama_line_whose_message_is_a_text_is_an_error():
    _, error = OLLAMA.gather(b'{"message":"model runner has unexpectedly stopped"}\n')

    assert "unexpectedly stopped" in error.message
