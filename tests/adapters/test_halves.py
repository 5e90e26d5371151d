"""A character beyond U+FFFF, escaped as two halves that come in two events, is whole in every kind of text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answers import ANTHROPIC, CHAT, EVERY_KIND, OLLAMA, RESPONSES, WIRES

from arawn.errors import StreamInterruptedError
from arawn.events import ToolCallDelta
from arawn.messages import ProviderItem, Refusal

if TYPE_CHECKING:
    from arawn.messages import Response

FACE, LOST = "\N{GRINNING FACE}", "\N{REPLACEMENT CHARACTER}"
HIGH, LOW = "\\ud83d", "\\ude00"


def said(response: Response, kind: str) -> str:
    match kind:
        case "text":
            return response.text
        case "reasoning":
            return response.reasoning
        case "refusal":
            return "".join(part.text for part in response.message.parts if isinstance(part, Refusal))
        case _:
            return response.tool_calls[0].arguments


@pytest.mark.parametrize(("name", "kind"), EVERY_KIND)
@pytest.mark.parametrize(
    ("pieces", "wanted"),
    [
        ([f"a{HIGH}", f"{LOW}b"], f"a{FACE}b"),
        ([HIGH, LOW], FACE),
        ([HIGH.upper().replace("\\U", "\\u"), LOW], FACE),
        ([f"{HIGH}{LOW}{HIGH}", LOW], FACE * 2),
        ([HIGH, f"{LOW}{HIGH}", LOW], FACE * 2),
        ([f"a{HIGH}", "b"], f"a{LOST}b"),
        ([f"a{HIGH}"], f"a{LOST}"),
        ([f"{LOW}b"], f"{LOST}b"),
        ([HIGH, HIGH, LOW], f"{LOST}{FACE}"),
        ([f"a{HIGH}{LOW}", "b"], f"a{FACE}b"),
        (["\\\\ud83d", "\\\\ude00"], "\\ud83d\\ude00"),
    ],
)
def test_two_halves_are_one_character_and_a_lone_one_is_a_replacement(name, kind, pieces, wanted):
    wire = WIRES[name]

    assert said(wire.response(*(wire.piece(kind, piece) for piece in pieces)), kind) == wanted


@pytest.mark.parametrize("name", WIRES)
def test_a_half_ends_with_its_part_and_is_not_joined_across_another(name):
    wire = WIRES[name]
    pieces = [wire.piece("text", HIGH), wire.piece("reasoning", "hm"), wire.piece("text", LOW)]

    response = wire.response(*pieces)

    assert (response.text, response.reasoning) == (LOST * 2, "hm")


def test_two_calls_may_take_turns_between_the_halves():
    def piece(index: int, arguments: str) -> str:
        call = {"index": index, "id": f"d{index}", "function": {"name": "f", "arguments": "@"}}
        return json.dumps({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}).replace("@", arguments)

    response = CHAT.response(piece(1, HIGH), piece(2, HIGH), piece(1, LOW), piece(2, "x"))

    assert [call.arguments for call in response.tool_calls] == ["", FACE, f"{LOST}x"]


@pytest.mark.parametrize("name", WIRES)
def test_a_stream_cut_between_the_halves_keeps_a_replacement(name):
    wire = WIRES[name]

    text, error = wire.gather(wire.framed(*wire.opening, wire.piece("text", f"a{HIGH}")))

    assert (text, type(error)) == (f"a{LOST}", StreamInterruptedError)


def test_what_only_the_provider_reads_is_made_whole_too():
    start = {"type": "content_block_start", "index": 7, "content_block": {"type": "compaction", "content": ""}}
    halves = [f'{{"type":"content_block_delta","index":7,"delta":{{"content":"{half}"}}}}' for half in (HIGH, LOW)]

    response = ANTHROPIC.response(start, *halves, {"type": "content_block_stop", "index": 7})

    assert response.message.parts[-1] == ProviderItem({"type": "compaction", "content": FACE}, "here")


def test_a_finished_item_adds_nothing_to_halves_that_were_joined():
    item = {"type": "message", "content": [{"type": "output_text", "text": f"a{FACE}bc"}]}
    pieces = [RESPONSES.piece("text", f"a{HIGH}"), RESPONSES.piece("text", f"{LOW}b")]

    response = RESPONSES.response(*pieces, {"type": "response.output_item.done", "output_index": 0, "item": item})

    assert response.text == f"a{FACE}bc"


def test_names_and_ids_have_no_halves():
    start = {"choices": [{"delta": {"tool_calls": [{"id": "@", "function": {"name": "@"}}]}}], "model": "m"}

    response = CHAT.response(json.dumps(start).replace("@", HIGH))

    assert [(call.id, call.name) for call in response.tool_calls[1:]] == [(LOST, LOST)]


@given(text=st.text(st.characters() | st.sampled_from("\ud83d\ude00a"), min_size=1, max_size=8), data=st.data())
def test_any_text_comes_out_whole_wherever_it_is_cut(text, data):
    written = json.dumps(text)[1:-1]
    units = text.encode("utf-16-le", "surrogatepass")
    place = data.draw(st.integers(0, len(units) // 2)) * 2
    halves = [
        json.dumps(units[part].decode("utf-16-le", "surrogatepass"))[1:-1]
        for part in (slice(place), slice(place, None))
    ]
    wanted = units.decode("utf-16-le", "replace")

    assert OLLAMA.response(OLLAMA.piece("text", written)).text == wanted
    assert OLLAMA.response(*(OLLAMA.piece("text", half) for half in halves)).text == wanted


def test_text_without_escapes_is_not_looked_at_again():
    events = CHAT.read(CHAT.framed(*CHAT.opening, CHAT.piece("arguments", FACE), *CHAT.ending))

    assert ToolCallDelta(0, FACE) in events
