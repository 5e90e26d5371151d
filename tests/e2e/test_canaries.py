"""No key is printed, stored or passed on: canaries in every place a key can come from, looked for everywhere."""

from __future__ import annotations

import json
import os
import sys
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest
from support.file_keyring import environ_of
from support.http_backend import STREAM, delta, streamed
from support.loopback import Loopback, Stall, answer

SOURCES = ("env", "keyring", "file", "literal")
TOUCHLESS = [
    ("--help",),
    ("--version",),
    ("config", "show"),
    ("config", "show", "--all", "--origin"),
    ("config", "get", "backends.keyring.api_key"),
    ("config", "validate"),
    ("config", "path"),
    ("secrets", "list"),
    ("completions", "bash"),
    ("<Tab>", "arawn secrets delete "),
    ("<Tab>", "arawn ask -m k"),
    ("models", "-b", "openai", "--known"),
    ("ask", "-b", "mock", "hi"),
    ("ask", "-b", "keyring", "hi", "--dry-run"),
]


def canary_of(source):
    return f"cAnary/{source}+7f3aK9zQ=secret"


def disguises(secret):
    """The secret, its URL-encoding, and its base64 at each of the three places it can have in a longer one."""
    yield secret
    yield quote(secret, safe="")
    for shift in range(3):
        yield b64encode(b"x" * shift + secret.encode())[4:-4].decode()


ALL = [form for source in SOURCES for form in disguises(canary_of(source))]


def leaks(text):
    return [form for form in ALL if form in text]


@pytest.fixture
def keys(home, tmp_path):
    """Four backends, their keys in the environment, the keyring, a file, and the configuration itself."""
    home.environ |= environ_of(tmp_path) | {"THE_KEY": canary_of("env")}
    (tmp_path / "ring.json").write_text(json.dumps({"arawn/here": canary_of("keyring")}))
    key_file = tmp_path / "key"
    key_file.write_text(canary_of("file"))
    key_file.chmod(0o600)

    def configure(url):
        references = {
            "env": "$env:THE_KEY",
            "keyring": "$keyring:here",
            "file": f"$file:{key_file}",
            "literal": canary_of("literal"),
        }
        tables = (
            f'[backends.{name}]\nadapter = "openai_chat"\nbase_url = "{url}/v1"\nmodel = "m-1"\nmax_retries = 0\n'
            f'api_key = "{reference}"\n[embeddings.{name}]\nmodel = "e-1"\n'
            for name, reference in references.items()
        )
        home.configure('[llm]\nbackend = "env"\n' + "".join(tables))

    return configure


def stored(home):
    """What arawn keeps in files, but for the configuration the user wrote."""
    files = (path for path in home.path.rglob("*") if path.is_file() and path.name != "config.toml")
    return "".join(path.read_text(encoding="utf-8", errors="replace") for path in files)


def all_said(*runs):
    return "".join(run.out + run.err for run in runs)


@pytest.mark.parametrize("source", SOURCES)
def test_r14_a_key_goes_into_its_header_and_nowhere_else(home, keys, source):
    with Loopback(streamed(*STREAM)) as server:
        keys(server.url)
        good = home.run("ask", "-b", source, "hi", "--json", "--debug")
    assert good.code == 0
    (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {canary_of(source)}"
    assert request.raw.count(canary_of(source).encode()) == 1
    assert not leaks(all_said(good) + stored(home))


@pytest.mark.parametrize("source", SOURCES)
def test_r14_a_server_that_repeats_the_key_does_not_bring_it_onto_the_screen(home, keys, source):
    secret = canary_of(source)
    words = (
        f"Incorrect API key provided: {secret}. You sent Authorization: Bearer {secret}; {quote(secret)}; ({secret})"
    )
    body = json.dumps({"error": {"message": words, "code": secret}}).encode()
    headers = {"x-request-id": secret}
    with Loopback([answer(body, 401, headers=headers)]) as server:
        keys(server.url)
        runs = [
            home.run(*command, "-b", source, "--debug")
            for command in (("ask", "hi"), ("ask", "hi", "--json"), ("models",), ("embed", "hi"), ("doctor",))
        ]
    assert [run.code for run in runs] == [4] * 5
    assert not leaks(all_said(*runs) + stored(home))


@pytest.mark.parametrize(
    "reply",
    [
        [answer(b"<html>" + canary_of("env").encode(), content_type="text/html")],
        [answer(b'{"x": "%s"}' % canary_of("env").encode())],
        [answer(status=302, headers={"Location": f"https://e.example/?key={canary_of('env')}"})],
        [answer(canary_of("env").encode(), 500)],
        [b"HTTP/1.1 200 OK\r\nX: " + canary_of("env").encode() + b"\0\r\n\r\n"],
    ],
    ids=["a page", "foreign JSON", "a redirect", "a plain error", "no HTTP"],
)
def test_r14_nor_does_any_other_answer(home, keys, reply):
    with Loopback(reply) as server:
        keys(server.url)
        run = home.run("ask", "hi", "--debug")
    assert run.code in (5, 7)
    assert not leaks(all_said(run))


def test_r14_reports_show_where_keys_are_and_never_what_they_are(home, keys):
    with Loopback([answer(b'{"data": [{"id": "m-1"}]}')]) as server:
        keys(server.url)
        commands = [
            ("backends", "--json"),
            ("backends", "check", "keyring"),
            ("doctor", "-b", "file"),
            ("config", "show", "--secrets"),
            ("config", "show", "--secrets", "--json"),
            ("config", "show", "--origin"),
            ("config", "show", "--json"),
            ("config", "show", "--all"),
            ("config", "get", "backends.literal.api_key"),
            ("config", "get", "backends"),
            ("config", "validate"),
            ("secrets", "list"),
            ("ask", "-b", "literal", "hi", "--dry-run"),
        ]
        runs = {command: home.run(*command, "--debug") for command in commands}
    assert {command: run.code for command, run in runs.items()} == dict.fromkeys(commands, 0)
    assert not leaks(all_said(*runs.values()) + stored(home))
    told = runs["config", "show", "--secrets"].out
    assert "4 of 4 resolve" in told
    for reference in ("$env:THE_KEY", "$keyring:here", "$file:", "(literal)"):
        assert reference in told
    assert f"…{canary_of('env')[-4:]} ({len(canary_of('env'))})" in told


def test_r14_headers_and_parameters_that_carry_a_key_are_not_shown(home):
    home.configure(
        '[llm]\nbackend = "b"\n[backends.b]\nadapter = "openai_chat"\nbase_url = "http://127.0.0.1:9"\nmodel = "m"\n'
        f'headers = {{ authorization = "Basic {canary_of("env")}", x-team = "research" }}\n'
        f'query = {{ api_key = "{canary_of("file")}" }}\n'
        f'proxy = "http://me:{quote(canary_of("literal"), safe="")}@proxy.example:3128"\n'
    )
    environ = {
        "HTTPS_PROXY": f"http://me:{quote(canary_of('keyring'), safe='')}@proxy.example:3128",
        "OPENAI_API_KEY": "x",
    }
    runs = [
        home.run("config", "show"),
        home.run("config", "show", "--origin"),
        home.run("config", "get", "backends.b"),
        home.run("config", "get", "backends.b.proxy"),
    ]
    assert [run.code for run in runs] == [0] * 4
    assert '"research"' in runs[0].out
    assert not leaks(all_said(*runs))
    doctor = home.run("doctor", "-b", "openai", env=environ)
    assert "proxy.example" in doctor.out
    assert not leaks(all_said(doctor))


def test_r13_no_option_takes_a_key_and_one_given_all_the_same_is_not_repeated(home, keys):
    keys("http://127.0.0.1:9")
    secret = canary_of("literal")
    commands = [
        ("ask", "hi", "--api-key", secret),
        ("ask", "hi", f"--api-key={secret}"),
        ("secrets", "set", "groq", secret),
        ("secrets", "set", "groq", "--key", secret),
        ("config", "set", "backends.groq.api_key", secret),
        ("config", "set", "backends.groq.api_key", f"sk-{secret}"),
        ("config", "set", "llm.model", "sk-ant-api03-abcdefgh12345678"),
        ("models", "a", secret),
    ]
    runs = {command: home.run(*command, "--debug") for command in commands}
    assert [run.code for run in runs.values()] == [2, 2, 2, 2, 3, 3, 3, 2]
    assert not leaks(all_said(*runs.values()))
    assert "sk-ant-api03" not in all_said(*runs.values()).replace("sk-ant-api03-…", "")
    refused = runs["config", "set", "backends.groq.api_key", secret]
    assert refused.err.startswith(
        "Error: backends.groq.api_key: a key does not belong on a command line or in a file\n"
    )
    assert "  keep it in the keyring: arawn secrets set groq\n" in refused.err
    assert "groq" not in (home.path / "config.toml").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_r13_no_process_list_shows_a_key(home, keys):
    with Loopback([*streamed(delta("x"))[:1], Stall()]) as server:
        keys(server.url)
        with home.start("ask", "-b", "keyring", "hi") as process:
            while not server.requests:
                assert process.poll() is None
            lines = [read(f"/proc/{pid}/cmdline") for pid in (process.pid, *children_of(process.pid))]
            process.kill()
    assert server.requests[0].headers["authorization"].endswith(canary_of("keyring"))
    assert not leaks("".join(lines))


def read(path):
    return Path(path).read_text(encoding="utf-8", errors="replace")


def children_of(pid):
    return [
        child
        for thread in os.listdir(f"/proc/{pid}/task")
        for child in read(f"/proc/{pid}/task/{thread}/children").split()
    ]


def test_r18_what_needs_no_key_touches_no_keyring(home, keys, tmp_path):
    keys("http://127.0.0.1:9")
    for command in TOUCHLESS:
        assert home.run(*command).code == 0, command
        assert not (tmp_path / "ring.json.log").exists(), command


def test_r18_another_backend_s_key_is_not_looked_up(home, keys, tmp_path):
    reply = b'{"model":"x","message":{"role":"assistant","content":"hi"},"done":true,"done_reason":"stop"}\n'
    with Loopback([answer(reply, content_type="application/x-ndjson")]) as server:
        keys(server.url)
        run = home.run("ask", "-b", "ollama", "hi", env={"OLLAMA_HOST": server.url})
    assert (run.code, run.out) == (0, "hi\n")
    assert not (tmp_path / "ring.json.log").exists()
    assert not leaks(server.requests[0].raw.decode())


def test_r18_one_key_is_looked_up_once_for_a_call(home, keys, tmp_path):
    with Loopback(streamed(*STREAM)) as server:
        keys(server.url)
        home.run("ask", "-b", "keyring", "hi")
    assert read(tmp_path / "ring.json.log") == "get here\n"
