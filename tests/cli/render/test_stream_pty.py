"""An answer in a real terminal with scrollback and reflow: tmux, with a server of its own for each test."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from support.markdown_texts import TORTURE, answer
from support.terminals import TMUX, Tmux

from arawn.cli.render.markdown import render
from arawn.cli.render.theme import DEFAULT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(TMUX is None, reason="tmux is not installed")]


def in_tmux(folder: Path, text: str, columns: int, rows: int, sizes: list[tuple[int, int]] | None = None) -> str:
    """Stream a text into a pane, which takes another size after each of equal parts."""
    parts = len(sizes or ()) + 1
    with Tmux(folder, text, columns, rows) as terminal:
        for part in range(parts):
            for _ in range(20):
                terminal.feed(len(text) // (20 * parts) + 1)
            for size in (sizes or ())[part : part + 1]:
                terminal.resize(*size)
        terminal.close()
        return terminal.text()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_scrollback_is_the_rendering_of_the_whole_text(tmp_path: Path, seed: int) -> None:
    text = answer(2500, seed)
    assert in_tmux(tmp_path, text, 100, 30) == render(text, 100, DEFAULT, colour=False)


@pytest.mark.parametrize(("columns", "rows"), [(80, 12), (60, 30), (120, 50)])
def test_blocks_longer_than_the_screen_come_out_whole(tmp_path: Path, columns: int, rows: int) -> None:
    shown, whole = in_tmux(tmp_path, TORTURE, columns, rows), render(TORTURE, columns, DEFAULT, colour=False)
    assert Counter(re.sub(r"[\s│─┼]", "", shown)) == Counter(re.sub(r"[\s│─┼]", "", whole))


SIZES = [(60, 24), (120, 40), (44, 12), (100, 30)]


@pytest.mark.parametrize(("seed", "sizes"), [(3, SIZES[:1]), (4, SIZES), (5, SIZES * 4)])
def test_a_resize_in_mid_answer_loses_and_doubles_no_word(
    tmp_path: Path, seed: int, sizes: list[tuple[int, int]]
) -> None:
    text = answer(2500, seed)
    shown = re.sub(r"\s", "", in_tmux(tmp_path, text, 80, 24, sizes))
    assert re.findall(r"w\d{5}", shown) == re.findall(r"w\d{5}", text)


def test_long_code_lines_are_copied_in_one_piece(tmp_path: Path) -> None:
    code = "\n".join(f"line_{number} = '" + "long " * (number * 3) + "'" for number in range(12))
    shown = in_tmux(tmp_path, f"text\n\n```python\n{code}\n```\n", 40, 12)
    assert f"```python\n{code}\n```\n" in shown
