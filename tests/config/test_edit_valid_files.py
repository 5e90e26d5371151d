"""Each valid file of a public collection, changed one key at a time."""

from __future__ import annotations

import math
import re
import tomllib
from typing import TYPE_CHECKING, Any

from support.optional_data import folder_of

from arawn.config.edit import set_value, unset_value
from arawn.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def corpus() -> list[Path]:
    tests = folder_of("ARAWN_CORPORA") / "toml-test" / "tests"
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
