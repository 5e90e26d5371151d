"""``arawn __complete KIND PREFIX [WORDS BEFORE]``: the names a Tab may ask for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import Home

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


def names(home: Home, *words: str, **options) -> list[str]:
    done = home.run("__complete", *words, **options)
    assert (done.code, done.err) == (0, "")
    return done.out.splitlines()


def test_only_names_with_the_prefix_are_told_in_order(home):
    found = names(home, "backends", "m")

    assert {"mistral", "mock", "my-server"} <= {*found}
    assert found == sorted(name for name in names(home, "backends", "") if name.startswith("m"))


def test_without_a_backend_models_are_aliases_tiers_ids_of_the_usual_backend_and_backend_slash_id(home):
    found = names(home, "models", "")

    assert {"small", "mine", "llama3:8b", "my-server/llama3:8b", "groq/openai/gpt-oss-20b"} <= {*found}
    assert "openai/gpt-oss-20b" not in found


@pytest.mark.parametrize(
    "before", [["-b", "groq"], ["--backend=groq", "ask"], ["-b", "x", "ask", "--backend", "'groq'"]]
)
def test_after_a_backend_models_are_ids_of_that_backend(home, before):
    found = names(home, "models", "", *before)

    assert "openai/gpt-oss-20b" in found
    assert not {"small", "mine", "llama3:8b", "my-server/llama3:8b", "groq/openai/gpt-oss-20b"} & {*found}


def test_retired_models_are_not_told(home):
    assert "anthropic/claude-2.1" not in names(home, "models", "anthropic/")
    assert names(home, "models", "anthropic/")


def test_keys_have_the_names_there_are(home):
    found = names(home, "keys", "")

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
    found = names(home, "values", "", "config", "set", key)

    assert some in found
    assert none not in found


@pytest.mark.parametrize("key", ["llm.system", "llm", "no.such.key", "not a key", "["])
def test_a_key_that_takes_free_text_or_is_none_has_no_values(home, key):
    assert names(home, "values", "", "config", "set", key) == []


def test_secrets_are_those_stored_and_referred_to(home):
    (home.path / "secrets.json").write_text(
        '{"version": 1, "secrets": {"stored": {"origins": ["https://a.example"], "store": "x", "created": ""}}}'
    )

    assert names(home, "secrets", "", "secrets", "delete") == ["stored", "work"]
    assert {"stored", "work", "groq", "my-server"} <= {*names(home, "secrets", "", "secrets", "set")}


def test_a_damaged_index_of_secrets_counts_as_empty(home):
    (home.path / "secrets.json").write_text("{")

    assert names(home, "secrets", "", "secrets", "delete") == ["work"]


def test_the_file_named_before_is_the_one_that_is_read(home):
    Path(home.environ["HOME"], "other.toml").write_text("[backends.other]\nadapter = 'ollama'\n")

    assert names(home, "backends", "other", "--config", "~/other.toml") == ["other"]
    assert names(home, "backends", "my-", "--config=~/other.toml") == []


def test_a_project_that_is_not_trusted_gives_no_backends_and_one_that_is_does(home):
    (home.work / ".arawn.toml").write_text(PROJECT)

    assert names(home, "backends", "evil") == []
    assert names(home, "models", "ours") == ["ours"]
    assert home.run("config", "trust").code == 0
    assert names(home, "backends", "evil") == ["evil"]
    assert names(home, "backends", "evil", "--no-project") == []


@pytest.mark.parametrize(
    "text", ["[llm", "backends = 3\naliases = 4\nllm = 5", "[backends]\nx = 1", "x = " + "[" * 5000]
)
@pytest.mark.parametrize("kind", ["backends", "models", "keys", "secrets"])
def test_a_broken_file_leaves_what_is_built_in_and_no_message(home, kind, text):
    home.configure(text)
    (home.work / ".arawn.toml").write_text(text)

    names(home, kind, "")
    assert "groq" in names(home, "backends", "") or text.startswith("backends")


def test_a_file_that_would_never_end_is_not_read(home):
    os.mkfifo(home.work / ".arawn.toml")

    assert names(home, "backends", "my") == ["my-server"]


def test_a_folder_that_is_gone_is_no_error(home):
    gone = home.work / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["/bin/sh", "-c", f'rmdir "$PWD" && exec {sys.executable} -m arawn __complete backends gro'],
        cwd=gone,
        env=home.environ,
        capture_output=True,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"groq\n", b"")


@pytest.mark.parametrize("words", [[], ["unknown"], ["unknown", "x"], ["values"], ["models", "$(x)"]])
def test_what_is_not_known_is_nothing(home, words):
    assert names(home, *words) == []


def test_it_changes_nothing_and_warns_of_nothing(home):
    file = home.path / "config.toml"
    file.write_text('[backends.groq]\napi_key = "sk-literal"\n')
    file.chmod(0o644)

    assert names(home, "backends", "gro") == ["groq"]
    assert file.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in home.path.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("kind", ["backends", "models", "keys", "values", "secrets"])
def test_r18_it_imports_neither_network_nor_keyring_nor_parser(home, kind):
    code = (
        "import sys; sys.argv = ['arawn', '__complete', *sys.argv[1:]]\n"
        "from arawn.__main__ import main; main()\n"
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, kind, "", "config", "set", "llm.backend"],
        cwd=home.work,
        env=home.environ,
        capture_output=True,
        text=True,
    )
    heavy = {
        "argparse",
        "asyncio",
        "dataclasses",
        "httpcore",
        "keyring",
        "rich",
        "socket",
        "ssl",
        "subprocess",
        "tomlkit",
    }

    assert done.stdout
    assert not heavy & {*done.stderr.split()}
