"""Setting a key in a configuration file: that key changes, and nothing else."""

from __future__ import annotations

import json
import os
import stat
import tomllib

import pytest
from support.config_file import CONFIG, change
from support.optional_data import folder_of

from arawn.config.edit import set_value, unset_value
from arawn.errors import ConfigError, UsageError


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
    strings = json.loads((folder_of("ARAWN_CORPORA") / "blns.json").read_text(encoding="utf-8"))
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
