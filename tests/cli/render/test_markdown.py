"""What Markdown looks like on a terminal, and that nothing of it is lost."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.markdown_texts import SNIPPETS, TORTURE

from arawn.cli.render.lines import width
from arawn.cli.render.markdown import render
from arawn.cli.render.theme import DEFAULT, PLAIN, THEMES
from arawn.values import as_dict

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def shown(text: str, columns: int = 80) -> str:
    return render(text, columns, DEFAULT, colour=False)


@pytest.mark.parametrize(
    "text",
    [
        "List<String> and 0<foo or foo>10",
        "<details><summary>more</summary>hidden</details>",
        "<!-- a comment -->",
        "[ref][late]\n\n[late]: http://host.example/late",
        "a [link](javascript:alert(1)) that is none",
    ],
)
def test_text_that_looks_like_markup_is_shown(text: str) -> None:
    assert "".join(shown(text).split()) == "".join(text.split())


@given(st.text(alphabet="abXY 01\n#>*-+_`~|[]()<>!\\.:\t\"'=你é", max_size=200))
def test_no_letter_is_lost_whatever_the_text(text: str) -> None:
    lost = Counter(re.findall("[abXY你é]", text)) - Counter(shown(text))
    assert not lost


@given(SNIPPETS, st.integers(1, 200))
def test_colours_change_no_character(text: str, columns: int) -> None:
    coloured = render(text, columns, DEFAULT, colour=True)
    assert ESCAPES.sub("", coloured) == shown(text, columns)


def test_cells_beyond_the_last_column_are_kept() -> None:
    assert shown("| a | b |\n|---|---|\n| 1 | 2 | 3 | 4 |").splitlines()[2] == "1 │ 2 | 3 | 4"


@pytest.mark.parametrize("text", [">" * 200 + " deep", "".join("  " * n + f"- level{n}\n" for n in range(150))])
def test_what_is_nested_too_deep_is_shown_as_it_was_written(text: str) -> None:
    assert "".join(shown(text).split()) == "".join(text.split())


def test_r4_a_link_shows_its_real_address_beside_its_text() -> None:
    assert shown("see [the bank](http://evil.example/x)") == "see the bank (http://evil.example/x)\n"
    assert shown("![alt](http://evil.example/p.png)") == "image: alt (http://evil.example/p.png)\n"
    assert shown("<https://host.example> [a@b.c](mailto:a@b.c)") == "https://host.example a@b.c\n"


def test_r4_no_link_becomes_a_terminal_hyperlink() -> None:
    assert "\x1b]" not in render("[a](http://b.example) <http://c.example>", 80, DEFAULT, colour=True)


def test_a_title_is_shown_with_the_address() -> None:
    assert shown('[a](http://b.example "the title")') == 'a (http://b.example "the title")\n'


@pytest.mark.parametrize("hidden", ["&#27;[2J", "&#x9b;2J", "&#13;over", "&#x202e;", "&lrm;", "&#8;", "&NewLine;x"])
def test_r1_an_entity_cannot_bring_back_what_the_guard_takes_out(hidden: str) -> None:
    text = shown(f"a {hidden} b `x` [l]({hidden}) ![i](u '{hidden}')\n\n| {hidden} |\n|--|\n")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u202e]", text)


def test_r1_control_characters_are_shown_not_sent() -> None:
    text = render("a\x1b]52;c;aGk=\x07 b\x9b2J\r\x00\n\n```\n\x1b[2J\n```\n", 80, DEFAULT, colour=True)
    assert not re.search("[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]|\x1b[^\\[]|\x1b\\[[0-9;]*[^0-9;m]", text)
    assert "␛[2J" in text


CODE = 'def f(x):\n\tif x:  # tab\n        return "' + "long " * 40 + '"\n\n    # indented'


@pytest.mark.parametrize(
    ("before", "indent"),
    [("", ""), ("- item\n\n", "  "), ("> quote\n>\n", "> "), ("1. a\n   - b\n\n", "     "), ("> - a\n>\n", ">   ")],
)
def test_code_is_copied_as_it_was_written(before: str, indent: str) -> None:
    source = "\n".join(f"{indent}{line}" for line in ["```python", *CODE.split("\n"), "```"])
    lines = shown(before + source, 40).split("\n")
    first = lines.index("```python")
    assert "\n".join(lines[first + 1 : lines.index("```", first)]).expandtabs() == CODE.expandtabs()


def test_a_string_over_several_lines_keeps_its_colour() -> None:
    lines = render('```python\n"""one\ntwo"""\nx = 1\n```', 80, DEFAULT, colour=True).split("\n")
    assert lines[1:4] == ['\x1b[32m"""one\x1b[m', '\x1b[32mtwo"""\x1b[m', "x = \x1b[36m1\x1b[m"]


@pytest.mark.parametrize("language", ["yaml", "json", "make", "http", "php", "c++", "console", "nobody-knows", "{.py}"])
def test_code_in_any_language_is_shown_as_it_is(language: str) -> None:
    code = 'a: \'x\n\tb && "c" $d # e\nGET / HTTP/1.1\nHost: \\n\n<?php $x = 1; ?>'
    text = render(f"```{language}\n{code}\n```", 80, DEFAULT, colour=True)
    assert ESCAPES.sub("", text) == f"```{language}\n{code}\n```\n"


def test_indented_code_stands_at_column_0() -> None:
    assert shown("text\n\n    a = 1\n      b = 2\n") == "text\n\na = 1\n  b = 2\n"


def test_a_fence_keeps_the_marks_that_tell_it_from_its_content() -> None:
    assert shown("~~~~ text\n``` inside\n~~~\n~~~~") == "~~~~text\n``` inside\n~~~\n~~~~\n"


def test_no_line_is_padded() -> None:
    assert not [line for line in shown(TORTURE, 60).split("\n") if line != line.rstrip()]


def test_lists_in_quotes_in_lists() -> None:
    text = "1. one\n   > quoted\n   > - inner\n   >   more\n2. two\n\n   apart\n\n7) new list\n- bullet"
    assert shown(text).split("\n") == [
        "1. one",
        "   │ quoted",
        "   │ • inner",
        "   │   more",
        "2. two",
        "",
        "   apart",
        "",
        "7) new list",
        "• bullet",
        "",
    ]


def test_items_are_counted_whatever_numbers_were_written() -> None:
    assert shown("3. a\n3. b\n3. c") == "3. a\n4. b\n5. c\n"


def test_headings_keep_their_level() -> None:
    assert shown("Title\n===\nSub\n---\n### Third #") == "# Title\n\n## Sub\n\n### Third\n"


@pytest.mark.parametrize(
    "text",
    ["word " * 60, "a **b** " * 30, "你好世界\uff0c" * 30, "שלום עולם " * 20, "👍 ok ❤️ " * 30, "a 你b好 " * 30],
)
@pytest.mark.parametrize("columns", [20, 41, 80])
def test_prose_stays_within_the_screen(text: str, columns: int) -> None:
    lines = shown(text, columns).split("\n")
    assert max(width(line) for line in lines) < columns
    assert "".join("".join(lines).split()) == "".join(text.replace("**", "").split())


def test_an_address_longer_than_the_screen_stays_in_one_piece() -> None:
    address = "https://host.example/" + "a" * 100
    assert address in shown(f"see {address} there", 40).split("\n")


def test_wide_characters_keep_columns_aligned() -> None:
    lines = shown("| a | b |\n|---|--:|\n| 你好 | 1 |\n| x | 22 |").split("\n")
    assert lines[:4] == ["a    │  b", "─────┼───", "你好 │  1", "x    │ 22"]


def test_a_table_wider_than_the_screen_wraps_its_cells() -> None:
    text = shown("| key | text |\n|---|---|\n| a | " + "many words " * 10 + "|\n| b | few |\n", 40)
    assert max(width(line) for line in text.split("\n")) < 40
    assert text.count("many") == 10
    assert "─" in text.split("\n")[-3]  # a rule parts a row of several lines from the next


def test_a_table_too_wide_for_columns_becomes_fields() -> None:
    head = "".join(f"| head{n} " for n in range(8)) + "|\n" + "|---" * 8 + "|\n"
    text = shown(head + "".join(f"| value{n} and more " for n in range(8)) + "|\n", 40)
    assert "head3: value3 and more" in text.split("\n")


def test_the_default_theme_is_readable_on_light_and_dark() -> None:
    codes = {code for style in as_dict(THEMES["default"]).values() for code in style.split(";")}
    assert codes <= {"1", "2", "3", "4", "9", "31", "32", "33", "34", "35", "36", "90", "91", "92", "94", "95", "96"}


@pytest.mark.parametrize("name", ["light", "dark"])
def test_themes_colour_every_role_and_no_background(name: str) -> None:
    styles = as_dict(THEMES[name])
    assert all(styles.values())
    assert not [style for style in styles.values() if re.search(r"(^|;)(4\d|48|10\d)(;|$)", style.replace("4;38", ""))]


def test_without_colour_there_is_no_escape() -> None:
    assert "\x1b" not in render(TORTURE, 80, PLAIN, colour=True) + render(TORTURE, 80, DEFAULT, colour=False)


# ---- mathematics, and line breaks in cells ----


@pytest.mark.parametrize(
    "text",
    [
        r"\(x\)",
        r"the sum \(\mathbf{x}_{i} + \mathbf{y}_{j}\) of \[ a_{1} *b* \, \{c\} \\ d \]",
        "\\[\n\\int_0^1 x^2 \\, dx\n\\]",
        "Here:\n\\[\n- a\n=\n+ b\n1. c\n# d\n\\]\nwhere a is",
        "\\[ never closed",
        r"only an end \] or \)",
        r"a reference \[1\]",
        "> \\(q\\)",
        r"before \(a*b*c\) after",
    ],
)
def test_mathematics_stays_as_it_was_written(text: str) -> None:
    assert shown(text).replace("│ ", "> ") == f"{text}\n"


def test_mathematics_in_lists_quotes_and_tables_stays_too() -> None:
    listed = "- \\(\\{1\\}\\)\n  \\[\n  + y_{1}_{2}\n  \\]\n  after\n"
    text = f"{listed}\n> \\[\n> - x\n> \\]\n\n| a |\n|---|\n| \\(x_{{1}}\\) \\[y\\] |"
    assert shown(text).splitlines() == [
        r"• \(\{1\}\)",
        r"  \[",
        r"  + y_{1}_{2}",
        r"  \]",
        r"  after",
        "",
        r"│ \[",
        r"│ - x",
        r"│ \]",
        "",
        "a",
        "───────────────",
        r"\(x_{1}\) \[y\]",
    ]


def test_other_escapes_code_and_indented_lines_are_no_mathematics() -> None:
    assert shown(r"\*a\* \\(b\\) `\(c\)`") == "*a* \\(b\\) `\\(c\\)`\n"
    assert shown("    \\[\n    *x*").splitlines() == ["\\[", "*x*"]


@pytest.mark.parametrize("mark", ["<br>", "<br/>", "<br />", "<BR>", " <br> "])
def test_in_a_cell_br_ends_a_line(mark: str) -> None:
    lines = shown(f"| a | b |\n|---|---|\n| one{mark}two two{mark}three | x |").splitlines()
    assert lines == ["a       │ b", "────────┼──", "one     │ x", "two two │", "three   │"]


def test_a_br_at_the_end_of_a_cell_is_no_line() -> None:
    assert shown("| a |\n|---|\n| one<br> |").splitlines() == ["a", "───", "one"]


def test_on_a_narrow_screen_the_lines_of_a_cell_stand_below_each_other() -> None:
    table = "| name | a | b | c |\n|---|---|---|---|\n| long words here | one<br>two | long words there | and more |"
    assert "a: one\ntwo\n" in shown(table, 24)


def test_a_br_elsewhere_or_in_code_is_text() -> None:
    assert shown("a<br>b") == "a<br>b\n"
    assert shown("| a |\n|---|\n| `<br>` <b>x</b> |").splitlines()[2] == "`<br>` <b>x</b>"
