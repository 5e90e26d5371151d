"""How ``arawn batch`` ends: at a budget, by a signal, at its end; and what it tells meanwhile."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import threading
import time

import pexpect
import pytest
from support.batch_runs import ANSWERS, COST, PRICED, QUESTIONS, answers_to, batch, numbered, records, texts, write
from support.chat_server import echo
from support.processes import ARAWN
from support.waiting import wait_until

# ---- stopped ----


def test_a_budget_that_is_reached_stops_it_and_the_next_run_goes_on(home, server):
    limited = f"{PRICED}[budget]\nlimit = {COST * 3.5:.7f}\n"
    home.serve(server.url, limited)
    write(home, numbered(12))
    run = batch(home, "--jobs", "1", "--max-tokens", "5")
    assert run.code == 9
    asked = len(server.prompts)
    assert 0 < asked < 12
    assert texts(home) == answers_to(numbered(asked))
    assert f"{asked} done, 0 failed" in run.err
    assert f"the same command again asks what has no answer in {ANSWERS} yet" in run.err
    home.serve(server.url, PRICED)
    assert batch(home, "--max-tokens", "5").code == 0
    assert texts(home) == answers_to(numbered(12))
    assert len(server.prompts) == 12


def test_what_is_to_be_known_of_a_budget_is_told_once(home, server):
    home.serve(server.url, f"{PRICED}[budget]\nlimit = {COST * 9.5:.7f}\n")
    write(home, numbered(8))
    run = batch(home, "--max-tokens", "5", "--jobs", "1")
    assert run.code == 0
    assert run.err.count("75 % of the budget of this month is spent") == 1


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_r51_a_signal_cancels_what_is_under_way_keeps_what_is_done_and_says_how_to_go_on(home, server, signum):
    held, waiting = threading.Event(), threading.Semaphore(0)

    def reply(prompt):
        if prompt in ("q4", "q5", "q6"):
            waiting.release()
            held.wait(20)
        return echo(prompt)

    server.reply = reply
    write(home, numbered(30))
    with home.start("batch", QUESTIONS, "-o", ANSWERS, "--jobs", "3", "--json") as process:
        for _ in range(3):
            assert waiting.acquire(timeout=20)
        while len(records(home)) < 4:
            assert process.poll() is None
        process.send_signal(signum)
        out, told = process.communicate(timeout=20)
    held.set()
    assert process.returncode == -signum
    assert json.loads(out)["exit_code"] == 128 + signum
    assert told.decode().startswith("stopped: 4 done, 0 failed, cost unknown, ")
    assert f"the same command again asks what has no answer in {ANSWERS} yet" in told.decode()
    assert sorted(texts(home)) == answers_to(numbered(4))
    server.bodies.clear()
    assert batch(home).code == 0
    assert sorted(server.prompts) == sorted(numbered(30)[4:])
    assert texts(home) == answers_to(numbered(30))


# ---- what is told ----


def test_quiet_says_nothing_and_the_summary_is_json_on_demand(home, server):
    write(home, numbered(3))
    run = batch(home, "-q", "--json")
    assert (run.code, run.err) == (0, "")
    assert json.loads(run.out)["done"] == 3
    assert json.loads(run.out)["output"] == ANSWERS


def test_standard_input_is_asked_line_by_line_while_it_is_written(home, server):
    with home.start("batch", "-", "-o", ANSWERS, "-q", stdin=subprocess.PIPE) as process:
        for n in range(3):
            process.stdin.write(json.dumps(f"q{n}").encode() + b"\n")
            process.stdin.flush()
            wait_until(lambda n=n: len(server.prompts) > n)
        process.stdin.close()
        process.wait(20)
    assert process.returncode == 0
    assert texts(home) == answers_to(numbered(3))


def test_ctrl_c_while_it_waits_for_standard_input_stops_at_once(home, server):
    with home.start("batch", "-", "-o", ANSWERS, stdin=subprocess.PIPE) as process:
        process.stdin.write(b'"q0"\n')
        process.stdin.flush()
        while not (home.work / ANSWERS).exists() or not records(home):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.wait(10)
        told = process.stderr.read().decode()
    assert process.returncode == -signal.SIGINT
    assert told.startswith("stopped: 1 done")


def test_on_a_terminal_a_bar_shows_how_far_it_is_and_leaves_only_the_summary(home, server):
    def dawdle(prompt):
        time.sleep(0.05)
        return 429 if prompt == "q3" else echo(prompt)

    server.reply = dawdle
    home.serve(server.url, PRICED)
    write(home, [*numbered(15), {"prompt": "x", "colour": 1}, *numbered(15)])
    words = [*ARAWN[1:], "batch", QUESTIONS, "-o", ANSWERS, "--jobs", "2"]
    environ = {**home.environ, "TERM": "xterm-256color", "NO_COLOR": "1"}
    child = pexpect.spawn(ARAWN[0], words, env=environ, cwd=str(home.work), dimensions=(24, 120), encoding="utf-8")
    child.logfile_read = io.StringIO()
    child.expect(r"━━.*[^\d]\d+ of 31 · \d failed · [\d.]+/s · \$0\.000\d · \d+ (s|min) left", timeout=60)
    child.expect(pexpect.EOF, timeout=60)
    child.close()
    assert child.exitstatus == 6
    written = child.logfile_read.getvalue()
    seen = re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", written)
    assert '\rWarning: "colour" means nothing to arawn' in seen
    assert "\rError: line 4: Rate limit" in seen
    assert re.fullmatch(r"29 done, 2 failed, \$0\.000\d, \d+ (s|min)", seen.split("\r\n")[-3])
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l")
