"""What every call leaves in the ledger, however it ends, and how budgets stop calls before they are sent."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import ExitStack

import pytest
from support.http_backend import DONE, STREAM, USAGE, delta, streamed
from support.ledger_file import query
from support.loopback import CHUNKED, Fin, Loopback, Pause, Rst, Stall, answer, chunked, head

from arawn.models.money import stored, usd

PRICES = '[models."m-1"]\ninput_price = 1\noutput_price = 2\n'
AT_ONCE = {"Retry-After": "0"}
EVENTS = [delta("Good "), delta("day"), delta(finish_reason="stop"), USAGE]
DEAR = '[models."m-1"]\ninput_price = 0\noutput_price = 1000000\n'
"""A dollar a token of the answer; the server's answers have two."""


def rows(home, columns="outcome"):
    return query(home.path, f"SELECT {columns} FROM calls ORDER BY id")


def read_some(process):
    assert os.read(process.stdout.fileno(), 1 << 16)


def test_a_whole_answer_is_in_the_ledger_with_the_providers_count_and_its_cost(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, PRICES)
        told = json.loads(home.run("ask", "hi", "--json").out)
    who = "role, backend, model, input_tokens, output_tokens, counted, outcome, retries"
    [(*found, cost, latency, first)] = rows(home, f"{who}, cost, latency_ms, first_token_ms")
    assert found == ["llm", "here", "m-1", 7, 2, "reported", "complete", 0]
    assert usd(cost) == (7 * 1 + 2 * 2) * usd(10**6)
    assert told["cost"] == float(usd(cost))
    assert 0 < first <= latency


def test_the_session_is_named_and_nothing_that_was_said(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url)
        home.run("ask", "precious words", "-s", "tea")
    [(session,)] = rows(home, "session")
    assert json.loads(home.run("sessions", "show", "tea", "--json").out)["session"]["id"] == session
    assert "precious" not in str(rows(home, "*"))


def test_r34_every_attempt_that_reached_the_upstream_is_a_row(home):
    busy = [answer(b"{}", 503, headers=AT_ONCE)]
    with Loopback(busy, busy, streamed(*STREAM)) as server:
        home.serve(server.url, PRICES)
        home.configure((home.path / "config.toml").read_text().replace("max_retries = 0", "max_retries = 3"))
        assert home.run("ask", "hi").code == 0
        asked = len(server.requests)
    assert asked == 3
    *refused, (good, *_) = rows(home, "outcome, error, retries, cost")
    assert refused == [("rejected", "overloaded", 0, 0), ("rejected", "overloaded", 1, 0)]
    assert good == "complete"


@pytest.mark.parametrize("upto", range(len(EVENTS)))
@pytest.mark.parametrize("ending", [Fin(), Rst()], ids=["fin", "rst"])
def test_r50_an_answer_cut_at_any_event_is_an_estimate_and_never_nothing(home, upto, ending):
    cut = [head(headers=CHUNKED), *(chunked(event, end=False) for event in EVENTS[:upto]), ending]
    with Loopback(cut) as server:
        home.serve(server.url, PRICES)
        home.run("ask", "a question of some length")
        asked = len(server.requests)
    found = rows(home, "outcome, counted, input_tokens, cost, output_tokens")
    assert len(found) == asked == 1
    [(outcome, counted, asked_tokens, cost, said)] = found
    if upto < 3:
        assert (outcome, counted) == ("interrupted", "estimated")
        assert (said > 0) == (upto > 0)
    assert asked_tokens > 0
    assert cost > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_r50_an_answer_stopped_by_a_signal_is_an_estimate(home, number):
    with Loopback([head(headers=CHUNKED), chunked(delta("Good "), delta("da"), end=False), Stall()]) as server:
        home.serve(server.url, PRICES)
        with home.start("ask", "hi") as process:
            read_some(process)
            process.send_signal(number)
            process.communicate()
    [(outcome, error, said, cost)] = rows(home, "outcome, error, output_tokens, cost")
    assert (outcome, error, said > 0, cost > 0) == ("interrupted", "stopped", True, True)
    shown = json.loads(home.run("sessions", "list", "--json").out)
    assert stored(usd(cost)) == cost
    total = json.loads(home.run("usage", "--json").out)["total"]
    assert (total["stopped"], total["failed"], total["error_rate"]) == (1, 0, 0.0)  # nobody is to blame
    assert shown[0]["cost"] == pytest.approx(float(usd(cost)))


def test_r50_an_answer_whose_process_was_killed_is_an_estimate_once_somebody_looks(home):
    with Loopback([head(headers=CHUNKED), chunked(delta("Good "), end=False), Stall()], streamed(*STREAM)) as server:
        home.serve(server.url, PRICES)
        with home.start("ask", "hi") as process:
            read_some(process)
            process.kill()
            process.communicate()
        assert rows(home) == [("pending",)]
        assert home.run("usage").code == 0
    [(outcome, counted, asked, cost)] = rows(home, "outcome, counted, input_tokens, cost")
    assert (outcome, counted, asked > 0, cost > 0) == ("abandoned", "estimated", True, True)


def test_r50_what_an_interrupted_answer_took_is_told_as_the_ledger_has_it(home):
    with Loopback([head(headers=CHUNKED), chunked(delta("Good "), delta("da"), end=False), Fin()]) as server:
        home.serve(server.url, PRICES)
        run = home.run("ask", "hi", "--json", "--usage")
    [(asked, said, cost)] = rows(home, "input_tokens, output_tokens, cost")
    told = json.loads(run.out)
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"], told["usage"]["estimated"]) == (
        asked,
        said,
        True,
    )
    assert told["cost"] == float(usd(cost))
    assert f"~{asked} in · ~{said} out" in run.err


def test_a_reader_who_leaves_is_in_the_ledger(home):
    many = [delta(f"word {number} ") for number in range(20_000)]
    with Loopback(streamed(*many, delta(finish_reason="stop"), DONE)) as server:
        home.serve(server.url, PRICES)
        with home.start("ask", "hi") as process:
            read_some(process)
            process.stdout.close()
            process.wait(20)
    assert rows(home) == [("interrupted",)]


def test_what_reached_nobody_is_told_apart(home):
    home.serve("http://127.0.0.1:9")
    assert home.run("ask", "hi").code == 5
    home.configure('[llm]\nbackend = "openai"\n')
    assert home.run("ask", "hi").code == 4
    assert rows(home, "outcome, error, cost") == [("unreached", "connection", 0), ("unreached", "authentication", 0)]


def test_vectors_are_in_the_ledger(home):
    body = json.dumps({"data": [{"index": 0, "embedding": [0.5]}], "model": "e-1", "usage": {"prompt_tokens": 9}})
    with Loopback([answer(body.encode())]) as server:
        home.configure(
            f'[backends.here]\nadapter = "openai_chat"\nbase_url = "{server.url}/v1"\n'
            '[embeddings]\nbackend = "here"\nmodel = "e-1"\n[models."e-1"]\ninput_price = 2\noutput_price = 0\n'
        )
        assert home.run("embed", "some words").code == 0
    assert rows(home, "role, model, input_tokens, counted, cost") == [
        ("embeddings", "e-1", 9, "reported", stored(usd(18 * 10**6)))
    ]


def test_a_server_of_ones_own_costs_its_time(home):
    with Loopback([*streamed(*STREAM[:1])[:1], Pause(0.5), chunked(*STREAM)]) as server:
        home.serve(server.url, "hourly_rate = 3600")
        began = time.monotonic()
        told = json.loads(home.run("ask", "hi", "--json").out)
        took = time.monotonic() - began
    [(cost, latency)] = rows(home, "cost, latency_ms")
    assert 0.5 <= float(usd(cost)) <= took  # a dollar a second
    assert 500 <= latency <= took * 1000
    assert told["cost"] == float(usd(cost))


def test_the_first_token_does_not_wait_for_the_ledger(home):
    import sqlite3

    with Loopback(streamed(*STREAM), [head(headers=CHUNKED), chunked(delta("Good "), end=False), Stall()]) as server:
        home.serve(server.url)
        home.run("ask", "hi", "--no-save")
        other = sqlite3.connect(home.path / "arawn.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with home.start("ask", "hi", "--no-save") as process:
            read_some(process)
            waited = time.monotonic() - began
            other.execute("ROLLBACK")
            other.close()
            process.terminate()
            process.communicate()
    assert waited < 8  # the other writer would be waited for ten seconds
    assert rows(home) == [("complete",), ("interrupted",)]


# ---- budgets ----


def test_a_reached_budget_sends_nothing_and_exits_9(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, DEAR + "[budget]\nlimit = 2\n")
        first, second = (home.run("ask", "hi", "--max-tokens", "2") for _ in range(2))
        assert len(server.requests) == 1
    assert (first.code, second.code) == (0, 9)
    assert second.err.startswith("Error: the budget of this month is reached: $2.00 of $2.00 spent; nothing was sent\n")
    assert "arawn budget set" in second.err
    assert "90 % of the budget of this month is spent: $2.00 of $2.00" in first.err


def test_budget_limit_in_the_environment_counts(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, DEAR)
        run = home.run("ask", "hi", "--max-tokens", "3", env={"BUDGET_LIMIT": "2.5"})
        assert server.requests == []
    assert run.code == 9
    assert "the call may cost $3.00, and of the budget of this month $2.50 is left" in run.err


def test_a_price_that_is_not_known_is_refused_while_there_is_a_budget_unless_allowed(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, "[budget]\nlimit = 5\n")
        refused = home.run("ask", "hi")
        assert server.requests == []
        home.serve(server.url, '[budget]\nlimit = 5\nunpriced = "allow"\n')
        allowed = home.run("ask", "hi")
    assert (refused.code, allowed.code) == (9, 0)
    assert "the price of here/m-1 is not known" in refused.err
    assert rows(home, "cost") == [(None,)]


def test_an_answer_is_limited_to_what_the_budget_has_left(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, DEAR + "[budget]\nlimit = 300.5\n")
        run = home.run("ask", "hi")
        [request] = server.requests
    assert run.code == 0
    assert json.loads(request.body)["max_tokens"] == 300
    assert "the answer is limited to 300 tokens" in run.err


def test_r49_many_processes_never_spend_more_than_there_is(home):
    with Loopback(streamed(*STREAM)) as server, ExitStack() as stack:
        home.serve(server.url, DEAR + "[budget]\nlimit = 10\n")
        words = ("ask", "hi", "--max-tokens", "2", "-q")
        processes = [stack.enter_context(home.start(*words)) for _ in range(16)]
        codes = sorted(process.wait(60) for process in processes)
        assert len(server.requests) == 5
    assert codes == [0] * 5 + [9] * 11
    assert query(home.path, "SELECT sum(cost) FROM spending") == [(stored(usd(10**13)),)]


def test_r49_a_reservation_whose_process_was_killed_does_not_block_the_others(home):
    with Loopback([head(headers=CHUNKED), chunked(delta("Good "), end=False), Stall()], streamed(*STREAM)) as server:
        home.serve(server.url, DEAR + "[budget]\nlimit = 3\n")
        with home.start("ask", "hi", "--max-tokens", "2") as process:
            read_some(process)
            process.kill()
            process.communicate()
        run = home.run("ask", "hi", "--max-tokens", "2")
    assert run.code == 0, run
    assert rows(home) == [("abandoned",), ("complete",)]


def test_what_a_protocol_sends_as_the_limit_of_an_answer_is_what_is_reserved(home):
    with Loopback([answer(b"{}", 400)]) as server:
        home.configure(
            f'[llm]\nbackend = "anthropic"\nmodel = "claude-opus-5-5"\n[budget]\nlimit = 2.0\n[backends.anthropic]\n'
            f'base_url = "{server.url}"\n[models."claude-opus-5-5"]\ninput_price = 0\noutput_price = 25\n'
        )
        run = home.run("ask", "hi", env={"ANTHROPIC_API_KEY": "sk-x"})
        [request] = server.requests
    assert run.code == 8
    assert "limited" not in run.err
    assert json.loads(request.body)["max_tokens"] == 64_000
