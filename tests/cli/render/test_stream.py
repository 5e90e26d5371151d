"""An answer while it streams: the same lines as of the whole text, few bytes, nothing painted twice."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.markdown_texts import SNIPPETS, TORTURE, answer, cut
from support.terminals import RecordedAnswer, Screen, pieces

from arawn.cli.render.markdown import render
from arawn.cli.render.stream import mode_for
from arawn.cli.render.theme import DEFAULT

ERASES = re.compile(r"\x1b\[\d*[JK]")


def screen_of(text: str, columns: int, rows: int) -> list[str]:
    screen = Screen(columns, rows)
    screen.write(render(text, columns, DEFAULT, colour=True))
    return screen.lines


def streamed(text: str, seed: int, columns: int = 80, rows: int = 24, **options: object) -> RecordedAnswer:
    written = RecordedAnswer(columns, rows, **options).stream(cut(text, seed))
    written.answer.close()
    return written


@settings(max_examples=300)
@given(SNIPPETS, st.integers(0, 1000), st.sampled_from([20, 40, 80]))
def test_streamed_is_the_same_as_whole_to_the_byte(text: str, seed: int, columns: int) -> None:
    assert streamed(text, seed, columns, mode="blocks").output == render(text, columns, DEFAULT, colour=True)


@settings(max_examples=100)
@given(SNIPPETS, st.integers(0, 1000))
def test_what_was_redrawn_ends_up_the_same_as_whole(text: str, seed: int) -> None:
    assert streamed(text, seed, 100, 60).screen().lines == screen_of(text, 100, 60)


@pytest.mark.parametrize("seed", range(6))
def test_a_long_answer_leaves_the_scrollback_of_the_whole_text(seed: int) -> None:
    text = answer(3000, seed)
    assert streamed(text, seed, 100, 30).screen().lines == screen_of(text, 100, 30)


@pytest.mark.parametrize(("columns", "rows"), [(80, 12), (60, 30), (120, 50)])
def test_nothing_is_lost_or_doubled_in_blocks_longer_than_the_screen(columns: int, rows: int) -> None:
    shown = "".join(streamed(TORTURE, 7, columns, rows).screen().lines)
    whole = "".join(screen_of(TORTURE, columns, rows))
    assert words(shown) == words(whole)


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"[a-z]+\d+", re.sub(r"\s", "", text)))


@pytest.mark.parametrize("rows", [12, 24, 50])
def test_nothing_that_scrolled_off_is_repainted(rows: int) -> None:
    output = streamed(TORTURE, 9, 80, rows).output
    assert max(map(int, re.findall(r"\x1b\[(\d+)A", output))) < min(rows - 1, 25)
    assert not re.findall(r"\x1b\[[\d;?]*[^mAJK\d;?]|\x1b[^\[]|\x1b\[[23]J", output)


def test_a_long_answer_costs_few_bytes_and_hardly_an_erase() -> None:
    text = answer(5000)
    output = streamed(text, 1, 100, 30).output
    assert len(output.encode()) <= 2.1 * len(render(text, 100, DEFAULT, colour=True).encode())
    assert len(ERASES.findall(output)) <= 5 * 5


def test_the_work_grows_with_the_text_not_with_its_square() -> None:
    text = answer(2_000)
    assert calls("\n".join([text] * 10)) < 11 * calls(text)


def calls(text: str) -> int:
    """Count the function calls it takes to stream a text."""
    count = 0

    def called(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    written = RecordedAnswer(100, 30)
    sys.setprofile(called)
    try:
        written.stream(pieces(text, 40), seconds=0.05)
        written.answer.close()
    finally:
        sys.setprofile(None)
    return count


def test_it_draws_at_most_15_times_a_second() -> None:
    written = RecordedAnswer().stream(["word "] * 1000, seconds=0.01)
    assert 50 <= len(written.writes) <= 150


def test_the_first_piece_is_drawn_at_once_and_a_frame_shows_the_last() -> None:
    written = RecordedAnswer()
    written.answer.text("Hello there ")
    written.answer.text("my friend, ")
    assert written.screen().lines == ["Hello there"]
    written.clock.now += 1
    written.answer.frame()
    assert written.screen().lines == ["Hello there my friend,"]


def test_a_line_that_may_turn_out_to_be_something_else_is_not_shown_yet() -> None:
    written = RecordedAnswer()
    for text in ["para\n", "---", "\n\n", "| a | b |\n", "|---", "|---|\n", "see [the li", "nk](http://h"]:
        written.stream([text])
        assert not {"---", "| a", "[the"} & {line[:3] for line in written.screen().lines}


def test_open_emphasis_is_shown_as_what_it_will_be() -> None:
    written = RecordedAnswer().stream(["a **bold wor", "d and `co", "de more "])
    assert written.screen().lines == ["a bold word and `code more`"]
    written.stream(["x` y** end\n\n"])
    assert written.screen().lines == ["a bold word and `code more x` y end"]


@pytest.mark.parametrize("mode", ["live", "blocks", "raw"])
def test_r1_a_sequence_cut_across_pieces_is_caught(mode: str) -> None:
    attack = "a\x1b]52;c;aGk=\x07\x9b2J \x1b[2J\ud83d\ude00 \ud800 \u202eb\r\nc\rd\n\n```\n\x1b[31m\n```\n"
    written = RecordedAnswer(mode=mode, colour=False).stream(attack)
    written.answer.close()
    ours = re.sub(r"\x1b\[\d*[AJK]|\r", "", written.output) if mode == "live" else written.output
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", ours)
    assert "😀 <U+D800> <U+202E>b\nc␍d" in ours


def test_an_answer_that_stops_in_the_middle_is_kept_as_far_as_it_came() -> None:
    for end in ["half a wor", "- item\n- **bo", "```py\nx = ", "| a | b |\n|--", "> quo", "[text](http://h", "#", "1."]:
        assert streamed(f"first\n\n{end}", 1).screen().lines == screen_of(f"first\n\n{end}", 80, 24)


def test_an_empty_answer_writes_nothing() -> None:
    written = RecordedAnswer()
    written.answer.text("")
    written.answer.frame(force=True)
    written.answer.close()
    written.answer.close()
    assert written.output == ""


@pytest.mark.parametrize("mode", ["blocks", "raw"])
def test_modes_for_readers_and_pipes_move_no_cursor(mode: str) -> None:
    written = RecordedAnswer(mode=mode, colour=False).stream(cut(TORTURE, 1))
    written.answer.reasoning("more thought")
    written.answer.close()
    assert not re.search("[\x1b\r]", written.output)


def test_raw_is_the_text_itself() -> None:
    assert streamed("# a **b**\n\n| c", 1, mode="raw").output == "# a **b**\n\n| c\n"


def test_reasoning_is_dim_and_folds_to_one_line_when_the_answer_starts() -> None:
    written = RecordedAnswer()
    for number in range(400):
        written.clock.now += 0.1
        written.answer.reasoning(f"thought{number} ")
    assert 2 <= len(written.screen().lines) <= 8
    assert "thought398" in written.screen().lines[-1]
    assert "\x1b[2m" in written.output
    written.answer.text("The answer.")
    written.answer.close()
    assert written.screen().lines == ["∴ thought 40 s", "The answer."]


def test_reasoning_between_answers_closes_what_was_open() -> None:
    written = RecordedAnswer()
    for part in ["one ", "two ", "three "]:
        written.clock.now += 1
        written.answer.reasoning(f"thinking about {part}")
        written.answer.text(f"- **{part.strip()}")
    written.answer.close()
    assert [line for line in written.screen().lines if "thought" not in line] == ["• **one", "• **two", "• **three"]


def test_append_only_says_that_there_was_reasoning() -> None:
    written = RecordedAnswer(mode="blocks", colour=False)
    written.answer.reasoning("hidden words")
    written.answer.text("shown")
    written.answer.close()
    assert written.output == "∴ thought 1 s\nshown\n"


@pytest.mark.parametrize("seed", range(10))
def test_a_resize_in_mid_answer_loses_and_doubles_nothing(seed: int) -> None:
    text, widths = answer(1500, seed), [100, 60, 44, 120, 80]
    written = RecordedAnswer(80, 24)
    for at, piece in enumerate(pieces(text, 97)):
        written.size = (widths[at // 3 % 5], 24)
        written.stream([piece])
    written.answer.close()
    shown = re.sub(r"\x1b\[[\d;]*m", "", written.output)
    assert set(re.findall(r"w\d{5}", re.sub(r"\s", "", shown))) == set(re.findall(r"w\d{5}", text))


def test_others_can_write_between_two_frames() -> None:
    written = RecordedAnswer().stream(["- one two\n- three four ", "five "])
    written.answer.suspend()
    written.writes.append("OTHER\n")
    written.stream(["six seven\n\nend"])
    written.answer.close()
    assert written.screen().lines == ["• one two", "• three four five", "OTHER", "six seven", "", "end"]


def test_suspending_ends_an_open_line_of_raw_text() -> None:
    written = RecordedAnswer(mode="raw").stream(["open"])
    written.answer.suspend()
    written.answer.suspend()
    assert written.output == "open\n"


@pytest.mark.parametrize(
    ("environ", "tty", "mode"),
    [
        ({"TERM": "xterm"}, True, "live"),
        ({"TERM": "dumb"}, True, "blocks"),
        ({"ACCESSIBLE": "1"}, True, "blocks"),
        ({"ACCESSIBLE": "0"}, True, "live"),
        ({"TERM": "xterm"}, False, "raw"),
    ],
)
def test_the_mode_follows_the_terminal(environ: dict[str, str], tty: bool, mode: str) -> None:
    assert mode_for(environ, tty=tty) == mode


def test_a_piped_answer_pays_for_none_of_this() -> None:
    code = "import sys, arawn.cli.commands.ask; print({'markdown_it', 'pygments', 'wcwidth'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.stdout == "set()\n", run.stderr


def test_a_formula_appears_once_it_is_whole_and_never_without_its_underscores() -> None:
    inline = "Sum \\(\\mathbf{x}_{i} * \\mathbf{y}_{j}\\) of **bold \\[ a_{1} b_{2} \\] end** here"
    text = f"{inline}\n\n\\[\n- a_{{1}}_{{2}}\n\\]\n"
    final = screen_of(text, 80, 24)
    assert final == [
        "Sum \\(\\mathbf{x}_{i} * \\mathbf{y}_{j}\\) of bold \\[ a_{1} b_{2} \\] end here",
        "",
        "\\[",
        "- a_{1}_{2}",
        "\\]",
    ]
    for end in range(len(text)):
        shown = RecordedAnswer(80, 24).stream(pieces(text[:end], 3)).screen().lines
        assert all(whole.startswith(line) for line, whole in zip(shown, final, strict=False))
