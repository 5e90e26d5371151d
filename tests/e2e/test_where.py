"""Which backend answers, at which address and with which key, as the environment and the files say."""

from __future__ import annotations

import json
import shlex
import sys

import pytest
from support.chat_server import ChatServer
from support.http_backend import STREAM, streamed
from support.loopback import Loopback, Stall, answer

KEY = "sk-canary-0123456789abcdef"
QUESTIONS = b'{"prompt": "one"}\n{"prompt": "two"}\n{"prompt": "three"}\n'
PUBLIC = {"HTTPS_PROXY": "http://127.0.0.1:9"}
"""Nothing leaves the machine: what would go to a public host fails at this proxy."""


@pytest.fixture
def server():
    with Loopback(streamed(*STREAM)) as running:
        yield running


def ask(home, *words, **env):
    return home.run("ask", "--no-save", *words, "hi", env={**PUBLIC, **env})


@pytest.mark.parametrize("keys", [{}, {"OPENAI_API_KEY": KEY}, {"ANTHROPIC_API_KEY": KEY}])
def test_llm_api_base_alone_is_asked_whatever_keys_are_set(home, keys):
    with ChatServer() as server:
        run = ask(home, LLM_API_BASE=server.url, LLM_MODEL="m", **keys)

        assert (run.code, run.out, run.err) == (0, "re: hi\n", "")
        assert server.prompts == ["hi"]


def test_a_question_goes_where_the_providers_variable_says_with_its_key(home, server):
    run = ask(home, "-b", "openai", OPENAI_BASE_URL=f'"{server.url}"\r', OPENAI_API_KEY=f'"{KEY}"')

    assert run.code == 0, run
    assert f"Bearer {KEY}" in str(server.requests[0])


def test_a_server_of_ones_own_needs_no_key(home):
    with ChatServer() as server:
        run = ask(home, "-m", "m", OPENAI_BASE_URL=server.url)

    assert (run.code, run.out) == (0, "re: hi\n")
    assert run.err == f"using openai at {server.url}/v1 (OPENAI_BASE_URL): no key is set\n"


def test_an_error_names_the_variable_of_the_address(home):
    run = ask(home, "-b", "openai", OPENAI_BASE_URL="http://127.0.0.1:9/v1", OPENAI_API_KEY=KEY)

    assert run.code == 5
    assert "  the address http://127.0.0.1:9/v1 comes from OPENAI_BASE_URL\n" in run.err


def test_a_refused_request_without_a_key_names_the_variable_and_the_file_that_has_it(home):
    (home.work / ".env").write_text(f'OPENAI_API_KEY="{KEY}"\r\n')
    with Loopback([answer(b'{"error": {"message": "no key"}}', status=401)]) as server:
        run = ask(home, "-b", "openai", OPENAI_BASE_URL=server.url)

    assert run.code == 4
    assert "  no key was sent: OPENAI_API_KEY is not set\n" in run.err
    assert "  OPENAI_API_KEY is in the file .env here" in run.err
    assert KEY not in run.err


def test_a_file_of_variables_is_read_on_request_and_named_otherwise(home):
    with ChatServer() as server:
        text = f"GROQ_API_KEY='{KEY}'\r\nGROQ_BASE_URL={server.url}\r\n"
        (home.work / ".env").write_text(text, newline="")
        unread = ask(home, "-b", "groq")
        read = ask(home, "-b", "groq", "--env-file", ".env")

    assert unread.code == 4
    assert "GROQ_API_KEY is in the file .env here, which is read only on request: arawn --env-file .env …" in unread.err
    assert (read.code, read.out) == (0, "re: hi\n")
    assert KEY not in unread.err + read.err


def test_the_origin_of_an_address_is_shown(home):
    run = home.run("config", "show", "backends.openai.base_url", "--origin", env={"OPENAI_API_BASE": "http://a:1"})

    assert 'backends.openai.base_url = "http://a:1/v1"  # environment  OPENAI_API_BASE' in run.out


def test_doctor_says_where_the_address_comes_from_and_that_no_key_is_set(home):
    with ChatServer() as server:
        run = home.run("doctor", "-b", "openai", env={"OPENAI_BASE_URL": server.url})

    assert f"address       {server.url}/v1  from OPENAI_BASE_URL\n" in run.out
    assert "key           none: OPENAI_API_KEY is not set\n" in run.out


@pytest.mark.parametrize("variable", ["LLM_BACKEND", "LLM_MODEL", "OPENAI_API_KEY", "HTTPS_PROXY", "ARAWN_HOME"])
def test_half_a_quote_is_refused_by_name_and_without_the_value(home, variable):
    run = ask(home, "-m", "gpt-5.4-mini", **{"OPENAI_API_KEY": "k", "LLM_BACKEND": "openai", variable: '"sk-half'})

    assert run.code == 3
    assert f"{variable}: there is half a quote" in run.err
    assert "sk-half" not in run.err


def test_the_budget_is_understood_in_quotes(home):
    run = home.run("budget", "show", "--json", env={"BUDGET_LIMIT": '"2.50"\r'})

    assert json.loads(run.out)[0]["limit"] in (2.5, "2.50", "2.5")


# ---- A model named alone ----


def test_a_model_named_alone_goes_to_the_backend_that_has_it_and_it_is_said(home):
    with ChatServer() as server:
        home.configure('[llm]\nbackend = "anthropic"\n')
        env = {"ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}
        run = ask(home, "-m", "gpt-5.4-mini", **env)

        assert (run.code, run.out) == (0, "re: hi\n")
        assert run.err == 'using openai: "gpt-5.4-mini" is one of its models, and anthropic does not have it\n'
        assert server.bodies[0]["model"] == "gpt-5.4-mini"


def test_a_model_of_several_backends_needs_a_name_and_each_command_is_shown(home):
    home.configure('[llm]\nbackend = "anthropic"\n')
    run = ask(home, "-m", "openai/gpt-oss-120b", ANTHROPIC_API_KEY=KEY, GROQ_API_KEY=KEY, TOGETHER_API_KEY=KEY)

    assert (run.code, run.out) == (2, "")
    assert "  arawn ask -b groq -m openai/gpt-oss-120b …\n  arawn ask -b together -m openai/gpt-oss-120b …\n" in run.err


def test_an_unknown_model_is_said_to_be_anothers(home):
    body = b'{"error": {"message": "The model does not exist", "code": "model_not_found"}}'
    with Loopback([answer(body, status=404)]) as server:
        home.serve(server.url)
        run = ask(home, "-m", "claude-haiku-5-5")

    assert run.code == 8
    assert '  "claude-haiku-5-5" is a model of anthropic (ANTHROPIC_API_KEY is not set): ' in run.err


# ---- Timeouts ----


@pytest.mark.parametrize(
    ("keys", "env", "options", "named"),
    [
        ("timeout = 0.2", {}, [], "backends.here.timeout ({config}:8)"),
        ("timeout = 30", {"LLM_TIMEOUT_SECONDS": "0.2"}, [], "llm.timeout (LLM_TIMEOUT_SECONDS)"),
        ("timeout = 0.1\nfirst_event_timeout = 0.2", {}, [], "backends.here.first_event_timeout ({config}:9)"),
        ("total_timeout = 0.2", {}, [], "backends.here.total_timeout ({config}:8)"),
        ("total_timeout = 30", {}, ["--timeout", "0.2"], "--timeout"),
    ],
)
def test_a_timeout_names_the_setting_that_decided_it(home, keys, env, options, named):
    with Loopback([Stall()]) as server:
        home.serve(server.url, keys)
        run = ask(home, *options, **env)

    assert run.code == 124
    assert f"  If it needs longer, raise {named.format(config=home.path / 'config.toml')}.\n" in run.err


# ---- Commands that print a key ----


def command(tmp_path, text):
    file = tmp_path / "key.py"
    file.write_text(text)
    return shlex.join([sys.executable, str(file)])


def test_a_command_of_the_users_file_gives_the_key_once_a_process(home, tmp_path, server):
    runs = tmp_path / "runs"
    words = command(tmp_path, f"open({str(runs)!r}, 'a').write('x'); print({KEY!r})")
    home.serve(server.url, f'api_key = "$cmd:{words}"')
    run = home.run("batch", "-", "-o", "answers.jsonl", "--jobs", "4", stdin=QUESTIONS)

    assert run.code == 0, run
    assert runs.read_text() == "x"
    assert all(KEY in str(request) for request in server.requests)
    assert KEY not in run.out + run.err
    assert not home.holds(KEY)


@pytest.mark.parametrize(
    ("text", "named"),
    [("exit(3)", "failed with exit code 3"), ("", "printed nothing"), ("print('a b')", "a character that no key has")],
)
def test_a_command_that_gives_no_key_ends_with_code_3_and_nothing_is_sent(home, tmp_path, server, text, named):
    home.serve(server.url, f'api_key = "$cmd:{command(tmp_path, text)}"')
    run = ask(home)

    assert run.code == 3
    assert named in run.err
    assert server.connections == 0


@pytest.mark.parametrize("trusted", [True, False])
def test_r8_a_projects_command_is_never_run(home, tmp_path, server, trusted):
    mark = tmp_path / "ran"
    home.serve(server.url)
    words = command(tmp_path, f"open({str(mark)!r}, 'w'); print('k')")
    (home.work / ".arawn.toml").write_text(f'[backends.here]\napi_key = "$cmd:{words}"\n')
    if trusted:
        assert home.run("config", "trust").code == 0
    ask(home)
    home.run("config", "show", "--secrets")
    home.run("doctor")

    assert not mark.exists()


@pytest.mark.parametrize("way", ["variable", "env file"])
def test_r8_a_command_in_the_environment_is_never_run(home, tmp_path, server, way):
    mark = tmp_path / "ran"
    home.serve(server.url)
    words = command(tmp_path, f"open({str(mark)!r}, 'w'); print('k')")
    (home.work / ".env").write_text(f"ARAWN_BACKENDS__HERE__API_KEY='$cmd:{words}'\n")
    if way == "variable":
        run = ask(home, ARAWN_BACKENDS__HERE__API_KEY=f"$cmd:{words}")
    else:
        run = ask(home, "--env-file", ".env")

    assert run.code == 3
    assert "a command is run only where your own configuration file names it" in run.err
    assert not mark.exists()
    assert server.connections == 0


def test_showing_secrets_runs_no_command_and_doctor_does(home, tmp_path):
    mark = tmp_path / "ran"
    with ChatServer() as server:
        words = command(tmp_path, f"open({str(mark)!r}, 'w'); print({KEY!r})")
        home.serve(server.url, f'api_key = "$cmd:{words}"')
        shown = home.run("config", "show", "--secrets")
        assert "NOT RUN" in shown.out
        assert "0 of 0 resolve; commands are not run here: 1." in shown.out
        assert not mark.exists()
        doctor = home.run("doctor")

    assert f"ok …{KEY[-4:]} ({len(KEY)})" in doctor.out
    assert mark.exists()
    assert KEY not in doctor.out + doctor.err + shown.out


# ---- Setting and getting ----


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        ("llm.backend", "grok", "grok"),
        ("memory.indexing.backend", "nosuch", "nosuch"),
        ("embeddings.backend", "model", "model"),
        ("llm.fallback", "groq,nosuch", "nosuch"),
        ("llm.fallback", "nosuch/model", "nosuch/model"),
    ],
)
def test_a_backend_that_is_not_defined_is_not_set(home, key, value, wrong):
    run = home.run("config", "set", key, value)

    assert run.code == 3
    assert run.err.startswith(f'Error: {key}: no backend "{wrong}"\n')
    assert "  defined: anthropic, " in run.err
    assert not (home.path / "config.toml").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("llm.backend", "lab"),
        ("embeddings.backend", "vectors"),
        ("llm.fallback", "lab,sonnet,groq/some/model,mine"),
        ("llm.backend", "mock"),
    ],
)
def test_a_backend_that_is_defined_is_set(home, key, value):
    home.configure(
        '[backends.lab]\nadapter = "mock"\n[embeddings.vectors]\nadapter = "mock"\n[aliases]\nmine = "lab/m"\n'
    )

    assert home.run("config", "set", key, value).code == 0


@pytest.mark.parametrize(
    ("key", "value", "origin"),
    [
        ("cache.ttl", "86400.0", "default"),
        ("cache.enabled", "false", "default"),
        ("budget.period", "month", "default"),
        ("backends.groq.timeout", "60.0", "default"),
        ("backends.groq.auth_prefix", "Bearer ", "default"),
        ("backends.groq.base_url", "https://api.groq.com/openai/v1", "built-in"),
    ],
)
def test_get_shows_what_is_in_force_and_where_it_comes_from(home, key, value, origin):
    assert home.run("config", "get", key).out == f"{value}\n"
    assert home.run("config", "get", key, "--origin").out == f"{value}  # {origin}\n"


@pytest.mark.parametrize(
    ("key", "code", "said"),
    [
        ("llm.temperature", 2, "llm.temperature is not set"),
        ("llm.modle", 2, 'llm.modle: unknown key, did you mean "model"?'),
        ("backends.grok.timeout", 3, 'no backend "grok"'),
        ("backends.groq.nothing", 2, "backends.groq.nothing: unknown key"),
    ],
)
def test_get_says_why_there_is_no_value(home, key, code, said):
    run = home.run("config", "get", key)

    assert (run.code, run.out) == (code, "")
    assert run.err.startswith(f"Error: {said}")


def test_a_key_in_the_words_of_a_command_is_not_shown(home):
    home.configure(f'[llm]\nbackend = "groq"\n[backends.groq]\napi_key = "$cmd:curl -H token:{KEY} https://vault"\n')
    commands = ("config", "show"), ("config", "show", "--secrets"), ("backends", "--offline")
    shown = [home.run(*words) for words in commands]

    assert all(run.code == 0 and KEY not in run.out + run.err for run in shown)
    assert all("$cmd:curl" in run.out for run in shown)


# ---- What is chosen without a name ----


def test_a_table_for_embeddings_alone_is_enough(home):
    body = b'{"data": [{"index": 0, "embedding": [0.5, 1.5]}], "model": "e", "usage": {"prompt_tokens": 1}}'
    with Loopback([answer(body)]) as server:
        home.configure(f'[embeddings.openai]\nmodel = "e"\nbase_url = "{server.url}/v1"\n')
        run = home.run("embed", "a text", env={**PUBLIC, "OPENAI_API_KEY": KEY})

    assert (run.code, run.out) == (0, "[0.5, 1.5]\n"), run


def test_mlx_says_that_it_is_the_server_where_the_package_is_not_installed(home):
    run = ask(home, LLM_BACKEND="mlx")

    assert run.code == 5
    assert run.err.startswith("using mlx at http://localhost:8080/v1: the package mlx_lm for mlx-lm is not installed\n")


def test_mlx_says_that_it_runs_in_this_process_where_the_package_is_installed(home, tmp_path):
    (tmp_path / "mlx_lm").mkdir()
    (tmp_path / "mlx_lm" / "__init__.py").write_text("raise ImportError('as on another machine')")
    run = ask(home, LLM_BACKEND="mlx", PYTHONPATH=str(tmp_path))

    assert run.code == 3
    assert run.err.startswith("using mlx-lm: the package mlx_lm is installed\n")
