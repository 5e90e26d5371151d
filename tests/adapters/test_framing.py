"""Bytes become lines and events, however they were cut."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.optional_data import needs
from support.recordings import cut, one_by_one

from arawn.adapters.framing import BARE_JSON, MAX_LINE, JsonLineDecoder, LineDecoder, SseDecoder, SseEvent
from arawn.errors import ProtocolError

OVER = r"here.* of more than 8,388,608 bytes"
ODD_SEPARATORS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"
places = st.lists(st.integers(0, 1 << 16), max_size=30)


def platform_cases() -> list[Any]:
    if "ARAWN_RECORDINGS" not in os.environ:
        return []
    cases = json.loads((Path(os.environ["ARAWN_RECORDINGS"]) / "wpt_sse_cases.json").read_bytes())
    return [pytest.param(base64.b64decode(case["bytes_b64"]), case["expect_data"], id=case["name"]) for case in cases]


def events(pieces: Any) -> list[SseEvent]:
    decoder = SseDecoder("here")
    return [event for piece in pieces for event in decoder.feed(piece)]


def lines(pieces: Any) -> list[str]:
    decoder = LineDecoder("here")
    found = [line for piece in pieces for line in decoder.feed(piece)]
    return [*found, decoder.close()]


@needs("ARAWN_RECORDINGS")
@pytest.mark.parametrize(("data", "wanted"), platform_cases())
def test_r30_it_reads_the_web_platform_tests_byte_by_byte(data: bytes, wanted: list[str]) -> None:
    assert [event.data for event in events(one_by_one(data))] == wanted


@needs("ARAWN_RECORDINGS")
@pytest.mark.parametrize(("data", "wanted"), platform_cases())
@given(places=places)
def test_r30_it_reads_the_web_platform_tests_at_every_split(data: bytes, wanted: list[str], places: list[int]) -> None:
    assert [event.data for event in events(cut(data, places))] == wanted


@given(
    written=st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), max_size=8),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    places=places,
)
def test_r30_lines_come_out_as_they_went_in(written: list[str], end: str, places: list[int]) -> None:
    data = end.join([*written, "last"]).encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
    assert lines(cut(data, places)) == data.decode().split(end)


@given(data=st.binary(max_size=200), places=places)
def test_r30_no_bytes_make_it_fail_and_no_split_changes_them(data: bytes, places: list[int]) -> None:
    assert lines(cut(data, places)) == lines([data])


def test_r30_what_python_calls_a_line_end_is_an_ordinary_character() -> None:
    data = f"data: a{ODD_SEPARATORS}b\n\n".encode()
    assert events(one_by_one(data)) == [SseEvent("", f"a{ODD_SEPARATORS}b")]


def test_r30_bad_bytes_become_replacement_characters() -> None:
    assert events([b"data: \xff\xe2\x82\n\n"]) == [SseEvent("", "\ufffd\ufffd")]


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_costs_no_event(start: bytes) -> None:
    assert events(one_by_one(start + b"data: 1\n\n")) == [SseEvent("", "1")]


def test_an_event_keeps_its_name_and_joins_its_data() -> None:
    data = b": comment\nevent: error\nid: 7\nretry: 10\ndata: 1\ndata:2\n\ndata: 3\n\n"
    assert events([data]) == [SseEvent("error", "1\n2"), SseEvent("", "3")]


def test_an_event_without_its_blank_line_does_not_come_out() -> None:
    assert events([b"data: 1\n\ndata: 2\n"]) == [SseEvent("", "1")]


def test_the_rest_after_the_last_line_end_is_kept() -> None:
    assert lines([b"a\nb"]) == ["a", "b"]


@pytest.mark.parametrize("piece", [MAX_LINE // 3, MAX_LINE * 2])
def test_r33_a_line_over_its_cap_is_an_error(piece: int) -> None:
    decoder = SseDecoder("here")
    with pytest.raises(ProtocolError, match=OVER):
        any(decoder.feed(b"data: " + b"x" * piece) for _ in range(4))


def test_r33_a_whole_line_over_its_cap_is_an_error() -> None:
    with pytest.raises(ProtocolError, match=OVER):
        SseDecoder("here").feed(b"x" * (MAX_LINE + 1) + b"\n")


def test_r33_an_event_over_its_cap_is_an_error() -> None:
    decoder = SseDecoder("here")
    line = b"data: " + b"x" * (MAX_LINE - 10) + b"\n"
    with pytest.raises(ProtocolError, match=OVER):
        any(decoder.feed(line) for _ in range(10))


def test_r33_a_line_at_its_cap_is_taken() -> None:
    data = b"data: " + b"x" * (MAX_LINE - 6) + b"\n\n"
    assert [len(event.data) for event in SseDecoder("here").feed(data)] == [MAX_LINE - 6]


def test_an_error_line_is_an_event_of_that_name_in_both_framings() -> None:
    line = b'error: {"code":500}\n'
    assert events([b"data: a\n\n", line, b"\n"]) == [SseEvent("", "a"), SseEvent("error", '{"code":500}')]
    assert JsonLineDecoder("here").feed(line) == [SseEvent("error", '{"code":500}')]


def test_json_that_no_field_announces_is_an_event_of_its_own_however_many_lines_it_has() -> None:
    found = events(one_by_one(b'data: a\n\n{\n  "error": 1,\n  "b": [2]\n}\ndata: [DONE]\n\n'))
    assert found == [SseEvent("", "a"), SseEvent(BARE_JSON, '{\n  "error": 1,\n  "b": [2]\n}'), SseEvent("", "[DONE]")]


def test_other_lines_that_are_no_fields_are_skipped() -> None:
    assert events([b"hello\nid: 7\nretry: 1\n: {\ndata: a\n{ within\n\n"]) == [SseEvent("", "a")]


def test_r33_comments_do_not_add_up() -> None:
    decoder = SseDecoder("here")
    line = b":" + b"x" * (MAX_LINE - 10) + b"\n"
    assert not any(decoder.feed(line) for _ in range(10))
