"""What is said of a configuration in which something is wrong."""

from __future__ import annotations

import pytest

from arawn.config.sources import validate
from arawn.errors import ConfigError


def test_an_unknown_key_is_a_warning_with_the_nearest_known_one(home):
    path = home.user('[llm]\nbackend = "groq"\nmodle = "m"\n\n[bakends.x]\n[backends.groq]\nzzz = 1\n')

    assert home.load().warnings == (
        f'{path}:3: llm.modle: unknown key, did you mean "model"?',
        f'{path}:5: bakends: unknown table or key, did you mean "backends"?',
        f"{path}:7: backends.groq.zzz: unknown key",
    )


def test_a_misspelt_backend_is_a_warning_and_an_error_when_it_is_used(home):
    path = home.user('[backends.gorq]\nmodel = "m"\n')
    settings = home.load()

    assert settings.warnings == (f'{path}:1: backends.gorq: no adapter, and no built-in backend, did you mean "groq"?',)
    with pytest.raises(ConfigError, match=r"config.toml:1: backends.gorq.adapter: not set"):
        settings.backend("gorq")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('max_tokens = "4k"', 'llm.max_tokens: expected an integer >= 1, got "4k"'),
        ("max_tokens = 0", "llm.max_tokens: expected an integer >= 1, got 0"),
        ("max_tokens = 1.5", "llm.max_tokens: expected an integer >= 1, got 1.5"),
        ("max_tokens = true", "llm.max_tokens: expected an integer >= 1, got true"),
        ("max_tokens = 0xffffffffffffffffffff", "llm.max_tokens: expected an integer >= 1, got a very large number"),
        ("temperature = nan", "llm.temperature: expected a number >= 0 and <= 2, got nan"),
        ("temperature = 3", "llm.temperature: expected a number >= 0 and <= 2, got 3"),
        ("timeout = inf", "llm.timeout: expected a number > 0, got inf"),
        ("model = 1979-05-27", "llm.model: expected a string, got a date or time"),
        ("backend = ['a']", "llm.backend: expected a string, got an array"),
        ('effort = "hihg"', 'did you mean "high"?'),
    ],
)
def test_a_wrong_value_says_where_what_and_what_was_expected(home, line, what):
    path = home.user(f"[llm]\n\n{line}\n")

    with pytest.raises(ConfigError) as caught:
        home.load()

    assert caught.value.message.startswith(f"{path}:3: llm.")
    assert caught.value.message.endswith(what)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('base_url = "api.example.com/v1"', "expected an address like https://host/v1"),
        ('base_url = "file:///etc/passwd"', "expected an address like https://host/v1"),
        ('base_url = "https://u:p@host/v1"', "a key belongs in api_key"),
        ('base_url = "https://host/v1?api-version=1"', "parameters belong in query"),
        ('base_url = "https://$env:HOME/v1"', "expected an address"),
        ('chat_path = "//evil.example/x"', "expected a path that begins with /"),
        ('headers = { a = "$env:HOME" }', "a reference is read only in api_key"),
        ('headers = { a = "$cmd:id" }', "a reference is read only in api_key"),
        ('api_key = "$cmd:pass show \'x"', "expected a command whose quotes are closed"),
        ('api_key = "$cmd: "', "expected $env:VARIABLE, $keyring:NAME, $file:PATH or $cmd:COMMAND"),
        ("base_url_env = { A = 1 }", "expected values that are printable strings"),
        ('query = { a = "x-$keyring:y" }', "a reference is read only in api_key"),
        ('extra = { a = [{ b = "$file:/etc/passwd" }] }', "a reference is read only in api_key"),
        ("extra = { a = 1979-05-27 }", "expected values that JSON can hold, got a date or time"),
        ("extra = { a = [inf] }", "expected values that JSON can hold, got inf"),
        ('headers = { a = "b\\r\\nc: d" }', "expected values that are printable strings"),
        ("headers = { a = 1 }", "expected values that are printable strings"),
        ('auth_header = "x api"', "expected the name of a header"),
        ('proxy = "proxy:3128"', "expected a proxy address"),
        ('adapter = "opanai_chat"', 'did you mean "openai_chat"?'),
        ('replies = "hello"', "expected an array of tables"),
        ("headers = 1", "expected a table, got 1"),
        ("max_retries = 11", "expected an integer >= 0 and <= 10, got 11"),
        ('stream_usage = "yes"', 'expected true or false, got "yes"'),
    ],
)
def test_a_backend_that_could_not_work_is_refused(home, line, what):
    home.user(f"[backends.groq]\n{line}\n")

    with pytest.raises(ConfigError) as caught:
        home.load()

    assert "config.toml:2: backends.groq." in caught.value.message
    assert what in caught.value.message


@pytest.mark.parametrize(
    "value", ['"$envv:tell"', '"$env:a-tell"', '"$keyring:"', '""', '"$tell"', "{ x = 'tell' }", "7"]
)
def test_a_wrong_key_is_refused_and_not_repeated(home, value):
    home.user(f"[backends.groq]\napi_key = {value}\n")

    with pytest.raises(ConfigError, match=r"config.toml:2: backends.groq.api_key: expected ") as caught:
        home.load()

    assert "tell" not in caught.value.message


def test_an_unknown_backend_is_named_with_the_nearest_and_with_those_defined(home):
    with pytest.raises(ConfigError) as caught:
        home.load().backend("grok")

    assert caught.value.message == 'no backend "grok"'
    assert caught.value.hints[0] == 'did you mean "groq"?'
    assert "anthropic, openai" in caught.value.hints[1]


@pytest.mark.parametrize("key", ["llm..model", "", "llm.model ="])
def test_asking_for_what_is_no_key_is_an_error(home, key):
    with pytest.raises(ConfigError, match="is not a key"):
        home.load().value(key)


def test_a_wrong_option_is_reported_as_from_the_command_line(home):
    with pytest.raises(ConfigError, match=r"command line: llm.max_tokens: expected an integer"):
        home.load(overrides={"llm.max_tokens": 0})


def test_validation_reports_all_problems_in_the_order_of_lines(home):
    path = home.user(
        '[llm]\nbackend = "grok"\nmodle = "x"\n[backends.groq]\nmax_tokens = "4k"\n[backends.new]\n'
        '[embeddings]\nbackend = "local"\n'
    )

    found = validate(str(path), environ=home.environ, cwd=str(home.root), today="2026-11-30")

    assert [(problem.line, problem.key, problem.warning) for problem in found] == [
        (2, "llm.backend", False),
        (3, "llm.modle", True),
        (5, "backends.groq.max_tokens", False),
        (6, "backends.new", True),
        (8, "embeddings.backend", True),
    ]
    assert 'no backend "grok", did you mean "groq"?; defined: anthropic' in found[0].message
    assert (found[1].column, str(found[1])) == (1, f'{path}:3: llm.modle: unknown key, did you mean "model"?')


def test_validation_of_a_broken_file_reports_the_place(home):
    path = home.user("[llm]\nmodel = \n")

    assert [str(problem) for problem in validate(str(path), environ=home.environ, cwd="/", today="2026-11-30")] == [
        f"{path}:2:9: Invalid value"
    ]


def test_a_backend_of_the_users_own_may_be_named_in_a_project_file(home):
    home.user('[backends.lab]\nadapter = "openai_chat"\nbase_url = "http://lab/v1"\n')
    path = home.project('[llm]\nbackend = "lab"\n')

    assert validate(str(path), environ=home.environ, cwd="/", today="2026-11-30") == []
