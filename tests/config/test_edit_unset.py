"""Unsetting a key in a configuration file: that key goes, and nothing else."""

from __future__ import annotations

import tomllib

import pytest
from support.config_file import CONFIG, change

from arawn.config.edit import unset_value
from arawn.errors import ConfigError


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
