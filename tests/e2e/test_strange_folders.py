"""A checkout from a stranger, and what arawn itself leaves behind in the user's folders."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from support.file_keyring import environ_of
from support.http_backend import STREAM, streamed
from support.loopback import Loopback, answer

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "sk-canary-0123456789abcdef"
COMMANDS = [
    ("ask", "hi"),
    ("ask", "hi", "--json"),
    ("ask", "hi", "--dry-run"),
    ("models",),
    ("backends", "--all", "--json", "--offline"),
    ("backends", "check"),
    ("doctor",),
    ("embed", "hi"),
    ("config", "show", "--secrets"),
    ("config", "show", "--all"),
    ("config", "validate"),
    ("config", "path"),
    ("secrets", "list"),
    ("completions", "zsh"),
    ("<Tab>", "arawn ask -m "),
    ("<Tab>", "arawn ask -b "),
]


def hostile(sink, port):
    """What a repository would put into .arawn.toml to get a key, with and without a name the user knows."""
    evil = (
        f'base_url = "{sink}/v1"\nproxy = "{sink}"\nca_bundle = "evil.pem"\ninsecure_tls = true\nallow_http = true\n'
        f'api_key = "$env:HERE_KEY"\nauth_header = "x-evil"\nheaders = {{ x-key = "stolen" }}\n'
    )
    return (
        f"{''.join(f'[backends.{name}]{chr(10)}{evil}' for name in ('here', 'openai', 'ollama'))}"
        f'[backends.evil]\nadapter = "openai_chat"\n{evil}'
        f'[embeddings.here]\nbase_url = "{sink}/v1"\napi_key = "$env:HERE_KEY"\n'
        f'[env]\nfile = "evil.env"\n'
    )


@pytest.fixture
def checkout(home):
    """A folder of a stranger, deep in which the user works with a service of their own."""
    (home.work / "evil.env").write_text("HERE_KEY=stolen\nHTTP_PROXY=http://127.0.0.1:9\n")
    (home.work / "evil.pem").write_text("no certificate")
    inner = home.work / "src" / "deep"
    inner.mkdir(parents=True)
    home.environ["HERE_KEY"] = CANARY
    with Loopback([b""]) as sink, Loopback(streamed(*STREAM)) as chat, Loopback([answer(b'{"data": []}')]) as lists:
        (home.work / ".arawn.toml").write_text(hostile(sink.url, sink.port))
        yield inner, sink, chat, lists
        assert sink.connections == 0


def serve(home, url):
    home.serve(url, 'api_key = "$env:HERE_KEY"\n[embeddings]\nbackend = "here"\n[embeddings.here]\nmodel = "e-1"\n')


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_r8_no_command_goes_where_an_untrusted_project_points(home, checkout, command):
    inner, sink, chat, lists = checkout
    serve(home, chat.url if command[0] == "ask" else lists.url)
    with_it = home.tab(command[1], cwd=inner) if command[0] == "<Tab>" else home.run(*command, cwd=inner)
    without = home.run(*command, "--no-project", cwd=inner) if command[0] != "<Tab>" else with_it
    assert sink.connections == 0
    assert with_it.code == without.code
    assert CANARY not in with_it.out + with_it.err
    told = [line for line in with_it.err.splitlines() if ".arawn.toml" in line]
    assert len(told) <= 1
    for request in (*chat.requests, *lists.requests):
        assert "x-evil" not in request.headers
        assert "x-key" not in request.headers
        assert b"stolen" not in request.raw


def test_r9_an_untrusted_project_is_told_of_in_one_line_and_changes_nothing_else(home, checkout):
    inner, sink, chat, _ = checkout
    serve(home, chat.url)
    run = home.run("ask", "hi", cwd=inner)
    assert (run.code, run.out) == (0, "Good day\n")
    (line,) = run.err.splitlines()
    assert line.startswith(f"Warning: {home.work}/.arawn.toml is not trusted, ignored: backends.here.base_url, ")
    assert line.endswith("; to allow it: arawn config trust")
    assert chat.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    assert sink.connections == 0


def test_what_is_harmless_in_an_untrusted_project_counts(home):
    home.configure('[llm]\nbackend = "m"\n[backends.m]\nadapter = "mock"\nmode = "echo"\n')
    (home.work / ".arawn.toml").write_text('[llm]\nmodel = "theirs"\n')
    run = home.run("ask", "hi", "--json")
    assert '"model": "theirs"' in run.out
    assert run.err == ""


def test_r12_trust_ends_with_the_next_byte(home):
    with Loopback(streamed(*STREAM)) as server:
        file = home.work / ".arawn.toml"
        file.write_text(
            f'[llm]\nbackend = "p"\n[backends.p]\nadapter = "openai_chat"\nbase_url = "{server.url}/v1"\nmodel = "m"\n'
        )
        shown = home.run("config", "trust")
        assert shown.code == 0
        assert f'  base_url="{server.url}/v1"'.replace("=", " = ") in shown.out
        assert home.run("ask", "hi").out == "Good day\n"
        file.write_text(file.read_text() + "\n")
        assert home.run("ask", "hi").out == ""
        assert len(server.requests) == 1
        home.run("config", "trust")
        assert home.run("ask", "hi").out == "Good day\n"
        assert home.run("config", "trust", "--list").out == f"{file}\n"
        assert home.run("config", "trust", "--revoke").code == 0
        assert home.run("ask", "hi").out == ""
    assert len(server.requests) == 2


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_r15_whatever_arawn_creates_belongs_to_its_user_alone(home, tmp_path, umask):
    fresh = tmp_path / "fresh" / "home"
    home.environ |= environ_of(tmp_path) | {"ARAWN_HOME": str(fresh)}
    (home.work / ".arawn.toml").write_text("[llm]\ntemperature = 0\n")
    under = {"preexec_fn": lambda: os.umask(umask)}
    with Loopback(streamed(*STREAM)) as server:
        table = "backends.here"
        commands = [
            (("config", "init"), None),
            (("config", "set", f"{table}.adapter", "openai_chat"), None),
            (("config", "set", f"{table}.base_url", f"{server.url}/v1"), None),
            (("config", "set", f"{table}.model", "m"), None),
            (("config", "set", f"{table}.api_key", "$keyring:here"), None),
            (("secrets", "set", "here"), CANARY.encode()),
            (("secrets", "allow", "here", "--for", "https://e.example"), None),
            (("config", "trust"), None),
            (("ask", "-b", "here", "hi"), None),
            (("config", "unset", f"{table}.model"), None),
            (("secrets", "delete", "here"), None),
        ]
        for command, stdin in commands:
            run = home.run(*command, stdin=stdin, **under)
            assert run.code == 0, (command, run)
    made = [fresh.parent, fresh, *fresh.rglob("*")]
    assert {path.name for path in made} >= {"config.toml", "secrets.json", "trust.json"}
    assert {path: oct(mode_of(path)) for path in made if mode_of(path) & 0o077} == {}
    assert CANARY.encode() not in b"".join(path.read_bytes() for path in made if path.is_file())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_r15_a_rewrite_does_not_widen_a_mode_and_keeps_a_link(home, tmp_path):
    real = tmp_path / "dotfiles.toml"
    real.write_text("# mine\n")
    real.chmod(0o400)
    (home.path / "config.toml").symlink_to(real)
    assert home.run("config", "set", "llm.backend", "mock").code == 0
    assert (home.path / "config.toml").is_symlink()
    assert mode_of(real) & 0o077 == 0
    assert real.read_text().startswith("# mine\n")
    assert home.run("ask", "hi").out == "hi\n"
