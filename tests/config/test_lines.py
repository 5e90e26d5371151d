"""Where a key stands."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.optional_data import folder_of

from arawn.config.lines import find_place, join_key, shown, split_key

TEXT = '''\
# a comment with [brackets] and key = 1
top = 1

[llm] # the role
system = """
[not.a.table]
model = "no"
"""
stop = [
  "a", # ]
  "[b]",
]
model = 'x' # here
"odd key".inner = 2

[backends."my.lab"]
headers = { x = "1" }

[[backends.m.replies]]
text = "one"

[[backends.m.replies]]
text = "two"
tool_call.name = "t"

[backends.m]
mode = "echo"
'''


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        (("top",), 2, 1),
        (("llm",), 4, 1),
        (("llm", "system"), 5, 1),
        (("llm", "model"), 13, 1),
        (("llm", "odd key", "inner"), 14, 1),
        (("backends", "my.lab", "headers"), 17, 1),
        (("backends", "m", "replies", 0, "text"), 20, 1),
        (("backends", "m", "replies", 1, "text"), 23, 1),
        (("backends", "m", "replies", 1, "tool_call", "name"), 24, 1),
        (("backends", "m", "mode"), 27, 1),
    ],
)
def test_it_finds_the_line_of_a_key(path, line, column):
    assert find_place(TEXT, path) == (path, line, column)


def test_a_key_of_an_inline_table_is_on_the_line_of_that_table():
    assert find_place(TEXT, ("backends", "my.lab", "headers", "x")).line == 17


def test_a_table_that_was_never_opened_is_where_its_first_key_is():
    assert find_place(TEXT, ("llm", "odd key")).line == 14
    assert find_place("[a.b.c]\nd = 1\n", ("a", "b")).line == 1


def test_a_key_that_is_not_there_has_no_place():
    assert find_place(TEXT, ("nowhere", "x")) is None


def test_windows_line_ends_do_not_move_a_key():
    assert find_place(TEXT.replace("\n", "\r\n"), ("backends", "m", "mode")).line == 27


@pytest.mark.parametrize("key", ["llm.model", 'models."gpt-4.1".input_price', "models.'a b'.x", '"".x', "a . b"])
def test_a_dotted_key_is_split_as_toml_splits_it(key):
    tree, path = tomllib.loads(f"{key} = 1"), []
    while tree != 1:
        path += tree
        tree = tree[path[-1]]

    assert split_key(key) == tuple(path)


@pytest.mark.parametrize("key", ["", ".", "a.", ".a", "a..b", "a b", "a = 1", '"a', "a\nb", '"\\q"'])
def test_what_is_not_a_dotted_key_is_refused(key):
    with pytest.raises(ValueError, match=r"is not a key|line 1"):
        split_key(key)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=100), min_size=1, max_size=4))
def test_a_written_key_reads_back_as_it_was_and_is_one_printable_line(parts):
    written = join_key(tuple(parts))

    assert written.isprintable()
    assert split_key(written) == tuple(parts)


def test_a_quoted_text_is_one_short_line():
    assert shown("a\nb\x1b[31m\u202e") == '"a\\u000ab\\u001b[31m\\u202e"'
    assert len(shown("x" * 1000)) < 70


def test_every_key_of_every_valid_toml_file_has_its_line():
    tests = folder_of("ARAWN_CORPORA") / "toml-test" / "tests"
    names = [name for name in (tests / "files-toml-1.0.0").read_text().split() if name.startswith("valid/")]

    for name in (name for name in names if name.endswith(".toml")):
        text = (tests / name).read_text(encoding="utf-8-sig")
        for path in _paths(tomllib.loads(text), ()):
            place = find_place(text, path)
            assert place is not None, (name, path)
            assert 1 <= place.line <= text.count("\n") + 1


def _paths(tree, at):
    for name, value in tree.items():
        yield (*at, name)
        if isinstance(value, dict):
            yield from _paths(value, (*at, name))
