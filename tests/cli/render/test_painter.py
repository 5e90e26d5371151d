"""How the live lines get onto the screen: written on, rewritten, left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.terminals import Screen

from arawn.cli.render.lines import Line, Span, rows, wrap
from arawn.cli.render.painter import Painter

if TYPE_CHECKING:
    from collections.abc import Sequence


def lines(*texts: str) -> list[Line]:
    return [Line((Span(text),)) if text else Line(()) for text in texts]


def paint(updates: Sequence[tuple[list[Line], list[Line]]], columns: int = 20) -> tuple[Screen, list[str]]:
    screen, writes = Screen(columns, 30), []

    def write(text: str) -> None:
        writes.append(text)
        screen.write(text)

    painter = Painter(write)
    for committed, live in updates:
        painter.update(committed, live, columns)
    return screen, writes


def test_text_that_goes_on_is_written_as_it_is() -> None:
    _, writes = paint([([], lines("one")), ([], lines("one two")), (lines("one two"), lines("three"))])
    assert writes == ["one", " two", "\nthree"]


def test_a_style_that_goes_on_is_switched_on_again() -> None:
    bold, more = Line((Span("bo", "1"),)), Line((Span("bold", "1"), Span(" end")))
    _, writes = paint([([], [bold]), ([], [more])])
    assert writes == ["\x1b[1mbo\x1b[m", "\x1b[1mld\x1b[m end"]


def test_nothing_new_writes_nothing() -> None:
    _, writes = paint([([], lines("one", "two")), ([], lines("one", "two"))])
    assert writes == ["one\ntwo"]


def test_only_what_changed_is_rewritten_and_only_what_is_too_long_erased() -> None:
    screen, writes = paint([([], lines("same", "longer", "old")), ([], lines("same", "short", "new!"))])
    assert writes[1] == "\r\x1b[1Ashort\x1b[K\nnew!"
    assert screen.lines == ["same", "short", "new!"]


def test_fewer_lines_leave_nothing_behind() -> None:
    screen, _ = paint([([], lines("a", "b", "c", "d")), (lines("x"), [])])
    assert screen.lines == ["x"]


def test_settled_lines_are_not_touched_again() -> None:
    screen, writes = paint([(lines("a", "b"), lines("live")), ([], lines("other")), (lines("end"), [])])
    assert screen.lines == ["a", "b", "end"]
    assert not [text for text in writes if "\x1b[1A" in text]


def test_lines_the_terminal_wraps_count_as_their_rows() -> None:
    screen, _ = paint([([], lines("x" * 45, "tail")), ([], lines("y" * 30, "end"))])
    assert screen.lines == ["y" * 20, "y" * 10, "end"]


def test_left_lines_stay_and_the_next_begin_below() -> None:
    screen = Screen(20, 10)
    painter = Painter(screen.write)
    painter.update([], lines("half"), 20)
    painter.detach()
    painter.detach()
    painter.update([], lines("next"), 20)
    assert screen.lines == ["half", "next"]


TEXTS = st.lists(st.text("ab ", max_size=50).map(str.rstrip), max_size=5).map(lambda texts: lines(*texts))


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=6))
def test_the_screen_shows_what_was_settled_and_what_is_live(updates: list[tuple[list[Line], list[Line]]]) -> None:
    screen, plain = paint(updates)[0], Screen(20, 30)
    committed = [line.text for done, _ in updates for line in done]
    live = [line.text for line in updates[-1][1]] if updates else []
    plain.write("\n".join([*committed, *live]))
    assert screen.lines == plain.lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 1), ("x" * 10, 1), ("x" * 11, 2), ("x" * 20, 2), ("你" * 5, 1), ("你" * 6, 2), ("\tx", 1), ("\t\tx", 1)],
)
def test_rows_of_a_line_on_ten_columns(text: str, expected: int) -> None:
    assert rows(Line((Span(text),)), 10) == expected


@given(st.text("ab你👍\u0301 ", max_size=80), st.integers(2, 20))
def test_wrapping_drops_nothing_but_blanks(text: str, room: int) -> None:
    wrapped = wrap([Span(text[:7], "1"), Span(text[7:])], room, split=True)
    assert "".join("".join(span.text for span in line) for line in wrapped).replace(" ", "") == text.replace(" ", "")
