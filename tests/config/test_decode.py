"""R23: whatever stands in a file, one line says what is wrong with it, or it is read as it is."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.optional_data import folder_of

from arawn.config.decode import Problem, parse_or_problem, permitted, problems
from arawn.config.sources import validate
from arawn.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def corpus(*parts: str) -> Path:
    return folder_of("ARAWN_CORPORA").joinpath(*parts)


def one_line(text: str) -> bool:
    return text.isprintable()


def test_r23_every_invalid_toml_file_gives_one_line_with_its_place(home):
    tests = corpus("toml-test", "tests")
    names = [name for name in (tests / "files-toml-1.1.0").read_text().split() if name.startswith("invalid/")]

    for name in names:
        home.user((tests / name).read_bytes())
        with pytest.raises(ConfigError) as caught:
            home.load()
        assert caught.value.exit_code == 3
        assert one_line(caught.value.message), name
        place = caught.value.message.removeprefix(f"{home.user_file}:")
        assert place.split(":")[0].isdecimal(), caught.value.message
        assert place.split(":")[1].isdecimal(), caught.value.message
    assert len(names) > 400


def test_r23_every_valid_toml_file_is_read_or_reported_in_one_line(home):
    tests = corpus("toml-test", "tests")
    names = [name for name in (tests / "files-toml-1.0.0").read_text().split() if name.endswith(".toml")]

    for name in (name for name in names if name.startswith("valid/")):
        found = validate(str(home.user((tests / name).read_bytes())), environ=home.environ, cwd="/", today="2026-11-30")
        assert all(one_line(str(problem)) and problem.line for problem in found), name


def test_r23_any_bytes_as_a_file_are_read_or_reported_in_one_line(home):
    for path in sorted(corpus("json-test-suite", "test_parsing").iterdir()):
        home.user(path.read_bytes())
        try:
            reported = home.load().warnings
        except ConfigError as error:
            reported = (error.message,)
        assert all(one_line(line) for line in reported), path.name


def test_r23_naughty_strings_are_kept_as_values_and_reported_in_one_line_as_keys(home):
    for text in json.loads(corpus("blns.json").read_text(encoding="utf-8")):
        written = json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
        home.user(f'[llm]\nsystem = {written}\n[models.{written}]\nmax_output = 7\n[aliases]\n{written} = "groq/x"\n')
        settings = home.load()
        assert settings.llm.system == text
        assert settings.model_overrides(text) == {"max_output": 7}
        assert settings.aliases[text] == "groq/x"

        home.user(f"[llm]\n{written} = 1\neffort = {written}\n")
        with pytest.raises(ConfigError) as caught:
            home.load()
        assert one_line(caught.value.message), text
        found = validate(str(home.user_file), environ=home.environ, cwd="/", today="2026-11-30")
        assert all(one_line(str(problem)) for problem in found), text


@given(st.binary(max_size=200))
def test_r23_any_bytes_parse_or_have_a_problem_with_a_place(content):
    match parse_or_problem(content, "file"):
        case Problem() as problem:
            assert problem.line >= 1
            assert problem.column >= 1
            assert one_line(str(problem))
        case (tree, text):
            assert tomllib.loads(text) == tree


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        (b"[llm\nmodel = 1", "f:1:5: Expected ']' at the end of a table declaration"),
        (b'[llm]\nmodel = "open', "f:2:14: Unterminated string"),
        (b'a = 1\na = "\xff"\n', "f:2:6: expected UTF-8, got the byte 0xff; save the file as UTF-8"),
        (b"\xff\xfea\x00", "f:1:1: expected UTF-8, got the byte 0xff; save the file as UTF-8"),
        (b"a = " + b"[" * 100_000, "f:1:1: nested too deeply"),
        (b"a = " + b"9" * 5000, "f:1:1: a number with too many digits"),
        (b"a = 1\na = 2\n", "f:2:6: Cannot overwrite a value"),
        (b"\x1b[31m = 1", "f:1:1: Invalid statement"),
    ],
)
def test_r23_a_file_that_is_no_toml_is_reported_with_its_place(content, reported):
    assert str(parse_or_problem(content, "f")) == reported


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(home, start, end):
    home.user(start + end.join([b"[llm]", b'model = "m"', b"modle = 1", b""]))
    settings = home.load()

    assert settings.llm.model == "m"
    assert f"{home.user_file}:3: llm.modle" in settings.warnings[0]


def test_a_path_that_is_no_file_is_reported(home):
    home.user_file.mkdir(parents=True)

    with pytest.raises(ConfigError, match="it is a folder"):
        home.load()


def test_a_file_without_end_is_not_read(home):
    home.user(b"# " + b"x" * (1 << 20))

    with pytest.raises(ConfigError, match="too large"):
        home.load()


def test_deeply_nested_tables_of_an_untrusted_file_are_checked_without_recursion():
    dotted = ".".join(["a"] * 20_000)
    tree = tomllib.loads(f"[backends.x.extra.{dotted}]\nb = '$env:HOME'\n")

    (problem,) = problems(tree, "", "f")

    assert "a reference is read only in api_key" in problem.message
    assert permitted(tree) == ({}, ["backends.x.extra"])
