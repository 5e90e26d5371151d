"""Files of environment variables: how they are read, and when they count."""

from __future__ import annotations

import pytest

from arawn.config.sources import read_env_file
from arawn.errors import ConfigError
from arawn.folders import config_folder

ENV_FILE = """\
# a comment
LLM_BACKEND=groq
export GROQ_API_KEY = gsk_1 # mine
QUOTED="a # b\\n\\"c\\""
SINGLE='x \\n y' # z
EMPTY=
HASH=a#b
"""


def test_an_env_file_is_read_as_such_files_are_written(home):
    path = home.write(home.root / "my.env", "\ufeff" + ENV_FILE.replace("\n", "\r\n"))

    assert read_env_file(str(path)) == {
        "LLM_BACKEND": "groq",
        "GROQ_API_KEY": "gsk_1",
        "QUOTED": 'a # b\n"c"',
        "SINGLE": "x \\n y",
        "EMPTY": "",
        "HASH": "a#b",
    }


@pytest.mark.parametrize("line", ["NO EQUALS", "1X=y", 'A="open', "A='x' y", "=x", "A B=c"])
def test_a_bad_line_of_an_env_file_is_named_and_not_shown(home, line):
    path = home.write(home.root / "my.env", f"OK=1\n{line}\n")

    with pytest.raises(ConfigError) as caught:
        read_env_file(str(path))

    assert caught.value.message == f"{path}:2: expected NAME=value"


def test_an_env_file_counts_only_where_it_is_named_and_does_not_beat_the_environment(home):
    home.write(home.cwd / ".env", "LLM_BACKEND=groq\nLLM_MODEL=m\n")
    assert home.load().llm.backend is None

    home.env["LLM_MODEL"] = "mine"
    settings = home.load(env_file=str(home.cwd / ".env"))

    assert (settings.llm.backend, settings.llm.model) == ("groq", "mine")
    assert settings.environ["LLM_BACKEND"] == "groq"


def test_the_users_file_may_name_an_env_file_beside_it(home):
    home.user('[env]\nfile = "keys.env"\n')
    home.write(home.user_file.parent / "keys.env", "GROQ_API_KEY=g\nARAWN_CONFIG=/elsewhere\nARAWN_HOME=/elsewhere\n")

    settings = home.load()

    assert settings.environ["GROQ_API_KEY"] == "g"
    assert settings.files[2].path == str(home.user_file)
    assert config_folder(settings.environ) == str(home.user_file.parent)


def test_an_env_file_that_is_not_there_is_an_error(home):
    with pytest.raises(ConfigError, match=r"cannot read /nowhere/.env"):
        home.load(env_file="/nowhere/.env")
