"""Checks of backends: what is asked, what it proves, and what a fallback learns from it."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import closing

import pytest
from support.ledger_file import query as rows
from support.loopback import Loopback, Pause, Rst, answer
from support.processes import Home

from arawn.config.sources import load
from arawn.engine.assembly import Engine
from arawn.engine.health import check

KEY = "sk-canary-0123456789"
MODELS = [answer(b'{"data": [{"id": "b-2"}, {"id": "a-1"}]}')]
FINE = [answer(b'{"status": "ok"}')]
KEYED = f'api_key = "{KEY}"\nhealth_path = "/key"'
BUILT_IN = {
    "anthropic": ("", "/v1/models?limit=1", "x-api-key", KEY),
    "openrouter": ("/api/v1", "/api/v1/key", "authorization", f"Bearer {KEY}"),
    "xai": ("/v1", "/v1/api-key", "authorization", f"Bearer {KEY}"),
    "ollama": ("", "/api/version", "authorization", f"Bearer {KEY}"),
    "llamacpp": ("/v1", "/v1/health", "authorization", f"Bearer {KEY}"),
}


def refused(status, message="no"):
    return [answer(json.dumps({"error": {"message": message}}).encode(), status)]


def nobody():
    """An address nobody listens at."""
    with closing(socket.create_server(("127.0.0.1", 0))) as reserved:
        return f"http://127.0.0.1:{reserved.getsockname()[1]}"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def health_of(home, *words):
    """What ``arawn backends --json`` says of the backend here."""
    found = json.loads(home.run("backends", "--json", *words).out)
    return next(row for row in found if row["name"] == "here")


def opened(home):
    return rows(home.path, "SELECT backend, reason FROM circuits WHERE backend = 'here'")


# ---- what is asked ----


def test_a_health_path_is_asked_with_the_key_and_everything_a_call_has(home):
    with Loopback(FINE) as server:
        home.serve(server.url, f'{KEYED}\nheaders = {{x-team = "research"}}\nquery = {{api-version = "7"}}')
        run = home.run("backends", "check")
        asked = server.requests[0]
    assert run.out.startswith(f"ok here at {server.url}/v1: ")
    assert run.out.endswith(" ms\n")
    assert (asked.method, asked.target, asked.body) == ("GET", "/v1/key?api-version=7", b"")
    assert (asked.headers["authorization"], asked.headers["x-team"]) == (f"Bearer {KEY}", "research")


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_backends_are_asked_for_what_costs_them_least(home, name):
    base, target, header, value = BUILT_IN[name]
    with Loopback(FINE) as server:
        home.configure(f'[backends.{name}]\nbase_url = "{server.url}{base}"\napi_key = "{KEY}"\n')
        run = home.run("backends", "check", name)
        asked = server.requests[0]
    assert run.code == 0, run
    assert (asked.target, asked.headers[header]) == (target, value)
    assert ("anthropic-version" in asked.headers) is (name == "anthropic")


def test_without_a_path_the_models_are_asked_for_and_counted(home):
    with Loopback(MODELS) as server:
        home.serve(server.url)
        found = health_of(home)
        assert server.requests[0].target == "/v1/models"
    assert found["models"] == 2


@pytest.mark.parametrize("body", [b"", b"OK", b'{"status": "ok"}'])
def test_any_success_will_do(home, body):
    with Loopback([answer(body, 204 if not body else 200, content_type="text/plain")]) as server:
        home.serve(server.url, KEYED)
        assert home.run("backends", "check").code == 0


def test_a_web_page_is_no_success(home):
    with Loopback([answer(b"<html>Welcome</html>", content_type="text/html; charset=utf-8")]) as server:
        home.serve(server.url, KEYED)
        run = home.run("backends", "check")
    assert run.code == 7
    assert "text/html" in run.err


def test_doctor_asks_the_same(home):
    with Loopback(FINE) as server:
        home.serve(server.url, KEYED)
        run = home.run("doctor")
        assert server.requests[0].target == "/v1/key"
    assert run.out.splitlines()[-1].startswith("reachable     yes, ")


# ---- what it proves ----


@pytest.mark.parametrize(
    ("script", "keys", "proven"),
    [
        (FINE, KEYED, (True, True, True)),
        (MODELS, "", (True, True, None)),
        (refused(401), KEYED, (False, True, False)),
        (refused(403), KEYED, (False, True, True)),
        (refused(429), KEYED, (False, True, None)),
        (refused(503), KEYED, (False, True, None)),
        ([Rst()], KEYED, (False, False, None)),
        (FINE, 'api_key = "$env:UNSET"\nhealth_path = "/key"', (False, None, False)),
    ],
    ids=["fine", "no key needed", "401", "403", "429", "503", "reset", "no key"],
)
def test_it_says_whether_it_was_reached_and_took_the_key(home, script, keys, proven):
    with Loopback(script) as server:
        home.serve(server.url, keys)
        found = health_of(home)
    assert (found["ok"], found["reachable"], found["authenticated"]) == proven


def test_nobody_there_is_not_reachable(home):
    home.serve(nobody())
    found = health_of(home)
    assert (found["reachable"], found["error"]["kind"], found["latency_ms"]) == (False, "connection", None)


@pytest.mark.parametrize(("limit", "state"), [(150, "slow"), (600_000, "ok")])
def test_a_slow_answer_is_called_slow(home, limit, state):
    with Loopback([Pause(0.3), *MODELS]) as server:
        home.serve(server.url, f"[health]\nslow_ms = {limit}")
        found, table = health_of(home), home.run("backends")
        checked = home.run("backends", "check")
    assert (found["slow"], found["ok"]) == (state == "slow", True)
    assert found["latency_ms"] >= 300
    assert f"  {state}  " in table.out
    assert checked.out.startswith(f"{state} here at ")


def test_a_key_that_the_server_repeats_is_not_shown(home):
    with Loopback(refused(401, f"{KEY} is wrong")) as server:
        home.serve(server.url, KEYED)
        runs = [home.run("backends", *words) for words in ((), ("check",), ("--json",))]
    assert not any(KEY in run.out + run.err for run in runs)


def test_programs_can_check_too(home):
    async def story():
        engine = Engine.asynchronous(load(environ=home.environ, cwd=str(home.work)))
        try:
            return await check(engine, "here"), await check(engine, "nobody")
        finally:
            await engine.aclose()

    with Loopback(MODELS) as server:
        home.serve(server.url)
        here, nobody_there = asyncio.run(story())
    assert (here.state, here.models, here.reachable, here.error) == ("ok", 2, True, None)
    assert (nobody_there.state, nobody_there.reachable) == ("failing", None)
    assert nobody_there.error.kind == "config"


# ---- what a fallback learns ----


@pytest.mark.parametrize("words", [(), ("check",)], ids=["all", "one"])
@pytest.mark.parametrize(("script", "kind"), [(refused(500), "server"), ([Rst()], "connection")], ids=["500", "reset"])
def test_a_failed_check_opens_the_circuit_and_a_good_one_closes_it(home, words, script, kind):
    with Loopback(script, MODELS) as server:
        home.serve(server.url)
        home.run("backends", *words)
        assert opened(home) == [("here", kind)]
        home.run("backends", *words)
        assert opened(home) == []


def test_a_check_that_is_not_answered_in_time_opens_it_too(home):
    with Loopback([Pause(2), *MODELS]) as server:
        home.serve(server.url, "total_timeout = 0.3")
        assert home.run("backends", "check").code == 124
    assert opened(home) == [("here", "timeout")]


@pytest.mark.parametrize(
    "script",
    [refused(401), refused(404), refused(429), [answer(b"<p>", content_type="text/html")]],
    ids=["key", "model", "rate limit", "web page"],
)
def test_what_says_nothing_of_its_health_opens_nothing(home, script):
    with Loopback(script) as server:
        home.serve(server.url)
        assert home.run("backends", "check").code != 0
    assert not (home.path / "arawn.db").exists()
