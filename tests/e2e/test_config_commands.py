"""``arawn config``: what it shows, changes, checks and refuses."""

from __future__ import annotations

import json
import os
import tomllib

import jsonschema
import pytest
from support.loopback import Loopback

MINE = """\
# My own words stay.
[llm]
backend = "groq"   # fast

[backends.groq]
model = "openai/gpt-oss-20b"
"""


def file_of(home):
    return (home.path / "config.toml").read_text(encoding="utf-8")


def test_show_is_toml_of_what_was_set_with_the_roles_it_comes_to(home):
    home.configure(MINE)
    run = home.run("config", "show")
    assert (run.code, run.err) == (0, "")
    assert tomllib.loads(run.out) == {"llm": {"backend": "groq"}, "backends": {"groq": {"model": "openai/gpt-oss-20b"}}}
    assert "# [llm] is served by groq/openai/gpt-oss-20b\n" in run.out


def test_show_of_everything_is_toml_too(home):
    home.configure(MINE)
    tree = tomllib.loads(home.run("config", "show", "--all").out)
    assert tree["backends"]["anthropic"]["base_url"] == "https://api.anthropic.com"
    assert tree["llm"]["backend"] == "groq"


def test_show_of_one_key_or_table_is_that_alone(home):
    home.configure(MINE)
    assert home.run("config", "show", "llm").out == '[llm]\nbackend = "groq"\n'
    run = home.run("config", "show", "backends.groq", "--json")
    assert json.loads(run.out)["backends"]["groq"]["model"] == "openai/gpt-oss-20b"
    missing = home.run("config", "show", "llm.model")
    assert (missing.code, missing.out) == (2, "")
    assert missing.err.startswith("Error: llm.model is not set\n")


def test_origins_are_layer_file_and_line_or_the_variable(home):
    home.configure(MINE + '[[backends.m.replies]]\ntext = "x"\n[backends.m]\nadapter = "mock"\n')
    (home.work / ".arawn.toml").write_text("[llm]\ntemperature = 0.5\n")
    run = home.run("config", "show", "--origin", env={"LLM_MODEL": "m-2"})
    rows = [line.split("  # ") for line in run.out.splitlines() if "  # " in line]
    found = {value.strip(): " ".join(origin.split()) for value, origin in rows}
    config = home.path / "config.toml"
    assert found['llm.backend = "groq"'] == f"user {config}:3"
    assert found['backends.groq.model = "openai/gpt-oss-20b"'] == f"user {config}:6"
    assert found["llm.temperature = 0.5"] == f"project {home.work}/.arawn.toml:2"
    assert found['llm.model = "m-2"'] == "environment LLM_MODEL"
    assert found['backends.m.replies = [{"text": "x"}]'] == f"user {config}:7"


def test_r54_showing_the_configuration_asks_no_server_on_this_machine(home):
    with Loopback([b""]) as sink:
        run = home.run("config", "show", env={"OLLAMA_HOST": sink.url})
    assert run.code == 0
    assert sink.connections == 0
    assert "# [llm]: not set, and no key is found: a running Ollama would answer\n" in run.out


def test_get_prints_text_as_it_is_and_anything_else_as_json(home):
    home.configure(MINE + "temperature = 0.25\n")
    assert home.run("config", "get", "llm.backend").out == "groq\n"
    assert home.run("config", "get", "backends.groq.temperature").out == "0.25\n"
    assert json.loads(home.run("config", "get", "tiers").out)["haiku"].startswith("anthropic/")
    missing = home.run("config", "get", "llm.nothing")
    assert (missing.code, missing.out) == (2, "")
    assert home.run("config", "get", "llm..model").code in (2, 3)


@pytest.mark.parametrize(
    ("key", "text", "written"),
    [
        ("llm.backend", "openai", 'backend = "openai"'),
        ("llm.temperature", "0.5", "temperature = 0.5"),
        ("llm.max_tokens", "100", "max_tokens = 100"),
        ("llm.system", "12", 'system = "12"'),
        ("backends.groq.insecure_tls", "false", "insecure_tls = false"),
        ("backends.groq.extra", "{seed = 7}", "seed"),
        ("backends.groq.api_key", "$env:MY_KEY", 'api_key = "$env:MY_KEY"'),
    ],
)
def test_set_changes_one_value_and_nothing_else_and_get_reads_it_back(home, key, text, written):
    home.configure(MINE)
    run = home.run("config", "set", key, text)
    assert (run.code, run.out, run.err) == (0, "", "")
    assert written in file_of(home)
    assert "# My own words stay." in file_of(home)
    assert ("# fast" in file_of(home)) is True
    value = home.run("config", "get", key).out.strip()
    assert value == (json.dumps(tomllib.loads(f"v = {text}")["v"]) if text.startswith("{") else text)


def test_set_creates_the_file_and_unset_takes_the_value_out_again(home):
    assert home.run("config", "set", "llm.backend", "mock").code == 0
    assert home.run("ask", "hi").out == "hi\n"
    assert home.run("config", "unset", "llm.backend").code == 0
    assert home.run("config", "get", "llm.backend").code == 2
    again = home.run("config", "unset", "llm.backend")
    assert again.code == 3
    assert again.err.startswith(f"Error: llm.backend is not set in {home.path}/config.toml")


@pytest.mark.parametrize(
    ("key", "text", "code", "told"),
    [
        ("llm.modle", "x", 2, 'llm.modle: unknown key, did you mean "model"?'),
        ("lm.model", "x", 2, 'unknown table or key, did you mean "llm"?'),
        ("llm.temperature", "hot", 3, "llm.temperature: expected a number >= 0 and <= 2, got"),
        ("llm.temperature", "3", 3, "llm.temperature: expected a number >= 0 and <= 2, got 3"),
        ("backends.groq.base_url", "not an address", 3, "backends.groq.base_url: expected an address like"),
        ("backends.groq.base_url", "https://me:pw@host/v1", 3, "a key does not belong on a command line"),
        ("backends.groq.adapter", "openapi", 3, 'expected one of "openai"'),
    ],
)
def test_set_refuses_what_would_not_be_read(home, key, text, code, told):
    home.configure(MINE)
    run = home.run("config", "set", key, text)
    assert (run.code, run.out) == (code, "")
    assert told in run.err
    assert file_of(home) == MINE


def test_set_goes_into_the_file_that_config_names(home):
    (home.work / "other.toml").write_text("")
    assert home.run("--config", "other.toml", "config", "set", "llm.backend", "mock").code == 0
    assert 'backend = "mock"' in (home.work / "other.toml").read_text()
    assert not (home.path / "config.toml").exists()


def test_init_writes_a_commented_file_once(home):
    run = home.run("config", "init")
    assert (run.code, run.out) == (0, f"written: {home.path}/config.toml\n")
    assert home.run("config", "validate").code == 0
    written = file_of(home)
    again = home.run("config", "init")
    assert again.code == 3
    assert again.err.startswith(f"Error: {home.path}/config.toml is there already\n")
    assert file_of(home) == written


def test_path_says_which_files_are_read(home):
    (home.work / ".arawn.toml").touch()
    assert home.run("config", "path").out == (
        f"user     {home.path}/config.toml  (not there)\nproject  {home.work}/.arawn.toml\n"
    )


def test_validate_tells_everything_that_is_wrong_with_its_place(home):
    home.configure('[llm]\nmodle = "x"\ntemperature = "hot"\n[backends.groq]\ntimeout = -1\n')
    run = home.run("config", "validate")
    config = home.path / "config.toml"
    assert run.code == 3
    assert [line.partition(": ")[0] for line in run.out.splitlines()] == [f"{config}:2", f"{config}:3", f"{config}:5"]
    assert run.err == "1 file, 2 errors, 1 warning\n"
    good = home.work / "good.toml"
    good.write_text('[llm]\nbackend = "mock"\n')
    run = home.run("config", "validate", "good.toml")
    assert (run.code, run.out, run.err) == (0, "", "1 file, 0 errors, 0 warnings\n")
    assert home.run("config", "validate", "missing.toml").code == 3


def test_a_file_that_is_no_toml_is_told_with_line_and_column(home):
    home.configure("[llm\n")
    run = home.run("config", "show")
    assert run.code == 3
    assert run.err.startswith(f"Error: {home.path}/config.toml:1:")
    assert home.run("config", "validate").code == 3


def test_the_schema_is_a_json_schema_that_takes_a_good_file_and_no_bad_one(home):
    schema = json.loads(home.run("config", "schema").out)
    jsonschema.Draft4Validator.check_schema(schema)
    jsonschema.validate(tomllib.loads(MINE), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"llm": {"temperature": "hot"}}, schema)


def editor(home, script):
    path = home.work / "my editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"EDITOR": f'"{path}" --wait', "VISUAL": ""}


def test_edit_opens_the_file_and_checks_what_was_written(home):
    home.configure(MINE)
    good = home.run("config", "edit", env=editor(home, 'echo "max_tokens = 5" >> "$2"'))
    assert (good.code, good.err) == (0, "1 file, 0 errors, 0 warnings\n")
    assert file_of(home).endswith("max_tokens = 5\n")
    bad = home.run("config", "edit", env=editor(home, 'echo "max_tokens = 6" >> "$2"'))
    assert bad.code == 3
    assert f"{home.path}/config.toml:" in bad.out
    gone = home.run("config", "edit", env={"EDITOR": "no-such-editor", "VISUAL": ""})
    assert gone.code == 2
    assert gone.err.startswith("Error: cannot run the editor no-such-editor: No such file or directory\n")


def test_edit_begins_with_the_commented_file(home):
    run = home.run("config", "edit", env=editor(home, "exit 0"))
    assert run.code == 0
    assert "[llm]" in file_of(home)
    assert (os.stat(home.path / "config.toml").st_mode & 0o777) == 0o600


def test_a_named_file_that_is_not_there_is_told_and_the_rest_counts(home):
    run = home.run("ask", "hi", "-b", "mock", env={"ARAWN_CONFIG": "/nowhere/config.toml"})
    assert (run.code, run.out) == (0, "hi\n")
    assert run.err == "Warning: /nowhere/config.toml: there is no such configuration file\n"


def test_trusting_needs_a_file(home):
    run = home.run("config", "trust")
    assert run.code == 2
    assert run.err.startswith("Error: there is no .arawn.toml here or above\n")
    assert home.run("config", "trust", "--list").out == ""


def test_no_action_and_an_unknown_one_are_wrong_uses(home):
    for words in (("config",), ("config", "nothing"), ("config", "get"), ("config", "show", "--orgin")):
        run = home.run(*words)
        assert (run.code, run.out) == (2, ""), words
    assert "did you mean --origin?" in run.err
    assert "try: arawn config show --help" in run.err


@pytest.mark.parametrize("typed", ["groq,ollama", "groq, ollama", '["groq", "ollama"]'])
def test_several_names_are_set_with_commas_or_as_toml(home, typed):
    assert home.run("config", "set", "llm.fallback", typed).code == 0
    assert home.run("config", "get", "llm.fallback").out == '["groq", "ollama"]\n'
