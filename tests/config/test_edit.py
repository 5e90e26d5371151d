from __future__ import annotations

import json
import math
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from arawn.config.edit import parse_value, set_value, unset_value
from arawn.errors import ConfigError, UsageError

CONFIG = """\
#:schema https://example.org/arawn.schema.json

[llm]
backend = "groq"      # fast
model   = 'llama-3.3' # cheap

# The backends.

[backends.groq]
api_key = "$env:GROQ_API_KEY"
extra = { seed = 1 }

# About budgets:
# limit = 5

[budget]
limit = 20
# the end
"""


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(CONFIG)
    return file


def change(file: Path, key: str, value: object) -> str:
    set_value(str(file), key, value)
    return file.read_bytes().decode()


# Setting


@pytest.mark.parametrize(
    ("key", "value", "old", "new"),
    [
        ("llm.backend", "openai", '"groq"      # fast', '"openai"      # fast'),
        ("llm.model", "gpt", "model   = 'llama-3.3' # cheap", 'model   = "gpt" # cheap'),
        ("budget.limit", 7.5, "limit = 20\n", "limit = 7.5\n"),
        ("budget.limit", True, "limit = 20\n", "limit = true\n"),
        ("backends.groq.extra.seed", 2, "{ seed = 1 }", "{ seed = 2 }"),
        ("llm.timeout", 60, "# cheap\n", "# cheap\ntimeout = 60\n"),
        ("backends.groq.stop", ["a", "b"], "{ seed = 1 }\n", '{ seed = 1 }\nstop = ["a", "b"]\n'),
        ("backends.groq.headers", {"a": "b"}, "{ seed = 1 }\n", '{ seed = 1 }\nheaders = {a = "b"}\n'),
        ("budget.warn", 0.75, "limit = 20\n", "limit = 20\nwarn = 0.75\n"),
        ('models."gpt-4.1".input_price', 2, "# the end\n", '# the end\n\n[models."gpt-4.1"]\ninput_price = 2\n'),
        ("backends.x.model", "m", "{ seed = 1 }\n", '{ seed = 1 }\n\n[backends.x]\nmodel = "m"\n'),
    ],
)
def test_r22_setting_changes_that_key_and_no_other_byte(config, key, value, old, new):
    assert change(config, key, value) == CONFIG.replace(old, new)


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        0,
        -5,
        2**70,
        1.5,
        1e300,
        "",
        "text",
        'quoted "text" \\ and # more',
        "two\nlines\r\nand\ttab",
        "nul \0 escape \x1b del \x7f",
        "ünï ☃ 🎉 \u2028",
        "'''\"\"\"",
        [],
        [1, 2],
        ["a", ["b", []]],
        [{"a": 1}, {"b": [2]}],
        {"a": {"b": "c", "d.e": [True]}},
    ],
)
@pytest.mark.parametrize("key", ["llm.backend", "llm.new", "brand.new"])
def test_r22_the_value_read_back_is_the_value_set(config, key, value):
    table, name = key.split(".")

    read = tomllib.loads(change(config, key, value))[table][name]

    assert read == value
    assert type(read) is type(value)


def test_r22_every_naughty_string_reads_back(tmp_path):
    folder = os.environ.get("ARAWN_CORPORA")
    if not folder:
        pytest.skip("ARAWN_CORPORA is not set")
    strings = json.loads(Path(folder, "blns.json").read_text(encoding="utf-8"))
    file = tmp_path / "config.toml"

    for at in range(0, len(strings), 40):
        assert tomllib.loads(change(file, "naughty.strings", strings[at : at + 40]))["naughty"]["strings"]


def test_a_value_set_again_writes_nothing(config):
    before = config.stat()

    change(config, "llm.model", "llama-3.3")

    assert (config.stat().st_ino, config.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_missing_file_and_folder_are_made_private(tmp_path):
    file = tmp_path / "arawn" / "config.toml"

    assert change(file, "backends.groq.model", "m") == '[backends.groq]\nmodel = "m"\n'
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_r16_a_linked_file_is_changed_at_its_target(config, tmp_path):
    link = tmp_path / "link.toml"
    link.symlink_to(config)

    change(link, "llm.backend", "openai")

    assert link.is_symlink()
    assert 'backend = "openai"' in config.read_text()


@pytest.mark.parametrize(
    ("before", "key", "after"),
    [
        ("[a]\r\nx = 'a' # c\r\n\r\n# b\r\n[b]\r\n", "a.new", "[a]\r\nx = 'a' # c\r\nnew = 1\r\n\r\n# b\r\n[b]\r\n"),
        ("[llm]\r\nnew = 0 # c\r\n", "llm.new", "[llm]\r\nnew = 1 # c\r\n"),
        ("a = 1\r\nb = 2\n", "a", "a = 1\r\nb = 2\n"),
        ("\ufeff[llm]\nnew = 0\n", "llm.new", "\ufeff[llm]\nnew = 1\n"),
        ("[llm]\nmodel = 'a'", "llm.new", "[llm]\nmodel = 'a'\nnew = 1\n"),
        ("[llm]\nnew = 0", "llm.new", "[llm]\nnew = 1"),
        ("", "new", "new = 1\n"),
        ("# only\n", "new", "# only\nnew = 1\n"),
        ("[llm]\n# model = 'a'\n\n# b\n[b]\n", "llm.new", "[llm]\nnew = 1\n# model = 'a'\n\n# b\n[b]\n"),
        ("[a.b]\nx = 1\n", "a.new", "[a]\nnew = 1\n\n[a.b]\nx = 1\n"),
        ("x = 1\n\n# b\n[a.b]\n", "a.new", "x = 1\n\n[a]\nnew = 1\n\n# b\n[a.b]\n"),
        ("[t]\na.b = 1\n", "t.a.new", "[t]\na.b = 1\na.new = 1\n"),
        ('[t]\na = """\n# """\n[b]\n', "t.new", '[t]\na = """\n# """\nnew = 1\n[b]\n'),
    ],
)  # fmt: skip
def test_r22_newlines_marks_and_comments_stay_where_they_are(tmp_path, before, key, after):
    file = tmp_path / "config.toml"
    file.write_bytes(before.encode())

    assert change(file, key, 1) == after


def test_a_table_is_not_replaced_by_a_value(config):
    for key, value in (("backends.groq", "x"), ("backends", {"a": 1})):
        with pytest.raises(ConfigError, match=f"{key} is a table; name a key in it"):
            change(config, key, value)

    assert config.read_text() == CONFIG


def test_an_array_of_tables_is_not_replaced_by_a_value(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("[[replies]]\ntext = 'a'\n")

    with pytest.raises(ConfigError, match="replies is a table"):
        change(file, "replies", [])
    with pytest.raises(ConfigError, match="replies is no table, so it has no keys"):
        change(file, "replies.text", "b")


def test_a_value_has_no_keys(config):
    with pytest.raises(ConfigError, match=r"config\.toml: llm\.model is no table, so it has no keys"):
        change(config, "llm.model.name", "x")

    assert config.read_text() == CONFIG


@pytest.mark.parametrize("key", ["", ".", "a.", "a b", "a:b", "a = 1", "a\nb", "a]", '"a', "gpt-4:1.x"])
def test_what_is_no_key_is_wrong_usage(config, key):
    with pytest.raises(UsageError) as caught:
        change(config, key, 1)

    assert "\n" not in caught.value.message
    assert 'models."llama3:8b"' in caught.value.hints[0]


def test_a_value_that_is_no_unicode_is_wrong_usage(config):
    with pytest.raises(UsageError, match=r"the value for llm\.model is not valid Unicode"):
        change(config, "llm.model", "caf\udce9")

    assert config.read_text() == CONFIG


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"[llm\n", ":1:5: "),
        (b"a = 1\nb = \n", ":2:5: "),
        (b"a = 1\na = 2\n", ":2:6: "),
        (b"a = [1,\n", ":2:1: "),
        (b"a = '\xff'\n", ":1:6: "),
        (b"a = " + b"[" * 50_000, ":1:1: "),
    ],
)
def test_r23_an_invalid_file_is_one_line_and_stays_as_it_is(tmp_path, content, place):
    file = tmp_path / "config.toml"
    file.write_bytes(content)

    for act in (lambda: set_value(str(file), "llm.model", "x"), lambda: unset_value(str(file), "llm.model")):
        with pytest.raises(ConfigError) as caught:
            act()
        assert caught.value.message.startswith(f"{file}{place}")
        assert "\n" not in caught.value.message
    assert file.read_bytes() == content


@pytest.mark.parametrize("depth", [50, 150, 250])
def test_r23_a_deep_file_is_changed_or_left_alone(tmp_path, depth):
    file = tmp_path / "config.toml"
    content = f"deep = {'[' * depth}{']' * depth}\n[llm]\nmodel = 'a'\n"
    file.write_text(content)

    try:
        change(file, "llm.model", "b")
    except ConfigError as error:
        assert "\n" not in error.message  # noqa: PT017 - either is right
        assert file.read_text() == content
    else:
        assert file.read_text() == content.replace("'a'", '"b"')


def test_r37_a_file_that_is_none_is_a_configuration_error(tmp_path):
    os.mkfifo(tmp_path / "config.toml")

    with pytest.raises(ConfigError, match="not a regular file"):
        set_value(str(tmp_path / "config.toml"), "a", 1)


# Unsetting


@pytest.mark.parametrize(
    ("key", "old"),
    [
        ("llm.backend", 'backend = "groq"      # fast\n'),
        ("llm.model", "model   = 'llama-3.3' # cheap\n"),
        ("budget.limit", "limit = 20\n"),
        ("backends.groq", '[backends.groq]\napi_key = "$env:GROQ_API_KEY"\nextra = { seed = 1 }\n'),
    ],
)
def test_r22_unsetting_removes_that_key_and_no_other_byte(config, key, old):
    unset_value(str(config), key)

    assert config.read_text() == CONFIG.replace(old, "")


@pytest.mark.parametrize("key", ["llm.nothing", "nothing", "llm.model.nothing", "backends.groq.extra.other"])
def test_a_key_that_is_not_there_cannot_be_unset(config, key):
    with pytest.raises(ConfigError, match=rf"{key} is not set in .*config\.toml"):
        unset_value(str(config), key)

    assert config.read_text() == CONFIG


@pytest.mark.parametrize("key", ["llm.new", "backends.groq.new", "budget.new", "backends.groq.extra.new"])
def test_r22_set_and_unset_give_the_old_data_back(config, key):
    change(config, key, "x")
    unset_value(str(config), key)

    assert tomllib.loads(config.read_text()) == tomllib.loads(CONFIG)


def test_r22_what_cannot_be_changed_alone_is_left_to_an_editor(tmp_path):
    file = tmp_path / "config.toml"
    content = "a = {b.c.x = 1, b.c.y = 2}\n"
    file.write_text(content)

    with pytest.raises(ConfigError, match="cannot be changed without touching more than it") as caught:
        unset_value(str(file), "a.b.c.x")

    assert caught.value.hints == ("change it by hand: arawn config edit",)
    assert file.read_text() == content


# What is typed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("12", 12),
        ("-0.5", -0.5),
        ("1_000", 1000),
        ('"12"', "12"),
        ("[1, 'a']", [1, "a"]),
        ("{a = 1}", {"a": 1}),
        ("True", "True"),
        ("4k", "4k"),
        ("gpt-4.1", "gpt-4.1"),
        ("llama3:8b", "llama3:8b"),
        ("$keyring:groq", "$keyring:groq"),
        ("https://api.groq.com", "https://api.groq.com"),
        ("", ""),
        ("inf", "inf"),
        ("nan", "nan"),
        ("2025-01-01", "2025-01-01"),
        ("1\nother = 2", "1\nother = 2"),
        ("9" * 5000, "9" * 5000),
        ("[" * 50_000, "[" * 50_000),
    ],
)
def test_a_typed_value_is_a_literal_or_text(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


# Crashes and crowds

KILLED_AT_EVERY_CALL = """
import fcntl, os, sys, tomlkit, tomllib
from arawn.config import edit

path = sys.argv[1]
before = open(path, "rb").read()
after = before.replace(b"'llama-3.3'", b'"new"')
calls = 0

def count(frame, event, function):
    global calls
    owner = type(function.__self__).__module__ if event == "c_call" else ""
    if event == "c_call" and (owner == "_io" or function.__module__ in ("posix", "fcntl", "_io")):
        calls += 1
        if calls > allowed:
            os.kill(os.getpid(), 9)

found = []
for allowed in range(1000):
    with open(path, "wb") as file:
        file.write(before)
    child = os.fork()
    if not child:
        sys.setprofile(count)
        edit.set_value(path, "llm.model", "new")
        sys.setprofile(None)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    found.append((before, after).index(open(path, "rb").read()))
    if not status:
        break
print(*found)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_r20_killed_at_any_call_the_file_is_a_complete_version(config):
    result = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EVERY_CALL, str(config)], capture_output=True, text=True, timeout=100
    )

    found = result.stdout.split()
    assert len(found) > 20, result.stderr
    assert found == sorted(found)
    assert (found[0], found[-1]) == ("0", "1")


def test_r20_eight_writers_lose_nothing(config):
    code = (
        "import sys; from arawn.config.edit import set_value\n"
        "for n in range(25): set_value(sys.argv[1], f'writers.w{sys.argv[2]}n{n}', n)"
    )

    writers = [subprocess.Popen([sys.executable, "-c", code, str(config), str(writer)]) for writer in range(8)]

    assert [writer.wait(100) for writer in writers] == [0] * 8
    data = tomllib.loads(config.read_text())
    assert data.pop("writers") == {f"w{writer}n{n}": n for writer in range(8) for n in range(25)}
    assert data == tomllib.loads(CONFIG)


def test_r21_when_the_disk_takes_no_more_the_old_file_is_intact(config):
    code = (
        "import resource, sys; from arawn.config.edit import set_value\n"
        "import tomlkit, tomllib; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "set_value(sys.argv[1], 'llm.model', 'x' * 500)"
    )

    result = subprocess.run([sys.executable, "-B", "-c", code, str(config)], capture_output=True, text=True)

    assert result.returncode == 1
    assert "ConfigError: cannot write" in result.stderr
    assert config.read_text() == CONFIG
    assert sorted(os.listdir(config.parent)) == [".config.toml.lock", "config.toml"]


# Other people's files


def corpus() -> list[Path]:
    folder = os.environ.get("ARAWN_CORPORA")
    if not folder:
        return []
    tests = Path(folder, "toml-test", "tests")
    names = tests.joinpath("files-toml-1.0.0").read_text().split()
    return [tests / name for name in names if name.startswith("valid/") and name.endswith(".toml")]


def read(content: bytes) -> dict[str, Any]:
    return tomllib.loads(content.decode("utf-8-sig"))


def same(one: object, other: object) -> bool:
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        case list(), list():
            return len(one) == len(other) and all(map(same, one, other))
        case float(), float() if math.isnan(one):
            return math.isnan(other)
    return type(one) is type(other) and one == other


needs_corpus = pytest.mark.skipif(not corpus(), reason="ARAWN_CORPORA is not set")


@needs_corpus
def test_r22_in_every_valid_file_a_new_key_is_all_that_is_new(tmp_path):
    file = tmp_path / "config.toml"
    for source in corpus():
        content = source.read_bytes()
        before = read(content)
        tables = [
            name for name, value in before.items() if name.isalpha() and name.isascii() and isinstance(value, dict)
        ]
        for key in ("zzz", "xxx.yyy.zzz", *(f"{name}.zzz" for name in tables)):
            file.write_bytes(content)
            set_value(str(file), key, "VALUE")

            after = read(file.read_bytes())
            above, _, name = key.rpartition(".")
            table = after.pop("xxx")["yyy"] if above == "xxx.yyy" else after[above] if above else after
            assert table.pop(name) == "VALUE"
            assert same(after, before), (source, key)
            written = [line for line in file.read_bytes().splitlines() if line.strip()]
            added = [line for line in written if b"VALUE" not in line and line not in content.splitlines()]
            assert len(added) <= 1, (source, key, added)


@needs_corpus
def test_r22_in_every_valid_file_each_key_at_the_top_is_set_or_refused(tmp_path):
    file = tmp_path / "config.toml"
    for source in corpus():
        content = source.read_bytes()
        for name in _names(content):
            file.write_bytes(content)
            expected = {**read(content), name: "VALUE"}
            try:
                set_value(str(file), name, "VALUE")
            except ConfigError:
                assert file.read_bytes() == content
                assert isinstance(read(content)[name], dict | list)
            else:
                assert same(read(file.read_bytes()), expected), (source, name)


@needs_corpus
def test_r22_in_every_valid_file_each_key_at_the_top_can_be_unset(tmp_path):
    file = tmp_path / "config.toml"
    for source in corpus():
        content = source.read_bytes()
        for name in _names(content):
            file.write_bytes(content)
            expected = read(content)
            del expected[name]

            unset_value(str(file), name)

            assert same(read(file.read_bytes()), expected), (source, name)


def _names(content: bytes) -> list[str]:
    return [name for name in read(content) if re.fullmatch("[A-Za-z0-9_-]+", name)]
