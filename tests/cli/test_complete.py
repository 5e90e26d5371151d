"""What a Tab offers for names: of backends, models, keys, values, secrets and sessions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import ECHO, Home

CONFIGURATION = """
[llm]
backend = "my-server"
[backends.my-server]
adapter = "openai_chat"
base_url = "http://localhost:9"
api_key = "$keyring:work"
model = "llama3:8b"
[tiers]
small = "groq/openai/gpt-oss-20b"
[aliases]
mine = "my-server/llama3:8b"
"""
PROJECT = '[backends.evil]\nadapter = "ollama"\n[aliases]\nours = "groq/x"\n'


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.configure(CONFIGURATION)
    return home


def names(home: Home, line: str, **options) -> list[str]:
    done = home.tab(line, **options)
    assert (done.code, done.err) == (0, "")
    return done.out.split()


def test_only_names_with_the_prefix_are_offered_in_order(home):
    found = names(home, "arawn ask -b m")

    assert {"mistral", "mock", "my-server"} <= {*found}
    assert found == sorted(name for name in names(home, "arawn ask -b ") if name.startswith("m"))


def test_without_a_backend_models_are_aliases_tiers_ids_of_the_usual_backend_and_backend_slash_id(home):
    found = names(home, "arawn ask -m ")

    assert {"small", "mine", "llama3:8b", "my-server/llama3:8b", "groq/openai/gpt-oss-20b"} <= {*found}
    assert "openai/gpt-oss-20b" not in found


@pytest.mark.parametrize(
    "line", ["arawn -b groq ask -m ", "arawn --backend=groq ask -m ", "arawn -b x ask --backend 'groq' -m "]
)
def test_after_a_backend_models_are_ids_of_that_backend(home, line):
    found = names(home, line)

    assert "openai/gpt-oss-20b" in found
    assert not {"small", "mine", "llama3:8b", "my-server/llama3:8b", "groq/openai/gpt-oss-20b"} & {*found}


def test_retired_models_are_not_offered(home):
    assert "anthropic/claude-2.1" not in names(home, "arawn ask -m anthropic/")
    assert names(home, "arawn ask -m anthropic/")


def test_keys_have_the_names_there_are(home):
    found = names(home, "arawn config get ")

    assert {"llm.model", "backends.my-server.model", "embeddings.my-server.model", "aliases.mine"} <= {*found}
    assert not [key for key in found if "NAME" in key or "[" in key]


@pytest.mark.parametrize(
    ("key", "some", "none"),
    [
        ("llm.backend", "my-server", "llama3:8b"),
        ("llm.model", "mine", "my-server"),
        ("backends.my-server.model", "llama3:8b", "mine"),
        ("aliases.new", "my-server/llama3:8b", "my-server"),
        ("llm.effort", "high", "true"),
        ("backends.my-server.allow_http", "true", "high"),
    ],
)
def test_values_are_what_the_key_takes(home, key, some, none):
    found = names(home, f"arawn config set {key} ")

    assert some in found
    assert none not in found


@pytest.mark.parametrize("key", ["llm.system", "llm", "no.such.key", "'not a key'", "["])
def test_a_key_that_takes_free_text_or_is_none_has_no_values(home, key):
    assert names(home, f"arawn config set {key} ") == []


def test_secrets_are_those_stored_and_referred_to(home):
    (home.path / "secrets.json").write_text(
        '{"version": 1, "secrets": {"stored": {"origins": ["https://a.example"], "store": "x", "created": ""}}}'
    )

    assert names(home, "arawn secrets delete ") == ["stored", "work"]
    assert {"stored", "work", "groq", "my-server"} <= {*names(home, "arawn secrets set ")}


def test_a_damaged_index_of_secrets_counts_as_empty(home):
    (home.path / "secrets.json").write_text("{")

    assert names(home, "arawn secrets delete ") == ["work"]


def test_sessions_are_offered_by_name_or_id_after_s_and_where_a_session_stands(home):
    home.configure(ECHO)
    assert names(home, "arawn ask -s ") == []
    assert home.run("ask", "-s", "holiday", "where to?").code == 0
    assert home.run("ask", "what is 2+2?").code == 0
    named, unnamed = sorted(names(home, "arawn ask -s "), key=lambda name: name != "holiday")

    assert named == "holiday"
    assert names(home, f"arawn sessions show {unnamed[:4]}") == [unnamed]
    assert names(home, "arawn chat --session hol") == ["holiday"]
    assert names(home, f"arawn sessions delete {unnamed} hol") == ["holiday"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_title_beside_a_session_holds_nothing_a_shell_would_run(home, shell):
    home.configure(ECHO)
    assert home.run("ask", "-s", "s1", 'Hi \\$(touch ran) `touch ran` \'; "[tag]"').code == 0

    offered = home.tab("arawn ask -s ", shell=shell).out
    assert "Hi touch ran touch ran" in offered
    assert not {"$", "`", "[", "\\"} & {*offered}


def test_the_file_named_before_is_the_one_that_is_read(home):
    Path(home.environ["HOME"], "other.toml").write_text("[backends.other]\nadapter = 'ollama'\n")

    assert names(home, "arawn --config ~/other.toml ask -b other") == ["other"]
    assert names(home, "arawn ask --config=~/other.toml -b my-") == []


def test_a_project_that_is_not_trusted_gives_no_backends_and_one_that_is_does(home):
    (home.work / ".arawn.toml").write_text(PROJECT)

    assert names(home, "arawn -b evil") == []
    assert names(home, "arawn -m ours") == ["ours"]
    assert home.run("config", "trust").code == 0
    assert names(home, "arawn -b evil") == ["evil"]
    assert names(home, "arawn --no-project -b evil") == []


KINDS = {
    "backends": "arawn -b ",
    "models": "arawn -m ",
    "keys": "arawn config get ",
    "values": "arawn config set llm.backend ",
    "secrets": "arawn secrets set ",
    "sessions": "arawn sessions show ",
}


@pytest.mark.parametrize(
    "text", ["[llm", "backends = 3\naliases = 4\nllm = 5", "[backends]\nx = 1", "x = " + "[" * 5000]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_file_leaves_what_is_built_in_and_no_message(home, kind, text):
    home.configure(text)
    (home.work / ".arawn.toml").write_text(text)

    names(home, KINDS[kind])
    assert "groq" in names(home, "arawn -b ") or text.startswith("backends")


def test_a_file_that_would_never_end_is_not_read(home):
    os.mkfifo(home.work / ".arawn.toml")

    assert names(home, "arawn -b my") == ["my-server"]


def test_a_folder_that_is_gone_is_no_error(home):
    gone = home.work / "gone"
    gone.mkdir()
    environ = {"_ARAWN_COMPLETE": "complete_bash", "COMP_WORDS": "arawn -b gro", "COMP_CWORD": "2"}
    done = subprocess.run(
        ["/bin/sh", "-c", f'rmdir "$PWD" && exec {sys.executable} -m arawn'],
        cwd=gone,
        env=home.environ | environ,
        capture_output=True,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"groq\n", b"")


@pytest.mark.parametrize("line", ["arawn nothing ", "arawn config nothing ", "arawn -m '$(x)'", "arawn ask --system "])
def test_what_is_not_known_is_nothing(home, line):
    assert names(home, line) == []


def test_it_changes_nothing_and_warns_of_nothing(home):
    file = home.path / "config.toml"
    file.write_text('[backends.groq]\napi_key = "sk-literal"\n')
    file.chmod(0o644)

    assert names(home, "arawn -b gro") == ["groq"]
    assert names(home, "arawn sessions show ") == []
    assert file.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in home.path.iterdir()] == ["config.toml"]
