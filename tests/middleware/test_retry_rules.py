"""The rules of asking again, seen from outside: arawn as a process, attempts counted at the server."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from support.http_backend import DONE, STREAM, delta, event, streamed
from support.loopback import CHUNKED, Fin, Loopback, Rst, Stall, answer, chunked, head
from support.processes import Home
from support.waiting import wait_until

SOON = {"retry-after-ms": "1"}
SILENT = [head(headers=CHUNKED), chunked(delta(), end=False)]


def part(**fields):
    return event(id="a1", model="m-1", choices=[{"index": 0, "delta": fields, "finish_reason": None}])


TOOL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
FIRST_PARTS = {
    "text": part(content="Good "),
    "reasoning": part(reasoning_content="Hm"),
    "a refusal": part(refusal="No"),
    "a tool call": part(tool_calls=[TOOL]),
}


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def asked(home, server, keys="max_retries = 3", *words):
    """Ask, with the retries everybody has unless told otherwise."""
    home.serve(server.url)
    text = (home.path / "config.toml").read_text().replace("max_retries = 0", keys)
    home.configure(text)
    began = time.monotonic()
    run = home.run("ask", *words, "Hi")
    return run, time.monotonic() - began


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_r34_a_passing_failure_before_the_first_byte_is_asked_again(home, status):
    with Loopback([answer(b"{}", status, headers=SOON)], streamed(*STREAM)) as server:
        run, _ = asked(home, server)
        assert (run.code, run.out) == (0, "Good day\n"), run
        assert len(server.requests) == 2
    assert server.requests[0].body == server.requests[1].body


@pytest.mark.parametrize(("status", "code"), [(400, 8), (401, 4), (402, 6), (403, 4), (404, 8), (413, 8), (422, 8)])
def test_r34_a_refusal_is_final(home, status, code):
    with Loopback([answer(b"{}", status, headers=SOON)], streamed(*STREAM)) as server:
        run, _ = asked(home, server)
        assert (run.code, len(server.requests)) == (code, 1), run


@pytest.mark.parametrize("ending", [Fin(), Rst()], ids=["closed", "reset"])
def test_r34_a_connection_that_ends_before_the_answer_is_asked_again(home, ending):
    with Loopback([ending], streamed(*STREAM)) as server:
        run, _ = asked(home, server)
        assert (run.code, run.out) == (0, "Good day\n"), run
        assert len(server.requests) == 2


@pytest.mark.parametrize("ending", [[Fin()], [Rst()], [b"0\r\n\r\n"]], ids=["closed", "reset", "ended"])
@pytest.mark.parametrize("first", FIRST_PARTS.values(), ids=FIRST_PARTS)
def test_r34_after_any_part_of_an_answer_nothing_is_asked_again(home, first, ending):
    with Loopback([head(headers=CHUNKED), chunked(first, end=False), *ending], streamed(*STREAM)) as server:
        run, _ = asked(home, server)
        assert (run.code, len(server.requests)) == (10, 1), run


@pytest.mark.parametrize("script", [[Stall()], [*SILENT, Stall()]], ids=["no headers", "no word"])
@pytest.mark.parametrize(("ambiguous", "attempts"), [("false", 1), ("true", 2)])
def test_r34_an_answer_that_did_not_come_in_time_is_asked_again_only_where_that_is_allowed(
    home, script, ambiguous, attempts
):
    with Loopback(script) as server:
        run, _ = asked(home, server, f"max_retries = 1\ntimeout = 0.3\nretry_ambiguous = {ambiguous}")
        assert run.code == 124, run
        wait_until(lambda: len(server.requests) >= attempts)
        assert len(server.requests) == attempts, run


def test_r35_there_are_three_retries_and_then_the_failure_is_told(home):
    with Loopback([answer(b"{}", 429, headers=SOON)]) as server:
        run, _ = asked(home, server, "")
        assert (run.code, run.out, len(server.requests)) == (6, "", 4), run
    assert "Tried 4 times." in run.err


def in_seconds(wish):
    return {"Retry-After": str(wish)}


def as_a_date(wish):
    return {
        "Retry-After": formatdate(1_767_225_600 + wish, usegmt=True),
        "Date": formatdate(1_767_225_600, usegmt=True),
    }


@pytest.mark.parametrize(("status", "written"), [(429, in_seconds), (429, as_a_date), (529, in_seconds)])
def test_r35_it_waits_as_long_as_the_server_asked_in_seconds_or_as_a_date(home, status, written):
    with Loopback([answer(b"{}", status, headers=written(1))], streamed(*STREAM)) as server:
        run, took = asked(home, server)
        assert (run.code, len(server.requests)) == (0, 2), run
    assert took >= 1.0


@pytest.mark.parametrize("written", [in_seconds, as_a_date])
def test_r35_who_asks_for_more_than_a_minute_is_not_asked_again(home, written):
    with Loopback([answer(b"{}", 429, headers=written(61))]) as server:
        run, _ = asked(home, server)
        assert (run.code, len(server.requests)) == (6, 1), run
    assert "The server asks to wait 1 min 1 s." in run.err


def test_r35_all_attempts_together_stay_within_the_total_time(home):
    with Loopback([answer(b"{}", 429, headers={"Retry-After": "6"})]) as server:
        run, took = asked(home, server, "max_retries = 3\ntotal_timeout = 11")
        assert (run.code, len(server.requests)) == (6, 2), run
    assert took >= 6.0


def test_r34_embeddings_follow_the_same_rules(home):
    vectors = b'{"data": [{"index": 0, "embedding": [0.5, 0.25]}], "model": "e-1", "usage": {"prompt_tokens": 1}}'
    with Loopback([answer(b"{}", 503, headers=SOON)], [answer(vectors)]) as server:
        home.serve(server.url)
        text = (home.path / "config.toml").read_text().replace("max_retries = 0", "")
        home.configure(f'{text}[embeddings]\nbackend = "here"\nmodel = "e-1"\n')
        run = home.run("embed", "Hi")
        assert (run.code, len(server.requests)) == (0, 2), run


def test_an_answer_after_retries_is_printed_once(home):
    with Loopback([*SILENT, Rst()], [answer(b"{}", 500, headers=SOON)], streamed(*STREAM, DONE)) as server:
        run, _ = asked(home, server)
        assert (run.out, len(server.requests)) == ("Good day\n", 3), run
