"""Fallback through the command line: processes that share circuits, answers that are cut, upstreams that count."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from support.http_backend import STREAM, delta, streamed
from support.ledger_file import query as rows
from support.loopback import CHUNKED, Fin, Loopback, Pause, Rst, Stall, answer, chunked, head
from support.waiting import wait_until

from arawn.store.database import Database

DOWN = [answer(b'{"error": {"message": "out of order"}}', 500)]
GOOD = streamed(*STREAM)
SLOW = [Pause(3), *GOOD]
TABLE = """
[backends.{name}]
adapter = "openai_chat"
base_url = "{url}/v1"
model = "m-{name}"
max_retries = 0
connect_timeout = 2
"""


@contextmanager
def upstreams(home, *scripts, more=""):
    """Configure the backends one, two, … at servers that play these scripts; others stand in for the first."""
    names = ("one", "two", "three")[: len(scripts)]
    servers = [Loopback(*script) for script in scripts]
    tables = "".join(TABLE.format(name=name, url=server.url) for name, server in zip(names, servers, strict=True))
    home.configure(f'[llm]\nbackend = "one"\nfallback = {json.dumps(names[1:])}\n{more}{tables}')
    for server in servers:
        server.__enter__()
    try:
        yield servers
    finally:
        for server in servers:
            server.__exit__()


def asked(servers):
    return [len(server.requests) for server in servers]


def until(server, count):
    """Wait until so many requests have come."""
    wait_until(lambda: len(server.requests) >= count)


def pass_time(home, seconds):
    """Let all circuits have opened so much earlier."""
    with Database(str(home.path / "arawn.db")) as database, database.writing() as connection:
        connection.execute("UPDATE circuits SET opened = opened - ?, failed = failed - ?", [seconds, seconds])


def open_the_first(home):
    for _ in range(3):
        assert home.run("ask", "hi").code == 0


def test_another_backend_answers_with_its_own_model_and_one_line_says_why(home):
    with upstreams(home, [DOWN], [GOOD]) as servers:
        run = home.run("ask", "hi")
    assert (run.code, run.out) == (0, "Good day\n")
    assert run.err == 'two answers: one: Backend "one" failed (HTTP 500): out of order\n'
    assert json.loads(servers[1].requests[0].body)["model"] == "m-two"
    assert rows(home.path, "SELECT backend, outcome FROM calls ORDER BY id") == [
        ("one", "rejected"),
        ("two", "complete"),
    ]


def test_json_says_who_answered(home):
    with upstreams(home, [DOWN], [GOOD]):
        run = home.run("ask", "hi", "--json")
    assert json.loads(run.out)["backend"] == "two"
    assert run.err.startswith("two answers: ")


def test_the_switch_is_in_the_log_without_what_was_asked(home):
    with upstreams(home, [DOWN], [GOOD], more='[log]\nfile = "log.jsonl"\n'):
        home.run("ask", "precious words")
    text = (home.path / "log.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in lines] == ["llm_call_failed", "backend_switched", "cost_tracked"]
    assert {key: lines[1][key] for key in ("from", "to", "reason")} == {"from": "one", "to": "two", "reason": "server"}
    assert "precious" not in text


@pytest.mark.parametrize(
    "script",
    [
        [answer(b'{"error": {"message": "slow down"}}', 429, headers={"Retry-After": "600"})],
        [answer(b'{"error": {"code": "insufficient_quota"}}', 429)],
        [answer(b"<html>a proxy</html>", content_type="text/html")],
        [head(headers=CHUNKED), chunked(delta(), end=False), Rst()],
        [Rst()],
    ],
    ids=["rate limit", "quota", "web page", "cut before a word", "reset"],
)
def test_another_answers_where_the_first_cannot(home, script):
    with upstreams(home, [script], [GOOD]):
        run = home.run("ask", "hi")
    assert (run.code, run.out) == (0, "Good day\n")


@pytest.mark.parametrize(
    ("status", "code"), [(401, 4), (403, 4), (400, 8), (404, 8)], ids=["key", "permission", "request", "model"]
)
def test_a_mistake_is_not_hidden_by_another_answer(home, status, code):
    with upstreams(home, [[answer(b'{"error": {"message": "no"}}', status)]], [GOOD]) as servers:
        run = home.run("ask", "hi")
        assert (run.code, run.out, asked(servers)) == (code, "", [1, 0])


@pytest.mark.parametrize("ending", [Fin(), Rst()], ids=["fin", "rst"])
def test_r34_an_answer_that_is_cut_is_not_begun_again_by_another(home, ending):
    half = [head(headers=CHUNKED), chunked(delta("Half a sen"), end=False), Pause(0.1), ending]
    with upstreams(home, [half], [GOOD]) as servers:
        run = home.run("ask", "hi")
        assert (run.code, run.out) == (10, "Half a sen\n")
        assert asked(servers) == [1, 0]


def test_when_nobody_answers_the_first_one_s_error_has_a_hint_for_each_other(home):
    busy = [answer(b'{"error": {"message": "full"}}', 529)]
    with upstreams(home, [DOWN], [busy], [[Rst()]]):
        run = home.run("ask", "hi")
    assert run.code == 7
    first, *hints = run.err.splitlines()
    assert first == 'Error: Backend "one" failed (HTTP 500): out of order'
    assert [hint.split(":")[0] for hint in hints[-2:]] == ["  two", "  three"]


def test_a_budget_of_one_backend_lets_another_answer_and_that_of_all_does_not(home):
    prices = (
        '[models."m-one"]\ninput_price = 1\noutput_price = 1\n[models."m-two"]\ninput_price = 0\noutput_price = 0\n'
    )
    with upstreams(home, [GOOD], [GOOD], more=f"[budget.backends.one]\nlimit = 0.000001\n{prices}") as servers:
        run = home.run("ask", "hi")
        assert (run.code, run.out, asked(servers)) == (0, "Good day\n", [0, 1])
    assert run.err.startswith("two answers: one: ")
    with upstreams(home, [GOOD], [GOOD], more=f"[budget]\nlimit = 0.000001\n{prices}") as servers:
        assert (home.run("ask", "hi").code, asked(servers)) == (9, [0, 0])


def test_processes_share_what_they_learnt(home):
    with upstreams(home, [DOWN], [GOOD]) as servers:
        open_the_first(home)
        assert asked(servers) == [3, 3]
        run = home.run("ask", "hi")
        assert (run.out, asked(servers)) == ("Good day\n", [3, 4])
    assert run.err.startswith("two answers: one: failed 3 times, asked again in ")


def test_of_two_processes_one_tries_what_was_down(home):
    with upstreams(home, [DOWN, DOWN, DOWN, SLOW, GOOD], [GOOD]) as servers:
        open_the_first(home)
        pass_time(home, 31)
        with home.start("ask", "hi") as trying:
            until(servers[0], 4)
            trying.send_signal(signal.SIGSTOP)  # so that it has not ended before the other has
            other = home.run("ask", "hi")
            trying.send_signal(signal.SIGCONT)
            assert trying.communicate(timeout=30) == (b"Good day\n", b"")
        assert other.err == "two answers: one: failed 3 times, another call tries it now\n"
        assert home.run("ask", "hi").err == ""
        assert asked(servers) == [5, 4]
    assert rows(home.path, "SELECT * FROM circuits") == []


def test_a_process_killed_while_it_tries_leaves_that_to_the_next(home):
    with upstreams(home, [DOWN, DOWN, DOWN, [Stall()], GOOD], [GOOD]) as servers:
        open_the_first(home)
        pass_time(home, 31)
        with home.start("ask", "hi") as trying:
            until(servers[0], 4)
            assert home.run("ask", "hi").err.startswith("two answers: ")
            trying.send_signal(signal.SIGKILL)
        assert home.run("ask", "hi").err == ""
        assert asked(servers) == [5, 4]


def test_a_try_that_fails_keeps_it_closed_to_calls_for_twice_as_long(home):
    with upstreams(home, [DOWN], [GOOD]) as servers:
        open_the_first(home)
        pass_time(home, 31)
        assert "failed (HTTP 500)" in home.run("ask", "hi").err
        pass_time(home, 31)
        run = home.run("ask", "hi")
        assert asked(servers) == [4, 5]
    assert "failed 4 times, asked again in 2" in run.err


def test_a_failed_check_closes_it_to_calls_and_a_good_one_opens_it(home):
    models = [answer(b'{"data": []}')]
    with upstreams(home, [DOWN, models, GOOD], [GOOD]) as servers:
        assert home.run("backends", "check", "one").code == 7
        assert "failed once, asked again in " in home.run("ask", "hi").err
        assert home.run("backends", "check", "one").code == 0
        assert home.run("ask", "hi").err == ""
        assert asked(servers) == [3, 1]


CROWD = """
import asyncio, arawn
async def story():
    config = arawn.LLMConfig("one", fallback=["two"])
    async with arawn.get_llm_client(config) as client:
        answers = await asyncio.gather(*(client.generate("hi") for _ in range(12)))
    print({(answer.backend, answer.text) for answer in answers})
asyncio.run(story())
"""


def test_calls_of_one_program_at_the_same_time_all_get_their_answer(home):
    with upstreams(home, [DOWN], [GOOD]) as servers:
        words = [sys.executable, "-c", CROWD]
        run = subprocess.run(words, env=home.environ, cwd=home.work, capture_output=True, check=True, timeout=60)
        assert servers[1].requests
    assert run.stdout == b"{('two', 'Good day')}\n"
    assert run.stderr == b""
