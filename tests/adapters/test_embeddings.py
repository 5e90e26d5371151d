"""Vectors are asked for, read in order and checked."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from arawn.adapters.base import Quirks
from arawn.adapters.embeddings import OllamaEmbeddings, OpenAIEmbeddings
from arawn.errors import ModelNotAvailableError, ProtocolError, RateLimitError
from arawn.messages import Usage

OPENAI = OpenAIEmbeddings("here", Quirks())
OLLAMA = OllamaEmbeddings("there", Quirks())


def openai_body(*vectors: Any, **keys: Any) -> bytes:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return json.dumps({"object": "list", "data": data, "model": "m", **keys}).encode()


def base64_of(form: str, *numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}{form}", *numbers)).decode()


def test_it_asks_for_plain_numbers_in_one_call() -> None:
    call = OPENAI.render_embed("m", ["a", "b"], None)
    assert (call.method, call.path, call.stream) == ("POST", "/embeddings", False)
    assert json.loads(call.body) == {"model": "m", "input": ["a", "b"], "encoding_format": "float"}


def test_it_asks_for_shorter_vectors() -> None:
    assert json.loads(OPENAI.render_embed("m", ["a"], 256).body)["dimensions"] == 256
    assert json.loads(OLLAMA.render_embed("m", ["a"], 256).body)["dimensions"] == 256


def test_quirks_name_another_path_and_add_keys() -> None:
    quirks = Quirks(
        embeddings_path="/deployments/{model}/embeddings",
        query={"api-version": "1"},
        headers={"x-title": "arawn"},
        extra={"truncate": "END"},
    )
    call = OpenAIEmbeddings("here", quirks).render_embed("a/b", ["a"], None)
    assert call.path == "/deployments/a%2Fb/embeddings"
    assert call.query == {"api-version": "1"}
    assert call.headers == {"x-title": "arawn"}
    assert json.loads(call.body)["truncate"] == "END"


def test_ollama_is_asked_in_its_own_words() -> None:
    call = OLLAMA.render_embed("nomic-embed-text", ["a"], None)
    assert call.path == "/api/embed"
    assert json.loads(call.body) == {"model": "nomic-embed-text", "input": ["a"]}


def test_vectors_come_in_the_order_of_the_texts() -> None:
    data = [{"index": 1, "embedding": [2, 0.5]}, {"index": 0, "embedding": [1, 0.25]}]
    answer = OPENAI.parse_embed(json.dumps({"data": data, "model": "m"}).encode())
    assert answer.vectors == ((1.0, 0.25), (2.0, 0.5))
    assert all(type(number) is float for vector in answer.vectors for number in vector)


def test_vectors_without_an_index_keep_their_places() -> None:
    body = json.dumps({"data": [{"embedding": [1]}, {"embedding": [2]}]}).encode()
    assert OPENAI.parse_embed(body).vectors == ((1.0,), (2.0,))


def test_usage_is_reported_or_marked_as_an_estimate() -> None:
    reported = OPENAI.parse_embed(openai_body([1.0], usage={"prompt_tokens": 8, "total_tokens": 8}))
    assert reported.usage == Usage(8)
    assert OPENAI.parse_embed(openai_body([1.0])).usage.estimated
    assert OLLAMA.parse_embed(b'{"model":"m","embeddings":[[1]],"prompt_eval_count":2}').usage == Usage(2)
    assert OLLAMA.parse_embed(b'{"model":"m","embeddings":[[1]]}').usage.estimated


@pytest.mark.parametrize("form", ["f", "d"])
def test_base64_is_read_whatever_the_width_of_its_floats(form: str) -> None:
    numbers = [0.25, -0.1, 0.0, 1e-3]
    single = struct.unpack("<4f", struct.pack("<4f", *numbers))
    answer = OPENAI.parse_embed(openai_body(base64_of(form, *single)))
    assert answer.vectors == (single,)


def test_base64_of_zeros_keeps_its_length() -> None:
    assert OPENAI.parse_embed(openai_body(base64_of("f", 0.0, 0.0))).vectors == ((0.0, 0.0),)


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (([1.0], [1.0, 2.0]), "differ in length"),
        (([],), "missing or empty"),
        ((None,), "missing or empty"),
        ((["1"],), "no finite number"),
        (([True],), "no finite number"),
        (("",), "no list of floats"),
        (("AAA",), "padding"),
        (("AAAAAAA=",), "no list of floats"),
        (("\u00e9",), "ASCII"),
        ((base64_of("f", float("nan"), 1.0, 1.5),), "no finite number"),
        ((base64_of("f", float("inf"), 1.0, 1.5),), "no finite number"),
    ],
)
def test_r31_a_vector_that_is_none_is_a_protocol_error(vectors: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        OPENAI.parse_embed(openai_body(*vectors))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"data":null}',
        b'{"data":[{"index":3,"embedding":[1]}]}',
        b'{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[2]}]}',
        b'{"data":[{"index":[],"embedding":[1]}]}',
        b'{"data":[{"embedding":[NaN]}]}',
        b'{"data":[{"embedding":[1e999]}]}',
        b'{"data":[{"embedding":[' + b"9" * 400 + b"]}]}",
    ],
)
def test_r31_another_body_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="here"):
        OPENAI.parse_embed(body)


@pytest.mark.parametrize("body", [b"{}", b'{"embeddings":{}}', b'{"embeddings":[]}', b'{"embeddings":[1]}'])
def test_r31_another_body_of_ollama_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="there"):
        OLLAMA.parse_embed(body)


def test_an_error_in_the_place_of_vectors_is_raised() -> None:
    with pytest.raises(RateLimitError, match="slow down"):
        OPENAI.parse_embed(b'{"error":{"code":429,"message":"slow down"}}')


def test_an_error_answer_becomes_our_error() -> None:
    error = OLLAMA.parse_failure(404, {}, b'{"error":"model \\"x\\" not found, try pulling it first"}', "x")
    assert isinstance(error, ModelNotAvailableError)
    assert error.message == 'Model "x" not available'
