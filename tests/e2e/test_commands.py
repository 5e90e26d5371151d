"""The commands around asking: secrets, backends, models, embed, doctor, completions."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from contextlib import closing

import pexpect
import pytest
from support.file_keyring import environ_of
from support.http_backend import STREAM, streamed
from support.loopback import Loopback, answer
from support.processes import ARAWN

MODELS = answer(b'{"data": [{"id": "b-2"}, {"id": "a-1"}]}')
KEY = "sk-0123456789-abcd"


def refused_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as reserved:
        return reserved.getsockname()[1]


@pytest.fixture
def ring(home, tmp_path):
    """A keyring that works; its file."""
    home.environ |= environ_of(tmp_path)
    return tmp_path / "ring.json"


def test_a_key_is_piped_in_kept_and_used(home, ring):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, 'api_key = "$keyring:here"')
        stored = home.run("secrets", "set", "here", stdin=f"  {KEY}\n".encode())
        asked = home.run("ask", "hi")
    assert (stored.code, stored.err) == (0, "")
    assert stored.out == f"stored …abcd ({len(KEY)}) as $keyring:here, for {server.url} only\n"
    assert json.loads(ring.read_text()) == {"arawn/here": KEY}
    assert asked.out == "Good day\n"
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_r11_a_key_is_not_sent_to_another_address_until_that_is_allowed(home, ring):
    with Loopback(streamed(*STREAM)) as first, Loopback(streamed(*STREAM)) as second:
        home.serve(first.url, 'api_key = "$keyring:here"')
        home.run("secrets", "set", "here", stdin=KEY.encode())
        home.serve(second.url, 'api_key = "$keyring:here"')
        refused = home.run("ask", "hi")
        assert (refused.code, refused.out) == (3, "")
        assert refused.err.splitlines() == [
            f'Error: the secret "here" is bound to {first.url}, not to {second.url}',
            f"  if that is meant: arawn secrets allow here --for {second.url}",
        ]
        assert second.connections == 0
        allowed = home.run("secrets", "allow", "here", "--for", second.url)
        assert allowed.out == f'the secret "here" may go to {first.url} and {second.url}\n'
        assert home.run("ask", "hi").out == "Good day\n"


def test_a_key_for_a_backend_without_an_address_needs_to_be_told_where_it_may_go(home, ring):
    run = home.run("secrets", "set", "nothing", stdin=KEY.encode())
    assert run.code == 2
    assert run.err.endswith("  arawn secrets set nothing --for https://host\n")
    assert not ring.exists()
    told = home.run("secrets", "set", "nothing", "--for", "https://host/v1", stdin=KEY.encode())
    assert told.out == f"stored …abcd ({len(KEY)}) as $keyring:nothing, for https://host only\n"


def test_the_built_in_backend_is_told_to_use_the_key(home, ring):
    run = home.run("secrets", "set", "groq", stdin=KEY.encode())
    assert run.out.endswith("  use it: arawn config set backends.groq.api_key '$keyring:groq'\n")


def test_secrets_are_listed_by_name_and_place_and_deleted_by_name(home, ring):
    home.run("secrets", "set", "groq", stdin=KEY.encode())
    listed = home.run("secrets", "list")
    (row,) = json.loads(home.run("secrets", "list", "--json").out)
    assert [line.split()[:2] for line in listed.out.splitlines()] == [
        ["secret", "may"],
        ["groq", "https://api.groq.com"],
    ]
    assert list(row) == ["name", "origins", "store", "created"]
    assert (row["name"], row["origins"], row["store"]) == ("groq", ["https://api.groq.com"], "file_keyring.FileKeyring")
    assert home.run("secrets", "delete", "groq").out == 'deleted "groq"\n'
    assert json.loads(home.run("secrets", "list", "--json").out) == []
    gone = home.run("secrets", "delete", "groq")
    assert (gone.code, gone.err) == (2, 'Error: the keyring has no secret "groq"\n  arawn secrets list\n')


def test_an_empty_key_is_not_stored(home, ring):
    run = home.run("secrets", "set", "groq", stdin=b" \n")
    assert (run.code, run.out) == (3, "")
    assert not ring.exists()


def test_r17_a_keyring_that_does_not_work_is_told_with_the_ways_out(home):
    run = home.run("secrets", "set", "groq", stdin=KEY.encode())
    assert (run.code, run.out) == (3, "")
    assert "keyring.backends.fail.Keyring" in run.err
    assert "$env:NAME" in run.err


def test_at_a_terminal_the_key_is_typed_unseen(home, ring):
    child = pexpect.spawn(ARAWN[0], [*ARAWN[1:], "secrets", "set", "groq"], env=home.environ, cwd=str(home.work))
    child.expect_exact("key for groq (not shown): ")
    child.waitnoecho()
    child.sendline(KEY)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert KEY.encode() not in child.before
    assert json.loads(ring.read_text()) == {"arawn/groq": KEY}


def test_backends_are_shown_with_what_is_known_of_each(home):
    with Loopback([MODELS]) as server:
        home.serve(server.url, f'[backends.dead]\nadapter = "ollama"\nbase_url = "http://127.0.0.1:{refused_port()}"\n')
        run = home.run("backends")
        rows = {row["name"]: row for row in json.loads(home.run("backends", "--json").out)}
    assert run.code == 0
    assert run.out.splitlines()[0].split() == ["backend", "model", "endpoint", "key", "health"]
    assert [line[:7].split()[:2] for line in run.out.splitlines() if " here " in line] == [["*", "here"]]
    here, dead = rows["here"], rows["dead"]
    assert list(here) == [
        *("name", "label", "adapter", "base_url", "model", "key", "default", "ok", "latency_ms", "models"),
        *("slow", "reachable", "authenticated", "error"),
    ]
    assert (here["ok"], here["models"], here["default"], here["key"]) == (True, 2, True, "none")
    assert (dead["ok"], dead["error"]["kind"]) == (False, "connection")


def test_backends_offline_ask_nobody(home):
    with Loopback([MODELS]) as server:
        home.serve(server.url)
        found = json.loads(home.run("backends", "--all", "--offline", "--json").out)
    assert server.connections == 0
    assert {"anthropic", "ollama", "here"} <= {row["name"] for row in found}
    assert {row["ok"] for row in found} == {None}


def test_an_unfinished_backend_does_not_hide_the_others(home):
    home.configure('[llm]\nbackend = "mock"\n[backends.grok]\nmodel = "x"\n')
    run = home.run("backends", "--json", "--offline")
    assert run.code == 0
    assert "mock" in [row["name"] for row in json.loads(run.out)]
    assert 'did you mean "groq"?' in run.err


def test_checking_one_backend_exits_with_its_failure(home):
    with Loopback([MODELS], [answer(b'{"error": {"message": "no"}}', 401)]) as server:
        home.serve(server.url)
        good = home.run("backends", "check")
        bad = home.run("backends", "check", "here")
    assert good.code == 0
    assert good.out.startswith(f"ok here at {server.url}/v1: ")
    assert good.out.endswith(" ms, 2 models\n")
    assert bad.code == 4
    assert bad.err.startswith('Error: Authentication failed for backend "here"\n')
    assert home.run("backends", "check", "nobody").code == 3


def test_models_are_the_backend_s_own_list_with_what_the_user_knows(home):
    with Loopback([MODELS]) as server:
        home.serve(server.url, '[models."a-1"]\ncontext_window = 128000\ninput_price = 0.15\n')
        run = home.run("models")
        found = json.loads(home.run("models", "--json", "A-").out)
        nothing = home.run("models", "zzz")
    assert [line.split()[0] for line in run.out.splitlines()] == ["model", "a-1", "b-2"]
    assert "128,000" in run.out
    assert not any(line.endswith(" ") for line in run.out.splitlines())
    assert list(found[0]) == [
        *("id", "context_window", "max_output", "input_price", "output_price", "cache_read_price"),
        *("cache_write_price", "cache_write_1h_price", "capabilities", "retires", "retired", "successor", "note"),
        *("source", "as_of", "sure"),
    ]
    assert (found[0]["id"], found[0]["context_window"], found[0]["input_price"]) == ("a-1", 128000, 0.15)
    assert (nothing.code, nothing.out) == (0, "")
    assert nothing.err == 'no model of here has "zzz" in its name\n'


def test_known_models_come_from_the_catalogue_and_ask_nobody(home):
    found = json.loads(home.run("models", "--known", "--json", "-b", "anthropic", "opus").out)
    assert found
    assert all("opus" in row["id"] and row["context_window"] for row in found)
    assert {row["id"]: row["retired"] for row in found}.items() >= {
        "claude-3-opus-20240229": True,
        "claude-opus-5-5": False,
    }.items()


def test_each_text_becomes_a_line_with_its_vector(home):
    (home.work / "a.txt").write_text("from a file\n")
    run = home.run("embed", "-b", "mock", "one", "two words", "-f", "a.txt")
    vectors = [json.loads(line) for line in run.out.splitlines()]
    assert (run.code, run.err) == (0, "")
    assert len(vectors) == 3
    assert len({len(vector) for vector in vectors}) == 1
    assert json.loads(home.run("embed", "-b", "mock", stdin=b"one\n").out) == vectors[0]


def test_lines_of_standard_input_are_texts_of_their_own(home):
    run = home.run("embed", "-b", "mock", "--lines", stdin="one\n\ntwo\u2028still two\r\nthree".encode())
    assert len(run.out.splitlines()) == 3


def test_embeddings_are_asked_for_in_one_request_and_told_as_json(home):
    data = [{"index": at, "embedding": [at, 0.5]} for at in range(2)]
    body = json.dumps({"data": data, "model": "e-1-v2", "usage": {"prompt_tokens": 4, "total_tokens": 4}}).encode()
    with Loopback([answer(body)]) as server:
        home.serve(server.url, '[embeddings]\nbackend = "here"\n[embeddings.here]\nmodel = "e-1"\n')
        run = home.run("embed", "one", "two", "--json")
    (request,) = server.requests
    assert request.target == "/v1/embeddings"
    assert json.loads(request.body)["input"] == ["one", "two"]
    assert json.loads(run.out) == {
        "backend": "here",
        "model": "e-1-v2",
        "usage": {"input_tokens": 4, "estimated": False},
        "embeddings": [[0, 0.5], [1, 0.5]],
    }


def test_embedding_nothing_or_nowhere_is_a_clear_error(home):
    assert home.run("embed", "-b", "mock").err.startswith("Error: nothing to embed\n")
    nowhere = home.run("embed", "hi")
    assert nowhere.code == 3
    assert nowhere.err.startswith("Error: no backend is configured for [embeddings]\n")
    none_made = home.run("embed", "hi", "-b", "anthropic", "-m", "x")
    assert none_made.code == 3
    assert none_made.err.startswith('Error: backend "anthropic" makes no embeddings\n')


def test_the_doctor_says_where_everything_comes_from(home):
    with Loopback([MODELS]) as server:
        home.serve(server.url, 'api_key = "$env:HERE_KEY"')
        run = home.run("doctor", env={"HERE_KEY": KEY, "HTTP_PROXY": "http://127.0.0.1:9"})
    assert (run.code, run.err) == (0, "")
    rows = {line[:14].strip(): line[14:].strip() for line in run.out.splitlines()}
    assert rows["user file"] == f"{home.path}/config.toml"
    assert rows["answers"] == "here/m-1"
    assert rows["address"] == f"{server.url}/v1"
    assert rows["key"] == f"$env:HERE_KEY ok …abcd ({len(KEY)})"
    assert rows["proxy"] == "none"
    assert rows["reachable"].startswith("yes, ")


def test_the_doctor_ends_with_what_is_wrong(home):
    home.serve(f"http://127.0.0.1:{refused_port()}", 'api_key = "$env:HERE_KEY"')
    without_key = home.run("doctor")
    assert without_key.code == 4
    assert "$env:HERE_KEY MISSING" in without_key.out
    unreachable = home.run("doctor", env={"HERE_KEY": KEY})
    assert unreachable.code == 5
    assert unreachable.err.startswith("Error: Cannot connect to here at http://127.0.0.1:")
    assert "reachable" not in unreachable.out


def test_r26_a_connection_nobody_checks_is_warned_of_on_every_run(home):
    home.configure('[llm]\nbackend = "m"\n[backends.m]\nadapter = "mock"\nmode = "echo"\ninsecure_tls = true\n')
    for words in (("ask", "hi"), ("ask", "hi", "-q"), ("doctor",), ("models",), ("backends",), ("backends", "check")):
        assert "Warning: insecure_tls: nobody checks that m is who it says it is\n" in home.run(*words).err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completions_are_printed_and_understood_by_their_shell(home, shell):
    run = home.run("completions", shell)
    assert (run.code, run.err) == (0, "")
    assert "_ARAWN_COMPLETE" in run.out
    checker = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}.get(shell)
    if checker and shutil.which(checker[0]):
        (home.work / "script").write_text(run.out)
        assert subprocess.run([*checker, "script"], cwd=home.work, capture_output=True).returncode == 0


def test_completions_install_themselves_where_the_shell_looks(home):
    run = home.run("completions", "bash", "--install")
    place = home.work.parent / ".local/share/bash-completion/completions/arawn"
    assert run.code == 0
    assert run.out.startswith(f"written to {place}; new shells have it\n")
    assert place.read_text() == home.run("completions", "bash").out
    assert home.run("completions", "tcsh").code == 2


def test_a_tab_gets_names_from_the_configuration_and_never_an_error(home):
    home.configure('[llm]\nbackend = "here"\n[backends.here]\nadapter = "mock"\nmodel = "my-model"\n')
    assert home.tab("arawn ask -b he").out == "here\n"
    assert "my-model\n" in home.tab("arawn ask -m my").out
    assert "llm.model\n" in home.tab("arawn config get llm.").out
    home.configure("this is [ no toml")
    broken = home.tab("arawn -b anth")
    assert (broken.code, broken.out, broken.err) == (0, "anthropic\n", "")


def test_help_names_every_command_and_every_command_has_help(home):
    overview = home.run("--help")
    assert overview.code == 0
    for command in ("ask", "config", "secrets", "backends", "models", "embed", "doctor", "completions"):
        assert f"\n  {command} " in overview.out
        run = home.run(command, "--help")
        assert (run.code, run.err) == (0, ""), command
        assert run.out.startswith(f"Usage: arawn {command} "), command
    assert home.run("--version").out.startswith("arawn ")
    nothing = home.run()
    assert (nothing.code, nothing.out) == (2, overview.out)
