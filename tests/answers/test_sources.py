"""The sources of an answer, and the tools its provider ran, as lines for people."""

import pytest

from arawn.answers.sources import MAX_SOURCES, server_tool_line, source_lines
from arawn.events import ServerToolDone
from arawn.messages import Citation


@pytest.mark.parametrize("count", [0, 1, 2, MAX_SOURCES - 1, MAX_SOURCES])
def test_each_source_is_a_line(count):
    lines = source_lines(Citation(n, f"T{n}", f"https://a.example/{n}") for n in range(1, count + 1))

    assert lines == [f"[{n}] T{n} https://a.example/{n}" for n in range(1, count + 1)]


def test_of_very_many_sources_the_first_are_shown():
    lines = source_lines(Citation(n, "T") for n in range(1, MAX_SOURCES + 3))

    assert (len(lines), lines[-1]) == (MAX_SOURCES + 1, "… and 2 more")


def test_a_source_is_one_line_however_often_it_is_cited_and_what_is_missing_is_left_out():
    cited = [Citation(2, "B"), Citation(1, "", "https://a.example"), Citation(1, "A", "", "said"), Citation(3)]

    assert source_lines(cited) == ["[1] A https://a.example", "[2] B", "[3]"]


def test_an_endless_title_is_cut():
    [line] = source_lines([Citation(1, "x" * 10_000, "https://a.example")])

    assert line == f"[1] {'x' * 200} https://a.example"


def test_a_tool_is_named_with_the_first_line_of_its_result():
    assert server_tool_line(ServerToolDone("python")) == "python"
    assert server_tool_line(ServerToolDone("python", "4\n5")) == "python: 4"
    assert server_tool_line(ServerToolDone("python", "x" * 200)) == f"python: {'x' * 100}"
