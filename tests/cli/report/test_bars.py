"""Bars, and the tables above them: nothing is wider than the terminal, and nothing is drawn that is not so."""

from __future__ import annotations

import pytest

from arawn.cli.output import Styled
from arawn.cli.render.lines import width
from arawn.cli.report.bars import Bar, chart, draw_bar
from arawn.cli.report.columns import Column, lay_out, truncate
from arawn.cli.report.figures import bill, duration, percent, tokens

PARTS = "▏▎▍▌▋▊▉"


def texts(rows):
    return ["".join(cell.text if isinstance(cell, Styled) else cell for cell in row) for row in rows]


def test_a_bar_is_as_long_as_its_share_to_an_eighth_of_a_cell():
    assert [draw_bar(share, 4, blocks=True) for share in (0, 0.25, 0.5, 1)] == ["    ", "█   ", "██  ", "████"]
    assert [draw_bar((8 + step) / 32, 4, blocks=True)[1] for step in range(1, 8)] == list(PARTS)


def test_what_is_more_than_nothing_is_seen_and_what_is_less_than_all_is_not_full():
    assert draw_bar(1e-9, 10, blocks=True) == "▏" + " " * 9
    assert draw_bar(1 - 1e-9, 3, blocks=True) == "██▉"
    assert draw_bar(0.999, 3, blocks=False, track=True) == "##."
    assert draw_bar(7, 3, blocks=True) == "███"
    assert draw_bar(-1, 3, blocks=True) == "   "


def test_a_track_shows_how_long_a_bar_can_become():
    assert draw_bar(0.5, 4, blocks=True, track=True) == "██░░"
    assert draw_bar(0.5, 4, blocks=False, track=True) == "##.."


def test_ascii_bars_are_ascii():
    assert "".join(texts(chart([Bar("a", 0.3, "$1"), Bar("b", 1, "$2")], 40, blocks=False))).isascii()


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
@pytest.mark.parametrize("label", ["a", "groq", "anthropic/claude-sonnet-4-20250514", "模型" * 40, "x" * 500], ids=len)
def test_no_row_is_wider_than_the_terminal(columns, label):
    rows = texts(chart([Bar(label, 1, "$1,234.56"), Bar("b", 0.01, "-")], columns, blocks=True))
    assert max(map(width, rows)) <= columns
    assert rows[0].startswith(label[:2])


def test_amounts_stand_under_one_another_behind_the_bars():
    rows = texts(chart([Bar("long name", 1, "$12.00"), Bar("b", 0.5, "$6.00")], 60, blocks=True))
    assert {width(row) for row in rows} == {60}
    assert rows[0].index("█") == rows[1].index("█")


def test_where_no_bar_has_room_there_is_none():
    assert texts(chart([Bar("groq", 1, "$12.00")], 18, blocks=True)) == ["groq  $12.00"]


def test_a_label_cannot_command_the_terminal():
    [row] = texts(chart([Bar("a\x1b[2J\n", 1, "$1")], 60, blocks=True))
    assert "\x1b" not in row
    assert "\n" not in row
    assert row.startswith("a␛[2J␊")


# ---- tables ----


def laid(rows, room=None):
    """The lines of a table as text, and the titles there was no room for."""
    lines, hidden = lay_out(COLUMNS, rows, room)
    return texts(lines), hidden


def column(title, at, *more):
    return Column(title, lambda row: row[at], *more)


COLUMNS = (column("name", 0, 0, 8), column("calls", 1, 1), column("cached", 2, 5), column("cost", 3))
ROWS = [("groq", "120", "4", "$1.20"), ("anthropic-of-somebody", "7", "-", "$12.00")]


def test_figures_stand_at_the_right_under_their_titles():
    assert laid(ROWS)[0] == [
        "name                   calls  cached    cost",
        "groq                     120       4   $1.20",
        "anthropic-of-somebody      7       -  $12.00",
    ]


def test_into_a_pipe_everything_goes_whole():
    lines, hidden = laid([("x" * 300, "-", "-", "-")])
    assert lines[0].split() == ["name", "calls", "cached", "cost"]
    assert "x" * 300 in lines[1]
    assert hidden == ()


def test_a_terminal_is_spared_what_says_nothing():
    lines, hidden = laid([("groq", "-", "-", "-")], 80)
    assert lines[0].split() == ["name", "cost"], "one of rank 0 stays"
    assert hidden == ()


@pytest.mark.parametrize(
    ("room", "titles", "missing"),
    [
        (44, "name calls cached cost", ()),
        (36, "name calls cached cost", ()),
        (30, "name calls cost", ("cached",)),
        (21, "name cost", ("calls", "cached")),
    ],
)
def test_on_a_narrow_terminal_the_least_important_goes_and_words_are_cut(room, titles, missing):
    lines, hidden = laid(ROWS, room)
    assert lines[0].split() == titles.split()
    assert max(map(width, lines)) <= room
    assert hidden == missing


def test_what_is_cut_says_so():
    assert truncate("anthropic", 9) == "anthropic"
    assert truncate("anthropic", 8) == "anthrop…"
    assert truncate("模型模型", 5) == "模型…"
    assert width(truncate("模型模型" * 10_000, 10)) <= 10


# ---- figures ----


def test_a_bill_tells_what_is_known_what_is_not_and_what_is_a_guess():
    from decimal import Decimal

    assert bill(Decimal("1.2"), 0) == "$1.20"
    assert bill(Decimal("1.2"), 3) == "$1.20 + 3 unknown"
    assert bill(Decimal("1.2"), 0, guessed=True) == "~$1.20"
    assert bill(None, 3) == "unknown"
    assert bill(Decimal(0), 0, guessed=True) == "$0.00", "nothing is no guess"


@pytest.mark.parametrize(
    ("milliseconds", "shown"), [(0.4, "<1 ms"), (840, "840 ms"), (999.6, "1.0 s"), (3_240, "3.2 s"), (75_400, "75 s")]
)
def test_durations_take_one_unit(milliseconds, shown):
    assert duration(milliseconds) == shown


def test_small_shares_are_not_rounded_to_nothing():
    assert [percent(share) for share in (0, 0.004, 0.0999, 0.5, 1)] == ["0%", "0.4%", "10%", "50%", "100%"]


def test_large_numbers_of_tokens_stay_short():
    assert [tokens(count) for count in (999_999_999, 2_500_000_000)] == ["999M", "2.5G"]
