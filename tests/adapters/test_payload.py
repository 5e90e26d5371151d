"""JSON on its way out and in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.optional_data import needs

from arawn.adapters.payload import (
    count_of,
    json_text,
    malformed,
    object_of,
    objects_of,
    parse_body,
    parse_json,
    parse_object,
    render_body,
    text_of,
)
from arawn.errors import RequestError

SUITE = sorted(Path(os.environ.get("ARAWN_CORPORA", "none"), "json-test-suite", "test_parsing").glob("*.json"))


def test_bodies_are_compact_utf8():
    assert render_body({"a": "é", "b": [1, 2]}, backend="x") == '{"a":"é","b":[1,2]}'.encode()


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [float("inf"), b"bytes", nested(100_000)], ids=["infinity", "bytes", "deep"])
def test_a_body_json_cannot_say_is_a_request_error_that_names_the_backend(value):
    with pytest.raises(RequestError, match='"x"') as error:
        render_body({"a": value}, backend="x")

    assert error.value.hints


def test_a_value_that_is_nested_too_deeply_is_a_value_error():
    with pytest.raises(ValueError, match="deeply"):
        json_text(nested(100_000))


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "-Infinity", "[" * 100_000, "9" * 5000, "{'a':1}"])
def test_what_is_not_json_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"it is|not JSON|digits"):
        parse_json(text)


@pytest.mark.parametrize("text", ["[]", "null", "1", "1.5", "true", '"x"'])
def test_what_is_not_an_object_is_a_value_error(text):
    with pytest.raises(ValueError, match="not an object"):
        parse_object(text)


def test_half_of_a_surrogate_pair_becomes_a_replacement_character_and_a_whole_one_a_character():
    value = parse_object('{"a":"\\ud83d\\ude00","b":"x\\uD83D","\\udc00":1,"c":"\\\\ud800"}')

    assert value == {"a": "\N{GRINNING FACE}", "b": "x\ufffd", "\ufffd": 1, "c": "\\ud800"}


def test_a_body_may_begin_with_a_byte_order_mark_and_hold_bad_bytes():
    assert parse_body(b'\xef\xbb\xbf {"a":"\xff"}') == {"a": "\N{REPLACEMENT CHARACTER}"}


def test_missing_fields_and_nulls_are_empty():
    for fields in ({}, {"k": None}):
        assert (text_of(fields, "k"), count_of(fields, "k"), object_of(fields, "k"), objects_of(fields, "k")) == (
            "",
            0,
            {},
            [],
        )


@pytest.mark.parametrize(
    ("reader", "good", "bad"),
    [
        (text_of, "x", [1, True, [], {}]),
        (count_of, 7, ["7", True, -1, 1.5, 1 << 60, [], {}]),
        (object_of, {"a": 1}, ["x", 1, []]),
        (objects_of, [{"a": 1}], ["x", 1, {}, [1], [{}, None]]),
    ],
)
def test_a_field_of_another_kind_is_a_value_error_that_names_it(reader, good, bad):
    assert reader({"k": good}, "k") == good
    for value in bad:
        with pytest.raises(ValueError, match='"k" is'):
            reader({"k": value}, "k")


def test_a_malformed_answer_names_the_backend_and_the_event():
    assert (
        '"x" does not keep to its protocol, event 3 of the answer: why'
        in malformed(ValueError("why"), backend="x", event=3).message
    )
    assert "protocol, the answer: why" in malformed(ValueError("why"), backend="x").message


@needs("ARAWN_CORPORA")
@pytest.mark.parametrize("file", SUITE, ids=lambda file: file.stem)
def test_r31_every_file_of_the_json_test_suite_is_read_as_it_should_be(file):
    body = file.read_bytes()
    expected = file.name[0]  # y: must be read, n: must be refused, i: as one likes

    try:
        value = parse_json(body.decode("utf-8", "replace"))
    except ValueError:
        assert expected != "y"
    else:
        assert expected != "n" or b"\xff" in body or not _is_utf8(body)
        json.dumps(value, ensure_ascii=False, allow_nan=True).encode()


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
