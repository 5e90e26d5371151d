"""The layers: what is read from where, what wins, and what is said when something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from arawn.config.settings import Origin
from arawn.config.sources import BUILT_IN, load, locate, read_env_file, validate
from arawn.errors import ConfigError
from arawn.folders import config_folder


def test_without_any_file_the_built_in_backends_are_there(home):
    settings = home.load()

    assert settings.backend_names[:2] == ("anthropic", "openai")
    assert settings.backend("ollama").base_url == "http://localhost:11434"
    assert settings.llm.backend is None
    assert settings.warnings == ()


def test_each_layer_is_stronger_than_the_one_before(home):
    seen = []
    home.write(home.root / "etc" / "config.toml", "[llm]\nmax_tokens = 1\n")
    seen.append(home.load())
    home.user("[llm]\nmax_tokens = 2\n")
    seen.append(home.load())
    home.project("[llm]\nmax_tokens = 3\n")
    seen.append(home.load())
    home.env["ARAWN_LLM__MAX_TOKENS"] = "4"
    seen.append(home.load())
    seen.append(home.load(overrides={"llm.max_tokens": 5}))

    assert [settings.llm.max_tokens for settings in seen] == [1, 2, 3, 4, 5]
    assert [settings.origin("llm.max_tokens").layer for settings in seen] == [
        "system",
        "user",
        "project",
        "environment",
        "command line",
    ]


def test_every_value_knows_its_file_and_line(home):
    path = home.user('[llm]\n\nmodel = "m"\n\n[backends.groq]\n# mine\ntimeout = 5\n')
    home.env["LLM_BACKEND"] = "groq"

    settings = home.load()

    assert settings.origin("llm.model") == Origin("user", str(path), 3)
    assert settings.origin("backends.groq.timeout") == Origin("user", str(path), 7)
    assert settings.origin("llm.backend") == Origin("environment", "LLM_BACKEND")
    assert settings.origin("llm.effort") == Origin("default")
    built_in = settings.origin("backends.groq.base_url")
    assert (built_in.layer, built_in.path) == ("built-in", BUILT_IN)
    assert "api.groq.com" in Path(BUILT_IN).read_text().splitlines()[built_in.line - 1]


def test_tables_merge_and_everything_else_is_replaced(home):
    home.user('[backends.vllm]\nextra = { a = 1, b = { c = 2 } }\nheaders = { x = "1" }\n')
    home.project('[backends.vllm]\nextra = { b = { d = 3 } }\n[backends.groq]\nmodel = "m"\n', trusted=True)

    settings = home.load()

    assert settings.backend("vllm").quirks.extra == {"a": 1, "b": {"c": 2, "d": 3}}
    assert settings.backend("groq").base_url == "https://api.groq.com/openai/v1"
    assert settings.value("backends.vllm.headers.x") == "1"


def test_a_model_does_not_outlive_the_backend_it_was_named_for(home):
    home.user('[llm]\nbackend = "groq"\nmodel = "openai/gpt-oss-20b"\ntemperature = 0.5\n')
    home.env["LLM_BACKEND"] = "ollama"

    settings = home.load()

    assert (settings.llm.backend, settings.llm.model, settings.llm.temperature) == ("ollama", None, 0.5)
    assert settings.origin("llm.model").layer == "default"


def test_a_model_named_without_a_backend_stays(home):
    home.user('[llm]\nmodel = "sonnet"\n')
    home.env["LLM_BACKEND"] = "anthropic"

    assert home.load().llm.model == "sonnet"


def test_the_project_file_is_found_from_below_it_and_not_above_home(home):
    home.project('[llm]\nmodel = "p"\n')
    assert home.load().llm.model == "p"
    assert home.load(project=False).llm.model is None

    inner = home.root / "work"
    settings = load(environ={"HOME": str(inner / "repo" / "src")}, cwd=str(home.cwd))

    assert settings.llm.model is None


@pytest.mark.parametrize("way", ["argument", "ARAWN_CONFIG", "ARAWN_HOME", "XDG_CONFIG_HOME", "HOME"])
def test_the_user_file_is_where_it_is_said_to_be(home, way):
    text = '[llm]\nmodel = "here"\n'
    if way == "HOME":
        home.user(text)
    elif way == "XDG_CONFIG_HOME":
        home.write(home.root / "xdg" / "arawn" / "config.toml", text)
        home.env[way] = str(home.root / "xdg")
    elif way == "ARAWN_HOME":
        home.write(home.root / "portable" / "config.toml", text)
        home.env[way] = str(home.root / "portable")
    else:
        path = str(home.write(home.root / "other.toml", text))
        home.env |= {"ARAWN_CONFIG": path} if way == "ARAWN_CONFIG" else {}
        assert home.load(config_file=path if way == "argument" else None).llm.model == "here"
        return

    assert home.load().llm.model == "here"


def test_a_portable_home_reads_nothing_of_the_system(home):
    home.write(home.root / "etc" / "config.toml", '[llm]\nmodel = "system"\n')
    home.env["ARAWN_HOME"] = str(home.root / "portable")

    assert home.load().llm.model is None
    assert config_folder(home.environ) == str(home.root / "portable")
    assert locate(environ=home.environ, cwd="/")["system"] == ""


def test_a_named_file_that_is_not_there_is_said_and_no_error(home):
    home.env["ARAWN_CONFIG"] = str(home.root / "nowhere.toml")

    assert home.load().warnings == (f"{home.root}/nowhere.toml: there is no such configuration file",)


def test_the_files_are_listed_with_what_became_of_them(home):
    home.user("")
    home.project('[env]\nfile = "x"\n')

    files = [(layer.name, layer.exists, layer.trusted) for layer in home.load().files]

    assert files == [
        ("built-in", True, True),
        ("system", False, True),
        ("user", True, True),
        ("project", True, False),
    ]


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


def test_a_key_that_stands_in_the_file_is_not_in_any_repr(home):
    home.user('[backends.groq]\napi_key = "sk-very-secret"\n[backends.openai]\napi_key = "$keyring:x"\n').chmod(0o600)
    settings = home.load()

    assert settings.backend("groq").api_key == "sk-very-secret"
    assert "sk-very-secret" not in repr(settings) + repr(settings.backend("groq")) + repr(settings.files)
    assert "$keyring:x" in repr(settings.backend("openai"))


def test_r15_a_file_with_a_key_in_it_is_taken_back_from_others_and_that_is_said(home):
    path = home.user('[backends.groq]\napi_key = "sk-very-secret"\n')
    path.chmod(0o644)

    (warning,) = home.load().warnings

    assert path.stat().st_mode & 0o777 == 0o600
    assert "could be read by others" in warning
    assert home.load().warnings == ()


def test_an_unknown_backend_is_named_with_the_nearest_and_with_those_defined(home):
    with pytest.raises(ConfigError) as caught:
        home.load().backend("grok")

    assert caught.value.message == 'no backend "grok"'
    assert caught.value.hints[0] == 'did you mean "groq"?'
    assert "anthropic, openai" in caught.value.hints[1]


def test_every_setting_of_a_backend_arrives(home):
    home.user(
        '[backends.lab]\nadapter = "openai_chat"\nbase_url = "http://LAB:8000/v1/"\ntimeout = 5\nchat_path = "/c"\n'
        'query = { v = "1" }\nmax_retries = 0\ninsecure_tls = true\nstream_usage = false\nhourly_rate = 0.5\n'
    )
    backend = home.load().backend("lab")

    assert (backend.label, backend.base_url, backend.timeout, backend.max_retries) == (
        "lab",
        "http://LAB:8000/v1",
        5,
        0,
    )
    assert (backend.insecure_tls, backend.hourly_rate, backend.api_key) == (True, 0.5, None)
    assert (backend.quirks.chat_path, backend.quirks.query, backend.quirks.stream_usage) == ("/c", {"v": "1"}, False)


def test_vectors_have_their_own_model_and_may_have_their_own_address_and_key(home):
    home.user('[embeddings.groq]\nbase_url = "https://e.example/v1"\napi_key = "$env:E"\nmodel = "e"\n')
    settings = home.load()

    groq, plain = settings.embeddings_backend("groq"), settings.embeddings_backend("together")

    assert (groq.base_url, groq.api_key, groq.model) == ("https://e.example/v1", "$env:E", "e")
    assert (plain.base_url, plain.model) == (settings.backend("together").base_url, None)
    assert settings.backend("groq").base_url == "https://api.groq.com/openai/v1"


def test_aliases_come_before_tiers_and_a_model_can_be_described(home):
    home.user('[aliases]\nsonnet = "groq/x"\n[models."a/b:c"]\ninput_price = 1.5\n')
    settings = home.load()

    assert settings.aliases["sonnet"] == "groq/x"
    assert settings.aliases["qwen"] == "vllm/Qwen/Qwen2.5-7B-Instruct"
    assert settings.model_overrides("a/b:c") == {"input_price": 1.5}
    assert settings.model_overrides("other") == {}
    assert settings.value('models."a/b:c".input_price') == 1.5


@pytest.mark.parametrize("key", ["llm..model", "", "llm.model ="])
def test_asking_for_what_is_no_key_is_an_error(home, key):
    with pytest.raises(ConfigError, match="is not a key"):
        home.load().value(key)


def test_a_wrong_option_is_told_as_the_command_lines(home):
    with pytest.raises(ConfigError, match=r"command line: llm.max_tokens: expected an integer"):
        home.load(overrides={"llm.max_tokens": 0})


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


def test_validation_tells_everything_that_is_wrong_in_the_order_of_lines(home):
    path = home.user(
        '[llm]\nbackend = "grok"\nmodle = "x"\n[backends.groq]\nmax_tokens = "4k"\n[backends.new]\n'
        '[embeddings]\nbackend = "local"\n'
    )

    found = validate(str(path), environ=home.environ, cwd=str(home.root))

    assert [(problem.line, problem.key, problem.warning) for problem in found] == [
        (2, "llm.backend", False),
        (3, "llm.modle", True),
        (5, "backends.groq.max_tokens", False),
        (6, "backends.new", True),
        (8, "embeddings.backend", True),
    ]
    assert 'no backend "grok", did you mean "groq"?; defined: anthropic' in found[0].message
    assert (found[1].column, str(found[1])) == (1, f'{path}:3: llm.modle: unknown key, did you mean "model"?')


def test_validation_of_a_broken_file_tells_the_place(home):
    path = home.user("[llm]\nmodel = \n")

    assert [str(problem) for problem in validate(str(path), environ=home.environ, cwd="/")] == [
        f"{path}:2:9: Invalid value"
    ]


def test_a_backend_of_the_users_own_may_be_named_in_a_project_file(home):
    home.user('[backends.lab]\nadapter = "openai_chat"\nbase_url = "http://lab/v1"\n')
    path = home.project('[llm]\nbackend = "lab"\n')

    assert validate(str(path), environ=home.environ, cwd="/") == []
